"""Asks what the operator may do: of the API server by access reviews, or else of the roles that are bound to it."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from workerpool_operator.cli.doctor.operator_rights import Account, Held, allows, questions
from workerpool_operator.cli.doctor.rights import Right
from workerpool_operator.cli.doctor.seen import Hidden
from workerpool_operator.kube import Kind, Kube, ObjectRef, errors, kinds

Json = dict[str, Any]

_GROUP: Final = "rbac.authorization.k8s.io"
_ROLE: Final = Kind(_GROUP, "v1", "roles", "Role")
_CLUSTER_ROLE: Final = Kind(_GROUP, "v1", "clusterroles", "ClusterRole", namespaced=False)
_CLUSTER_BINDING: Final = Kind(_GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)


async def held(kube: Kube, operator: Json, *, namespaces: Sequence[str]) -> Held:
    """What this operator lacks. `namespaces`: those that it looks after; empty: all."""
    account = Account.of(operator)
    wanted = questions(account, namespaces)
    try:
        may = await _reviewed(kube, account, wanted)
    except errors.Forbidden:
        try:
            may = await _read(kube, account, wanted)
        except errors.Forbidden:
            return Held(operator, Hidden("you may neither create subjectaccessreviews nor read its roles"))
    return Held(operator, [one for one, allowed in zip(wanted, may, strict=True) if not allowed])


async def _reviewed(kube: Kube, account: Account, wanted: Sequence[tuple[Right, str]]) -> Sequence[bool]:
    who = {"user": account.user, "groups": list(account.groups)}
    first, *others = [who | {"resourceAttributes": right.question(where)} for right, where in wanted]
    answer = await kube.allowed(first)  # alone, as all are refused where one is
    return [answer, *await asyncio.gather(*(kube.allowed(one) for one in others))]


async def _read(kube: Kube, account: Account, wanted: Sequence[tuple[Right, str]]) -> Sequence[bool]:
    everywhere = await _rules(kube, account, await kube.list(_CLUSTER_BINDING).all(), "")
    within = {
        where: await _rules(kube, account, await kube.list(kinds.ROLE_BINDING, namespace=where).all(), where)
        for where in {where for _, where in wanted if where}
    }
    return [allows([*everywhere, *within.get(where, ())], right) for right, where in wanted]


async def _rules(kube: Kube, account: Account, bindings: Sequence[Json], namespace: str) -> list[Json]:
    """Of all roles that are bound to it; a role that is gone gives nothing."""
    found: list[Json] = []
    for binding in bindings:
        if not account.is_in(binding):
            continue
        role = binding["roleRef"]
        kind, where = (_ROLE, namespace) if role["kind"] == "Role" else (_CLUSTER_ROLE, "")
        try:
            found += (await kube.get(ObjectRef(kind, where, role["name"]))).get("rules") or []
        except errors.NotFound:
            continue
    return found

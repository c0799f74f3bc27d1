"""Reads a cluster for `wpool doctor`, with the user's own rights: what may not be read is not taken for absent."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from workerpool_operator import __version__
from workerpool_operator.api.crd import POOL, definition
from workerpool_operator.cli.doctor.look_rights import held
from workerpool_operator.cli.doctor.operator_rights import Held
from workerpool_operator.cli.doctor.pools import watched_by
from workerpool_operator.cli.doctor.rights import ALL, Right
from workerpool_operator.cli.doctor.seen import OPERATOR_SELECTOR, Hidden, Seen
from workerpool_operator.domain.desired import MANAGED_BY_LABEL, MANAGER, POOL_LABEL
from workerpool_operator.kube import ClusterAccess, Kind, Kube, ObjectRef, errors, kinds

T = TypeVar("T")
Json = dict[str, Any]

DEFINITION: Final = Kind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
API_SERVICE: Final = Kind("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
_PROMETHEUS: Final = Kind("monitoring.coreos.com", "v1", "prometheuses", "Prometheus")
_THANOS_RULER: Final = Kind("monitoring.coreos.com", "v1", "thanosrulers", "ThanosRuler")
_OF_POOLS: Final = f"{MANAGED_BY_LABEL}={MANAGER},{POOL_LABEL}"
_SLOT: Final = "v1beta1.external.metrics.k8s.io"


async def look(access: ClusterAccess, *, namespace: str | None) -> Seen:
    """The cluster, with the pools of one namespace, or of all.

    Raises:
        KubeError: it cannot be asked at all.
    """
    own = namespace or access.namespace
    async with Kube(access) as kube:
        kubernetes = await kube.server_version()
        found, operators, slot, rules_served, pools, refused = await asyncio.gather(
            _one(kube, ObjectRef(DEFINITION, "", POOL.name)),
            _visible(kube.list(kinds.DEPLOYMENT, label_selector=OPERATOR_SELECTOR).all()),
            _one(kube, ObjectRef(API_SERVICE, "", _SLOT)),
            _served(kube, kinds.PROMETHEUS_RULE),
            _listed(kube, kinds.WORKER_POOL, namespace=namespace),
            _refused(kube, own),
        )
        there = await _one(kube, ObjectRef(kinds.NAMESPACE, "", namespace)) if namespace else {}
        names = set() if isinstance(pools, Hidden) else {pool["metadata"]["namespace"] for pool in pools}
        spaces = await asyncio.gather(*(_one(kube, ObjectRef(kinds.NAMESPACE, "", name)) for name in sorted(names)))
        rules, evaluators = await _alerts(kube, namespace) if rules_served else ([], [])
        lacking = await _held(kube, operators, names)
    return Seen(
        kubernetes=kubernetes,
        definition=found,
        wanted=definition(),
        release=__version__,
        operators=operators,
        slot=slot,
        rules_served=rules_served,
        rules=rules,
        evaluators=evaluators,
        held=lacking,
        pools=pools,
        only=namespace or "",
        only_there=there if isinstance(there, Hidden) else there is not None,
        namespaces={name: space for name, space in zip(sorted(names), spaces, strict=True) if isinstance(space, dict)},
        refused=refused,
        own=own,
    )


async def _one(kube: Kube, ref: ObjectRef) -> Json | Hidden | None:
    try:
        return await _visible(kube.get(ref))
    except errors.NotFound:
        return None


async def _visible(reading: Awaitable[T]) -> T | Hidden:
    try:
        return await reading
    except errors.Forbidden:
        return Hidden("you may not read it")


async def _listed(kube: Kube, kind: Kind, *, namespace: str | None = None, selector: str = "") -> list[Json] | Hidden:
    """All of a kind; none of one that the cluster does not know."""
    try:
        return await _visible(kube.list(kind, namespace=namespace, label_selector=selector).all())
    except errors.KindNotServed:
        return []


async def _served(kube: Kube, kind: Kind) -> bool:
    """Whether the cluster knows a kind; also told by a refusal, which comes after."""
    try:
        await kube.get(ObjectRef(kind, "default", "wpool-doctor"))
    except errors.KindNotServed:
        return False
    except (errors.NotFound, errors.Forbidden):
        return True
    return True


async def _alerts(kube: Kube, namespace: str | None) -> tuple[list[Json] | Hidden, list[Json] | Hidden]:
    """The pools' rules, and what evaluates rules."""
    rules = await _listed(kube, kinds.PROMETHEUS_RULE, namespace=namespace, selector=_OF_POOLS)
    evaluators: list[Json] = []
    for kind in (_PROMETHEUS, _THANOS_RULER):
        found = await _listed(kube, kind)
        if isinstance(found, Hidden):
            return rules, found
        evaluators += [one | {"kind": kind.kind} for one in found]
    return rules, evaluators


async def _held(kube: Kube, operators: list[Json] | Hidden, namespaces: set[str]) -> list[Held]:
    """Of each operator, in the namespaces with pools where it looks after some only."""
    found: list[Held] = []
    for operator in () if isinstance(operators, Hidden) else operators:
        named = watched_by(operator)
        asked = sorted(namespaces & set(named)) or sorted(named)[:1]
        found.append(await held(kube, operator, namespaces=asked))
    return found


async def _refused(kube: Kube, namespace: str) -> list[Right]:
    answers = await asyncio.gather(*(kube.may(right.question(namespace)) for right in ALL))
    return [right for right, may in zip(ALL, answers, strict=True) if not may]

"""Reads a cluster for `wpool doctor`, with the user's own rights: what may not be read is not taken for absent."""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from workerpool_operator import __version__
from workerpool_operator.api.crd import POOL, definition
from workerpool_operator.cli.doctor.seen import OPERATOR_SELECTOR, Hidden, Seen
from workerpool_operator.kube import ClusterAccess, Kind, Kube, ObjectRef, errors, kinds

T = TypeVar("T")
Json = dict[str, Any]

DEFINITION: Final = Kind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
API_SERVICE: Final = Kind("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False)
_SLOT: Final = "v1beta1.external.metrics.k8s.io"
_NEEDED: Final = (
    ("get", "workerpool.dev", "workerpools", ""),
    ("list", "workerpool.dev", "workerpools", ""),
    ("watch", "workerpool.dev", "workerpools", ""),
    ("list", "", "pods", ""),
    ("watch", "", "pods", ""),
    ("create", "", "pods", "exec"),
    ("get", "", "pods", "proxy"),
)
"""Verb, group, resource and subresource that the commands ask with."""


async def look(access: ClusterAccess, *, namespace: str | None) -> Seen:
    """The cluster, with the pools of one namespace, or of all.

    Raises:
        KubeError: it cannot be asked at all.
    """
    async with Kube(access) as kube:
        kubernetes = await kube.server_version()
        found, operators, slot, rules_served, pools, refused, there = await asyncio.gather(
            _one(kube, ObjectRef(DEFINITION, "", POOL.name)),
            _visible(kube.list(kinds.DEPLOYMENT, label_selector=OPERATOR_SELECTOR).all()),
            _one(kube, ObjectRef(API_SERVICE, "", _SLOT)),
            _served(kube, kinds.PROMETHEUS_RULE),
            _pools(kube, namespace),
            _refused(kube, namespace),
            _one(kube, ObjectRef(kinds.NAMESPACE, "", namespace or "default")),
        )
        names = set() if isinstance(pools, Hidden) else {pool["metadata"]["namespace"] for pool in pools}
        spaces = await asyncio.gather(*(_one(kube, ObjectRef(kinds.NAMESPACE, "", name)) for name in sorted(names)))
    return Seen(
        kubernetes=kubernetes,
        definition=found,
        wanted=definition(),
        release=__version__,
        operators=operators,
        slot=slot,
        rules_served=rules_served,
        pools=pools,
        only=namespace or "",
        only_there=there if isinstance(there, Hidden) else there is not None,
        namespaces={name: space for name, space in zip(sorted(names), spaces, strict=True) if isinstance(space, dict)},
        refused=refused,
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


async def _pools(kube: Kube, namespace: str | None) -> list[Json] | Hidden:
    try:
        return await _visible(kube.list(kinds.WORKER_POOL, namespace=namespace).all())
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


async def _refused(kube: Kube, namespace: str | None) -> list[str]:
    questions = [
        {"verb": verb, "group": group, "resource": resource, "subresource": below, "namespace": namespace or ""}
        for verb, group, resource, below in _NEEDED
    ]
    answers = await asyncio.gather(*(kube.may(question) for question in questions))
    refused = [needed for needed, may in zip(_NEEDED, answers, strict=True) if not may]
    return [f"{verb} {resource}{'/' if below else ''}{below}" for verb, _, resource, below in refused]

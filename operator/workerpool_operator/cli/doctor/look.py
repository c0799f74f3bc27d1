"""Reads a cluster for `wpool doctor`, with the user's own rights: what may not be read is not taken for absent."""

import asyncio
from collections.abc import Awaitable, Iterable
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
_PROMETHEUS_AGENT: Final = Kind("monitoring.coreos.com", "v1alpha1", "prometheusagents", "PrometheusAgent")
_POD_MONITOR: Final = Kind("monitoring.coreos.com", "v1", "podmonitors", "PodMonitor")
_SERVICE_MONITOR: Final = Kind("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor")
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
        spaces = await _spaces(kube, names)
        homes = await _spaces(kube, _homes(operators))
        rules = await _listed(kube, kinds.PROMETHEUS_RULE, namespace=namespace, selector=_OF_POOLS)
        evaluators = await _evaluators(kube)
        monitors_served = await _served(kube, _POD_MONITOR) and await _served(kube, _SERVICE_MONITOR)
        pod_monitors, service_monitors = await _listed(kube, _POD_MONITOR), await _listed(kube, _SERVICE_MONITOR)
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
        monitors_served=monitors_served,
        pod_monitors=pod_monitors,
        service_monitors=service_monitors,
        homes=homes,
        held=lacking,
        pools=pools,
        only=namespace or "",
        only_there=there if isinstance(there, Hidden) else there is not None,
        namespaces=spaces,
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


def _homes(operators: list[Json] | Hidden) -> set[str]:
    return set() if isinstance(operators, Hidden) else {one["metadata"]["namespace"] for one in operators}


async def _spaces(kube: Kube, names: Iterable[str]) -> dict[str, Json]:
    """Those of these namespaces that may be read, by name."""
    asked = sorted(names)
    found = await asyncio.gather(*(_one(kube, ObjectRef(kinds.NAMESPACE, "", name)) for name in asked))
    return {name: space for name, space in zip(asked, found, strict=True) if isinstance(space, dict)}


async def _evaluators(kube: Kube) -> list[Json] | Hidden:
    """What evaluates rules, and what reads metrics."""
    evaluators: list[Json] = []
    for kind in (_PROMETHEUS, _PROMETHEUS_AGENT, _THANOS_RULER):
        found = await _listed(kube, kind)
        if isinstance(found, Hidden):
            return found
        evaluators += [one | {"kind": kind.kind} for one in found]
    return evaluators


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

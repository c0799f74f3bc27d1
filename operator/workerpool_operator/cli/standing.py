"""Whether an operator runs that would do what a command has written.

It is written all the same, and not refused: it is what somebody wishes of the pool, and holds for the operator that
comes back (who stops a pool while the operator is away wants it to stay stopped); and who may not list Deployments
cannot see that none runs, so a refusal would hold for some users and not for others. But nothing is done, so the
command says so and ends with exit code 3, as one does that waited in vain. Only a node is not drained: its order is
taken back in the end, so to write it would do nothing at all.

A command that only shows what the operator has written says that it may be old, on standard error, and changes
nothing else: its exit code is for what it shows.

Imported only where a cluster is asked: the Kubernetes client takes a second.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from workerpool_operator.cli.doctor.pools import left_alone
from workerpool_operator.cli.doctor.seen import INSTALL, OPERATOR_SELECTOR
from workerpool_operator.kube import ClusterAccess, Kube, KubeError, kinds

Json = Mapping[str, Any]

LEASE_NAME: Final = "workerpool-operator"
_SECONDS: Final = 5.0
_FRESH: Final = timedelta(minutes=1)
"""A leader renews its Lease every few seconds; the rest is for clocks that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """That no operator runs."""

    what: str
    does: str
    """What becomes of what was written for it."""
    remedy: str


async def nobody(access: ClusterAccess, namespace: str | None) -> str:
    """Why nothing is done in the namespace and what to do; empty where an operator does it, or that cannot be seen.

    `namespace`: None for all, of which it is enough that one is looked after. Never raises.
    """
    absent = await _absence(access, namespace)
    return f"{absent.what}{absent.does}{absent.remedy}" if absent else ""


async def shown_by_nobody(access: ClusterAccess, namespace: str | None) -> str:
    """That what is shown may be old, why, and what to do; empty and errors as `nobody`."""
    absent = await _absence(access, namespace)
    return f"what the operator has written may be old: {absent.what}: {absent.remedy}" if absent else ""


async def _absence(access: ClusterAccess, namespace: str | None) -> Absence | None:
    with contextlib.suppress(TimeoutError, KubeError):
        async with asyncio.timeout(_SECONDS):
            return await _found(access, namespace)
    return None


async def _found(access: ClusterAccess, namespace: str | None) -> Absence | None:
    """By one request where an operator is ready, else by two."""
    async with Kube(access) as kube:
        operators = await kube.list(kinds.DEPLOYMENT, label_selector=OPERATOR_SELECTOR).all()
        leases = () if _ready(operators, namespace) else await _leases(kube)
        return told(operators, leases, namespace=namespace, now=datetime.now(UTC))


def told(operators: Sequence[Json], leases: Sequence[Json], *, namespace: str | None, now: datetime) -> Absence | None:
    """None where one runs that looks after the namespace.

    Who holds one of the Leases does, wherever: outside of the cluster, or not yet ready; but not where it is that of
    an operator which leaves the namespace alone.
    """
    elsewhere = [one for one in operators if namespace and left_alone(namespace, [one])]
    aside = {one["metadata"]["namespace"] for one in elsewhere}
    holders = {lease["metadata"]["namespace"] for lease in leases if _held(lease, now=now)}
    if _ready(operators, namespace) or holders - aside:
        return None
    if namespace and (remedy := left_alone(namespace, operators)):
        metadata: Json = operators[-1]["metadata"]
        return Absence(
            what=f"the operator ({metadata['namespace']}/{metadata['name']}) does not look after namespace {namespace}",
            does=". One that is told to does it: ",
            remedy=remedy,
        )
    if operators:
        metadata = operators[0]["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        return Absence(
            what=f"no replica of the operator ({namespace}/{name}) is ready",
            does=", which does it as soon as one is. ",
            remedy=f"`kubectl -n {namespace} describe pods -l {OPERATOR_SELECTOR}` tells why",
        )
    return Absence(
        what="no operator is installed in this cluster, only its resource definitions",
        does=". One that is installed does it: ",
        remedy=INSTALL,
    )


def _ready(operators: Sequence[Json], namespace: str | None) -> bool:
    return any(
        (one.get("status") or {}).get("readyReplicas") and not (namespace and left_alone(namespace, [one]))
        for one in operators
    )


def _held(lease: Json, *, now: datetime) -> bool:
    spec: Json = lease.get("spec") or {}
    try:
        renewed = datetime.fromisoformat(str(spec.get("renewTime")))
    except ValueError:
        return False
    return bool(spec.get("holderIdentity")) and abs(now - renewed) < _FRESH


async def _leases(kube: Kube) -> Sequence[Json]:
    try:
        return await kube.list(kinds.LEASE, field_selector=f"metadata.name={LEASE_NAME}").all()
    except KubeError:
        return ()

"""A node is emptied: it is cordoned, and its workers leave it, as the operator is told by an annotation of their pool.

Everything follows from what is seen at each look, so a command that was interrupted goes on when asked again. Times
that decide who leaves, and until when, are the API server's own: this machine's clock may be wrong by hours.

Imported only where a cluster is asked: the Kubernetes client takes a second.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.doctor.seen import some
from workerpool_operator.cli.hints import where
from workerpool_operator.cli.interrupts import leaves, whole
from workerpool_operator.cli.writing import rewrite
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL, WORKER
from workerpool_operator.domain.scaling import DRAIN, Drain, overrides
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, clock, errors, kinds

POLL_SECONDS: Final = 1.0
STRAGGLER_SECONDS: Final = 10.0
"""The scheduler sees a moment late that a node was cordoned. Who comes after this long tolerates it."""

PoolKey = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whose workers leave which node. None: any."""

    node: str
    namespace: str | None
    pool: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """One worker on the node."""

    pool: PoolKey
    created: datetime
    leaving: bool
    """Whether its pod is being deleted: it finishes its jobs."""


async def look(access: ClusterAccess, target: Target) -> list[There]:
    """The workers on the node.

    Raises:
        TroubleError: there is no such node.
        NotFound: there is no such pool.
        KubeError: it or its pods cannot be read.
    """
    async with Kube(access) as kube:
        try:
            await kube.get(ObjectRef(kinds.NODE, "", target.node))
        except errors.NotFound:
            raise TroubleError(
                f"there is no node {target.node}: `kubectl get nodes` shows those that there are"
            ) from None
        if target.pool:  # a misspelt one has no workers anywhere, and the node would be cordoned for nothing
            await kube.get(ObjectRef(kinds.WORKER_POOL, target.namespace or "", target.pool))
        return await _workers(kube, target)


def told(workers: Sequence[There]) -> str:
    """How many of which pools: `media/thumbs 3, shop/mail 1`."""
    counted = Counter(worker.pool for worker in workers)
    return ", ".join(f"{namespace}/{name} {count}" for (namespace, name), count in sorted(counted.items()))


async def drain(access: ClusterAccess, target: Target, *, seconds: float, tell: Callable[[str], None]) -> None:
    """Have them leave, and wait until none is left.

    Raises:
        TroubleError: some are left after `seconds`.
        KubeError: something may not be written or read.
        EndedError: the command was interrupted.
    """
    asked: dict[PoolKey, Drain] = {}
    async with Kube(access) as kube:
        await _cordon(kube, target.node)
        with leaves(_stays(target.node)):
            until = await clock.now(kube) + timedelta(seconds=round(seconds))  # whole ones, as in the annotation
            span = _Span(until=until, end=time.monotonic() + seconds)
            try:
                await _emptied(kube, target, asked, span=span, tell=tell)
            finally:
                await _take_back(kube, target.node, asked, tell=tell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """Who leaves, and when it is given up, by the API server's clock."""

    there: Sequence[There]
    until: datetime


async def order(access: ClusterAccess, target: Target, *, seconds: float) -> Ordered:
    """Have them leave as `drain` does, and wait for nobody: for who cannot. After `seconds` the rest stay.

    The scheduler sees a moment late that a node was cordoned: who comes until then leaves too.

    Raises:
        TroubleError: not all of it could be written, and what was is taken back.
        KubeError: the node cannot be read or cordoned.
    """
    asked: dict[PoolKey, Drain] = {}
    async with Kube(access) as kube:
        await _cordon(kube, target.node)
        try:
            now = await clock.now(kube)
            until, late = now + timedelta(seconds=round(seconds)), now + timedelta(seconds=STRAGGLER_SECONDS)
            there = await _workers(kube, target)
            for pool, said in _orders(target.node, there, until=until).items():
                asked[pool] = replace(said, begun=max(said.begun, late))
                await _write(kube, pool, node=target.node, order=asked[pool])
        except errors.KubeError as error:
            left: list[str] = []
            await _take_back(kube, target.node, asked, tell=left.append)
            raise TroubleError("; ".join([*left, f"{error.detail or error}. {_stays(target.node)}"])) from None
    return Ordered(there=there, until=until)


def _stays(node: str) -> str:
    return (
        f"{node} stays cordoned, and workers stay on it that had not begun to leave. Asked again, it goes on; "
        f"`kubectl uncordon {node}` ends it"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """How long it may take."""

    until: datetime
    """By the API server's clock."""
    end: float
    """By this machine's monotonic one."""

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.end


async def _take_back(kube: Kube, node: str, asked: Mapping[PoolKey, Drain], *, tell: Callable[[str], None]) -> None:
    """No more workers begin to leave. What cannot be written now lapses by itself."""
    for pool, said in asked.items():
        try:
            await _write(kube, pool, node=node, taken_back=said)
        except errors.KubeError as error:
            until = f"{said.until:%Y-%m-%d %H:%M:%S} UTC"
            tell(f"{'/'.join(pool)}: that workers leave {node} cannot be taken back, and stands until {until}: {error}")


async def rehearse(access: ClusterAccess, target: Target, there: Sequence[There]) -> None:
    """Have the API server check all that would be written to have these leave, and write nothing.

    Raises:
        TroubleError, KubeError: something of it would be refused.
    """
    async with Kube(access) as kube:
        await _cordon(kube, target.node, dry_run=True)
        for pool, said in _orders(target.node, there, until=await clock.now(kube)).items():
            await _write(kube, pool, node=target.node, order=said, dry_run=True)


async def _emptied(
    kube: Kube, target: Target, asked: dict[PoolKey, Drain], *, span: _Span, tell: Callable[[str], None]
) -> None:
    begun, shown = time.monotonic(), ""
    while there := await _patient(kube, target, span=span):
        if time.monotonic() - begun < STRAGGLER_SECONDS:
            for pool, said in _orders(target.node, there, until=span.until).items():
                if asked.get(pool) != said:
                    asked[pool] = said  # before it is known whether it was written: it is taken back in any case
                    await whole(_write(kube, pool, node=target.node, order=said))
        line = f"{target.node}: {len(there)} workers left ({told(there)}), {_leaving(there)} of them finish their jobs"
        if line != shown:
            shown = line
            tell(line)
        if span.over:
            raise TroubleError(_late(target.node, there, asked))
        await asyncio.sleep(POLL_SECONDS)


def _orders(node: str, there: Sequence[There], *, until: datetime) -> dict[PoolKey, Drain]:
    """By pool: all that are there now leave."""
    newest: dict[PoolKey, datetime] = {}
    for worker in there:
        newest[worker.pool] = max(worker.created, newest.get(worker.pool, worker.created))
    return {pool: Drain(node=node, begun=created, until=until) for pool, created in newest.items()}


def _leaving(there: Sequence[There]) -> int:
    return sum(worker.leaving for worker in there)


def _late(node: str, there: Sequence[There], asked: Mapping[PoolKey, Drain]) -> str:
    newer = [one for one in there if one.pool not in asked or one.created > asked[one.pool].begun]
    if newer:
        return (
            f"{told(newer)} came onto {node} although it is cordoned: they tolerate "
            "node.kubernetes.io/unschedulable, or somebody has uncordoned it"
        )
    pages = {f"`wpool describe {name}{where(namespace=namespace)}`" for namespace, name in {one.pool for one in there}}
    return (
        f"{node} still has {told(there)}. They stay now, and it stays cordoned. They are busy, or no other node has "
        f"room for those that would take their places, or the operator does not run: {some(pages)} tells"
    )


async def _cordon(kube: Kube, node: str, *, dry_run: bool = False) -> None:
    ref = ObjectRef(kinds.NODE, "", node)
    if (await kube.get(ref)).get("spec", {}).get("unschedulable"):
        return
    try:
        await kube.merge_patch(ref, {"spec": {"unschedulable": True}}, dry_run=dry_run)
    except errors.Forbidden as error:
        raise TroubleError(
            f"you may not cordon {node}: {error.detail or error}. Have `kubectl cordon {node}` done by someone who "
            "may, then ask again"
        ) from None


async def _patient(kube: Kube, target: Target, *, span: _Span) -> list[There]:
    """An API server that is away for a while is waited for."""
    while True:
        try:
            return await _workers(kube, target)
        except errors.KubeError as error:
            if not error.retryable or span.over:
                raise
        await asyncio.sleep(POLL_SECONDS)


async def _workers(kube: Kube, target: Target) -> list[There]:
    selector = f"{COMPONENT_LABEL}={WORKER}" + (f",{POOL_LABEL}={target.pool}" if target.pool else f",{POOL_LABEL}")
    found = kube.list(
        kinds.POD,
        namespace=target.namespace,
        label_selector=selector,
        field_selector=f"spec.nodeName={target.node},status.phase!=Succeeded,status.phase!=Failed",
    )
    return [_there(pod["metadata"]) async for pod in found]


def _there(metadata: Mapping[str, Any]) -> There:
    return There(
        pool=(metadata["namespace"], metadata["labels"][POOL_LABEL]),
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        leaving="deletionTimestamp" in metadata,
    )


async def _write(
    kube: Kube,
    pool: PoolKey,
    *,
    node: str,
    order: Drain | None = None,
    taken_back: Drain | None = None,
    dry_run: bool = False,
) -> None:
    """Put the order into the pool's annotation, or take ours out of it, and leave those of others.

    Ours of one drain all end at the same time: one that was to replace another may not have got there.
    A pool that has gone meanwhile has no workers to drain.
    """
    now = await clock.now(kube)

    def ordered(body: dict[str, Any]) -> dict[str, Any] | None:
        known = overrides(body["metadata"].get("annotations", {})).drains
        if taken_back and not any(one.node == node and one.until == taken_back.until for one in known):
            return None
        others = [one for one in known if one.node != node and one.until > now]
        text = ",".join(str(one) for one in (*others, *([order] if order else [])))
        return {"metadata": {"annotations": {DRAIN: text or None}}}

    with contextlib.suppress(errors.NotFound):
        await rewrite(kube, ObjectRef(kinds.WORKER_POOL, *pool), ordered, dry_run=dry_run)

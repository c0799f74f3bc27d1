"""One pool, followed: a tree that is drawn anew on a terminal, a line for each change elsewhere."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich.live import Live

from workerpool_operator.cli.canary import Phase, canary_of
from workerpool_operator.cli.cluster import TroubleError, remark
from workerpool_operator.cli.get.figures import PodFigures
from workerpool_operator.cli.get.rows import Json, Row
from workerpool_operator.cli.get.tree import Jobs, Scene, tree
from workerpool_operator.cli.hints import in_context
from workerpool_operator.cli.places import placed, progress
from workerpool_operator.cli.pool_watch import PoolWatch, watch_pool
from workerpool_operator.cli.standing import shown_by_nobody
from workerpool_operator.cli.terminal import Console
from workerpool_operator.kube import ClusterAccess

_DRAW_SECONDS: Final = 0.5
_FIGURES_SECONDS: Final = 3.0
_STANDING_SECONDS: Final = 30.0
_SEEN: Final = ("ready", "workers", "desired", "depth", "in_flight", "version", "limited_by", "reason")


@dataclass(slots=True, kw_only=True)
class _Followed:
    """What is followed."""

    watch: PoolWatch
    context: str | None
    old: str = ""
    """Why it may be old, as no operator runs; empty: one does."""


async def follow(
    access: ClusterAccess, namespace: str, name: str, console: Console, *, context: str | None = None
) -> None:
    """Until the pool is deleted, or this is cancelled. `context`: the one that was named for the cluster.

    Raises:
        KubeError: the API server refuses to tell of the pool or its pods.
        TroubleError: the pool was deleted.
    """
    async with watch_pool(access, namespace=namespace, name=name) as watch:
        followed = _Followed(watch=watch, context=context)
        looking = asyncio.create_task(_look(access, namespace, followed))
        try:
            if console.is_terminal:
                await _draw(PodFigures(access, namespace=namespace), followed, console)
            else:
                await _tell(followed, console)
        finally:
            looking.cancel()
    raise TroubleError(f"the pool {namespace}/{name} was deleted")


async def _look(access: ClusterAccess, namespace: str, followed: _Followed) -> None:
    while True:
        followed.old = in_context(await shown_by_nobody(access, namespace), followed.context)
        await asyncio.sleep(_STANDING_SECONDS)


async def _draw(figures: PodFigures, followed: _Followed, console: Console) -> None:
    watch = followed.watch
    reading = asyncio.create_task(_read(figures, watch))
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            while watch.pool.objects:
                live.update(tree(_scene(followed, figures)), refresh=True)
                await asyncio.sleep(_DRAW_SECONDS)
    finally:
        reading.cancel()


async def _read(figures: PodFigures, watch: PoolWatch) -> None:
    while True:
        await figures.read(list(watch.pods.objects))
        await asyncio.sleep(_FIGURES_SECONDS)


async def _tell(followed: _Followed, console: Console) -> None:
    before: tuple[str, ...] = ()
    old, watch = "", followed.watch
    while watch.pool.objects:
        if followed.old != old:
            old = followed.old
            remark(old or "an operator runs again")
        pool, pods = next(iter(watch.pool.objects.values())), list(watch.pods.objects.values())
        row = Row.of(pool, now=datetime.now(UTC))
        more = tuple(_more(pool, pods, followed.context))
        seen = (*(getattr(row, column) for column in _SEEN), *more)
        if seen != before:
            before = seen
            now, line = f"{datetime.now(UTC):%H:%M:%S}", "; ".join((_line(row), *more))
            console.print(f"{now} {line}", soft_wrap=True, highlight=False, markup=False)
        await asyncio.sleep(_DRAW_SECONDS)


def _line(row: Row) -> str:
    sizes = f"workers {row.workers}, desired {row.desired}, depth {row.depth}, in flight {row.in_flight}"
    return f"{row.name}: ready {row.ready}, {sizes}, version {row.version}: {row.reason}"


def _more(pool: Json, pods: Sequence[Json], context: str | None) -> Iterator[str]:
    """What of the rollout and the places is not as ever. Without what changes at each look, or lines would not end."""
    canary = canary_of(pool, context=context)
    if canary is not None and canary.phase is not Phase.STABLE:
        yield f"rollout {canary.phase}: {canary.said.partition(' (now')[0]}"
        yield from (words for words in (canary.verdict, canary.waits and f"waits: {canary.waits}") if words)
    view = placed(pool, pods)
    if view is not None and (how_far := progress(view)):
        yield f"Placed={view.status}: {view.reason}: {view.message}"
        yield how_far


def _scene(followed: _Followed, figures: PodFigures) -> Scene:
    watch = followed.watch
    stale = [f"this may be old: {error}" for error in (watch.pool.error, watch.pods.error) if error]
    jobs = {
        pod: Jobs(in_flight=now.in_flight, per_minute=now.per_minute(figures.before.get(pod)))
        for pod, now in figures.now.items()
    }
    return Scene(
        pool=next(iter(watch.pool.objects.values())),
        pods=list(watch.pods.objects.values()),
        jobs=jobs,
        notes=[*stale, *filter(None, (followed.old, figures.trouble))],
        now=datetime.now(UTC),
        context=followed.context,
    )

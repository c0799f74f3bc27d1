"""One pool, followed: a tree that is drawn anew on a terminal, a line for each change elsewhere."""

import asyncio
from datetime import UTC, datetime
from typing import Final

from rich.live import Live

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.get.figures import PodFigures
from workerpool_operator.cli.get.rows import Row
from workerpool_operator.cli.get.tree import Jobs, Scene, tree
from workerpool_operator.cli.pool_watch import PoolWatch, watch_pool
from workerpool_operator.cli.terminal import Console
from workerpool_operator.kube import ClusterAccess

_DRAW_SECONDS: Final = 0.5
_FIGURES_SECONDS: Final = 3.0
_SEEN: Final = ("ready", "workers", "desired", "depth", "in_flight", "version", "limited_by", "reason")


async def follow(access: ClusterAccess, namespace: str, name: str, console: Console) -> None:
    """Until the pool is deleted, or this is cancelled.

    Raises:
        KubeError: the API server refuses to tell of the pool or its pods.
        TroubleError: the pool was deleted.
    """
    async with watch_pool(access, namespace=namespace, name=name) as watch:
        if console.is_terminal:
            await _draw(access, namespace, watch, console)
        else:
            await _tell(watch, console)
    raise TroubleError(f"the pool {namespace}/{name} was deleted")


async def _draw(access: ClusterAccess, namespace: str, watch: PoolWatch, console: Console) -> None:
    figures = PodFigures(access, namespace=namespace)
    reading = asyncio.create_task(_read(figures, watch))
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
            while watch.pool.objects:
                live.update(tree(_scene(watch, figures)), refresh=True)
                await asyncio.sleep(_DRAW_SECONDS)
    finally:
        reading.cancel()


async def _read(figures: PodFigures, watch: PoolWatch) -> None:
    while True:
        await figures.read(list(watch.pods.objects))
        await asyncio.sleep(_FIGURES_SECONDS)


async def _tell(watch: PoolWatch, console: Console) -> None:
    before: tuple[str, ...] = ()
    while watch.pool.objects:
        row = Row.of(next(iter(watch.pool.objects.values())), now=datetime.now(UTC))
        seen = tuple(getattr(row, column) for column in _SEEN)
        if seen != before:
            before = seen
            now = f"{datetime.now(UTC):%H:%M:%S}"
            console.print(f"{now} {_line(row)}", soft_wrap=True, highlight=False, markup=False)
        await asyncio.sleep(_DRAW_SECONDS)


def _line(row: Row) -> str:
    sizes = f"workers {row.workers}, desired {row.desired}, depth {row.depth}, in flight {row.in_flight}"
    return f"{row.name}: ready {row.ready}, {sizes}, version {row.version}: {row.reason}"


def _scene(watch: PoolWatch, figures: PodFigures) -> Scene:
    stale = [f"this may be old: {error}" for error in (watch.pool.error, watch.pods.error) if error]
    jobs = {
        pod: Jobs(in_flight=now.in_flight, per_minute=now.per_minute(figures.before.get(pod)))
        for pod, now in figures.now.items()
    }
    return Scene(
        pool=next(iter(watch.pool.objects.values())),
        pods=list(watch.pods.objects.values()),
        jobs=jobs,
        notes=[*stale, *([figures.trouble] if figures.trouble else [])],
        now=datetime.now(UTC),
    )

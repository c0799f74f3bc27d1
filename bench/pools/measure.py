"""One row: a system measured from its first pool to its rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.pools import keda, usage, workerpool
from bench.pools.stage import WORKERS, Load, Sizes, Stage, stage
from bench.pools.systems import System
from e2e.cluster.progress import say

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is written to the file."""

    system: str
    pools: int
    namespaces: int
    seconds_to_all_scaled: float
    cpu_seconds_start: float
    cpu_millicores_steady: float
    rss_mb: float


SYSTEMS: Final[dict[str, tuple[Callable[[Stage], System], Callable[[Json], str]]]] = {
    "keda": (keda.Keda, keda.pool_of),
    "workerpool": (workerpool.WorkerPools, workerpool.pool_of),
}
"""How each is made, and which Deployments are its workers'."""


async def row(name: str, load: Load, *, home: Path, window: float) -> Row:
    """Measure one system. `window`: seconds of each of the two at rest.

    Raises:
        DaemonDiedError: one of the programs has ended; the message holds the end of its log.
        TimeoutError: it does not scale.
    """
    make, pool_of = SYSTEMS[name]
    async with stage(load, home=home, sizes=Sizes(pool_of=pool_of)) as place:
        system = make(place)
        await system.prepare()
        seconds, cpu = await _start(system, place)
        await place.until_quiet(check=system.pids)
        standing = await usage.over(window, system.pids)
        say(f"  while the jobs stand: {standing.millicores:.0f} mCPU, {standing.rss_mb:.0f} MB")
        place.drain()
        await place.until_sized(0, check=system.pids)
        await place.until_quiet(check=system.pids)
        rest = await usage.over(window, system.pids)
        say(f"  at rest: {rest.millicores:.0f} mCPU, {rest.rss_mb:.0f} MB")
    return Row(
        system=name,
        pools=load.pools,
        namespaces=load.namespaces,
        seconds_to_all_scaled=round(seconds, 1),
        cpu_seconds_start=round(cpu, 1),
        cpu_millicores_steady=round(rest.millicores, 1),
        rss_mb=round(rest.rss_mb, 1),
    )


async def _start(system: System, place: Stage) -> tuple[float, float]:
    """Seconds, and seconds of CPU, until every queue has its workers."""
    started = time.monotonic()
    creating = asyncio.create_task(system.create())

    def check() -> None:
        system.pids()
        if creating.done():
            creating.result()

    await place.until_sized(WORKERS, check=check)
    seconds, cpu = time.monotonic() - started, usage.cpu_seconds(system.pids())
    await creating
    say(f"  all scaled after {seconds:.1f} s, {cpu:.1f} s of CPU")
    return seconds, cpu

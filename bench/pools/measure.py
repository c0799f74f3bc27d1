"""One row: a system measured from its first pool to its rest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.pools import keda, usage, workerpool
from bench.pools.stage import JOBS, SAY_SECONDS, WORKERS, Load, Sizes, Stage, stage
from bench.pools.systems import System
from e2e.cluster.progress import say

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is written to the file."""

    system: str
    pools: int
    namespaces: int
    seconds_to_all_scaled: float | None
    cpu_seconds_start: float
    cpu_millicores_steady: float
    rss_mb: float


SYSTEMS: Final[dict[str, tuple[Callable[[Stage], System], Callable[[Json], str]]]] = {
    "keda": (keda.Keda, keda.pool_of),
    "workerpool": (workerpool.WorkerPools, workerpool.pool_of),
}
"""How each is made, and which Deployments are its workers'."""


PATIENCE_SECONDS: Final = 900.0
"""How long all sizes are waited for once the jobs are there."""
_LONGEST_SECONDS: Final = 1800.0
_LOOK_SECONDS: Final = 1.0


async def row(name: str, load: Load, *, home: Path, window: float) -> Row:
    """Measure one system. `window`: seconds of each of the two at rest.

    Raises:
        DaemonDiedError: one of the programs has ended; the message holds the end of its log.
        TimeoutError: it does not take up its pools.
    """
    make, pool_of = SYSTEMS[name]
    async with stage(load, home=home, sizes=Sizes(pool_of=pool_of)) as place:
        system = make(place)
        await system.prepare()
        cpu = await _start(system, place)
        await place.until_sized(0, check=system.pids)
        await place.until_quiet(check=system.pids)
        rest = await usage.over(window, system.pids)
        say(f"  at rest: {rest.millicores:.0f} mCPU, {rest.rss_mb:.0f} MB")
        place.fill(JOBS)
        seconds = await _scaled(system, place)
        if seconds is not None:
            await place.until_quiet(check=system.pids)
        standing = await usage.over(window, system.pids)
        say(f"  while the jobs stand: {standing.millicores:.0f} mCPU, {standing.rss_mb:.0f} MB")
    return Row(
        system=name,
        pools=load.pools,
        namespaces=load.namespaces,
        seconds_to_all_scaled=None if seconds is None else round(seconds, 1),
        cpu_seconds_start=round(cpu, 1),
        cpu_millicores_steady=round(rest.millicores, 1),
        rss_mb=round(rest.rss_mb, 1),
    )


async def _start(system: System, place: Stage) -> float:
    """Seconds of CPU until each pool is looked after."""
    started = said = time.monotonic()
    creating = asyncio.create_task(system.create())
    try:
        while (taken := await system.looked_after()) < place.load.pools:
            system.pids()
            if creating.done():
                creating.result()
            now = time.monotonic()
            if now - started > _LONGEST_SECONDS:
                raise TimeoutError(
                    f"not within {_LONGEST_SECONDS:.0f} s: {taken:,} of {place.load.pools:,} looked after"
                )
            if now - said >= SAY_SECONDS:
                said = now
                say(f"  {taken:,} of {place.load.pools:,} looked after, after {now - started:.0f} s")
            await asyncio.sleep(_LOOK_SECONDS)
        seconds = time.monotonic() - started
        await creating  # with its collectors, which are a part of the system
        cpu = usage.cpu_seconds(system.pids())
    finally:
        creating.cancel()
    say(f"  all looked after, after {seconds:.1f} s and {cpu:.1f} s of CPU")
    return cpu


async def _scaled(system: System, place: Stage) -> float | None:
    """Seconds until each Deployment has the workers that its queue demands; None: longer than anybody waits for."""
    started = time.monotonic()
    try:
        await place.until_sized(WORKERS, check=system.pids, longest=PATIENCE_SECONDS)
    except TimeoutError as late:
        say(f"  {late}")
        return None
    seconds = time.monotonic() - started
    say(f"  all scaled after {seconds:.1f} s")
    return seconds

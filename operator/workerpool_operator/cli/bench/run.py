"""All modes, some times over."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from workerpool_operator.cli.bench.modes import Bench, Mode, Origin, bench
from workerpool_operator.cli.profile.meter import Starvation


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is measured."""

    what: str
    """Title; figures of another one are not compared with these."""
    origins: Mapping[Mode, Origin]
    jobs: int
    width: int
    """Jobs at a time of threads and event loop."""
    cores: int
    """Processes."""
    reps: int


@dataclass(slots=True, kw_only=True)
class Measured:
    """Seconds of each repetition."""

    times: dict[str, list[float]] = field(default_factory=dict)
    shares: list[float] = field(default_factory=list)
    """Of the sequential repetitions: CPU time in CPU time + waiting."""
    failed: dict[str, str] = field(default_factory=dict)
    """Modes in which the jobs cannot be run, and why."""
    stopped: bool = False


async def measure(
    wanted: Wanted,
    *,
    stop: asyncio.Event,
    on_rep: Callable[[int, int, str], None] = lambda _done, _all, _mode: None,
) -> Measured:
    """Run every mode once without counting, and then all of them again and again; `stop` ends it between two.

    Repetitions are the outer loop: what disturbs the machine for a while does not fall on one mode alone.
    """
    measured, starvation = Measured(), Starvation()
    planned = (wanted.reps + 1) * len(wanted.origins)
    async with contextlib.AsyncExitStack() as stack:
        benches: dict[Mode, Bench] = {}
        for mode, origin in wanted.origins.items():
            ready = bench(mode, origin, jobs=wanted.jobs, width=wanted.width, cores=wanted.cores)
            benches[mode] = await stack.enter_async_context(ready)
        for number in range(planned):
            mode = list(wanted.origins)[number % len(wanted.origins)]
            if stop.is_set():
                measured.stopped = True
                break
            if mode.value in measured.failed:
                continue
            on_rep(number, planned, mode.value)
            await _once(benches[mode], measured, starvation, counts=number >= len(wanted.origins))
    return measured


async def _once(ready: Bench, measured: Measured, starvation: Starvation, *, counts: bool) -> None:
    mode = ready.mode.value
    cpu, starved, began = time.process_time(), starvation.total(), time.perf_counter()
    try:
        await ready.once()
    except Exception as error:  # noqa: BLE001  it is the job's
        measured.failed[mode] = f"{type(error).__name__}: {error}"
        measured.times.pop(mode, None)
        return
    took = time.perf_counter() - began
    if not counts:
        return
    measured.times.setdefault(mode, []).append(took)
    if ready.mode is Mode.SEQUENTIAL:
        cpu, starved = time.process_time() - cpu, max(0.0, starvation.total() - starved)
        measured.shares.append(cpu / (cpu + max(0.0, took - cpu - starved)))

"""Three ways to run many jobs, and what they took."""

import asyncio
import math
import resource
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from workerpool_operator.cli.quantiles import Quantiles
from workerpool_operator.cli.sweep.knee import Level

Call = Callable[[], Awaitable[object]]
"""One job."""
FEWEST_JOBS: Final = 20
ENOUGH_JOBS: Final = 120
ROUNDS: Final = 8
"""Jobs of a level, in multiples of its limit, up to `ENOUGH_JOBS`; never less than `FEWEST_ROUNDS`, since while a level
begins and ends it is not full."""
FEWEST_ROUNDS: Final = 3
BATCH: Final = 5
"""Jobs that one task of a batch does, one after the other."""


class Strategy(StrEnum):
    """How jobs are run."""

    NAIVE = "naive"
    """As many tasks as the limit, all at once, and when the last one is done as many again: gather over a list."""
    BOUNDED = "bounded"
    """A task for each job, of which a semaphore lets so many run."""
    BATCHED = "batched"
    """A task for each batch of jobs, of which a semaphore lets so many run."""


@dataclass(slots=True)
class _Meter:
    call: Call
    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    error: str = ""

    async def one(self) -> None:
        began = time.perf_counter()
        try:
            await self.call()
        except Exception as error:  # noqa: BLE001  it is the job's
            self.failed += 1
            self.error = f"{type(error).__name__}: {error}"
        else:
            self.seconds.append(time.perf_counter() - began)


class JobsFailedError(Exception):
    """No job of a level succeeded."""


def jobs_at(limit: int) -> int:
    """How many jobs a level runs: whole rounds."""
    rounds = min(ROUNDS, max(FEWEST_ROUNDS, ENOUGH_JOBS // limit))
    return max(rounds, math.ceil(FEWEST_JOBS / limit)) * limit


async def measure(strategy: Strategy, *, limit: int, call: Call) -> Level:
    """Run the jobs of one level.

    Raises:
        JobsFailedError: all of them failed.
    """
    meter, jobs = _Meter(call), jobs_at(limit)
    cpu, switches, began = time.process_time(), _switches(), time.perf_counter()
    await _RUN[strategy](meter, limit, jobs)
    took = time.perf_counter() - began
    if not meter.seconds:
        raise JobsFailedError(meter.error)
    spread = Quantiles.of(meter.seconds)
    return Level(
        strategy=strategy.value,
        limit=limit,
        jobs=jobs,
        failed=meter.failed,
        throughput=len(meter.seconds) / took,
        p50=spread.p50 or 0.0,
        p95=spread.p95 or 0.0,
        p99=spread.p99 or 0.0,
        cpu=(time.process_time() - cpu) / jobs,
        switches=(_switches() - switches) / jobs,
    )


async def _naive(meter: _Meter, limit: int, jobs: int) -> None:
    for _ in range(0, jobs, limit):
        await asyncio.gather(*[meter.one() for _ in range(limit)])


async def _bounded(meter: _Meter, limit: int, jobs: int) -> None:
    semaphore = asyncio.Semaphore(limit)

    async def one() -> None:
        async with semaphore:
            await meter.one()

    await asyncio.gather(*[one() for _ in range(jobs)])


async def _batched(meter: _Meter, limit: int, jobs: int) -> None:
    semaphore = asyncio.Semaphore(limit)
    size = max(1, min(BATCH, jobs // limit))  # no batch is so large that a place stays empty

    async def batch(first: int) -> None:
        async with semaphore:
            for _ in range(first, min(first + size, jobs)):
                await meter.one()

    await asyncio.gather(*[batch(first) for first in range(0, jobs, size)])


_RUN: Final = {Strategy.NAIVE: _naive, Strategy.BOUNDED: _bounded, Strategy.BATCHED: _batched}


def _switches() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_nvcsw + used.ru_nivcsw

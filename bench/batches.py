"""Tiny jobs three ways, each by one worker on a Redis of its own on this machine: what a batch saves.

| Way | Is |
|---|---|
| `naive` | a task for each job, all jobs at a time: as many slots as there are jobs |
| `bounded` | a task for each job, 200 slots |
| `batched` | `Batch(size=100)`, 200 slots |

The job does nothing (`noop`, io lane), or spins for some 20 us in a process (`spin`, cpu lane; there `naive` would be
a process per job, so it is left out). CPU is the worker's own and that of its processes.

    uv run python -m bench.batches [--json FILE] [--jobs 50000]
"""

import argparse
import asyncio
import logging
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.figures import tell
from bench.worker import redis_server
from workerpool import Batch, Job, JobSpec, Queue, Worker


def spin_one() -> None:
    """Some 20 us."""
    sum(range(1000))


def spin(job: Job) -> None:  # noqa: ARG001
    """One by one."""
    spin_one()


def spin_batch(jobs: list[Job]) -> None:
    """All of a batch."""
    for _ in jobs:
        spin_one()


async def noop(job: Job) -> None:
    """One by one."""


async def noop_batch(jobs: list[Job]) -> None:
    """All of a batch."""


def main() -> None:
    """Measure, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--jobs", type=int, default=50_000)
    arguments = parser.parse_args()
    logging.getLogger("workerpool").setLevel(logging.ERROR)
    figures: dict[str, float] = {}
    with redis_server() as url:
        for way in ways(arguments.jobs):
            figures |= asyncio.run(measure(url, way))
    tell(figures, arguments.json)


class Way(NamedTuple):
    """Of doing them."""

    name: str
    register: Callable[[Worker], object]
    jobs: int
    slots: int = 200


def ways(jobs: int) -> list[Way]:
    """All of them."""
    batch = Batch(size=100, wait=0.05)
    return [
        Way("noop_naive", lambda worker: worker.job("tiny", timeout=60)(noop), jobs, slots=jobs),
        Way("noop_bounded", lambda worker: worker.job("tiny", timeout=60)(noop), jobs),
        Way("noop_batched", lambda worker: worker.job("tiny", timeout=60, batch=batch)(noop_batch), jobs),
        Way("spin_bounded", lambda worker: worker.job("tiny", timeout=60, kind="cpu")(spin), jobs // 10),
        Way("spin_batched", lambda worker: worker.job("tiny", timeout=60, kind="cpu", batch=batch)(spin_batch), jobs),
    ]


async def measure(url: str, way: Way) -> dict[str, float]:
    """A full queue, to its end."""
    name, register, jobs, slots = way
    queue = Queue.connect(url, stream=name)
    worker = Worker(queue, health_port=0, metrics_port=0, env={"MAX_WORKERS": str(slots)})
    register(worker)
    await queue.enqueue_many([JobSpec("tiny")] * jobs)
    cpu, clock = _cpu(), time.perf_counter()
    serving = asyncio.create_task(worker.serve())
    while (await queue.depth()).unfinished:  # noqa: ASYNC110  the queue tells nobody
        await asyncio.sleep(0.05)
    clock = time.perf_counter() - clock
    worker.stop()
    await serving
    await queue.close()
    return {f"{name}_jobs_per_core_second": jobs / (_cpu() - cpu), f"{name}_jobs_per_second": jobs / clock}


def _cpu() -> float:
    """Seconds of this process and of those that it has reaped."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()

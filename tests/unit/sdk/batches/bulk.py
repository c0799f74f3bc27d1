"""Workers that do batches, and what they are called with."""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from workerpool import Batch, Job, JobSpec, Worker
from workerpool.telemetry.exposition import render
from workerpool.testing import Outcome, Process, Simulation

ENV = {"MAX_WORKERS": "100", "MAX_ATTEMPTS": "3", "BACKOFF_SECONDS": "1", "BACKOFF_MAX_SECONDS": "5"}


class Bulk:
    """What a handler calls with many jobs at a time."""

    def __init__(self, fails: Callable[[Sequence[str]], Any] = lambda _ids: None, *, seconds: float = 0.1) -> None:
        """`fails`: with these ids; raises, or returns nothing."""
        self.calls: list[list[str]] = []
        self.began: list[float] = []
        self.fails = fails
        self.seconds = seconds

    async def do(self, jobs: Sequence[Job]) -> None:
        ids = [job.id for job in jobs]
        self.calls.append(ids)
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        self.fails(ids)

    @property
    def sizes(self) -> list[int]:
        return [len(ids) for ids in self.calls]


def bulk_worker(bulk: Bulk, batch: Batch, **more: Any) -> Worker:
    worker = Worker()

    @worker.job("index", batch=batch, **{"timeout": 10, **more})
    async def index(jobs: list[Job]) -> None:
        await bulk.do(jobs)

    return worker


async def enqueue(simulation: Simulation, ids: Iterable[object]) -> None:
    await simulation.queue.enqueue_many([JobSpec("index", job_id=str(id_)) for id_ in ids])


def outcomes(simulation: Simulation) -> dict[Outcome, int]:
    last = [played.outcome for played in simulation.jobs.values()]
    return {one: last.count(one) for one in set(last)}


def attempts(simulation: Simulation) -> dict[str, int]:
    """How many were made, of those jobs that had more than one."""
    return {id_: len(played.attempts) for id_, played in simulation.jobs.items() if len(played.attempts) > 1}


def fail_with(*bad: str) -> Callable[[Sequence[str]], None]:
    def fail(ids: Sequence[str]) -> None:
        if set(bad) & set(ids):
            raise ValueError("a bad one")

    return fail


def text(process: Process) -> str:
    return render(process.metrics).decode()


def take_over(simulation: Simulation, id_: str) -> None:
    """Somebody else has this job from now on."""
    store = simulation._source.store
    assert store is not None
    [lease] = [one for one in store.in_flight.values() if one.entry.job_id == id_]
    lease.owner, lease.until = object(), math.inf

"""Jobs that a worker cannot begin now hold up no others: of a lane at a standstill, or of an open circuit."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.component.sdk.running import serving
from tests.support.waiting import until
from workerpool import Breaker, Job, JobSpec, Queue, Worker

pytestmark = pytest.mark.component

EVERY_QUEUE = pytest.mark.parametrize(
    "kind", ["memory", "sqlite", "redis", pytest.param("postgres", marks=pytest.mark.postgres)]
)
EVERY_ORDER = pytest.mark.parametrize(
    "wishes", [{}, {"tenant": "a"}, {"priority": "high"}], ids=["no order", "tenant", "priority"]
)


@pytest_asyncio.fixture
async def queue(kind: str, request: pytest.FixtureRequest, tmp_path: Path, redis_stream: str) -> AsyncIterator[Queue]:
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/jobs.db"}
    url = urls.get(kind) or request.getfixturevalue(f"{kind}_server").url
    async with Queue.connect(url, stream=redis_stream) as queue:
        yield queue


def worker_of(queue: Queue) -> Worker:
    return Worker(queue, health_port=0, metrics_port=0, env={"MAX_WORKERS": "20", "DRAIN_TIMEOUT": "10"})


def specs(type_: str, count: int, **wishes: Any) -> list[JobSpec]:
    return [JobSpec(type_, job_id=f"{type_}-{number}", **wishes) for number in range(count)]


@EVERY_QUEUE
@EVERY_ORDER
async def test_a_lane_at_a_standstill_leaves_the_others_theirs(queue: Queue, wishes: dict[str, str]) -> None:
    """More of its jobs than the worker has slots stand before theirs, and they have the higher priority."""
    worker, go_on, begun, done = worker_of(queue), threading.Event(), list[str](), list[str]()

    @worker.job("slow")
    def slow(job: Job) -> None:
        begun.append(job.id)
        go_on.wait(60)

    @worker.job("quick")
    async def quick(job: Job) -> None:
        done.append(job.id)

    tenant = {key: value for key, value in wishes.items() if key == "tenant"}
    await queue.enqueue_many([*specs("slow", 60, **wishes), *specs("quick", 50, **tenant)])
    async with serving(worker):
        try:
            await until(lambda: len(done) == 50, what="the jobs of the other lane")
            assert len(begun) < 60
        finally:
            go_on.set()
        await until(lambda: len(begun) == 60, what="those that were passed")
    assert len(set(begun)) == 60


@EVERY_QUEUE
@EVERY_ORDER
async def test_an_open_circuit_leaves_the_other_handlers_their_turn(queue: Queue, wishes: dict[str, str]) -> None:
    worker, done = worker_of(queue), list[str]()

    @worker.job("broken", breaker=Breaker(calls=5, pause=60))
    async def broken(job: Job) -> None:
        raise OSError("down")

    @worker.job("good")
    async def good(job: Job) -> None:
        done.append(job.id)

    tenant = {key: value for key, value in wishes.items() if key == "tenant"}
    await queue.enqueue_many([*specs("broken", 100, **wishes), *specs("good", 50, **tenant)])
    async with serving(worker):
        await until(lambda: len(done) == 50, what="the jobs of the other handler")

"""A worker whose queue is in RabbitMQ."""

import asyncio
import secrets
from collections import Counter

import pytest

from tests.component.sdk.running import serving
from tests.support.rabbitmq import RabbitServer, wait_for_dead_letters
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue, RejectJob, Worker

pytestmark = [pytest.mark.component, pytest.mark.rabbitmq]


async def test_jobs_are_done_tried_again_buried_and_handed_back(
    rabbitmq_server: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_dead_letters(monkeypatch)
    name = f"jobs-{secrets.token_hex(4)}"
    env = {
        "WORKERPOOL_NAME": "pool",
        "QUEUE_MAIN_URL": rabbitmq_server.url,
        "QUEUE_MAIN_QUEUE": name,
        "MAX_WORKERS": "4",
        "BACKOFF_SECONDS": "0.05",
        "DRAIN_TIMEOUT": "0.2",
    }
    attempts: Counter[str] = Counter()
    worker = Worker(health_port=0, metrics_port=0, env=env)

    @worker.job("work")
    async def work(job: Job) -> None:
        attempts[job.id] += 1
        assert attempts[job.id] == job.attempt
        if job.payload == "flaky" and job.attempt < 3:
            raise OSError("not now")
        if job.payload == "never":
            raise RejectJob("no attempt can succeed")
        if job.payload == "long":
            await job.checkpoint({"half": "done"})
            await asyncio.Event().wait()

    async with Queue.connect(rabbitmq_server.url, stream=name) as queue:
        await queue.enqueue_many(JobSpec("work", "plain", job_id=f"plain-{number}") for number in range(20))
        await queue.enqueue_many(JobSpec("work", kind, job_id=kind) for kind in ("flaky", "never", "long"))
        async with serving(worker):
            await until(lambda: _all(attempts), what="every job, the flaky one three times")
        [dead] = await queue.dead_letters()
        assert (dead.job_id, dead.reason, dead.attempts) == ("never", "rejected", 1)
        depth = await queue.depth()
        assert (depth.waiting, depth.dead_letters) == (1, 1), "the long one is there for the next worker"
    left = await worker_takes(env)
    assert (left.attempt, left.checkpointed) == (1, {"half": "done"})


async def _all(attempts: Counter[str]) -> bool:
    return len(attempts) == 23 and attempts["flaky"] == 3


async def worker_takes(env: dict[str, str]) -> Job:
    """The job that the next worker begins."""
    begun: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
    worker = Worker(health_port=0, metrics_port=0, env=env)

    @worker.job("work")
    async def work(job: Job) -> None:
        begun.set_result(job)

    async with serving(worker):
        async with asyncio.timeout(40):
            return await begun

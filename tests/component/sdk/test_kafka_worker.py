"""A worker whose queue is in Kafka."""

import asyncio
from collections import Counter

import pytest

from tests.component.sdk.kafka_views import new_topic
from tests.component.sdk.running import make_worker, serving
from tests.support.collector import FakeCollector
from tests.support.kafka import KafkaServer
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue, RejectJob, Worker

pytestmark = [pytest.mark.component, pytest.mark.kafka]


def environment(server: KafkaServer, topic: str) -> dict[str, str]:
    return {
        "WORKERPOOL_NAME": "pool",
        "QUEUE_MAIN_URL": server.url,
        "QUEUE_MAIN_TOPIC": topic,
        "MAX_WORKERS": "4",
        "BACKOFF_SECONDS": "0.05",
        "DRAIN_TIMEOUT": "0.2",
        "HEARTBEAT_INTERVAL": "0.2",
    }


async def test_jobs_are_done_tried_again_buried_and_handed_back(kafka_server: KafkaServer) -> None:
    name = await new_topic(kafka_server, partitions=3)
    env = environment(kafka_server, name)
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

    async with Queue.connect(kafka_server.url, stream=name) as queue:
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


async def test_a_worker_without_a_partition_says_that_it_takes_nothing(kafka_server: KafkaServer) -> None:
    env = environment(kafka_server, await new_topic(kafka_server))
    async with FakeCollector() as collector:
        workers = [make_worker(env | {"WORKERPOOL_POD": f"pod-{number}"}, collector) for number in range(2)]
        async with serving(workers[0]), serving(workers[1]):
            await collector.report_where(lambda report: report.paused == "broker: NothingAssigned", seconds=60)


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

"""A Kafka of several servers, of which one dies."""

import asyncio
from pathlib import Path

import pytest

from tests.component.sdk.kafka_views import Open, open_kafka
from tests.support.kafka import cluster_of, make_topic
from tests.support.waiting import until
from workerpool.broker import NewJob, Taken
from workerpool.errors import BrokerError

pytestmark = [pytest.mark.component, pytest.mark.kafka]

__all__ = ["open_kafka"]  # a fixture


@pytest.mark.timeout(300)
async def test_a_server_of_a_cluster_that_dies_costs_no_job(open_kafka: Open, tmp_path: Path) -> None:
    """Each leads a part of the topic, and one of them the group: that of which everybody heard first is killed."""
    servers = cluster_of(tmp_path, 3)
    try:
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
        url = "kafka://" + ",".join(server.url.removeprefix("kafka://") for server in servers)
        await make_topic(url, "jobs", partitions=6, replicas=3)
        producer, consumer = (open_kafka(url, topic="jobs", timeout=5) for _ in range(2))
        ids = {f"job-{number}" for number in range(60)}
        waiting = sorted(ids)

        async def put() -> bool:
            """One whose answer is lost may be there twice: at least once is what is promised."""
            try:
                await producer.put([NewJob(type="t", payload=b"1", job_id=one) for one in waiting[:20]])
            except BrokerError:
                return False
            del waiting[:20]
            return True

        await until(put, what="the first jobs")
        held: list[Taken] = []

        async def some() -> bool:
            held.extend(await consumer.take(limit=5 - len(held), wait=0.2))
            return len(held) == 5

        await until(some, what="five jobs")
        servers[0].kill()
        await until(put, what="another server")
        await until(put, what="another server")
        done: set[str] = set()

        async def all_done() -> bool:
            try:
                batch = held or await consumer.take(limit=10, wait=0.2)
                lost = await consumer.ack(batch)
            except BrokerError:
                return False
            done.update(job.job_id for job in batch if job.token not in lost)
            held.clear()
            return done == ids

        await until(all_done, what="all jobs")

        async def none_left() -> bool:
            try:
                return (await producer.depth()).unfinished == 0
            except BrokerError:
                return False

        await until(none_left, what="nothing left")
    finally:
        for server in servers:
            server.kill()

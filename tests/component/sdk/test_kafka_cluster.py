"""A Kafka of several servers, of which one dies."""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.component.sdk.kafka_views import Open, open_kafka
from tests.support.dying import Cast, a_server_dies
from tests.support.kafka import cluster_of, make_topic
from tests.support.waiting import until
from workerpool.errors import BrokerUnavailable

pytestmark = [pytest.mark.component, pytest.mark.kafka]

__all__ = ["open_kafka"]  # a fixture


@pytest.mark.timeout(300)
async def test_a_server_of_a_cluster_that_dies_costs_no_job(open_kafka: Open, tmp_path: Path) -> None:
    """Each leads a part of the topic, and one of them the group: that of which everybody heard first is killed."""
    servers = cluster_of(tmp_path, 3)
    try:
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
        url = "kafka://" + ",".join(server.url.removeprefix("kafka://") for server in servers)

        async def made() -> bool:
            """Not while one that has just started is taken for dead."""
            with suppress(BrokerUnavailable):
                await make_topic(url, "jobs", partitions=6, replicas=3)
                return True
            return False

        await until(made, what="a topic on all three")
        producer, consumer = (open_kafka(url, topic="jobs", timeout=5) for _ in range(2))
        cast = Cast(producer, consumer)
        await a_server_dies(cast, partial(asyncio.to_thread, servers[0].kill))
        await cast.finds_no_more()
    finally:
        for server in servers:
            server.kill()

"""What a collector tells Prometheus of a queue in a real Kafka: how far each partition lags."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.kafka import KafkaServer, make_topic
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import NewJob
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.metrics import CollectorMetrics
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.collector.sources import connect_from
from workerpool_operator.protocol import PoolConfig

pytestmark = [pytest.mark.component, pytest.mark.kafka, pytest.mark.timeout(180)]


def lag(metrics: CollectorMetrics) -> dict[str, float]:
    """By partition, as Prometheus reads it."""
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    samples = [sample for family in families for sample in family.samples if sample.name == "queue_consumer_lag"]
    assert all((sample.labels["pool"], sample.labels["queue"]) == ("web", "main") for sample in samples)
    return {sample.labels["partition"]: sample.value for sample in samples}


async def test_the_lag_of_each_partition_is_told_at_zero_too_and_a_job_that_is_not_done_is_in_it(
    kafka_server: KafkaServer,
) -> None:
    """From when the queue is first read until it cannot be read."""
    topic = f"lag-{secrets.token_hex(4)}"
    await make_topic(kafka_server.url, topic, partitions=3)
    producer = brokers.connect(kafka_server.url, stream=topic, group="g", timeout=60.0)
    queue: dict[str, Any] = {"name": "main", "kafka": {"url": kafka_server.url, "topic": topic, "group": "g"}}
    pools = (PoolConfig(name="web", uid="1", queues=(queue,)),)
    board = Board(announce=lambda *_, **__: None)
    metrics = CollectorMetrics(board)
    board.configure(pools)
    samplers = Samplers(board, connect=connect_from(Path("/nowhere")), observer=metrics)
    samplers.apply(pools)
    try:
        await until(lambda: lag(metrics) == {"0": 0, "1": 0, "2": 0}, what="three partitions without a lag")
        await producer.put([NewJob(type="t", payload=b"1")] * 30)
        await until(lambda: sum(lag(metrics).values()) == 30, what="thirty jobs that nobody has done")

        async def caught_up() -> bool:
            await producer.ack(await producer.take(limit=30, wait=1.0))
            return lag(metrics) == {"0": 0, "1": 0, "2": 0}

        await until(caught_up, what="a lag that is caught up with")
    finally:
        await samplers.stop()
        await producer.close()

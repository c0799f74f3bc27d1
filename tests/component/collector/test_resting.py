"""A collector's samplers on real brokers at rest: few questions while nothing happens, and the next job is news.

NATS and Kafka tell of a job; RabbitMQ tells nobody who does not take it, so it is asked, and less and less often.
Redis is in `test_watching`, PostgreSQL in `test_watching_postgres`.
"""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka import KafkaServer, make_topic
from tests.support.nats import NatsServer
from tests.support.rabbitmq import RabbitServer
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import Broker, NewJob
from workerpool.protocol import Counters, Report
from workerpool_operator.collector import cadence, samplers, sources
from workerpool_operator.collector.board import Board, PodInfo, WorkerState
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.collector.sources import connect_from
from workerpool_operator.protocol import PoolConfig, QueueSample

pytestmark = [pytest.mark.component, pytest.mark.timeout(180)]

LONG = 600.0
"""Seconds until the next reading of a queue at rest: what is known before, something else has told."""
KNOWN = 20.0
PATIENCE = 60.0
"""For an answer of a broker: on a machine that stands still for seconds, one that is late is no failure."""
JOB = NewJob(type="t", payload=b"1")


@pytest.fixture(autouse=True)
def soon_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence, "BUSY_AFTER_SECONDS", 0.1)
    for module in (samplers, sources):
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", PATIENCE)


@pytest.fixture
def long_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence, "WATCH_SECONDS", LONG)
    monkeypatch.setattr(cadence, "IDLE_SECONDS", LONG)


class Sampling:
    """Running samplers of one queue."""

    def __init__(self, kind: str, **fields: Any) -> None:
        self.read_at: list[float] = []
        self.watches = 0
        self.board = Board(announce=lambda *_, **__: None, began=self.began)
        self.samplers = Samplers(self.board, connect=self._connect, observer=self)
        queue: dict[str, Any] = {"name": "main", kind: fields}
        self.pools = (PoolConfig(name="web", uid="1", queues=(queue,)),)

    def _connect(self, pool: str, queue: dict[str, Any]) -> Any:
        source = connect_from(Path("/nowhere"))(pool, queue)
        wait = source.wait_for_arrival

        async def counted(seconds: float) -> bool:
            self.watches += 1
            return await wait(seconds)

        source.wait_for_arrival = counted  # type: ignore[method-assign]
        return source

    @property
    def polls(self) -> int:
        return len(self.read_at)

    def began(self, pool: str) -> None:
        self.samplers.stir(pool)

    def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: object) -> None:
        assert not error, error
        self.read_at.append(time.monotonic())

    def worker_says(self, **counts: int) -> None:
        """The pool's only worker has begun jobs, or runs some."""
        seen = PodInfo(
            name="w", uid="w", pool="web", version="v", node="n", ip="", ready=True, was_ready=True, terminating=False
        )
        self.board.pod_seen(seen)
        report = Report(in_flight=counts["in_flight"], slots=4, counters=Counters(started=counts["started"]))
        self.board.heard("web", WorkerState(pod="w", uid="w", version="v", source="stream", report=report))

    async def knows(self, waiting: int, in_flight: int = 0) -> None:
        def known() -> bool:
            found: tuple[QueueSample, object] | None = self.board.pools["web"].samples.get("main")
            return found is not None and (found[0].waiting, found[0].in_flight) == (waiting, in_flight)

        await until(known, what=f"{waiting} jobs known", seconds=KNOWN)


@asynccontextmanager
async def sampling(kind: str, **fields: Any) -> AsyncIterator[Sampling]:
    running = Sampling(kind, **fields)
    running.board.configure(running.pools)
    running.samplers.apply(running.pools)
    try:
        yield running
    finally:
        await running.samplers.stop()


async def told_of_bursts(running: Sampling, producer: Broker) -> None:
    """Two bursts on a queue at rest are known although its next reading is far away, and it costs a watch each."""
    await running.knows(0)
    await until(lambda: running.watches == 1, what="the watch")
    await producer.put([JOB] * 60)
    await running.knows(60)
    left = 60

    async def all_done() -> bool:
        nonlocal left
        batch = await producer.take(limit=60, wait=1)
        assert await producer.ack(batch) == frozenset()
        left -= len(batch)
        return left == 0

    await until(all_done, what="sixty jobs done")
    await running.knows(0)
    await until(lambda: running.watches >= 2, what="the next watch")
    polls = running.polls
    await producer.put([JOB])
    await running.knows(1)
    assert running.polls > polls
    await producer.close()


@pytest.mark.nats
@pytest.mark.usefixtures("long_rests")
async def test_nats_tells_of_a_job_on_a_queue_at_rest(nats_server: NatsServer, nats_stream: str) -> None:
    producer = brokers.connect(nats_server.url, stream=nats_stream, group="g", timeout=PATIENCE)
    await producer.maintain()
    async with sampling("natsJetStream", url=nats_server.url, stream=nats_stream, consumer="g") as running:
        await told_of_bursts(running, producer)


@pytest.mark.kafka
@pytest.mark.usefixtures("long_rests")
async def test_kafka_tells_of_a_job_on_a_queue_at_rest(kafka_server: KafkaServer) -> None:
    topic = f"resting-{secrets.token_hex(4)}"
    await make_topic(kafka_server.url, topic, partitions=3)
    producer = brokers.connect(kafka_server.url, stream=topic, group="g", timeout=PATIENCE)
    await producer.maintain()
    async with sampling("kafka", url=kafka_server.url, topic=topic, group="g") as running:
        await told_of_bursts(running, producer)


@pytest.mark.rabbitmq
async def test_rabbitmq_is_asked_every_five_seconds_and_a_job_that_waits_is_found(
    rabbitmq_server: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a minute at rest: while nobody works for the queue, readings are all that can find a job."""
    monkeypatch.setattr(cadence, "REST_SHARE", 0.01)
    queue = f"resting-{secrets.token_hex(4)}"
    producer = brokers.connect(rabbitmq_server.url, stream=queue, timeout=PATIENCE)
    async with sampling("rabbitmq", url=rabbitmq_server.url, queue=queue) as running:
        await running.knows(0)
        await until(lambda: running.polls >= 2, what="rest")
        await until(lambda: running.polls >= 4, what="two more readings")
        assert running.read_at[3] - running.read_at[1] > 9.5
        await producer.put([JOB] * 60)
        await running.knows(60)
    assert running.watches == 0, "who is told of a job in RabbitMQ has taken it"
    await producer.close()


@pytest.mark.rabbitmq
@pytest.mark.usefixtures("long_rests")
async def test_a_worker_that_begins_a_job_of_rabbitmq_has_the_queue_read(rabbitmq_server: RabbitServer) -> None:
    """The jobs that wait behind it are known long before the next reading is due."""
    queue = f"resting-{secrets.token_hex(4)}"
    producer = brokers.connect(rabbitmq_server.url, stream=queue, timeout=PATIENCE)
    async with sampling("rabbitmq", url=rabbitmq_server.url, queue=queue) as running:
        await running.knows(0)
        await until(lambda: running.polls >= 2, what="rest")
        await producer.put([JOB] * 5)
        running.worker_says(started=1, in_flight=1)
        await running.knows(5, 1)
    await producer.close()

"""A collector's samplers on a real PostgreSQL: as a user who may only read, and told of a burst by the server."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.postgres import PostgresServer
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import NewJob
from workerpool_operator.collector import cadence
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.collector.sources import connect_from
from workerpool_operator.protocol import PoolConfig, QueueSample, SampleError

pytestmark = [pytest.mark.component, pytest.mark.postgres]

LONG = 60.0
"""Seconds until the next reading of a queue at rest: what is known before, something else has told."""
QUEUE = "watched"
JOB = NewJob(type="t", payload=b"1")


@pytest.fixture(autouse=True)
def long_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence, "BUSY_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(cadence, "WATCH_SECONDS", LONG)
    monkeypatch.setattr(cadence, "IDLE_SECONDS", LONG)


@dataclass
class Sampling:
    """Running samplers of one queue."""

    credentials: Path
    board: Board = field(default_factory=lambda: Board(announce=lambda *_, **__: None))
    samplers: Samplers = field(init=False)

    def __post_init__(self) -> None:
        self.samplers = Samplers(self.board, connect=connect_from(self.credentials), observer=self)

    def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: object) -> None:
        """Counts for nothing here."""

    def apply(self, url: str) -> None:
        described = {"name": "main", "postgres": {"url": url, "queue": QUEUE}, "credentials": {"username": {"x": 1}}}
        pools = (PoolConfig(name="web", uid="1", queues=(described,)),)
        self.board.configure(pools)
        self.samplers.apply(pools)

    async def knows(self, waiting: int | None, error: SampleError | None = None) -> None:
        def known() -> bool:
            found: tuple[QueueSample, object] | None = self.board.pools["web"].samples.get("main")
            return found is not None and (found[0].waiting, found[0].error) == (waiting, error)

        await until(known, what=f"{waiting} jobs known", seconds=LONG / 3)


@pytest_asyncio.fixture
async def sampling(tmp_path: Path) -> AsyncIterator[Sampling]:
    folder = tmp_path / "web" / "main"
    folder.mkdir(parents=True)
    (folder / "username").write_text("collector")
    running = Sampling(tmp_path)
    try:
        yield running
    finally:
        await running.samplers.stop()


async def test_a_burst_on_a_queue_at_rest_is_known_without_waiting_for_the_next_reading(
    postgres_folder: Path, sampling: Sampling
) -> None:
    with PostgresServer(postgres_folder / "server") as server:
        server.sql("CREATE ROLE collector LOGIN")
        sampling.apply(server.url)
        await sampling.knows(0)
        producer = brokers.connect(server.url, stream=QUEUE)
        await producer.maintain()
        server.sql("GRANT USAGE ON SCHEMA workerpool TO collector")
        server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA workerpool TO collector")
        listening = "SELECT 1 FROM pg_stat_activity WHERE usename = 'collector' AND state = 'idle'"
        await until(lambda: server.sql(listening), what="the watch")
        await producer.put([JOB] * 60)
        await sampling.knows(60)
        assert await producer.ack(await producer.take(limit=60, wait=1)) == frozenset()
        await sampling.knows(0)
        await producer.put([JOB])
        await sampling.knows(1)
        count = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'collector'"
        await until(lambda: server.sql(count) == [(1,)], what="one connection")
        await producer.close()


async def test_what_keeps_it_from_reading_is_told_by_its_reason(postgres_folder: Path, sampling: Sampling) -> None:
    with PostgresServer(postgres_folder / "server") as server:
        sampling.apply(server.url)
        await sampling.knows(None, SampleError.AUTHENTICATION_FAILED)
        server.sql("CREATE ROLE collector LOGIN")
        await sampling.knows(0)
    await sampling.knows(None, SampleError.UNREACHABLE)

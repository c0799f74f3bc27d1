"""A collector's samplers on a real Redis: they know of a burst on a queue at rest long before its next reading."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool_operator.collector import cadence, samplers
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.samplers import Samplers
from workerpool_operator.collector.sources import connect_from
from workerpool_operator.protocol import PoolConfig, QueueSample, SampleError

pytestmark = [pytest.mark.component, pytest.mark.redis]

LONG = 60.0
"""Seconds until the next reading of a queue at rest: what is known before, something else has told."""
STREAM = "thumbs"
JOB = {"type": "t", "payload": "1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, so that it can be asked how many clients are blocked and connected."""
    with RedisServer(tmp_path / "redis") as own:
        yield own


@pytest.fixture(autouse=True)
def soon_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """And soon watched again: on a machine that stands still for seconds a watch may fail for that alone."""
    monkeypatch.setattr(cadence, "BUSY_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(samplers, "WATCH_AGAIN_SECONDS", 0.2)


@pytest.fixture
def long_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cadence, "WATCH_SECONDS", LONG)
    monkeypatch.setattr(cadence, "IDLE_SECONDS", LONG)


@dataclass
class Sampling:
    """Running samplers of one queue."""

    server: RedisServer
    credentials: Path
    polls: int = 0
    board: Board = field(default_factory=lambda: Board(announce=lambda *_, **__: None))
    samplers: Samplers = field(init=False)

    def __post_init__(self) -> None:
        self.samplers = Samplers(self.board, connect=connect_from(self.credentials), observer=self)

    def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: object) -> None:
        self.polls += 1

    def apply(self, stream: str = STREAM) -> None:
        redis = {"url": self.server.url, "stream": stream, "group": "g"}
        pools = (PoolConfig(name="web", uid="1", queues=({"name": "main", "redisStream": redis},)),)
        self.board.configure(pools)
        self.samplers.apply(pools)

    def sample(self) -> QueueSample | None:
        known = self.board.pools["web"].samples.get("main")
        return known[0] if known else None

    async def knows(self, waiting: int, *, seconds: float = LONG / 3) -> None:
        def known() -> bool:
            sample = self.sample()
            return sample is not None and sample.waiting == waiting

        await until(known, what=f"{waiting} jobs known", seconds=seconds)

    async def fails(self, error: SampleError) -> None:
        def known() -> bool:
            sample = self.sample()
            return sample is not None and sample.error is error

        await until(known, what=error.value)

    async def watches(self) -> None:
        client = self.server.client()
        await until(lambda: client.info("clients")["blocked_clients"] == 1, what="the watch")

    async def leaves(self) -> None:
        await until(lambda: connections(self.server) == 0, what="no connection")


def connections(server: RedisServer) -> int:
    return sum(client["name"].startswith("workerpool") for client in server.client().client_list())


@asynccontextmanager
async def sampling(server: RedisServer, credentials: Path) -> AsyncIterator[Sampling]:
    running = Sampling(server, credentials)
    running.apply()
    try:
        yield running
    finally:
        await running.samplers.stop()


@pytest.mark.usefixtures("long_watches")
async def test_a_burst_on_a_queue_at_rest_is_known_without_waiting_for_the_next_reading(
    server: RedisServer, tmp_path: Path
) -> None:
    client = server.client()
    async with sampling(server, tmp_path) as running:
        await running.watches()
        for _ in range(60):
            client.xadd(STREAM, JOB)
        await running.knows(60)
        client.xtrim(STREAM, maxlen=0, approximate=False)
        await running.knows(0)
        await running.watches()
        client.xadd(STREAM, JOB)
        await running.knows(1)
        await until(lambda: connections(server) == 1, what="one connection")
    await running.leaves()


@pytest.mark.usefixtures("long_watches")
async def test_a_reading_that_is_asked_for_during_a_watch_comes_at_once(server: RedisServer, tmp_path: Path) -> None:
    async with sampling(server, tmp_path) as running:
        for _ in range(5):
            await running.watches()
            polls = running.polls
            running.samplers.read_now("web")
            await until(lambda polls=polls: running.polls > polls, what="the reading", seconds=LONG / 3)  # type: ignore[misc]
        server.client().xadd(STREAM, JOB)
        await running.knows(1)
        await until(lambda: connections(server) == 1, what="one connection")


@pytest.mark.usefixtures("long_watches")
async def test_a_pool_that_changes_or_goes_leaves_no_connection(server: RedisServer, tmp_path: Path) -> None:
    async with sampling(server, tmp_path) as running:
        await running.watches()
        running.apply("others")
        await until(lambda: connections(server) == 1, what="the connection of the first gone")
        await running.watches()
        server.client().xadd("others", JOB)
        await running.knows(1)
        running.samplers.apply(())
        await running.leaves()


@pytest.mark.usefixtures("long_watches")
async def test_a_server_that_dies_during_a_watch_is_told_and_read_again_when_it_is_back(
    server: RedisServer, tmp_path: Path
) -> None:
    async with sampling(server, tmp_path) as running:
        await running.watches()
        server.kill()
        await running.fails(SampleError.UNREACHABLE)
        server.start()
        await running.knows(0)


async def test_a_server_that_hangs_during_a_watch_is_told(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samplers, "TIMEOUT_SECONDS", 0.5)
    async with sampling(server, tmp_path) as running:
        await running.watches()
        server.pause()
        try:
            await running.fails(SampleError.UNREACHABLE)
        finally:
            server.resume()
        await running.knows(0)


async def test_a_stream_made_anew_with_lower_ids_is_read_and_watched_again(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch cannot know, so the reading every second has to see it."""
    client = server.client()
    client.xadd(STREAM, JOB, id="500-0")
    client.xtrim(STREAM, maxlen=0, approximate=False)
    async with sampling(server, tmp_path) as running:
        await running.watches()
        client.pipeline().delete(STREAM).xadd(STREAM, JOB, id="5-0").execute()
        await running.knows(1)
        client.xtrim(STREAM, maxlen=0, approximate=False)
        await running.knows(0)
        monkeypatch.setattr(cadence, "WATCH_SECONDS", LONG)
        await running.watches()
        client.xadd(STREAM, JOB, id="6-0")
        await running.knows(1)


async def test_a_user_who_may_not_wait_has_the_queue_polled_and_one_line_says_so(
    server: RedisServer, tmp_path: Path
) -> None:
    client = server.client()
    client.execute_command("ACL", "SETUSER", "default", "-xread")
    with capture_logs() as logs:
        async with sampling(server, tmp_path) as running:
            await until(lambda: _refused(server) >= 3, what="more than one try")
            client.xadd(STREAM, JOB)
            await running.knows(1)
    assert [line["event"] for line in logs] == ["queue_is_polled"]


def _refused(server: RedisServer) -> int:
    return int(server.client().info("commandstats").get("cmdstat_xread", {}).get("rejected_calls", 0))

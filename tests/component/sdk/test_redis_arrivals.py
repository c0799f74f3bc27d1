"""An observer hears of a job at once, takes nothing from anyone by it, and gets over whatever becomes of the stream."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.component.sdk.conftest import OpenBroker
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool.broker import Credentials, NewJob
from workerpool.broker._redis import RedisBroker
from workerpool.errors import AuthenticationFailed, BadAnswer, BrokerUnavailable

pytestmark = [pytest.mark.component, pytest.mark.redis]

LONG = 60.0
"""Seconds that no test waits for: a wait that ends before was ended by what the test does."""
STREAM = "thumbs"
JOB = NewJob(type="t", payload=b"1")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, so that it can be asked how many clients are blocked and connected."""
    with RedisServer(tmp_path) as own:
        yield own


@pytest.fixture
def observer(server: RedisServer, open_broker: OpenBroker) -> RedisBroker:
    return open_broker(url=server.url, stream=STREAM)


@asynccontextmanager
async def waiting(server: RedisServer, observer: RedisBroker) -> AsyncIterator[asyncio.Task[bool]]:
    """The observer waits, and Redis knows it."""
    task = asyncio.create_task(observer.wait_for_arrival(LONG))
    client = server.client()
    try:
        await until(lambda: client.info("clients")["blocked_clients"] == 1, what="the blocked read")
        async with asyncio.timeout(LONG / 2):
            yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def connections(server: RedisServer) -> int:
    """Connections of brokers."""
    return sum(client["name"].startswith("workerpool") for client in server.client().client_list())


@pytest.mark.parametrize("before", [0, 1])
async def test_a_job_ends_the_wait_whether_or_not_the_stream_was_there(
    server: RedisServer, observer: RedisBroker, before: int
) -> None:
    await observer.put([JOB] * before)
    assert (await observer.depth()).waiting == before
    async with waiting(server, observer) as wait:
        server.client().xadd(STREAM, {"type": "t", "payload": "1"})
        assert await wait


async def test_a_job_put_between_the_reading_and_the_wait_ends_it(server: RedisServer, observer: RedisBroker) -> None:
    await observer.depth()
    server.client().xadd(STREAM, {"type": "t", "payload": "1"})
    async with asyncio.timeout(LONG / 2):
        assert await observer.wait_for_arrival(LONG)
        assert await observer.wait_for_arrival(LONG), "until it was read"


async def test_a_wait_takes_nothing_and_leaves_nothing_behind(
    server: RedisServer, observer: RedisBroker, open_broker: OpenBroker
) -> None:
    worker = open_broker(url=server.url, stream=STREAM)
    await observer.depth()
    async with waiting(server, observer) as wait:
        await worker.put([JOB])
        assert await wait
    client = server.client()
    assert client.keys() == [STREAM.encode()]
    assert client.xinfo_groups(STREAM) == []
    assert len(await worker.take(limit=9, wait=1)) == 1


async def test_a_stream_made_anew_with_lower_ids_is_watched_from_its_next_reading(
    server: RedisServer, observer: RedisBroker
) -> None:
    """As after a FLUSHALL, or a failover to a replica that lags."""
    client = server.client()
    client.xadd(STREAM, {"type": "t", "payload": "1"}, id="500-0")
    await observer.depth()
    client.delete(STREAM)
    client.xadd(STREAM, {"type": "t", "payload": "1"}, id="5-0")
    assert not await observer.wait_for_arrival(0.05), "the wait alone cannot know"
    assert (await observer.depth()).waiting == 1
    async with waiting(server, observer) as wait:
        client.xadd(STREAM, {"type": "t", "payload": "1"}, id="6-0")
        assert await wait


async def test_a_stream_deleted_during_the_wait_and_made_anew_ends_it(
    server: RedisServer, observer: RedisBroker
) -> None:
    await observer.put([JOB])
    await observer.depth()
    async with waiting(server, observer) as wait:
        server.client().flushall()
        server.client().xadd(STREAM, {"type": "t", "payload": "1"})
        assert await wait


async def test_a_wait_that_is_cancelled_gives_its_connection_up_and_the_next_reading_comes_at_once(
    server: RedisServer, observer: RedisBroker
) -> None:
    await observer.depth()
    async with waiting(server, observer) as wait:
        wait.cancel()
        async with asyncio.timeout(LONG / 4):
            await asyncio.gather(wait, return_exceptions=True)
            assert wait.cancelled()
            await observer.depth()
        await until(lambda: connections(server) == 1, what="one connection")
    await observer.close()
    await until(lambda: connections(server) == 0, what="no connection")


async def test_readings_and_waits_share_one_connection(server: RedisServer, observer: RedisBroker) -> None:
    for _ in range(3):
        await observer.depth()
        assert not await observer.wait_for_arrival(0.01)
    assert connections(server) == 1


async def test_a_huge_job_is_noticed_and_not_received(server: RedisServer, observer: RedisBroker) -> None:
    await observer.depth()
    before = server.client().info("stats")["total_net_output_bytes"]
    async with waiting(server, observer) as wait:
        server.client().xadd(STREAM, {"type": "t", "payload": b"x" * 50_000_000})
        assert await wait
    assert (await observer.depth()).waiting == 1
    sent = server.client().info("stats")["total_net_output_bytes"] - before
    assert sent < 40_000_000, "the kernel's buffers may hold some of it, not all"


async def test_a_connection_lost_during_the_wait_is_told(server: RedisServer, observer: RedisBroker) -> None:
    await observer.depth()
    async with waiting(server, observer) as wait:
        server.client().client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(BrokerUnavailable):
            await wait
    assert (await observer.depth()).waiting == 0


@pytest.mark.parametrize("refused", ["-xread", "-@blocking"])
async def test_a_user_who_may_not_wait_is_told_so_and_can_go_on_reading(
    server: RedisServer, open_broker: OpenBroker, tmp_path: Path, refused: str
) -> None:
    server.client().execute_command("ACL", "SETUSER", "meek", "on", ">pw", "~*", "+@all", refused)
    (tmp_path / "username").write_text("meek")
    (tmp_path / "password").write_text("pw")
    files = Credentials(username_file=tmp_path / "username", password_file=tmp_path / "password")
    observer = open_broker(url=server.url, stream=STREAM, credentials=files)
    await observer.depth()
    with pytest.raises(AuthenticationFailed):
        await observer.wait_for_arrival(LONG)
    assert (await observer.depth()).waiting == 0
    assert connections(server) == 1, "the connection is still good"


async def test_a_server_without_the_command_says_so(open_broker: OpenBroker, tmp_path: Path) -> None:
    (tmp_path / "without.conf").write_text('rename-command XREAD ""\n')
    with RedisServer(tmp_path / "old", options={"include": str(tmp_path / "without.conf")}) as server:
        observer = open_broker(url=server.url, stream=STREAM)
        await observer.depth()
        with pytest.raises(BadAnswer, match="unknown command"):
            await observer.wait_for_arrival(LONG)
        assert (await observer.depth()).waiting == 0

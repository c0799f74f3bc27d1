"""Queues that other libraries keep in Redis: the lengths of their keys, and each wrong answer with its reason."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
import redis

from tests.support.redis import RedisServer
from workerpool.broker import Credentials
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerUnavailable,
    ConfigurationError,
    CredentialsMissing,
    QueueNotFound,
)
from workerpool_operator.collector.lists import RedisLists

pytestmark = [pytest.mark.component, pytest.mark.redis]


def reader(
    url: str,
    *keys: str,
    running: Sequence[str] = (),
    credentials: Credentials | None = None,
    timeout: float = 30.0,
) -> RedisLists:
    return RedisLists(url, credentials or Credentials(), keys=keys, running=running, timeout=timeout)


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


async def read(lists: RedisLists) -> tuple[int, int | None]:
    try:
        depth = await lists.depth()
    finally:
        await lists.close()
    return depth.waiting, depth.in_flight


async def test_lengths_are_added_up_by_the_type_of_each_key(server: RedisServer) -> None:
    client = redis.Redis.from_url(server.url)
    client.rpush("celery", "a", "b")
    client.rpush("celery\x06\x163", "c")
    client.zadd("scheduled", {"d": 1.0, "e": 2.0})
    client.sadd("acks", "f")
    client.hset("unacked", "g", "1")
    waiting = ("celery", "celery\x06\x163", "scheduled", "empty")
    assert await read(reader(server.url, *waiting, running=("acks", "unacked", "none"))) == (5, 2)


async def test_without_keys_of_running_jobs_the_workers_are_asked(server: RedisServer) -> None:
    redis.Redis.from_url(server.url).rpush("q", "a")
    assert await read(reader(server.url, "q")) == (1, None)


async def test_an_empty_queue_is_no_error_for_its_key_is_gone(server: RedisServer) -> None:
    assert await read(reader(server.url, "q", running=("r",))) == (0, 0)


@pytest.mark.parametrize(("key", "words"), [("text", "is a string"), ("stream", "name it in redisStream")])
async def test_a_key_without_a_length_is_named(server: RedisServer, key: str, words: str) -> None:
    client = redis.Redis.from_url(server.url)
    client.set("text", "a")
    client.xadd("stream", {"a": "b"})
    with pytest.raises(QueueNotFound, match=words):
        await read(reader(server.url, "q", running=(key,)))


async def test_a_user_without_the_rights_and_one_without_a_password_are_refused(
    server: RedisServer, tmp_path: Path
) -> None:
    client = redis.Redis.from_url(server.url)
    client.acl_setuser("few", enabled=True, passwords=["+p"], keys=["q"], commands=["+eval", "+type"])
    client.acl_setuser("default", enabled=False, reset=True)
    client.close()
    (tmp_path / "user").write_text("few")
    (tmp_path / "word").write_text("p")
    few = Credentials(username_file=tmp_path / "user", password_file=tmp_path / "word")
    with pytest.raises(AuthenticationFailed):
        await read(reader(server.url, "q"))
    with pytest.raises(AuthenticationFailed):
        await read(reader(server.url, "other", credentials=few))
    assert await read(reader(server.url, "q", credentials=few)) == (0, None)
    with pytest.raises(CredentialsMissing):
        await read(reader(server.url, "q", credentials=Credentials(password_file=tmp_path / "none")))


async def test_a_redis_that_is_away_or_hangs_is_unavailable_in_time(server: RedisServer) -> None:
    with pytest.raises(BrokerUnavailable):
        await read(reader("redis://127.0.0.1:1/0", "q"))
    server.pause()
    try:
        with pytest.raises(BrokerUnavailable, match="no answer within"):
            await read(reader(server.url, "q", timeout=0.2))
    finally:
        server.resume()


async def test_a_server_that_is_replaced_is_dialled_anew(server: RedisServer) -> None:
    lists = reader(server.url, "q")
    await lists.depth()
    server.kill()
    with pytest.raises(BrokerUnavailable):
        await lists.depth()
    server.start()
    assert (await read(lists))[0] == 0


async def test_a_database_that_is_not_there_and_a_url_that_is_none(server: RedisServer) -> None:
    with pytest.raises(QueueNotFound, match="database"):
        await read(reader(server.url.removesuffix("/0") + "/99", "q"))
    with pytest.raises(ConfigurationError):
        reader("http://redis/0", "q")


async def test_what_is_no_redis_is_a_bad_answer() -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        with pytest.raises((BadAnswer, BrokerUnavailable)):
            await read(reader(f"redis://127.0.0.1:{other.sockets[0].getsockname()[1]}/0", "q"))

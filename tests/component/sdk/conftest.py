"""Brokers on a real Redis or PostgreSQL that are closed after the test."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import pytest
import pytest_asyncio

from tests.support.redis import RedisServer
from workerpool import Queue
from workerpool import broker as brokers
from workerpool.broker import Credentials, NewJob
from workerpool.broker._postgres import PostgresBroker
from workerpool.broker._redis import RedisBroker


class OpenBroker(Protocol):
    """Opens one more view of the test's queue, or of another one."""

    def __call__(
        self,
        *,
        stream: str = "",
        lease: float = 60.0,
        timeout: float = 5.0,
        url: str = "",
        credentials: Credentials | None = None,
    ) -> RedisBroker: ...


@pytest_asyncio.fixture
async def open_broker(redis_server: RedisServer, redis_stream: str) -> AsyncIterator[OpenBroker]:
    opened: list[RedisBroker] = []

    def open_one(
        *,
        stream: str = "",
        lease: float = 60.0,
        timeout: float = 5.0,
        url: str = "",
        credentials: Credentials | None = None,
    ) -> RedisBroker:
        broker = brokers.connect(
            url or redis_server.url,
            stream=stream or redis_stream,
            group="g",
            lease_seconds=lease,
            timeout=timeout,
            credentials=credentials,
        )
        assert isinstance(broker, RedisBroker)
        opened.append(broker)
        return broker

    yield open_one
    for broker in opened:
        await broker.close()


@pytest.fixture
def jobs() -> Callable[[int], list[NewJob]]:
    """So many jobs, with their number as payload."""
    return lambda count: [NewJob(type="t", payload=str(number).encode()) for number in range(count)]


@pytest_asyncio.fixture
async def queue(redis_server: RedisServer, redis_stream: str) -> AsyncIterator[Queue]:
    """The test's queue, as a producer has it."""
    async with Queue.connect(redis_server.url, stream=redis_stream) as queue:
        yield queue


class OpenPostgres(Protocol):
    """Opens one more view of a queue in a database."""

    def __call__(
        self, url: str, *, queue: str = "q", timeout: float = 5.0, credentials: Credentials | None = None
    ) -> PostgresBroker: ...


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[OpenPostgres]:
    opened: list[PostgresBroker] = []

    def open_one(
        url: str, *, queue: str = "q", timeout: float = 5.0, credentials: Credentials | None = None
    ) -> PostgresBroker:
        one = brokers.connect(url, stream=queue, timeout=timeout, credentials=credentials)
        assert isinstance(one, PostgresBroker)
        opened.append(one)
        return one

    yield open_one
    for one in opened:
        await one.close()

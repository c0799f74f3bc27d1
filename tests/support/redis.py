"""A real Redis for component tests.

`redis_server` is one server per test run, with an append-only file; tests share it and use streams of their own
(`redis_stream`). A test that stops, restarts or configures its server starts its own: `with RedisServer(tmp_path)`.
"""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.support.redis_server import RedisServer
from tests.support.waiting import until

__all__ = ["RedisServer", "delete_stream", "redis_server", "redis_stream"]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The run's own Redis; do not stop or configure it."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_stream() -> str:
    """The name of a stream that no other test uses."""
    return f"jobs-{secrets.token_hex(4)}"


async def delete_stream(client: Any, stream: str) -> None:
    """Not in the millisecond of its last entry: a stream made anew within it would give that entry's id once more."""
    last = int(client.xinfo_stream(stream)["last-generated-id"].partition(b"-")[0])

    def later() -> bool:
        seconds, microseconds = client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000 > last

    await until(later, what="the next millisecond of Redis")
    client.delete(stream)

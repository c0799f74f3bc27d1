"""A real Redis for component tests.

`redis_server` is one server per test run, with an append-only file; tests share it and use streams of their own
(`redis_stream`). A test that stops, restarts or configures its server starts its own: `with RedisServer(tmp_path)`.
"""

import secrets
from collections.abc import Iterator

import pytest

from e2e.support.redis_server import RedisServer

__all__ = ["RedisServer", "redis_server", "redis_stream"]


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The run's own Redis; do not stop or configure it."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_stream() -> str:
    """The name of a stream that no other test uses."""
    return f"jobs-{secrets.token_hex(4)}"

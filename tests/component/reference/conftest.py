"""A stand-in for the servers that reference workers talk to, and a look behind the workers' backs."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from reference_common.standin import StandIn
from tests.component.sdk.running import environment
from tests.support.redis import RedisServer
from workerpool import Queue

Environment = Callable[..., None]


@pytest_asyncio.fixture
async def queue(redis_server: RedisServer, redis_stream: str) -> AsyncIterator[Queue]:
    """The test's queue, as a producer has it."""
    async with Queue.connect(redis_server.url, stream=redis_stream) as queue:
        yield queue


@pytest.fixture
def standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Store, site and receiver of calls; `BLOBS_URL` names it."""
    with StandIn(tmp_path / "store") as standin:
        monkeypatch.setenv("BLOBS_URL", standin.url)
        yield standin


@pytest.fixture
def contract(redis_server: RedisServer, redis_stream: str, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Sets the environment of a worker in this process, as a pod's is set."""

    def set_environment(**more: str) -> None:
        quick = {"BACKOFF_SECONDS": "0.01", "MAX_ATTEMPTS": "3", "MAX_WORKERS": "4", "WORKERPOOL_NODE": "n"}
        for name, value in (environment(redis_server, redis_stream) | quick | more).items():
            monkeypatch.setenv(name, value)

    return set_environment

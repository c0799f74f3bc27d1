"""A worker that runs in the test's own loop, on the test's own Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from workerpool import Job, Queue, Worker
from workerpool.runtime.drain import Drained


def environment(server: RedisServer, stream: str, *, token: Path | None = None, **more: str) -> dict[str, str]:
    env = {
        "WORKERPOOL_NAME": "pool",
        "WORKERPOOL_VERSION": "v1",
        "WORKERPOOL_POD": "pod-1",
        "QUEUE_MAIN_URL": server.url,
        "QUEUE_MAIN_STREAM": stream,
        "HEARTBEAT_INTERVAL": "0.2",
        "DRAIN_TIMEOUT": "5",
    }
    if token is not None:
        env["WORKERPOOL_TOKEN_FILE"] = str(token)
    return env | more


def make_worker(env: dict[str, str], collector: FakeCollector | None = None, queue: Queue | None = None) -> Worker:
    if collector is not None:
        env = env | {"WORKERPOOL_COLLECTOR": collector.address}
    worker = Worker(queue, health_port=0, metrics_port=0, env=env)

    @worker.job("nothing")
    async def nothing(job: Job) -> None:
        """A worker has at least one handler."""

    return worker


@asynccontextmanager
async def serving(worker: Worker) -> AsyncIterator["asyncio.Task[Drained]"]:
    """Runs it, drains it at the end and checks that it could be drained."""
    task = asyncio.create_task(worker.serve())
    try:
        yield task
    finally:
        worker.stop()
        drained = await task
    assert not drained.unsettled

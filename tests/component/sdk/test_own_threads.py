"""Handlers may fill the event loop's own threads: the worker does not need them."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_asyncio
import redis.asyncio

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, Queue

pytestmark = [pytest.mark.component, pytest.mark.redis]


@pytest_asyncio.fixture
async def full() -> AsyncIterator[None]:
    """All of them wait for the test's end."""
    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(over.wait)
        try:
            yield
        finally:
            over.set()


async def test_a_worker_finds_its_broker_and_its_collector_while_all_threads_of_the_loop_are_taken(
    redis_server: RedisServer, redis_stream: str, full: None
) -> None:
    named = redis_server.url.replace("127.0.0.1", "localhost")
    assert named != redis_server.url
    done: list[str] = []
    async with FakeCollector() as collector, Queue.connect(redis_server.url, stream=redis_stream) as queue:
        env = environment(redis_server, redis_stream) | {
            "QUEUE_MAIN_URL": named,
            "WORKERPOOL_COLLECTOR": collector.address.replace("127.0.0.1", "localhost"),
        }
        worker = make_worker(env)

        @worker.job("work", timeout=60)
        async def work(job: Job) -> None:
            done.append(job.id)

        async with serving(worker):
            await queue.enqueue("work", job_id="before")
            await until(lambda: done == ["before"], what="a job of a broker that was found")
            async with redis.asyncio.Redis.from_url(redis_server.url) as client:
                await client.client_kill_filter(_type="normal", skipme=True)
            await queue.enqueue("work", job_id="after")
            await until(lambda: done == ["before", "after"], what="a job of a broker that was found again")
            await until(lambda: collector.hellos, what="the collector was found")

"""A real worker finds the capacity of a real server by itself, and follows it. In virtual time with other servers:
tests/unit/sdk/guards.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.component.sdk.running import environment, serving
from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue, Worker

pytestmark = [pytest.mark.component, pytest.mark.redis]

PLACES = 24
SECONDS = 0.1
LOOK_SECONDS = 3.0


class Server:
    """Answers each connection after a while, and as many at a time as it has places."""

    def __init__(self) -> None:
        self.places, self.served = PLACES, 0
        self.port = 0
        self._busy, self._since = 0, time.monotonic()
        self._used = 0.0
        self._free = asyncio.Condition()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._free:
            await self._free.wait_for(lambda: self._busy < self.places)
            self._count(1)
        await asyncio.sleep(SECONDS)
        async with self._free:
            self._count(-1)
            self._free.notify_all()
        self.served += 1
        writer.write(b"done\n")
        writer.close()

    def _count(self, change: int) -> None:
        now = time.monotonic()
        self._used += self._busy * (now - self._since)
        self._busy, self._since = self._busy + change, now

    async def used(self) -> float:
        """Share of its places that are in use, over a few seconds: what throughput is of the best one."""
        self._count(0)
        before, began = self._used, time.monotonic()
        await asyncio.sleep(LOOK_SECONDS)
        self._count(0)
        return (self._used - before) / (time.monotonic() - began) / self.places

    async def call(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        await reader.readline()
        writer.close()


@pytest.mark.timeout(180)
async def test_a_worker_finds_the_capacity_of_a_server_and_follows_a_cut_to_half(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    server = Server()
    async with server.serve(), FakeCollector() as collector:
        # A call that a drain gives up is served all the same, and its job is there once more: it has its time.
        env = environment(redis_server, redis_stream, MAX_WORKERS="200", DRAIN_TIMEOUT="60")
        env |= {"WORKERPOOL_COLLECTOR": collector.address}
        worker = Worker(adaptive=True, health_port=0, metrics_port=0, env=env)

        @worker.job("call", timeout=60)
        async def call(job: Job) -> None:
            await server.call()

        async def keeps_it_busy() -> bool:
            return await server.used() >= 0.9

        await queue.enqueue_many([JobSpec("call")] * 15_000, max_depth=20_000)
        async with serving(worker):
            await until(keeps_it_busy, seconds=60, what="nine tenths of the server in use")
            report = await collector.report_where(lambda report: report.slots > 1.25 * PLACES, seconds=60)
            assert report.slots < 5 * PLACES
            server.places = PLACES // 2
            await collector.report_where(lambda report: report.slots < 1.25 * PLACES, seconds=60)
            await until(keeps_it_busy, seconds=60, what="nine tenths of what is left in use")
        depth = await queue.depth()
        assert server.served + depth.waiting == 15_000

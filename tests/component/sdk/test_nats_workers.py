"""Workers in processes of their own on a queue in NATS: killed, drained, poisoned, held to the pool's rate."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.nats import NatsServer
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess, Workers
from workerpool import Queue

pytestmark = [pytest.mark.component, pytest.mark.nats, pytest.mark.redis]


class Pool(Workers):
    """Its jobs record in Redis what they did; their queue is in NATS."""

    program = Path(__file__).with_name("worker_program.py")

    def __init__(self, nats: NatsServer, record: RedisServer, stream: str, folder: Path) -> None:
        super().__init__(record, stream, folder)
        self.queue = Queue.connect(nats.url, stream=stream)
        self._settings = {"QUEUE_MAIN_URL": nats.url, "LEASE_SECONDS": "1", "MAX_WORKERS": "20", "BACKOFF_SECONDS": "0"}

    def start(self, **env: str) -> WorkerProcess:
        return super().start(**(self._settings | env))

    async def enqueue(self, count: int, seconds: float) -> None:
        for number in range(count):
            await self.queue.enqueue("work", {"seconds": seconds}, job_id=f"job-{number}")


@pytest_asyncio.fixture
async def pool(
    nats_server: NatsServer, redis_server: RedisServer, nats_stream: str, tmp_path: Path
) -> AsyncIterator[Pool]:
    pool = Pool(nats_server, redis_server, nats_stream, tmp_path)
    yield pool
    await pool.end()


async def test_jobs_of_a_killed_worker_come_back_within_the_lease(pool: Pool) -> None:
    victim = pool.start().wait_ready()
    await pool.enqueue(20, 30.0)
    await until(lambda: len(pool.recorded("begun")) == 20, what="20 jobs running")
    rescuer = pool.start(MAX_WORKERS="40").wait_ready()
    victim.kill()
    killed_at = asyncio.get_running_loop().time()
    await until(lambda: all(count == 2 for count in pool.recorded("begun").values()), what="all jobs taken over")
    # Lease 1 s; by default it is 60 s.
    assert asyncio.get_running_loop().time() - killed_at < 30
    assert (await pool.queue.depth()).in_flight == 20
    rescuer.kill()


async def test_a_drain_with_20_jobs_in_flight_loses_and_repeats_none(pool: Pool) -> None:
    worker = pool.start(LEASE_SECONDS="60").wait_ready()
    await pool.enqueue(40, 6.0)  # the first ones are not over before the signal, though this machine stands still
    await until(lambda: len(pool.recorded("begun")) == 20, what="20 jobs running")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert len(pool.recorded("begun")) == 20
    depth = await pool.queue.depth()
    assert (depth.waiting, depth.in_flight) == (20, 0)
    pool.start()
    await until(pool.finished, what="the rest done by another worker")
    assert len(pool.recorded("done")) == 40
    assert set(pool.recorded("done").values()) == {1}


async def test_stragglers_are_handed_back_without_burning_an_attempt(pool: Pool) -> None:
    worker = pool.start(LEASE_SECONDS="60", DRAIN_TIMEOUT="0.5", MAX_ATTEMPTS="1").wait_ready()
    await pool.enqueue(5, 30.0)
    await until(lambda: len(pool.recorded("begun")) == 5, what="5 jobs running")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    depth = await pool.queue.depth()
    assert (depth.waiting, depth.in_flight, depth.dead_letters) == (5, 0, 0)
    pool.start(MAX_ATTEMPTS="1")
    await until(lambda: set(pool.recorded("begun").values()) == {2}, what="the jobs begun again")
    assert (await pool.queue.depth()).dead_letters == 0


async def test_a_job_that_kills_its_worker_is_begun_as_often_as_is_allowed(pool: Pool) -> None:
    await pool.queue.enqueue("poison", job_id="p")
    for number in range(3):
        # A job that lay at a worker for longer than its lease, while that stood still, has had an attempt.
        worker = pool.start(MAX_ATTEMPTS="3", LEASE_SECONDS="4").wait_ready()
        await until(lambda number=number: pool.recorded("begun") == {"p": number + 1}, what="an attempt")  # type: ignore[misc]
        assert worker.wait(scrape=False) == -signal.SIGKILL
    pool.start(MAX_ATTEMPTS="3", LEASE_SECONDS="4").wait_ready()
    await until(pool.finished, what="no more attempts")
    [dead] = await pool.queue.dead_letters()
    assert (dead.job_id, dead.reason, pool.recorded("begun")) == ("p", "max_attempts", {"p": 3})


async def test_a_rate_limit_holds_for_all_workers_together(pool: Pool) -> None:
    """20 per second, of which a quarter of a second's worth and one may come at once, and one for each idle worker."""
    limit = {"RATE_LIMIT_PER_SECOND": "20"}
    workers = [pool.start(LEASE_SECONDS="60", **limit).wait_ready() for _ in range(3)]
    started = asyncio.get_running_loop().time()
    await pool.enqueue(60, 0.0)
    await until(pool.finished, what="all done")
    took = asyncio.get_running_loop().time() - started
    assert took >= (60 - 6 - len(workers)) / 20
    assert set(pool.recorded("done").values()) == {1}


async def test_a_setting_that_needs_what_nats_cannot_do_is_refused_at_the_start(pool: Pool) -> None:
    worker = pool.start(TENANT_LIMITS='{"acme": {"maxInFlight": 1}}')
    assert worker.wait(scrape=False) == 2
    assert "TENANT_LIMITS" in worker.output
    assert "nats" in worker.output

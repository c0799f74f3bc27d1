"""Worker processes that are killed, drained and cut off from their broker: nothing is lost."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import MappingProxyType

import pytest
import pytest_asyncio

from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess, Workers
from workerpool import Depth, JobSpec

pytestmark = [pytest.mark.component, pytest.mark.redis]


class Pool(Workers):
    """Workers on one queue, and what they recorded."""

    program = Path(__file__).with_name("worker_program.py")
    contract = MappingProxyType({"LEASE_SECONDS": "1", "MAX_WORKERS": "20"})

    async def enqueue(self, count: int, seconds: float) -> None:
        specs = [JobSpec("work", {"seconds": seconds}, job_id=f"job-{number}") for number in range(count)]
        await self.queue.enqueue_many(specs, timeout=30)

    async def depth(self) -> Depth:
        return await self.queue.depth()


@pytest_asyncio.fixture
async def make_pool(tmp_path: Path, redis_stream: str) -> AsyncIterator[Callable[[RedisServer], Pool]]:
    pools: list[Pool] = []

    def make(server: RedisServer) -> Pool:
        pools.append(Pool(server, redis_stream, tmp_path))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.end()


@pytest.fixture
def pool(make_pool: Callable[[RedisServer], Pool], redis_server: RedisServer) -> Pool:
    return make_pool(redis_server)


async def test_killed_workers_lose_nothing_and_their_jobs_come_back_within_the_lease(pool: Pool) -> None:
    victim = pool.start().wait_ready()
    await pool.enqueue(20, 30.0)
    await until(lambda: len(pool.recorded("begun")) == 20, what="20 jobs running")
    rescuer = pool.start(MAX_WORKERS="40").wait_ready()
    victim.kill()
    killed_at = asyncio.get_running_loop().time()
    await until(lambda: all(count == 2 for count in pool.recorded("begun").values()), what="all jobs taken over")
    # Lease 1 s, by default 60 s; looked for at least every quarter of it by the one that has room.
    assert asyncio.get_running_loop().time() - killed_at < 30
    assert (await pool.depth()).in_flight == 20
    rescuer.kill()


async def test_a_storm_of_kills_loses_no_job(pool: Pool) -> None:
    await pool.enqueue(300, 0.2)
    for _ in range(4):
        worker = pool.start().wait_ready()
        enough = min(300, len(pool.recorded("done")) + 20)  # all, where this machine stood still before the kill
        await until(lambda enough=enough: len(pool.recorded("done")) >= enough, what="some progress")  # type: ignore[misc]
        worker.kill()
    pool.start()
    await until(pool.finished, what="all jobs finished", seconds=60)
    done = pool.recorded("done")
    assert set(done) == {f"job-{number}" for number in range(300)}
    # At least once: what ran when its worker died may be repeated, nothing else.
    assert sum(done.values()) - 300 <= 4 * 20
    assert pool.dead() == []


async def test_a_drain_with_20_jobs_in_flight_loses_and_repeats_none(pool: Pool) -> None:
    worker = pool.start(LEASE_SECONDS="60").wait_ready()
    await pool.enqueue(40, 6.0)  # the first ones are not over before the signal, though this machine stands still
    await until(lambda: len(pool.recorded("begun")) == 20, what="20 jobs running")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert set(pool.recorded("done").values()) == {1}
    assert len(pool.recorded("done")) == 20
    assert len(pool.recorded("begun")) == 20
    depth = await pool.depth()
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
    depth = await pool.depth()
    assert (depth.waiting, depth.in_flight, depth.dead_letters) == (5, 0, 0)
    pool.start(MAX_ATTEMPTS="1")
    await until(lambda: set(pool.recorded("begun").values()) == {2}, what="the jobs begun again")
    assert (await pool.depth()).dead_letters == 0


async def test_a_second_signal_hands_running_jobs_back_at_once(pool: Pool) -> None:
    worker = pool.start(LEASE_SECONDS="60", DRAIN_TIMEOUT="60").wait_ready()
    await pool.enqueue(5, 30.0)  # over by themselves before the time to drain
    await until(lambda: len(pool.recorded("begun")) == 5, what="5 jobs running")
    worker.signal(signal.SIGTERM)
    await until(lambda: '"draining"' in worker.output, what="the drain")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert (await pool.depth()).waiting == 5


async def test_a_handler_that_heeds_no_cancellation_does_not_keep_the_worker(pool: Pool) -> None:
    worker = pool.start(LEASE_SECONDS="60", DRAIN_TIMEOUT="0.1").wait_ready()
    await pool.queue.enqueue("deaf", job_id="d")
    await until(lambda: pool.recorded("begun") == {"d": 1}, what="the job running")
    worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert (await pool.depth()).waiting == 1


async def test_a_third_signal_ends_the_process_by_its_own_handler(pool: Pool) -> None:
    """The default disposition would do so too, but not for the first process of a container: the kernel ignores it."""
    worker = pool.start(LEASE_SECONDS="60").wait_ready()
    await pool.queue.enqueue("deaf", job_id="d")
    await until(lambda: pool.recorded("begun") == {"d": 1}, what="the job running")

    def signalled_to_death() -> bool:
        worker.signal(signal.SIGTERM)  # two that come at once count as one
        return not worker.alive

    await until(signalled_to_death, what="the end")
    assert worker.wait(scrape=False) == 128 + signal.SIGTERM


async def test_a_job_that_kills_its_workers_ends_in_the_dead_letters(pool: Pool) -> None:
    await pool.queue.enqueue("poison", job_id="p")
    for _ in range(4):
        worker = pool.start(MAX_ATTEMPTS="3", LEASE_SECONDS="0.5").wait_ready()
        if await _dead_or_gone(pool, worker):
            break
    assert pool.recorded("begun") == {"p": 3}
    [letter] = pool.dead()
    assert (letter["dead.reason"], letter["dead.attempts"]) == ("max_attempts", "4")
    assert await pool.finished()


async def _dead_or_gone(pool: Pool, worker: WorkerProcess) -> bool:
    await until(lambda: pool.dead() or not worker.alive, what="a dead letter or a dead worker")
    return bool(pool.dead())


async def test_jobs_that_cannot_be_run_end_in_the_dead_letters_with_a_reason(pool: Pool) -> None:
    client = pool.server.client()
    await pool.queue.enqueue("no-such-handler")
    await pool.queue.enqueue("refuse")
    client.xadd(pool.stream, {"hello": "world"})
    client.xadd(pool.stream, {"type": "work", "payload": "{not json"})
    client.xadd(pool.stream, {"type": "work", "payload": json.dumps("x" * (1024 * 1024 + 1))})
    await pool.queue.enqueue("work", {"seconds": 0}, job_id="good")
    worker = pool.start().wait_ready()
    await until(lambda: len(pool.dead()) == 5, what="five dead letters")
    await until(lambda: pool.recorded("done") == {"good": 1}, what="the good job done")
    reasons = sorted(letter["dead.reason"] for letter in pool.dead())
    assert reasons == ["malformed", "malformed", "oversize", "rejected", "unknown_type"]
    assert {letter["dead.version"] for letter in pool.dead()} == {"v1"}
    assert {letter["dead.worker"] for letter in pool.dead()} == {"pod-0"}
    await until(pool.finished, what="the good one acknowledged")
    assert worker.alive


async def test_a_restart_of_redis_in_the_middle_loses_nothing(
    make_pool: Callable[[RedisServer], Pool], tmp_path: Path
) -> None:
    """Redis is killed with jobs in every state. Jobs that ran through it are not repeated: their lease outlives it."""
    with RedisServer(tmp_path / "redis") as server:
        pool = make_pool(server)
        workers = [pool.start(LEASE_SECONDS="15").wait_ready() for _ in range(2)]
        await pool.enqueue(300, 0.05)
        await until(lambda: len(pool.recorded("done")) > 60, what="some progress")
        server.kill()
        await until(lambda: all('"cannot ' in worker.output for worker in workers), what="the workers notice")
        server.start()
        await until(pool.finished, what="all jobs finished", seconds=60)
        assert set(pool.recorded("done")) == {f"job-{number}" for number in range(300)}
        assert pool.dead() == []
        assert all(worker.alive for worker in workers)
        for worker in workers:
            worker.signal(signal.SIGTERM)
        assert [worker.wait() for worker in workers] == [0, 0]


async def test_a_worker_started_before_redis_waits_for_it(
    make_pool: Callable[[RedisServer], Pool], tmp_path: Path
) -> None:
    with RedisServer(tmp_path / "redis") as server:
        pool = make_pool(server)
        server.stop()
        worker = pool.start().wait_ready()
        await until(lambda: "cannot take jobs" in worker.output, what="the worker says what is wrong")
        server.start()
        await pool.enqueue(5, 0.0)
        await until(lambda: len(pool.recorded("done")) == 5, what="the jobs done")


async def test_a_drain_without_redis_ends_in_time_and_says_so(
    make_pool: Callable[[RedisServer], Pool], tmp_path: Path
) -> None:
    """What could not be handed back returns by its lease: exit status 1 tells that nobody confirmed it."""
    with RedisServer(tmp_path / "redis") as server:
        pool = make_pool(server)
        worker = pool.start(DRAIN_TIMEOUT="0.5").wait_ready()
        await pool.enqueue(3, 30.0)
        await until(lambda: len(pool.recorded("begun")) == 3, what="3 jobs running")
        server.kill()
        worker.signal(signal.SIGTERM)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 1


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"QUEUE_MAIN_URL": ""}, "QUEUE_MAIN_URL"),
        ({"QUEUE_MAIN_STREAM": ""}, "QUEUE_MAIN_STREAM"),
        ({"QUEUE_MAIN_URL": "memory://"}, "QUEUE_MAIN_URL"),
        ({"QUEUE_MAIN_URL": "sqlite:///x.db"}, "QUEUE_MAIN_URL"),
        ({"QUEUE_MAIN_URL": "stomp://x"}, "stomp"),
        ({"QUEUE_MAIN_URL": "kafka://x"}, "QUEUE_MAIN_TOPIC"),
        ({"QUEUE_MAIN_URL": "amqp://x"}, "QUEUE_MAIN_QUEUE"),
        ({"MAX_WORKERS": "many"}, "MAX_WORKERS"),
    ],
)
def test_a_wrong_environment_is_a_start_up_error_that_names_the_variable(
    pool: Pool, env: dict[str, str], named: str
) -> None:
    worker = pool.start(**env)
    assert worker.wait() == 2
    [line] = worker.output.splitlines()
    assert named in json.loads(line)["error"]


async def test_a_drained_worker_stays_until_it_was_scraped(pool: Pool) -> None:
    async with FakeCollector() as collector:
        worker = pool.start(WORKERPOOL_COLLECTOR=collector.address).wait_ready()
        await pool.enqueue(3, 0.0)
        await collector.report_where(lambda report: report.counters.processed == 3, seconds=60)
        worker.signal(signal.SIGTERM)
        await until(lambda: collector.last_words, what="last words")
        assert collector.last_words[0].counters.processed == 3
        assert worker.alive
        status, figures = await asyncio.to_thread(worker.get, "metrics", "/metrics")
        assert status == 200
        assert 'jobs_processed_total{lane="io",pool="pool",version="v1"} 3.0' in figures
        # Which is sooner than without a scrape; one that came before it waited for its last was none.
        assert await asyncio.to_thread(worker.wait, seconds=9) == 0

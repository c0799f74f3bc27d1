"""A worker at its ordinary work, on a real Redis."""

import asyncio
import signal
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import ConfigurationError, Job, JobSpec, Queue, RejectJob, Worker

pytestmark = [pytest.mark.component, pytest.mark.redis]


@pytest.fixture
def env(redis_server: RedisServer, redis_stream: str) -> Callable[..., dict[str, str]]:
    return lambda **more: environment(redis_server, redis_stream, BACKOFF_SECONDS="0.01", **more)


Env = Callable[..., dict[str, str]]


async def test_a_handler_gets_what_was_enqueued(env: Env, queue: Queue, redis_stream: str) -> None:
    worker, got = make_worker(env()), []

    @worker.job("resize")
    async def resize(job: Job) -> None:
        got.append(job)

    async with serving(worker):
        await queue.enqueue("resize", {"größe": [1, None, 2.5]}, job_id="image-1")
        await until(lambda: got, what="the job done")
    assert got == [Job("image-1", "resize", {"größe": [1, None, 2.5]}, 1, "main", stream=got[0].stream)]


async def test_never_more_jobs_than_slots(env: Env, queue: Queue, redis_server: RedisServer, redis_stream: str) -> None:
    """Neither running nor taken: what has no slot stays in the queue for another worker."""
    worker, running, most, done = make_worker(env(MAX_WORKERS="3")), 0, 0, 0

    @worker.job("work")
    async def work(job: Job) -> None:
        nonlocal running, most, done
        running += 1
        pending = redis_server.client().xpending(redis_stream, redis_stream)["pending"]
        most = max(most, running, pending)
        await asyncio.sleep(0.005)
        running -= 1
        done += 1

    await queue.enqueue_many([JobSpec("work")] * 60)
    async with serving(worker):
        await until(lambda: done == 60, what="all done")
    assert most == 3


async def test_a_failing_job_is_retried_and_then_dead_lettered_with_its_traceback(
    env: Env, queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    worker, attempts = make_worker(env(MAX_ATTEMPTS="3")), []

    @worker.job("fails")
    async def fails(job: Job) -> None:
        attempts.append(job.attempt)
        raise ValueError("grün")

    async with serving(worker):
        await queue.enqueue("fails", job_id="f-1")
        await until(lambda: _dead(redis_server, redis_stream), what="a dead letter")
    [letter] = _dead(redis_server, redis_stream)
    assert attempts == [1, 2, 3]
    assert letter[b"dead.reason"] == b"max_attempts"
    assert letter[b"dead.attempts"] == b"3"
    assert letter[b"dead.error"].decode() == "ValueError: grün"
    assert b"raise ValueError" in letter[b"dead.traceback"]
    assert (letter[b"dead.version"], letter[b"dead.worker"], letter[b"id"]) == (b"v1", b"pod-1", b"f-1")


@pytest.mark.parametrize(
    "case",
    [(SystemExit(3), 2), (asyncio.CancelledError(), 2), (RejectJob("bad url"), 1)],
    ids=repr,
)
async def test_whatever_a_handler_raises_is_its_own_failure(
    env: Env, queue: Queue, redis_server: RedisServer, redis_stream: str, case: tuple[BaseException, int]
) -> None:
    error, attempts = case
    worker, seen = make_worker(env(MAX_ATTEMPTS="2")), []

    @worker.job("raises")
    async def raises(job: Job) -> None:
        seen.append(job.attempt)
        raise error

    async with serving(worker):
        await queue.enqueue("raises")
        await until(lambda: _dead(redis_server, redis_stream), what="a dead letter")
    assert len(seen) == attempts


async def test_a_handler_that_takes_longer_than_it_declares_is_cancelled(env: Env, queue: Queue) -> None:
    worker, ends = make_worker(env()), []

    @worker.job("slow", timeout=0.05)
    async def slow(job: Job) -> None:
        try:
            await asyncio.sleep(30 if job.attempt == 1 else 0)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        ends.append("done")

    async with serving(worker):
        await queue.enqueue("slow")
        await until(lambda: ends == ["cancelled", "done"], what="the second attempt done")
        figures = await asyncio.to_thread(_metrics, worker)
    assert figures['jobs_failed_total{lane="io",pool="pool",reason="timeout",version="v1"}'] == 1


async def test_the_figures_tell_what_happened(env: Env, queue: Queue) -> None:
    worker = make_worker(env(MAX_ATTEMPTS="2"))

    @worker.job("good")
    async def good(job: Job) -> None:
        pass

    @worker.job("once")
    async def once(job: Job) -> None:
        if job.attempt == 1:
            raise ValueError

    @worker.job("bad")
    async def bad(job: Job) -> None:
        raise ValueError

    async with serving(worker):
        await queue.enqueue_many([*[JobSpec("good")] * 5, *[JobSpec("once")] * 3, *[JobSpec("bad")] * 2])
        labels, figures = '{lane="io",pool="pool",version="v1"}', dict[str, float]()

        async def all_told() -> bool:  # the worker counts what it is answered, after the queue has changed
            figures.update(await asyncio.to_thread(_metrics, worker))
            return {name: figures.get(f"{name}{labels}") for name in EXPECTED} == EXPECTED

        await until(lambda: _settled(queue, dead=2), what="all settled")
        await until(all_told, what=f"{EXPECTED}")
    assert figures['job_wait_seconds_count{lane="io",pool="pool",priority="normal",version="v1"}'] == 15
    assert figures['worker_start_seconds{pool="pool",version="v1"}'] > 0


EXPECTED = {
    "jobs_started_total": 15,
    "jobs_processed_total": 8,
    "jobs_first_attempts_total": 10,
    "jobs_first_failures_total": 5,
    "jobs_retried_total": 5,
    "jobs_dead_lettered_total": 2,
    "jobs_redelivered_total": 0,
    "job_processing_seconds_count": 15,
    "worker_jobs_in_progress": 0,
    "worker_slots": 20,
}


async def test_several_queues_share_the_slots(
    redis_server: RedisServer, redis_stream: str, queue: Queue, env: Env
) -> None:
    """An idle queue keeps no slot from a busy one, and a busy one does not starve the other."""
    other = f"{redis_stream}-b"
    worker = make_worker(env(MAX_WORKERS="4", QUEUE_SIDE_URL=redis_server.url, QUEUE_SIDE_STREAM=other))
    running, most, side = 0, 0, asyncio.Event()

    @worker.job("work")
    async def work(job: Job) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        if job.queue == "side":
            side.set()

    async with serving(worker), Queue.connect(redis_server.url, stream=other) as second:
        await queue.enqueue_many([JobSpec("work")] * 1500)
        await until(lambda: most == 4, what="all slots used by the busy queue")
        await second.enqueue("work")
        await until(side.is_set, what="the job of the other queue")
        assert (await queue.depth()).waiting > 0, "the busy queue was empty already: the test proves nothing"
        await until(lambda: _settled(queue), what="all done")
    assert most == 4


async def test_one_slot_serves_two_idle_queues(
    redis_server: RedisServer, redis_stream: str, queue: Queue, env: Env
) -> None:
    other = f"{redis_stream}-b"
    worker = make_worker(env(MAX_WORKERS="1", QUEUE_SIDE_URL=redis_server.url, QUEUE_SIDE_STREAM=other))
    done: list[str] = []

    @worker.job("work")
    async def work(job: Job) -> None:
        done.append(job.queue)

    async with serving(worker), Queue.connect(redis_server.url, stream=other) as second:
        for _ in range(3):
            await second.enqueue("work")
            await queue.enqueue("work")
        await until(lambda: sorted(done) == ["main"] * 3 + ["side"] * 3, what="jobs of both queues done")


async def test_a_lost_lease_cancels_the_handler(
    env: Env, queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    """Someone else has the job by then: going on would be doing it twice knowingly."""
    worker, ends = make_worker(env(LEASE_SECONDS="9")), []  # of the thief, too: it would come back to us after that

    @worker.job("work")
    async def work(job: Job) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ends.append(job.id)
            raise

    async with serving(worker):
        await queue.enqueue("work", job_id="mine")
        client = redis_server.client()
        await until(lambda: _pending(client, redis_stream), what="the job taken")
        [entry] = client.xpending_range(redis_stream, redis_stream, "-", "+", 1)
        client.xclaim(redis_stream, redis_stream, "thief", 0, [entry["message_id"]])
        await until(lambda: ends == ["mine"], what="the handler cancelled")
        await until(lambda: _count(worker, "lease_lost"), what="counted")
    [entry] = client.xpending_range(redis_stream, redis_stream, "-", "+", 1)
    assert entry["consumer"] == b"thief"


async def test_the_lifespan_surrounds_all_jobs(env: Env, queue: Queue) -> None:
    events: list[str] = []
    begun = asyncio.Event()

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[str]:
        events.append("open")
        yield "client"
        events.append("close")

    worker = Worker(lifespan=lifespan, health_port=0, metrics_port=0, env=env())

    @worker.job("work")
    async def work(job: Job) -> None:
        begun.set()
        await asyncio.sleep(0.1)
        events.append(job.context)

    async with serving(worker):
        await queue.enqueue("work")
        await until(begun.is_set, what="the job running")
    assert events == ["open", "client", "close"]


async def test_two_workers_cannot_have_one_port(env: Env) -> None:
    worker = make_worker(env())
    async with serving(worker):
        await until(lambda: worker.health_port, what="a port")
        other = Worker(health_port=worker.health_port, metrics_port=0, env=env())
        other.job("nothing")(_nothing)
        with pytest.raises(ConfigurationError, match=str(worker.health_port)):
            await other.serve()


BLOCKING = """
import time
from workerpool import Worker
worker = Worker(health_port=0, metrics_port=0)
@worker.job("block")
async def block(job):
    time.sleep(job.payload)
worker.run()
"""


async def test_a_blocked_loop_is_told_by_the_health_server_and_nothing_else_is(
    env: Env, queue: Queue, redis_server: RedisServer, tmp_path: Path
) -> None:
    """The health server answers although the loop does not; it recovers with the loop."""
    program = tmp_path / "program.py"
    program.write_text(BLOCKING)
    worker = WorkerProcess(program, env(STUCK_AFTER="1"), log=tmp_path / "log")
    try:
        worker.wait_ready()
        await until(lambda: worker.get("health", "/healthz") == (200, "ok\n"), what="a loop that turns")
        assert (await asyncio.to_thread(worker.get, "health", "/ready"))[0] == 200
        await queue.enqueue("block", 12)

        def noticed() -> bool:
            status, text = worker.get("health", "/healthz")
            return status == 503 and "event loop" in text

        await until(noticed, what="the blocked loop noticed")
        await until(lambda: worker.get("health", "/healthz")[0] == 200, what="the loop back")
        redis_server.client()  # the broker's health is another matter
        worker.signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait) == 0
    finally:
        worker.end()


async def test_liveness_does_not_depend_on_the_broker(tmp_path: Path, redis_stream: str) -> None:
    with RedisServer(tmp_path / "redis") as server:
        worker = make_worker(environment(server, redis_stream, STUCK_AFTER="6"))
        async with serving(worker):
            await until(lambda: worker.health_port, what="a port")
            server.kill()
            loop = asyncio.get_running_loop()
            end = loop.time() + 9
            while loop.time() < end:
                assert await asyncio.to_thread(_health, worker) == 200
            server.start()


async def test_a_queue_in_memory_runs_a_worker_outside_a_pool() -> None:
    queue = Queue.connect("memory://")
    worker = Worker(queue, health_port=0, metrics_port=0, env={"HEARTBEAT_INTERVAL": "0.1"})
    done: list[Any] = []

    @worker.job("work")
    async def work(job: Job) -> None:
        done.append(job.payload)

    async with serving(worker):
        await queue.enqueue_many([JobSpec("work", number) for number in range(50)])
        await until(lambda: sorted(done) == list(range(50)), what="all done")
        await until(lambda: "queue_depth" in _text(worker), what="the depth, which no collector exports here")
    await queue.close()


async def test_a_queue_in_a_file_survives_its_worker(tmp_path: Path) -> None:
    url, done = f"sqlite:///{tmp_path}/jobs.db", []
    async with Queue.connect(url) as queue:
        await queue.enqueue("work", 1)
        worker = Worker(url, health_port=0, metrics_port=0, env={})

        @worker.job("work")
        async def work(job: Job) -> None:
            done.append(job.payload)

        async with serving(worker):
            await until(lambda: done == [1], what="the job done")
        assert (await queue.depth()).in_flight == 0


async def _nothing(job: Job) -> None:
    pass


def _dead(server: RedisServer, stream: str) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in server.client().xrange(f"{{{stream}}}:dead")]


def _pending(client: Any, stream: str) -> bool:
    return (
        bool(client.exists(stream) and client.xinfo_groups(stream)) and client.xpending(stream, stream)["pending"] == 1
    )


async def _settled(queue: Queue, *, dead: int = 0) -> bool:
    depth = await queue.depth()
    return depth.unfinished == 0 and depth.dead_letters == dead


async def _count(worker: Worker, reason: str) -> bool:
    figures = await asyncio.to_thread(_metrics, worker)
    return figures[f'jobs_failed_total{{lane="io",pool="pool",reason="{reason}",version="v1"}}'] == 1


def _text(worker: Worker) -> str:
    return _get(worker.metrics_port, "/metrics")[1]


def _metrics(worker: Worker) -> dict[str, float]:
    lines = [line for line in _text(worker).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def _health(worker: Worker) -> int:
    return _get(worker.health_port, "/healthz")[0]


def _get(port: int, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
        return answer.status, answer.read().decode()

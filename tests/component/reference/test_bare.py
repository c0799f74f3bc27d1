"""The worker without the SDK keeps the contract: health, metrics, drain, leases, the same stream as everyone."""

import asyncio
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.cluster.ports import free_ports
from tests.component.sdk.running import environment, make_worker, serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import Job, JobSpec, Queue

pytestmark = [pytest.mark.component, pytest.mark.redis]

PROGRAM = Path(__file__).parents[3] / "workers" / "reference" / "bare" / "worker.py"

Start = Callable[..., WorkerProcess]


@pytest.fixture
def ports() -> tuple[int, int]:
    health, metrics = free_ports(2)
    return health, metrics


@pytest.fixture
def start(redis_server: RedisServer, redis_stream: str, tmp_path: Path, ports: tuple[int, int]) -> Iterator[Start]:
    started: list[WorkerProcess] = []

    def start_one(**more: str) -> WorkerProcess:
        env = environment(redis_server, redis_stream, HEALTH_PORT=str(ports[0]), METRICS_PORT=str(ports[1]))
        log = tmp_path / f"bare-{len(started)}.log"
        started.append(WorkerProcess(PROGRAM, env | {"LEASE_SECONDS": "1"} | more, log=log))
        return started[-1].wait_ready()

    yield start_one
    for worker in started:
        worker.end()


async def test_told_to_stop_while_it_loads_it_ends_at_once(tmp_path: Path) -> None:
    """By itself: the first process of a container has no default for SIGTERM, it would go on and take jobs."""
    os.mkfifo(tmp_path / "gate")
    (tmp_path / "redis.py").write_text(f"print('loads', flush=True)\nopen({str(tmp_path / 'gate')!r})")
    worker = WorkerProcess(PROGRAM, {"PYTHONPATH": str(tmp_path)}, log=tmp_path / "log")
    try:
        await until(lambda: "loads" in worker.output, what="its imports")
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
    finally:
        worker.end()


async def test_it_does_jobs_tells_its_figures_and_drains(start: Start, queue: Queue, ports: tuple[int, int]) -> None:
    worker = start(LEASE_SECONDS="30", DRAIN_TIMEOUT="30")
    await queue.enqueue_many([JobSpec("sleep", {"seconds": 0.01})] * 30)
    await until(lambda: settled(queue), what="30 jobs done")
    await queue.enqueue("sleep", {"seconds": 9.0})
    await until(lambda: in_flight(queue, 1), what="a job running")
    assert await asyncio.to_thread(get, ports[0], "/healthz") == (200, "")
    assert (await asyncio.to_thread(get, ports[0], "/ready"))[0] == 200
    worker.signal(signal.SIGTERM)
    await until(lambda: get(ports[0], "/ready")[0] == 503, what="not ready while it drains")
    await until(lambda: '"draining"' in worker.output, what="the last take over")
    await queue.enqueue("sleep", {"seconds": 0})
    await until(lambda: '"drained"' in worker.output, what="the drain")
    figures = (await asyncio.to_thread(get, ports[1], "/metrics"))[1]
    assert 'jobs_processed_total{lane="io",pool="pool",version="v1"} 31.0' in figures
    assert 'worker_jobs_in_progress{lane="io",pool="pool",version="v1"} 0.0' in figures
    assert worker.wait(scrape=False) == 0
    depth = await queue.depth()
    assert (depth.waiting, depth.in_flight) == (1, 0)


async def test_its_jobs_come_back_to_workers_with_the_sdk(
    start: Start, queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    bare, done = start(LEASE_SECONDS="7"), []  # not over when the bare worker stands still
    await queue.enqueue_many([JobSpec("sleep", {"seconds": 60}, job_id=f"j-{n}") for n in range(5)])
    await until(lambda: in_flight(queue, 5), what="the jobs running")
    worker = make_worker(environment(redis_server, redis_stream, LEASE_SECONDS="0.5", WORKERPOOL_POD="sdk"))

    @worker.job("sleep")
    async def sleep(job: Job) -> None:
        done.append((job.id, job.attempt))

    async with serving(worker):
        await asyncio.sleep(9)
        assert done == [], "the bare worker's leases were not kept, or not respected"
        bare.kill()
        await until(lambda: len(done) == 5, what="the jobs done by the other worker")
    assert sorted(done) == [(f"j-{n}", 2) for n in range(5)]


async def test_it_takes_over_jobs_of_workers_that_died(
    start: Start, queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    client = redis_server.client()
    client.xgroup_create(redis_stream, redis_stream, id="0", mkstream=True)
    await queue.enqueue("sleep", {"seconds": 0})
    client.xreadgroup(redis_stream, "dead-worker", {redis_stream: ">"}, count=1)
    start()
    await until(lambda: settled(queue), what="the orphan done")


async def test_what_it_cannot_do_goes_to_the_dead_letters(
    start: Start, queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    client = redis_server.client()
    worker = start()
    for fields in ({"hello": "world"}, {"type": "sleep", "payload": "{"}, {"type": "sleep", "payload": "[]"}):
        client.xadd(redis_stream, fields)
    await until(lambda: settled(queue), what="all settled")
    letters = client.xrange(f"{{{redis_stream}}}:dead")
    assert len(letters) == 3
    assert all(fields[b"dead.reason"] == b"rejected" for _, fields in letters)
    assert worker.alive


def test_a_missing_variable_is_named(tmp_path: Path) -> None:
    worker = WorkerProcess(PROGRAM, {"WORKERPOOL_NAME": "p"}, log=tmp_path / "log")
    assert worker.wait() == 1
    assert "QUEUE_MAIN_STREAM is missing" in worker.output


async def settled(queue: Queue) -> bool:
    depth = await queue.depth()
    return depth.unfinished == 0


async def in_flight(queue: Queue, count: int) -> bool:
    return (await queue.depth()).in_flight == count


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()

"""Each figure of a worker moves when what it tells of happens. Those of jobs' ends are in test_worker.py."""

import asyncio
import json
import math
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import pytest

from tests.component.sdk.running import serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import Job, JobSpec, Queue, Worker

pytestmark = pytest.mark.component


@pytest.fixture
def queue() -> Queue:
    return Queue.connect("memory://")


def make(queue: Queue, **env: str) -> Worker:
    return Worker(queue, health_port=0, metrics_port=0, env={"HEARTBEAT_INTERVAL": "0.1", **env})


def page(worker: Worker) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.metrics_port}/metrics", timeout=20) as answer:
        text: str = answer.read().decode()
        return text


def figure(worker: Worker, name: str, **labels: str) -> float:
    """Sum of the series of this name with these labels; NaN when there is none."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = [line for line in page(worker).splitlines() if line.partition("{")[0].partition(" ")[0] == name]
    values = [float(line.rpartition(" ")[2]) for line in lines if all(one in line for one in wanted)]
    return sum(values) if values else math.nan


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    async with serving(worker):
        await until(lambda: worker.metrics_port, what="the port open")
        yield


async def sees(worker: Worker, name: str, right: Callable[[float], bool], **labels: str) -> None:
    async def seen() -> bool:
        return right(await asyncio.to_thread(figure, worker, name, **labels))

    await until(seen, what=f"{name} as it should be")


async def test_every_family_has_a_help_text(queue: Queue) -> None:
    worker = make(queue)
    worker.job("t")(_nothing)
    async with working(worker):
        lines = (await asyncio.to_thread(page, worker)).splitlines()
    helped = {line.split()[2]: line.split(maxsplit=3)[3] for line in lines if line.startswith("# HELP")}
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert helped.keys() == typed
    assert all(len(text) > 10 for text in helped.values())


async def test_first_attempts_that_are_slow_are_counted_once(queue: Queue) -> None:
    """By the worker's own measure, or by the handler's."""
    worker, tries = make(queue, SLOW_JOB_SECONDS="0.02", BACKOFF_SECONDS="0.001"), 0

    @worker.job("sleeps")
    async def sleeps(job: Job) -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.03)
        if job.attempt == 1:
            raise ValueError

    @worker.job("may", slow=30)
    async def may(job: Job) -> None:
        await asyncio.sleep(0.03)

    @worker.job("fast")
    async def fast(job: Job) -> None:
        pass

    async with working(worker):
        await queue.enqueue_many([JobSpec("sleeps"), JobSpec("may"), JobSpec("fast")])
        await sees(worker, "jobs_processed_total", lambda count: count == 3)
        assert tries == 2
        assert await asyncio.to_thread(figure, worker, "jobs_first_slow_total") == 1
        assert await asyncio.to_thread(figure, worker, "jobs_first_attempts_total") == 3


async def test_the_start_of_a_process_is_not_a_jobs_time(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first jobs of each new version in the cpu lane would be slow, and its canary be judged by that."""
    loading = 'if "workerpool.runtime.lanes.child" in sys.modules:\n    time.sleep(1.5)'
    (tmp_path / "slow_to_load.py").write_text(f"import sys, time\n{loading}\ndef handler(job): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    worker = make(queue, SLOW_JOB_SECONDS="1.4")
    worker.job("job", kind="cpu")(import_module("slow_to_load").handler)
    began = time.monotonic()
    async with working(worker):
        await queue.enqueue("job")
        await sees(worker, "jobs_processed_total", lambda count: count == 1)
        assert time.monotonic() - began > 1.5
        assert await asyncio.to_thread(figure, worker, "job_processing_seconds_sum") < 1.4
        assert await asyncio.to_thread(figure, worker, "jobs_first_slow_total") == 0


async def test_a_job_that_is_taken_over_is_counted(queue: Queue) -> None:
    dead = queue.source.connect(lease_seconds=0.05)
    await queue.enqueue("t")
    assert len(await dead.take(limit=1, wait=0)) == 1
    worker = make(queue)
    worker.job("t")(_nothing)
    async with working(worker):
        await sees(worker, "jobs_redelivered_total", lambda count: count == 1)
        await sees(worker, "jobs_processed_total", lambda count: count == 1)


@pytest.mark.parametrize("lane", ["thread", "cpu"])
async def test_threads_and_processes_are_told_by_what_they_do(queue: Queue, lane: str, tmp_path: Path) -> None:
    worker, go = make(queue), tmp_path / "go"
    worker.job("job", kind=lane)(_wait)
    async with working(worker):
        assert await asyncio.to_thread(figure, worker, "worker_pool_threads", lane=lane) == 0
        await queue.enqueue("job", str(go))
        await sees(worker, "worker_pool_threads", lambda count: count == 1, lane=lane, state="busy")
        await sees(worker, "worker_jobs_in_progress", lambda count: count == 1, lane=lane)
        go.touch()
        await sees(worker, "worker_pool_threads", lambda count: count == 1, lane=lane, state="idle")
        await sees(worker, "worker_jobs_in_progress", lambda count: count == 0, lane=lane)
        assert await asyncio.to_thread(figure, worker, "worker_pool_threads", state="busy") == 0


async def test_the_worker_tells_that_it_lives_and_when_it_last_finished_a_job(queue: Queue) -> None:
    before = time.time()
    worker = make(queue)
    worker.job("t")(_nothing)
    async with working(worker):
        beat = await asyncio.to_thread(figure, worker, "worker_heartbeat_unixtime")
        progress = await asyncio.to_thread(figure, worker, "worker_last_progress_unixtime")
        assert before <= beat <= time.time()
        await sees(worker, "worker_heartbeat_unixtime", lambda value: beat < value <= time.time())
        assert await asyncio.to_thread(figure, worker, "worker_last_progress_unixtime") == progress, "nothing was done"
        await queue.enqueue("t")
        await sees(worker, "worker_last_progress_unixtime", lambda value: progress < value <= time.time())


async def test_what_it_uses_is_told(queue: Queue) -> None:
    worker, seen = make(queue), asyncio.Event()

    @worker.job("burn")
    async def burn(job: Job) -> None:
        while not seen.is_set():
            until_ = time.thread_time() + 0.05
            while time.thread_time() < until_:
                pass
            await asyncio.sleep(0)

    async with working(worker):
        await sees(worker, "worker_memory_bytes", lambda value: value > 10_000_000)
        await sees(worker, "worker_context_switches_total", lambda value: value > 0)
        switches = await asyncio.to_thread(figure, worker, "worker_context_switches_total")
        await sees(worker, "worker_context_switches_total", lambda value: value > switches)
        await queue.enqueue("burn")
        await sees(worker, "worker_cpu_percent", lambda value: value > 30)
        seen.set()
        await sees(worker, "worker_loop_lag_seconds", lambda value: value < 0.1)


async def test_outside_a_pool_the_depth_is_told(queue: Queue) -> None:
    worker = make(queue)
    worker.job("t")(_nothing)
    async with working(worker):
        await queue.enqueue("t", delay=0.01)
        await sees(worker, "queue_depth", lambda count: count == 0, queue="main")


@pytest.mark.redis
async def test_a_drain_leaves_its_length_and_the_totals(
    redis_server: RedisServer, redis_stream: str, tmp_path: Path
) -> None:
    """The length in the metrics, which outlast it; the totals where Kubernetes keeps a container's last words."""
    program, words = tmp_path / "program.py", tmp_path / "termination-log"
    words.touch()
    program.write_text(f"""
import asyncio, pathlib
import workerpool.runtime.last_figures
from workerpool import Job, Worker
workerpool.runtime.last_figures.TERMINATION_LOG = pathlib.Path({str(words)!r})
worker = Worker(health_port=0, metrics_port=0)
@worker.job("t")
async def t(job: Job) -> None:
    await asyncio.sleep(job.payload)
worker.run()
""")
    env = {"WORKERPOOL_NAME": "pool", "QUEUE_MAIN_URL": redis_server.url, "QUEUE_MAIN_STREAM": redis_stream}
    worker = WorkerProcess(program, env, log=tmp_path / "log").wait_ready()
    try:
        async with Queue.connect(redis_server.url, stream=redis_stream) as queue:
            await queue.enqueue_many([JobSpec("t", 0.0), JobSpec("t", 0.0), JobSpec("t", 6.0)])

            async def under_way() -> bool:
                return "jobs_processed_total" in (text := worker.get("metrics", "/metrics")[1]) and any(
                    line.startswith("jobs_processed_total") and line.endswith(" 2.0") for line in text.splitlines()
                )

            await until(under_way, what="two done, one running")
        worker.signal(signal.SIGTERM)
        await until(lambda: '"drained"' in worker.output, what="the drain over")
        await until(words.read_text, what="last words")
        text = worker.get("metrics", "/metrics")[1]
        assert worker.wait() == 0
    finally:
        worker.end()
    [drain] = [line for line in text.splitlines() if line.startswith("worker_drain_seconds")]
    assert 0 < float(drain.rpartition(" ")[2]) < 20
    totals = json.loads(words.read_text())
    assert (totals["started"], totals["processed"], totals["failed"], totals["interrupted"]) == (3, 3, 0, 0)


async def _nothing(job: Job) -> None:
    pass


def _wait(job: Job) -> None:
    """Until this file is there."""
    end = time.monotonic() + 60
    while not Path(job.payload).exists() and time.monotonic() < end:
        time.sleep(0.01)

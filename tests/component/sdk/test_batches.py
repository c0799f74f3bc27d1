"""Batches in real processes that are killed, on real brokers."""

import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import Batch, Job, JobSpec, Queue

pytestmark = [pytest.mark.component, pytest.mark.redis]
PROGRAM = Path(__file__).with_name("batch_program.py")


class Stage:
    """A queue, its workers, and what they recorded."""

    def __init__(self, env: dict[str, str], queue: Queue, folder: Path) -> None:
        self._env = env
        self._folder = folder
        self.queue = queue
        self.workers: list[WorkerProcess] = []
        self.effects = folder / "effects.db"

    def start(self, **env: str) -> WorkerProcess:
        said = {
            **self._env,
            "MAX_WORKERS": "60",
            "LEASE_SECONDS": "1",
            "BACKOFF_SECONDS": "0.01",
            "RECORD": str(self._folder / "record"),
            "EFFECTS": str(self.effects),
            **env,
        }
        log = self._folder / f"worker-{len(self.workers)}.log"
        self.workers.append(WorkerProcess(PROGRAM, said, log=log))
        return self.workers[-1]

    async def enqueue(self, type_: str, *payloads: str) -> None:
        """Their ids are their places."""
        await self.queue.enqueue_many([JobSpec(type_, one, job_id=str(at)) for at, one in enumerate(payloads)])

    @property
    def lines(self) -> list[list[Any]]:
        file = self._folder / "record"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def calls(self) -> list[tuple[int, list[str]]]:
        """Process and jobs."""
        return [(line[0], line[1]) for line in self.lines if isinstance(line[0], int)]

    @property
    def done(self) -> list[str]:
        return sorted((line[1] for line in self.lines if line[0] == "done"), key=int)

    async def finished(self) -> bool:
        depth = await self.queue.depth()
        return depth.unfinished == 0


@pytest_asyncio.fixture(params=["redis", "sqlite"])
async def stage(
    request: pytest.FixtureRequest, redis_server: RedisServer, redis_stream: str, tmp_path: Path
) -> AsyncIterator[Stage]:
    url = redis_server.url if request.param == "redis" else f"sqlite:///{tmp_path / 'jobs.db'}"
    env = {"QUEUE_MAIN_URL": url, "QUEUE_MAIN_STREAM": redis_stream}
    async with Queue.connect(url, stream=redis_stream) as queue:
        stage = Stage(env, queue, tmp_path)
        yield stage
        for worker in stage.workers:
            worker.end()


@pytest.mark.parametrize("lane", ["io", "cpu"])
async def test_kill_9_in_the_middle_of_a_batch_loses_no_job(stage: Stage, lane: str) -> None:
    await stage.enqueue(lane, *["hang"] * 20)
    victim = stage.start()
    await until(lambda: [len(ids) for _, ids in stage.calls] == [20], what="a batch of 20 at work")
    victim.kill()
    stage.start()
    await until(stage.finished, what="all jobs done", seconds=60)
    assert stage.done == [str(number) for number in range(20)], "each of them, and none twice"
    assert [len(ids) for _, ids in stage.calls[1:]] == [1] * 20, "who may have killed a worker is done alone"
    assert await stage.queue.dead_letters() == []


async def test_a_job_that_kills_its_worker_takes_no_other_job_with_it_for_good(stage: Stage) -> None:
    await stage.enqueue("io", *["kill" if number == 7 else "" for number in range(20)])
    for _ in range(2):
        worker = stage.start(MAX_ATTEMPTS="2")
        await until(lambda worker=worker: not worker.alive, what="its death", seconds=60)  # type: ignore[misc]
    stage.start(MAX_ATTEMPTS="2")
    await until(stage.finished, what="all jobs ended", seconds=60)
    assert set(stage.done) == {str(number) for number in range(20)} - {"7"}
    assert [letter.job_id for letter in await stage.queue.dead_letters()] == ["7"]


@pytest.mark.parametrize("stage", ["redis"], indirect=True)
async def test_a_job_that_kills_its_process_is_found_and_costs_no_other_job_an_attempt(stage: Stage) -> None:
    await stage.enqueue("cpu", *["kill" if number == 7 else "" for number in range(20)])
    stage.start(MAX_ATTEMPTS="1")
    await until(stage.finished, what="all jobs ended", seconds=60)
    assert set(stage.done) == {str(number) for number in range(20)} - {"7"}
    [letter] = await stage.queue.dead_letters()
    assert (letter.job_id, letter.attempts) == ("7", 1)
    assert "SIGKILL" in letter.error


@pytest.mark.parametrize("stage", ["redis"], indirect=True)
@pytest.mark.parametrize("lane", ["thread", "cpu"])
async def test_each_job_of_a_batch_has_its_own_fate_checkpoint_and_mark(stage: Stage, lane: str) -> None:
    with sqlite3.connect(stage.effects) as effects:
        effects.execute("CREATE TABLE effects (id TEXT)")
    await stage.enqueue(lane, "", "fail", "reject", "fail-once", "once", "once")
    worker = stage.start(MAX_ATTEMPTS="2")
    await until(stage.finished, what="all jobs ended", seconds=60)
    assert stage.calls[0][1] == ["0", "1", "2", "3", "4", "5"], "in one process, at once"
    letters = {one.job_id: (one.reason, one.attempts, one.error) for one in await stage.queue.dead_letters()}
    assert letters == {"1": ("max_attempts", 2, "as asked"), "2": ("rejected", 1, "RejectJob: as asked")}
    assert ["resumed", "3", {"half": "way"}] in stage.lines
    assert sqlite3.connect(stage.effects).execute("SELECT id FROM effects ORDER BY id").fetchall() == [("4",), ("5",)]
    assert "ValueError: half way" in worker.output


@pytest.mark.parametrize("stage", ["redis"], indirect=True)
async def test_a_drain_ends_with_the_batch_that_is_gathered(stage: Stage) -> None:
    worker = stage.start().wait_ready()
    await stage.enqueue("io", *[""] * 7)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    depth = await stage.queue.depth()
    assert depth.in_flight == 0
    assert len(stage.done) + depth.waiting == 7


async def test_who_lost_the_lease_of_one_job_goes_on_with_the_others(
    redis_server: RedisServer, redis_stream: str, queue: Queue
) -> None:
    client = redis_server.client()
    told: list[list[str]] = []
    worker = make_worker(environment(redis_server, redis_stream, LEASE_SECONDS="0.6", MAX_ATTEMPTS="99"))

    @worker.job("bulk", timeout=60, batch=Batch(size=3))
    async def bulk(jobs: list[Job]) -> None:
        if len(jobs) == 3:
            entry = client.xpending_range(redis_stream, redis_stream, "-", "+", 9)[1]["message_id"]

            def told_of_it() -> bool:
                """Somebody extends its lease: else it is ours again, unnoticed, when this machine has stood still."""
                client.xclaim(redis_stream, redis_stream, "somebody", 0, [entry], justid=True)
                return any(job.cancelled for job in jobs)

            await until(told_of_it, what="the news")
        told.append([job.id for job in jobs if job.cancelled])

    await queue.enqueue_many([JobSpec("bulk", job_id=str(number)) for number in range(3)])
    async with serving(worker):
        await until(lambda: len(told) == 2, what="one of them again")
        await until(lambda: client.xpending(redis_stream, redis_stream)["pending"] == 0, what="all done")
    assert told == [["1"], []]

"""SAQ's adapter beside a worker that does with its hooks and its queue what SAQ's does; SAQ itself: e2e/adapters."""

import asyncio
import importlib.metadata
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from tests.support.adapted import ANY_PORT, ENV, asked, listening
from tests.support.collector import FakeCollector
from tests.support.waiting import until
from workerpool.adapters import saq
from workerpool.adapters.saq_sweep import Sweep
from workerpool.protocol import Settings
from workerpool.runtime import linking

pytestmark = pytest.mark.component


class Status(StrEnum):
    ACTIVE = "active"
    QUEUED = "queued"
    FAILED = "failed"
    COMPLETE = "complete"


class RedisQueue:
    """Named as SAQ's is."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[Any] = asyncio.Queue()
        self.asked = 0
        self.down = False
        self._cleanup_script: Any = None

    async def dequeue(self, *, timeout: float, poll_interval: float) -> Any:  # noqa: ASYNC109  SAQ's signature
        self.asked += 1
        if self.down:
            raise ConnectionError("refused")
        with suppress(TimeoutError):
            async with asyncio.timeout(min(timeout, 0.05 + poll_interval)):
                return await self.waiting.get()
        return None

    async def count(self, _kind: str) -> int:
        if self.down:
            raise ConnectionError("refused")
        return self.waiting.qsize()

    async def sweep(self, _lock: int = 60) -> list[str]:
        return []


class Worker:
    """Its tasks, hooks and stop are SAQ's."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.queue = settings["queue"]
        self.functions = settings["functions"]
        self.concurrency = settings["concurrency"]
        self.event = asyncio.Event()
        self.tasks: set[asyncio.Task[Any]] = set()

    async def run(self) -> None:
        for hook in self.settings["startup"]:
            await hook({"worker": self})
        self.tasks.add(asyncio.create_task(self._upkeep()))
        for _ in range(self.concurrency):
            self._next()
        await self.event.wait()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for hook in self.settings["shutdown"]:
            await hook({"worker": self})

    def _next(self, previous: "asyncio.Task[Any] | None" = None) -> None:
        if previous is not None:
            self.tasks.discard(previous)
        if not self.event.is_set():
            task = asyncio.create_task(self._process(), name="process")
            self.tasks.add(task)
            task.add_done_callback(self._next)

    async def _process(self) -> None:
        job = await self.queue.dequeue(timeout=0.0, poll_interval=0.0)
        if job is None:
            return
        job.attempts += 1
        job.status = Status.ACTIVE
        for hook in self.settings["before_process"]:
            await hook({"worker": self, "job": job})
        await job.run()

    async def _upkeep(self) -> None:
        await self.queue.sweep()
        await asyncio.sleep(3600)


def _job(status: Status = Status.COMPLETE, *, error: str = "", attempts: int = 0, function: str = "work") -> Any:
    job = SimpleNamespace(function=function, attempts=attempts, timeout=10, status=Status.QUEUED, error=None)
    job.go = asyncio.Event()

    async def run() -> None:
        await job.go.wait()
        job.status, job.error = status, error

    job.run = run
    return job


@pytest.fixture(autouse=True)
def _saq_is_installed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(importlib.metadata, "version", {"saq": "0.26.4"}.__getitem__)
    monkeypatch.setattr(linking, "AFTER_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(sys, "argv", ["saq", "app.settings"])
    caplog.set_level("INFO")


@pytest_asyncio.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as collector:
        yield collector


class Running:
    """A worker with its adapter, and its ports."""

    def __init__(self, queue: RedisQueue, collector: FakeCollector, caplog: pytest.LogCaptureFixture) -> None:
        self.queue, self.collector, self._caplog = queue, collector, caplog
        self._ports = (0, 0)
        settings: dict[str, Any] = {"queue": queue, "functions": {"work"}, "concurrency": 2, "startup": self._prepare}
        self.prepared = asyncio.Event()
        saq.install(settings, env={**ENV, "WORKERPOOL_COLLECTOR": collector.address}, **ANY_PORT)
        self.worker = Worker(settings)
        self.task = asyncio.create_task(self.worker.run())

    async def _prepare(self, _context: Any) -> None:
        await self.prepared.wait()

    async def listens(self) -> None:
        await until(lambda: "listening" in self._caplog.text, what="the ports open")
        self._ports = listening(self._caplog)

    async def get(self, path: str) -> tuple[int, str]:
        return await asked(self._ports[path == "/metrics"], path)

    async def ready(self) -> bool:
        return (await self.get("/ready"))[0] == 200

    async def stop(self) -> None:
        """As SIGTERM does; scraped, for which it stays."""
        self.worker.event.set()
        while not self.task.done():
            with suppress(OSError):
                await self.get("/metrics")
            await asyncio.sleep(0.01)
        await self.task


@pytest_asyncio.fixture
async def running(collector: FakeCollector, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Running]:
    running = Running(RedisQueue(), collector, caplog)
    await running.listens()
    yield running
    running.prepared.set()
    await running.stop()


def test_outside_a_pool_nothing_is_changed() -> None:
    settings: dict[str, Any] = {"functions": []}
    saq.install(settings, env={})
    assert settings == {"functions": []}


async def test_it_is_ready_when_its_hooks_have_run_and_the_broker_has_answered(running: Running) -> None:
    running.queue.down = True
    assert not await running.ready()
    running.prepared.set()
    report = await running.collector.report_where(lambda report: report.paused)
    assert report.paused == "broker: ConnectionError"
    assert not await running.ready()
    running.queue.down = False
    await until(running.ready, what="the worker ready")


async def test_a_broker_that_is_lost_is_told_and_asked_calmly(running: Running) -> None:
    running.prepared.set()
    await until(running.ready, what="the worker ready")
    running.queue.down = True
    await running.collector.report_where(lambda report: report.paused == "broker: ConnectionError")
    asked = running.queue.asked
    await running.collector.report_where(lambda report: report.paused)
    assert running.queue.asked <= asked + 2
    running.queue.down = False
    await running.collector.report_where(lambda report: not report.paused)
    job = _job()
    job.go.set()
    running.queue.waiting.put_nowait(job)
    await running.collector.report_where(lambda report: report.counters.processed == 1)


async def test_its_sweeps_look_twice(running: Running) -> None:
    running.prepared.set()
    await until(running.ready, what="the worker ready")
    assert isinstance(running.queue._cleanup_script, Sweep)


async def test_jobs_are_counted_by_what_became_of_them(running: Running) -> None:
    running.prepared.set()
    for job in (
        _job(),
        _job(Status.QUEUED, error="Traceback\nValueError: no"),
        _job(Status.FAILED, error="Traceback\nTimeoutError", attempts=4),
        _job(Status.FAILED, error="KeyError", function="unheard of"),
        _job(Status.ACTIVE),
    ):
        job.go.set()
        running.queue.waiting.put_nowait(job)
    report = await running.collector.report_where(lambda report: report.counters.started == 5 and not report.in_flight)
    counters = report.counters
    assert (counters.processed, counters.failed, counters.first_attempts, counters.first_failures) == (1, 4, 4, 3)
    _, text = await running.get("/metrics")
    for reason in ("error", "timeout", "unknown_type", "lease_lost"):
        assert f'jobs_failed_total{{lane="io",pool="pool",reason="{reason}",version="v1"}} 1.0' in text


async def test_behind_a_fence_nothing_is_asked_for_and_what_came_is_in_flight(running: Running) -> None:
    running.prepared.set()
    held = _job()
    running.queue.waiting.put_nowait(held)
    await running.collector.report_where(lambda report: report.in_flight == 1)
    await running.collector.send(Settings(fence="f"))
    report = await running.collector.report_where(lambda report: report.fence == "f")
    assert report.in_flight == 1
    asked = running.queue.asked
    running.queue.waiting.put_nowait(_job())
    held.go.set()
    await running.collector.report_where(lambda report: report.in_flight == 0)
    assert (running.queue.asked, running.queue.waiting.qsize()) == (asked, 1)
    running.queue.waiting.get_nowait()
    await running.collector.send(Settings(fence=""))
    await until(lambda: running.queue.asked > asked, what="the queue asked again")


async def test_a_drain_waits_for_the_jobs_and_for_nothing_else(running: Running) -> None:
    running.prepared.set()
    job = _job()
    running.queue.waiting.put_nowait(job)
    await running.collector.report_where(lambda report: report.in_flight == 1)
    running.worker.event.set()
    report = await running.collector.report_where(lambda report: report.draining)
    assert report.in_flight == 1
    assert not await running.ready()
    job.go.set()
    await running.stop()
    [words] = running.collector.last_words
    assert (words.interrupted, words.counters.processed) == (0, 1)


async def test_what_saq_cancels_at_the_end_of_a_drain_is_told_as_interrupted(running: Running) -> None:
    running.prepared.set()
    job = _job(Status.QUEUED, error="cancelled")
    running.queue.waiting.put_nowait(job)
    await running.collector.report_where(lambda report: report.in_flight == 1)
    job.go.set()
    await running.stop()
    [words] = running.collector.last_words
    assert (words.interrupted, words.counters.handed_back, words.counters.failed) == (1, 1, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda worker, patch: setattr(worker, "queue", SimpleNamespace()), "SimpleNamespace is not supported"),
        (lambda worker, patch: patch.setattr(sys, "argv", ["saq", "app.settings", "--workers", "2"]), "several"),
    ],
)
async def test_a_worker_that_could_not_keep_the_contract_ends_with_a_reason(
    change: Callable[[Any, pytest.MonkeyPatch], None],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings: dict[str, Any] = {"queue": RedisQueue(), "functions": [], "concurrency": 2}
    saq.install(settings, env=ENV, **ANY_PORT)
    worker = Worker(settings)
    change(worker, monkeypatch)
    with pytest.raises(SystemExit, match="2"):
        await settings["startup"][0]({"worker": worker})
    assert said in caplog.text


def test_what_cannot_be_adapted_is_said_when_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SystemExit, match="2"):
        saq.install(dict, env=ENV)  # type: ignore[arg-type]
    assert "as a dictionary" in caplog.text
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.12.1")
    with pytest.raises(SystemExit, match="2"):
        saq.install({}, env=ENV)
    assert "install saq>=0.26" in caplog.text
    with pytest.raises(SystemExit, match="2"):
        saq.install({}, env={**ENV, "MAX_WORKERS": "many"})
    assert "MAX_WORKERS" in caplog.text

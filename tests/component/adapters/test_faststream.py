"""FastStream's adapter beside an app that does what FastStream's does; FastStream itself: e2e/adapters."""

import asyncio
import importlib.metadata
import multiprocessing
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from tests.support.adapted import ANY_PORT, ENV, asked, listening
from tests.support.collector import FakeCollector
from tests.support.waiting import until
from workerpool.adapters import faststream
from workerpool.protocol import Settings
from workerpool.runtime import linking

pytestmark = pytest.mark.component

STREAM, GROUP = "jobs", "workers"


class BaseMiddleware:
    """Its hooks are FastStream's."""

    def __init__(self, msg: Any) -> None:
        self.msg = msg


class Client:
    """A stream with one group. An entry's id is what it says."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.abandoned: list[bytes] = []
        self.acked: list[bytes] = []
        self.added: list[bytes] = []
        self.asked = 0
        self.down = False

    def _answer(self) -> None:
        self.asked += 1
        if self.down:
            raise ConnectionError("refused")

    async def ping(self) -> None:
        self._answer()

    async def xreadgroup(self, *, groupname: str, count: int | None, block: int, **_: Any) -> Any:
        self._answer()
        entries, self.waiting = self.waiting[:count], self.waiting[count:]
        if not entries:
            await asyncio.sleep(0.01)
            return []
        return [(STREAM.encode(), [(entry, {b"data": entry}) for entry in entries])]

    async def xautoclaim(self, *, name: str, groupname: str, **_: Any) -> Any:
        self._answer()
        entries, self.abandoned = self.abandoned, []
        return b"0-0", [(entry, {b"data": entry}) for entry in entries], []

    async def xack(self, _name: str, _group: str, *ids: bytes) -> None:
        self._answer()
        self.acked.extend(ids)

    @asynccontextmanager
    async def pipeline(self, *, transaction: bool) -> AsyncIterator[Any]:
        assert transaction

        async def execute() -> None:
            self._answer()

        yield SimpleNamespace(
            xadd=lambda _, fields: self.added.append(fields[b"data"]),
            xack=lambda _, __, message_id: self.acked.append(message_id),
            execute=execute,
        )


class Subscriber:
    """With `max_workers`: new messages, each in a task; without: abandoned ones, one after the other."""

    def __init__(self, broker: "RedisBroker", **settings: Any) -> None:
        self.broker = broker
        if "max_workers" in settings:
            self.max_workers = settings.pop("max_workers")
        defaults = {"group": GROUP, "consumer": "me", "no_ack": False, "last_id": ">", "claim_min_idle_time": None}
        self.stream_sub = SimpleNamespace(**{**defaults, "min_idle_time": None, **settings})
        self.running = True
        self.tasks: set[asyncio.Task[None]] = set()

    async def consume(self) -> None:
        slots = asyncio.Semaphore(getattr(self, "max_workers", 1))
        while self.running:
            with suppress(ConnectionError):
                for message_id in await self._read():
                    if self.stream_sub.min_idle_time:
                        await self._handle(message_id)
                    else:
                        await slots.acquire()
                        task = asyncio.create_task(self._handle(message_id))
                        task.add_done_callback(lambda _: slots.release())
                        self.tasks.add(task)
            await asyncio.sleep(0.01)

    async def _read(self) -> list[bytes]:
        client = self.broker.client
        if self.stream_sub.min_idle_time:
            return [entry for entry, _ in (await client.xautoclaim(name=STREAM, groupname=GROUP))[1]]
        answer = await client.xreadgroup(groupname=GROUP, count=None, block=10)
        return [entry for _, entries in answer for entry, _ in entries]

    async def _handle(self, message_id: bytes) -> None:
        if not self.running:
            return
        middleware = self.broker.middleware({"channel": STREAM, "message_ids": [message_id]})
        await middleware.on_receive()
        await self.broker.go[message_id].wait()
        error = ValueError() if message_id.startswith(b"fails") else None
        await middleware.after_processed(type(error), error, None)
        if error is None:
            await self.broker.client.xack(STREAM, GROUP, message_id)


class RedisBroker:
    """Named as FastStream's is."""

    def __init__(self) -> None:
        self.client = Client()
        self.subscribers = [Subscriber(self, max_workers=2), Subscriber(self, min_idle_time=10_000)]
        self.go: defaultdict[bytes, asyncio.Event] = defaultdict(asyncio.Event)
        self.middleware: Any = None

    async def connect(self) -> Client:
        return self.client

    def add_middleware(self, middleware: Any) -> None:
        self.middleware = middleware


class App:
    """Its hooks run as FastStream's do."""

    def __init__(self) -> None:
        self.broker = RedisBroker()
        self.brokers = [self.broker]
        self.hooks: dict[str, Callable[[], Any]] = {}
        self.exit = asyncio.Event()
        for name in ("on_startup", "after_startup", "on_shutdown", "after_shutdown"):
            setattr(self, name, lambda hook, name=name: self.hooks.update({name: hook}))

    async def run(self) -> None:
        await self.hooks["on_startup"]()
        consuming = [asyncio.create_task(subscriber.consume()) for subscriber in self.broker.subscribers]
        await self.hooks["after_startup"]()
        await self.exit.wait()
        await self.hooks["on_shutdown"]()
        for task in consuming:
            task.cancel()
        await self.hooks["after_shutdown"]()


@pytest.fixture(autouse=True)
def _faststream_is_installed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "faststream", SimpleNamespace(BaseMiddleware=BaseMiddleware))
    monkeypatch.setattr(importlib.metadata, "version", {"faststream": "0.7.8"}.__getitem__)
    monkeypatch.setattr(linking, "AFTER_SECONDS", (0.0, 0.0))
    caplog.set_level("INFO")


@pytest_asyncio.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as collector:
        yield collector


class Running:
    """A worker with its adapter, and its ports."""

    def __init__(self, collector: FakeCollector) -> None:
        self.collector = collector
        self.app = App()
        self.broker, self.client = self.app.broker, self.app.broker.client
        faststream.install(self.app, env={**ENV, "WORKERPOOL_COLLECTOR": collector.address}, **ANY_PORT)
        self.ports = (0, 0)
        self.task: asyncio.Task[None] | None = None

    async def start(self, caplog: pytest.LogCaptureFixture) -> None:
        self.task = asyncio.create_task(self.app.run())
        await until(lambda: "listening" in caplog.text, what="the ports open")
        self.ports = listening(caplog)

    async def ready(self) -> bool:
        return (await asked(self.ports[0], "/ready"))[0] == 200

    async def stop(self) -> None:
        """As SIGTERM does; scraped, for which it stays."""
        self.app.exit.set()
        assert self.task is not None
        while not self.task.done():
            with suppress(OSError):
                await asked(self.ports[1], "/metrics")
            await asyncio.sleep(0.01)
        await self.task


@pytest_asyncio.fixture
async def running(collector: FakeCollector) -> AsyncIterator[Running]:
    running = Running(collector)
    yield running
    if running.task is not None:
        for event in running.broker.go.values():
            event.set()
        await running.stop()


async def test_it_waits_for_the_broker_and_is_ready_then(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.client.down = True
    await running.start(caplog)
    report = await running.collector.report_where(lambda report: report.paused)
    assert report.paused == "broker: ConnectionError"
    assert not await running.ready()
    running.client.down = False
    await until(running.ready, what="the worker ready")
    running.client.down = True
    await running.collector.report_where(lambda report: report.paused == "broker: ConnectionError")
    running.client.down = False
    await running.collector.report_where(lambda report: not report.paused)


async def test_messages_are_counted_by_what_became_of_them(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    await running.start(caplog)
    for message_id in (b"1", b"2", b"fails-1", b"abandoned"):
        running.broker.go[message_id].set()
    running.client.waiting = [b"1", b"2", b"fails-1"]
    running.client.abandoned = [b"abandoned"]
    await running.collector.report_where(lambda report: report.counters.started == 4 and not report.in_flight)
    _, text = await asked(running.ports[1], "/metrics")
    labels = '{lane="io",pool="pool",version="v1"}'
    for name, value in (("processed", 3), ("retried", 1), ("first_attempts", 3), ("first_failures", 1)):
        assert f"jobs_{name}_total{labels} {value}.0" in text
    assert running.client.acked.count(b"fails-1") == 0


async def test_what_fails_and_nobody_claims_is_not_told_as_retried(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    del running.broker.subscribers[1]
    await running.start(caplog)
    assert "stays where it is" in caplog.text
    running.broker.go[b"fails-1"].set()
    running.client.waiting = [b"fails-1"]
    await running.collector.report_where(lambda report: report.counters.failed == 1)
    _, text = await asked(running.ports[1], "/metrics")
    assert 'jobs_retried_total{lane="io",pool="pool",version="v1"} 0.0' in text


async def test_all_that_was_fetched_is_in_flight_and_nothing_is_read_behind_a_fence(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await running.start(caplog)
    running.client.waiting = [b"1", b"2", b"3", b"4", b"5"]
    report = await running.collector.report_where(lambda report: report.in_flight == 4)  # two at work, two behind them
    assert (report.slots, running.client.waiting) == (2, [b"5"])
    await running.collector.send(Settings(fence="f"))
    await running.collector.report_where(lambda report: report.fence == "f")
    asked = running.client.asked
    for message_id in (b"1", b"2", b"3", b"4", b"5"):
        running.broker.go[message_id].set()
    await running.collector.report_where(lambda report: report.in_flight == 0)
    assert running.client.asked == asked + 4  # they were acknowledged
    await running.collector.send(Settings(fence=""))
    await running.collector.report_where(lambda report: report.counters.processed == 5)


async def test_a_drain_finishes_what_runs_and_puts_the_rest_back(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await running.start(caplog)
    running.client.abandoned = [b"1", b"2", b"3"]  # their subscriber does one after the other
    await running.collector.report_where(lambda report: report.in_flight == 3 and report.counters.started == 1)
    running.app.exit.set()
    await until(lambda: len(running.client.added) == 2, what="two put back")
    assert not await running.ready()
    running.broker.go[b"1"].set()
    await running.stop()
    [words] = running.collector.last_words
    assert (words.interrupted, words.counters.processed, words.counters.handed_back) == (0, 1, 2)
    assert (running.client.added, sorted(running.client.acked)) == ([b"2", b"3"], [b"1", b"2", b"3"])


async def test_handlers_are_cancelled_when_the_time_to_drain_is_over(
    collector: FakeCollector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENV, "DRAIN_TIMEOUT", "0.2")
    running = Running(collector)
    await running.start(caplog)
    running.client.waiting = [b"1"]
    await collector.report_where(lambda report: report.counters.started == 1)
    await running.stop()
    [words] = collector.last_words
    assert (words.interrupted, words.counters.handed_back, running.client.acked) == (1, 1, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda broker: broker.subscribers.clear(), "has no subscribers"),
        (lambda broker: broker.subscribers.append(Subscriber(broker, group="")), "as a consumer group"),
        (lambda broker: broker.subscribers.append(Subscriber(broker, last_id="0")), "leave last_id out"),
    ],
)
async def test_a_worker_that_could_not_keep_the_contract_ends_with_a_reason(
    change: Callable[[RedisBroker], None], said: str, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    change(running.broker)
    with pytest.raises(SystemExit, match="2"):
        await running.app.run()
    assert said in caplog.text


async def test_several_processes_are_refused_and_ended(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: ended.append(pid))
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    with pytest.raises(SystemExit, match="2"):
        await running.app.run()
    assert ended == [os.getppid()]
    assert "several processes" in caplog.text


def test_what_cannot_be_adapted_is_said_when_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = App()
    faststream.install(app, env={})
    assert not app.hooks
    app.brokers.clear()
    with pytest.raises(SystemExit, match="2"):
        faststream.install(app, env=ENV)
    assert "this one has 0" in caplog.text
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.5.40")
    with pytest.raises(SystemExit, match="2"):
        faststream.install(app, env=ENV)
    assert "install faststream>=0.7" in caplog.text

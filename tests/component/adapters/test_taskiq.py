"""taskiq's adapter beside a broker and a receiver that do what theirs do; taskiq itself: e2e/adapters."""

import asyncio
import importlib.metadata
import multiprocessing
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from enum import Enum, auto
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from tests.support.adapted import ANY_PORT, ENV, asked, listening
from tests.support.collector import FakeCollector
from tests.support.waiting import until
from workerpool.adapters import taskiq
from workerpool.protocol import Settings
from workerpool.runtime import linking

pytestmark = pytest.mark.component


class Events(Enum):
    WORKER_STARTUP = auto()
    WORKER_SHUTDOWN = auto()


class Middleware:
    """The base of them."""


class NoResultError(Exception):
    """Named as taskiq's is."""


class Message(SimpleNamespace):
    """A message that can be acknowledged."""

    def model_copy(self, update: dict[str, Any]) -> "Message":
        return Message(**{**vars(self), **update})


class Pool:
    """Of connections."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0

    async def get_connection(self) -> None:
        self.asked += 1
        if self.down:
            raise ConnectionError("refused")


class RedisStreamBroker:
    """Named as taskiq-redis' is; reads three messages at a time."""

    block, idle_timeout = 20, 60_000

    def __init__(self) -> None:
        self.event_handlers: defaultdict[Events, list[Callable[[Any], Any]]] = defaultdict(list)
        self.middlewares: list[Any] = []
        self.connection_pool = Pool()
        self.formatter = SimpleNamespace(loads=_parsed, dumps=None)
        self.waiting: list[bytes] = []
        self.acked: list[bytes] = []
        self.kicked: list[bytes] = []

    def add_event_handler(self, event: Events, handler: Callable[[Any], Any]) -> None:
        self.event_handlers[event].append(handler)

    def add_middlewares(self, middleware: Any) -> None:
        self.middlewares.append(middleware)

    def find_task(self, name: str) -> object:
        return None if name == "unknown" else object()

    async def kick(self, message: Any) -> None:
        self.kicked.append(message.message)

    async def listen(self) -> AsyncGenerator[Message, None]:
        while True:
            await self.connection_pool.get_connection()
            batch, self.waiting = self.waiting[:3], self.waiting[3:]
            if not batch:
                await asyncio.sleep(0.01)
            for data in batch:

                async def ack(data: bytes = data) -> None:
                    self.acked.append(data)

                yield Message(data=data, ack=ack)


def _parsed(message: bytes) -> Any:
    """`KIND:ID`."""
    name, _, task_id = message.decode().partition(":")
    if not task_id:
        raise ValueError(message)
    return SimpleNamespace(task_name=name, task_id=task_id, labels={"_retries": "1"} if name == "again" else {})


class Receiver:
    """What taskiq does with a broker; `slots` tasks at a time."""

    def __init__(self, broker: RedisStreamBroker, *, slots: int) -> None:
        self.broker = broker
        self.free = asyncio.Semaphore(slots)
        self.go: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.finish = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        for handler in self.broker.event_handlers[Events.WORKER_STARTUP]:
            await handler(None)
        messages, finish = self.broker.listen(), asyncio.create_task(self.finish.wait())
        while await self._first(self.free.acquire(), finish):
            following = asyncio.ensure_future(anext(messages))
            if await self._first(following, finish):
                self._begin(following.result())
        await messages.aclose()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for handler in self.broker.event_handlers[Events.WORKER_SHUTDOWN]:
            await handler(None)

    @staticmethod
    async def _first(what: Awaitable[Any], finish: "asyncio.Task[Any]") -> bool:
        """Whether it came before the end did."""
        waiting = asyncio.ensure_future(what)
        await asyncio.wait([waiting, finish], return_when=asyncio.FIRST_COMPLETED)
        if finish.done():
            waiting.cancel()
            await asyncio.wait([waiting])
        return not finish.done()

    def _begin(self, message: Message) -> None:
        task = asyncio.create_task(self._callback(message))
        self.tasks.add(task)
        task.add_done_callback(lambda _: self.free.release())

    async def _callback(self, message: Message) -> None:
        try:
            parsed = self.broker.formatter.loads(message=message.data)
        except ValueError:
            await message.ack()
            return
        if self.broker.find_task(parsed.task_name) is None:
            await message.ack()
            return
        await self.go[parsed.task_id].wait()
        error = {"fails": ValueError(), "retries": NoResultError(), "resent": ValueError()}.get(parsed.task_name)
        [middleware] = self.broker.middlewares
        if parsed.task_name == "resent":
            await middleware.post_send(parsed)
        await middleware.post_execute(parsed, SimpleNamespace(is_err=error is not None, error=error))
        if parsed.task_name == "unacknowledged":
            raise ConnectionError("refused")
        await message.ack()


@pytest.fixture(autouse=True)
def _taskiq_is_installed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    class Redis:
        def __init__(self, connection_pool: Pool) -> None:
            self.ping = connection_pool.get_connection

    played = {
        "taskiq": SimpleNamespace(TaskiqEvents=Events, TaskiqMiddleware=Middleware, BrokerMessage=SimpleNamespace),
        "taskiq.cli.worker.args": SimpleNamespace(WorkerArgs=SimpleNamespace(from_cli=_options)),
        "redis.asyncio": SimpleNamespace(Redis=Redis),
    }
    for name, module in played.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(importlib.metadata, "version", {"taskiq": "0.13.0"}.__getitem__)
    monkeypatch.setattr(linking, "AFTER_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(sys, "argv", ["worker", "1"])
    monkeypatch.setattr(multiprocessing.current_process(), "name", "worker-0")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    caplog.set_level("INFO")


def _options(arguments: list[str]) -> Any:
    ack_type = SimpleNamespace(value="when_saved")
    return SimpleNamespace(workers=int(arguments[0]), max_async_tasks=2, max_async_tasks_jitter=0, ack_type=ack_type)


@pytest_asyncio.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as collector:
        yield collector


class Running:
    """A worker with its adapter, and its ports."""

    def __init__(self, collector: FakeCollector) -> None:
        self.collector = collector
        self.broker = RedisStreamBroker()
        taskiq.install(self.broker, env={**ENV, "WORKERPOOL_COLLECTOR": collector.address}, **ANY_PORT)
        self.receiver = Receiver(self.broker, slots=2)
        self.ports = (0, 0)
        self.task: asyncio.Task[None] | None = None

    async def start(self, caplog: pytest.LogCaptureFixture) -> None:
        self.task = asyncio.create_task(self.receiver.run())
        await until(lambda: "listening" in caplog.text, what="the ports open")
        self.ports = listening(caplog)

    async def ready(self) -> bool:
        return (await asked(self.ports[0], "/ready"))[0] == 200

    async def stop(self) -> None:
        """As SIGINT does; scraped, for which it stays."""
        self.receiver.finish.set()
        while not self.collector.last_words or self.task is None or not self.task.done():
            with suppress(OSError):
                await asked(self.ports[1], "/metrics")
            await asyncio.sleep(0.01)
        await self.task
        with suppress(OSError):
            await asked(self.ports[1], "/metrics")


@pytest_asyncio.fixture
async def running(collector: FakeCollector, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Running]:
    running = Running(collector)
    yield running
    if running.task is not None:
        for event in running.receiver.go.values():
            event.set()
        await running.stop()


async def test_it_waits_for_the_broker_and_is_ready_then(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    running.broker.connection_pool.down = True
    await running.start(caplog)
    report = await running.collector.report_where(lambda report: report.paused)
    assert report.paused == "broker: ConnectionError"
    assert not await running.ready()
    running.broker.connection_pool.down = False
    await until(running.ready, what="the worker ready")


async def test_a_broker_that_is_lost_is_told_and_read_again(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    await running.start(caplog)
    await until(running.ready, what="the worker ready")
    running.broker.connection_pool.down = True
    await running.collector.report_where(lambda report: report.paused == "broker: ConnectionError")
    running.broker.connection_pool.down = False
    await running.collector.report_where(lambda report: not report.paused)
    running.receiver.go["1"].set()
    running.broker.waiting = [b"work:1"]
    await running.collector.report_where(lambda report: report.counters.processed == 1)


async def test_tasks_are_counted_by_what_became_of_them(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    await running.start(caplog)
    kinds = ("work", "again", "fails", "retries", "resent", "unknown", "unacknowledged")
    for number, kind in enumerate(kinds):
        running.receiver.go[str(number)].set()
        running.broker.waiting.append(f"{kind}:{number}".encode())
    running.broker.waiting.append(b"nonsense")
    await running.collector.report_where(lambda report: report.counters.failed == 6 and not report.in_flight)
    _, text = await asked(running.ports[1], "/metrics")
    labels = 'lane="io",pool="pool"'
    for name, value in (("processed", 2), ("retried", 3), ("first_attempts", 6), ("first_failures", 5)):
        assert f'jobs_{name}_total{{{labels},version="v1"}} {value}.0' in text
    for reason, value in (("error", 3), ("unknown_type", 1), ("malformed", 1), ("lease_lost", 1)):
        assert f'jobs_failed_total{{{labels},reason="{reason}",version="v1"}} {value}.0' in text


async def test_all_that_was_fetched_is_in_flight_and_nothing_is_read_behind_a_fence(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await running.start(caplog)
    running.broker.waiting = [b"work:1", b"work:2", b"work:3", b"work:4"]
    report = await running.collector.report_where(lambda report: report.in_flight >= 3)
    assert (report.in_flight, report.slots, running.broker.waiting) == (3, 2, [b"work:4"])
    await running.collector.send(Settings(fence="f"))
    await running.collector.report_where(lambda report: report.fence == "f")
    for task_id in ("1", "2", "3"):
        running.receiver.go[task_id].set()
    await running.collector.report_where(lambda report: report.in_flight == 0)
    assert running.broker.waiting == [b"work:4"]
    running.receiver.go["4"].set()
    await running.collector.send(Settings(fence=""))
    await running.collector.report_where(lambda report: report.counters.processed == 4)


async def test_a_drain_finishes_what_runs_and_puts_the_rest_back(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await running.start(caplog)
    running.broker.waiting = [b"work:1", b"work:2", b"work:3"]
    await until(lambda: {"1", "2"} <= set(running.receiver.go), what="two at work")
    running.receiver.finish.set()
    await until(lambda: running.broker.kicked, what="the third one put back")
    assert not await running.ready()
    for task_id in ("1", "2"):
        running.receiver.go[task_id].set()
    await running.stop()
    [words] = running.collector.last_words
    assert (words.interrupted, words.counters.processed, words.counters.handed_back) == (0, 2, 1)
    assert running.broker.kicked == [b"work:3"]
    assert sorted(running.broker.acked) == [b"work:1", b"work:2", b"work:3"]


@pytest.mark.parametrize(
    ("change", "said", "manager_ends"),
    [
        (lambda patch: patch.setattr(sys, "argv", ["worker", "2"]), "2 processes", True),
        (lambda patch: patch.setattr(taskiq, "_BROKER", "Unheard"), "RedisStreamBroker is not supported", True),
        (lambda patch: patch.setattr(multiprocessing.current_process(), "name", "MainProcess"), "no worker", False),
    ],
)
async def test_a_worker_that_could_not_keep_the_contract_ends_with_a_reason(
    change: Callable[[pytest.MonkeyPatch], None],
    said: str,
    manager_ends: bool,  # noqa: FBT001
    *,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: ended.append(pid))
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    change(monkeypatch)
    with pytest.raises(SystemExit, match="2"):
        await running.receiver.run()
    assert said in caplog.text
    assert bool(ended) == manager_ends


def test_what_cannot_be_adapted_is_said_when_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.11.20")
    with pytest.raises(SystemExit, match="2"):
        taskiq.install(RedisStreamBroker(), env=ENV)
    assert "install taskiq>=0.13" in caplog.text


def test_outside_a_pool_nothing_is_changed() -> None:
    broker = RedisStreamBroker()
    taskiq.install(broker, env={})
    assert not broker.middlewares

"""taskiq 0.13 or later with taskiq-redis' `RedisStreamBroker`: `install(broker)` makes its worker keep the contract.

| What is told | By |
|---|---|
| the worker starts, and ends | the events `WORKER_STARTUP` and `WORKER_SHUTDOWN` |
| a message came | `broker.listen`, whose reads wait while there is a fence (`taskiq_reads`) |
| an attempt begins | the formatter, by which taskiq reads a message when it begins with it |
| how it ends | a middleware, and the end of the task that taskiq runs it in |
| the loop turns | a task in taskiq's event loop |
| drain | the signal that taskiq's manager sends, and the end of `listen` |

The broker fetches up to `xread_count` messages in one read, also when taskiq has room for fewer. All of them count as
in flight, and in a drain those that taskiq has not begun are put back.
"""

import asyncio
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

from workerpool.adapters.bridge import BEAT_SECONDS, Bridge
from workerpool.adapters.ledger import Outcome
from workerpool.adapters.refusal import contract_or_refuse, refuse, refuse_with_parent, require_version
from workerpool.adapters.taskiq_reads import Delivery, Reads
from workerpool.errors import ConfigurationError
from workerpool.runtime.contract import Contract
from workerpool.telemetry.logs import TextLog
from workerpool.telemetry.metrics import FailureReason

_BROKER: Final = "RedisStreamBroker"
_LANE: Final = "io"
_LOOK_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 5.0
"""A broker that is later than that is away."""


def install(
    broker: Any, *, health_port: int = 8080, metrics_port: int = 8000, env: Mapping[str, str] | None = None
) -> None:
    """Make the worker of this broker keep the worker contract.

    Outside a pool (no `WORKERPOOL_NAME`) it does nothing, and nothing begins before the worker starts: a producer may
    import the same module.

    Args:
        broker: A `taskiq_redis.RedisStreamBroker`.
        health_port: Where `/healthz` and `/ready` are; 0 chooses a free one.
        metrics_port: Where `/metrics` is; 0 chooses a free one.
        env: The environment, for tests.

    Raises:
        SystemExit: this version cannot keep it; a log line says why.
    """
    contract = contract_or_refuse(env)
    if contract is None:
        return
    require_version("taskiq", "taskiq", least=(0, 13), why="loses what it has prefetched when it is stopped")
    taskiq: Any = importlib.import_module("taskiq")
    worker = _Worker(broker, contract, ports=(health_port, metrics_port))
    broker.event_handlers[taskiq.TaskiqEvents.WORKER_STARTUP].insert(0, worker.startup)
    broker.add_event_handler(taskiq.TaskiqEvents.WORKER_SHUTDOWN, worker.shutdown)
    broker.add_middlewares(_middleware(taskiq.TaskiqMiddleware, worker))


def _middleware(base: Any, worker: "_Worker") -> Any:
    """Made here: nobody else needs taskiq for it."""

    async def post_send(_: Any, message: Any) -> None:
        worker.sent(message)

    async def post_execute(_: Any, message: Any, result: Any) -> None:
        worker.executed(message, result)

    return type("WorkerPoolMiddleware", (base,), {"post_send": post_send, "post_execute": post_execute})()


@dataclass(slots=True)
class _Attempt:
    """What is known of a task that taskiq is at."""

    key: int
    task_id: str = ""
    outcome: Outcome = Outcome.RETRIED
    """As long as nobody says how it ended, it is not acknowledged either."""
    reason: FailureReason = FailureReason.LEASE_LOST


class _Worker:
    """taskiq's hooks, in its loop."""

    def __init__(self, broker: Any, contract: Contract, *, ports: tuple[int, int]) -> None:
        self._broker = broker
        self._contract = contract
        self._ports = ports
        self._adapter: _Adapter | None = None

    async def startup(self, _state: Any) -> None:
        """The first of all: the ports are open while the app's own hooks run, and the broker is waited for."""
        slots = _checked(self._broker, self._contract)
        try:
            self._adapter = _Adapter(self._broker, self._contract, slots=slots, ports=self._ports)
        except ConfigurationError as error:
            refuse_with_parent(str(error))
        await self._adapter.start()

    async def shutdown(self, _state: Any) -> None:
        """No task runs, or none is waited for any more."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            await adapter.finish()

    def sent(self, message: Any) -> None:
        """Of the middleware: somebody has sent a task."""
        if self._adapter is not None:
            self._adapter.sent(message.task_id)

    def executed(self, message: Any, result: Any) -> None:
        """Of the middleware: an attempt has ended."""
        if self._adapter is not None:
            self._adapter.executed(result.error if result.is_err else None, timeout=message.labels.get("timeout"))


def _checked(broker: Any, contract: Contract) -> int:
    """Refuse a worker that could not keep the contract; warn of what costs jobs. Its slots."""
    name = multiprocessing.current_process().name
    if not name.startswith("worker-") or sys.argv[0] != "worker":
        refuse("this process is no worker of taskiq's: start it by `taskiq worker`")
    if not any(base.__name__ == _BROKER for base in type(broker).__mro__):
        refuse_with_parent(f"taskiq's {type(broker).__name__} is not supported: use taskiq-redis' {_BROKER} instead")
    options: Any = importlib.import_module("taskiq.cli.worker.args").WorkerArgs.from_cli(sys.argv[1:])
    if options.workers > 1:
        refuse_with_parent(
            f"taskiq is asked for {options.workers} processes, and a pod has one: give it --workers 1, and add replicas"
        )
    if options.max_async_tasks <= 0 or options.max_async_tasks_jitter:
        refuse_with_parent("taskiq's slots are not known: give it --max-async-tasks MAX_WORKERS, without jitter")
    log = TextLog()
    if options.max_async_tasks != contract.slots:
        log.warning(
            "the pool counts with other slots than taskiq has: set --max-async-tasks to MAX_WORKERS",
            max_async_tasks=options.max_async_tasks,
            max_workers=contract.slots,
        )
    if broker.idle_timeout <= 1000 * contract.drain_seconds:
        log.warning("tasks are run twice during a drain: raise idle_timeout", milliseconds=broker.idle_timeout)
    if options.ack_type.value == "when_received":
        log.warning("tasks that are acknowledged when received are lost with their worker: set --ack-type")
    return int(options.max_async_tasks)


class _Adapter(Reads):
    """What one worker tells the bridge, and does for it. In taskiq's loop, but for what the bridge asks."""

    def __init__(self, broker: Any, contract: Contract, *, slots: int, ports: tuple[int, int]) -> None:
        """Open the ports. Raises ConfigurationError."""
        super().__init__(broker)
        self._slots = slots
        self._log = TextLog()
        self._stopping = False
        self._putting_back: asyncio.Task[None] | None = None
        self._attempts: dict[asyncio.Task[Any], _Attempt] = {}
        self.bridge = Bridge(self, contract, lane=_LANE, health_port=ports[0], metrics_port=ports[1])
        self._formatter, broker.formatter = broker.formatter, _Formatter(broker.formatter, self._begins)
        broker.listen = self.listen
        for number in (signal.SIGINT, signal.SIGTERM):
            self._hear(number)

    async def start(self) -> None:
        """Return when the broker answers: taskiq would end, and be started again, each second without it."""
        self.bridge.start()
        self._beating = asyncio.create_task(self._beat())
        redis: Any = importlib.import_module("redis.asyncio")
        while not self._stopping:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await redis.Redis(connection_pool=self.broker.connection_pool).ping()
            except Exception as error:  # noqa: BLE001  of whatever kind
                self.bridge.away(type(error).__name__)
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return

    async def listen(self) -> AsyncGenerator[Any, None]:
        """Instead of the broker's own; taskiq leaves it when it drains."""
        self.bridge.ready()
        try:
            async for message in self.messages():
                yield message
        finally:
            self.bridge.drain()
            self._putting_back = asyncio.create_task(self.put_back(self._formatter))

    async def finish(self) -> None:
        """Within the five seconds that taskiq gives by default: the last words and the last scrape may take 12."""
        try:
            if self._putting_back is not None:
                await asyncio.shield(self._putting_back)
        finally:
            self._beating.cancel()
            threading.Thread(target=self.bridge.finish, name="workerpool-finish").start()  # the process waits for it

    # Tasks

    def _begins(self, message: Delivery, parsed: Any) -> None:
        """A message has been read, in the task that is to run it. `parsed`: None, if it is no task."""
        task = asyncio.current_task()
        assert task is not None
        attempt = self._attempts[task] = _Attempt(message.key)
        task.add_done_callback(self._ended)
        if parsed is None:
            attempt.outcome, attempt.reason = Outcome.FAILED, FailureReason.MALFORMED
            return
        if self.broker.find_task(parsed.task_name) is None:
            self._log.error("taskiq has no such task and throws it away", task_name=parsed.task_name)
            attempt.outcome, attempt.reason = Outcome.FAILED, FailureReason.UNKNOWN_TYPE
        attempt.task_id = parsed.task_id
        number = 1 + int(parsed.labels.get("_retries", 0))
        timeout = parsed.labels.get("timeout")
        self.bridge.begins(message.key, parsed.task_name, attempt=number, timeout=timeout and float(timeout))

    def _attempt(self) -> _Attempt | None:
        task = asyncio.current_task()
        return None if task is None else self._attempts.get(task)

    def sent(self, task_id: str) -> None:
        """A task that sends itself anew will be repeated."""
        attempt = self._attempt()
        if attempt is not None and attempt.task_id == task_id:
            attempt.outcome = Outcome.RETRIED
            attempt.reason = FailureReason.ERROR

    def executed(self, error: BaseException | None, *, timeout: Any) -> None:
        """An attempt has ended; what it did is yet to be acknowledged, or has been."""
        attempt = self._attempt()
        if attempt is None:
            return
        again = attempt.reason is FailureReason.ERROR or type(error).__name__ == "NoResultError"
        attempt.reason = FailureReason.TIMEOUT if timeout and isinstance(error, TimeoutError) else FailureReason.ERROR
        if again:
            attempt.outcome = Outcome.RETRIED
        else:
            attempt.outcome = Outcome.FAILED if error else Outcome.DONE

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        """Nothing more is done with it."""
        attempt = self._attempts.pop(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.warning("taskiq could not finish a task", task_id=attempt.task_id, exc_info=error)
        if error is not None or task.cancelled():  # not acknowledged, so it comes again
            attempt.outcome, attempt.reason = Outcome.RETRIED, FailureReason.LEASE_LOST
        self.bridge.ended(attempt.key, attempt.outcome, reason=attempt.reason)

    # The worker

    def _hear(self, number: int) -> None:
        """Of a signal, before taskiq does."""
        handler = signal.getsignal(number)

        def heard(number: int, frame: FrameType | None) -> None:
            self._stopping = True
            self.bridge.drain()
            if callable(handler):
                handler(number, frame)

        signal.signal(number, heard)

    async def _beat(self) -> None:
        while True:
            if not self.late:
                self.bridge.beat()
            await asyncio.sleep(BEAT_SECONDS)

    # What the bridge asks, in its thread

    def slots(self) -> int:
        """Tasks at a time."""
        return self._slots

    def children(self) -> Sequence[int]:
        """There are none."""
        return ()

    def hurry(self) -> None:
        """What taskiq cancels it acknowledges, so this process ends, and others claim what it has not acknowledged."""

        def end() -> None:
            self.bridge.finish()
            os._exit(0)

        threading.Thread(target=end, name="workerpool-hurry").start()


class _Formatter:
    """Of the broker, and seen when it reads a message."""

    def __init__(self, own: Any, seen: Callable[[Delivery, Any], None]) -> None:
        self._own = own
        self._seen = seen

    def dumps(self, message: Any) -> Any:
        """As the broker's own does."""
        return self._own.dumps(message)

    def loads(self, message: bytes) -> Any:
        """The same."""
        parsed = None
        try:
            parsed = self._own.loads(message=message)
        finally:
            if isinstance(message, Delivery):
                self._seen(message, parsed)
        return parsed

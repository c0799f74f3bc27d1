"""Celery 5.5 or later: `install(app)` makes its workers keep the worker contract.

| What is told | By |
|---|---|
| a message came | the signal `task_received` |
| an attempt begins, and how it ends | the class of the tasks' requests (`Task.Request`, see `celery_requests`) |
| the loop turns | a timer of the worker's event loop |
| connected, disconnected | a bootstep of the consumer, which starts and stops with each connection |
| drain, end | the signals `worker_shutting_down` and `worker_shutdown` |

A fence cancels the consumers of all queues, as `celery control cancel_consumer` does. With prefork the main process has
the ports and the stream; its children are the cpu lane's processes. Messages that Celery has prefetched count as in
flight, those with an ETA too.
"""

import itertools
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any, Final

from celery import bootsteps, signals

from workerpool.adapters.bridge import BEAT_SECONDS, Bridge
from workerpool.adapters.ledger import Outcome
from workerpool.adapters.refusal import contract_or_refuse, refuse, require_version
from workerpool.errors import ConfigurationError
from workerpool.runtime.contract import Contract
from workerpool.telemetry.logs import TextLog

_LANES: Final = {"celery.concurrency.prefork": "cpu", "celery.concurrency.thread": "thread"}
_HOUR: Final = 3600.0
"""Default of the visibility timeout of kombu's Redis transport, in seconds."""


def install(
    app: Any, *, health_port: int = 8080, metrics_port: int = 8000, env: Mapping[str, str] | None = None
) -> None:
    """Make this app's workers keep the worker contract.

    Outside a pool (no `WORKERPOOL_NAME`), and in processes that are no workers, it does nothing.

    Args:
        app: The `Celery` app.
        health_port: Where `/healthz` and `/ready` are; 0 chooses a free one.
        metrics_port: Where `/metrics` is; 0 chooses a free one.
        env: The environment, for tests.
    """
    contract = contract_or_refuse(env)
    if contract is None:
        return
    require_version("Celery", "celery", least=(5, 5), why="has no soft shutdown")
    env = os.environ if env is None else env
    adapter = _Adapter(
        contract, ports=(health_port, metrics_port), env=env, token_file=env.get("WORKERPOOL_TOKEN_FILE", "")
    )
    app.steps["worker"].add(type("WorkerPoolBridge", (_WorkerStep,), {"adapter": adapter, "__module__": __name__}))
    app.steps["consumer"].add(type("WorkerPoolFence", (_ConsumerStep,), {"adapter": adapter, "__module__": __name__}))


class _Adapter:
    """What one worker's main process tells the bridge, and does for it."""

    def __init__(self, contract: Contract, *, ports: tuple[int, int], env: Mapping[str, str], token_file: str) -> None:
        self._contract = contract
        self._ports = ports
        self._env = env
        self._token_file = token_file
        self._log = TextLog()
        self._pid = 0
        self._lock = Lock()
        self._consumer: Any = None
        """While there is a connection."""
        self._fenced = False
        self._pausing: list[Callable[[], None]] = []
        self._slots = contract.slots
        self._lane = ""
        self._deliveries = itertools.count(1)
        self._at: dict[int, int] = {}
        """Pid of a process -> the task that it began last."""
        self.worker: Any = None
        self.bridge: Bridge | None = None

    # The life of the worker, in its main thread

    def check(self, worker: Any) -> str:
        """Refuse a worker that could not keep the contract; warn of what costs jobs. Its lane."""
        lane = _LANES.get(worker.pool_cls.__module__ if not isinstance(worker.pool_cls, str) else worker.pool_cls)
        if lane is None:
            refuse(f"celery runs its tasks by {worker.pool_cls}: start it with --pool prefork or --pool threads")
        if not worker.use_eventloop:
            refuse("celery reaches this broker without an event loop: use Redis or RabbitMQ")
        if self._env.get("REMAP_SIGTERM") == "SIGQUIT":
            refuse("REMAP_SIGTERM makes SIGTERM end running tasks: leave it out, so that they are finished")
        tasks = [task for name, task in worker.app.tasks.items() if not name.startswith("celery.")]
        if not tasks:
            refuse("this app has no tasks, so it would throw every message away: name their modules in `include`")
        early = sorted(task.name for task in tasks if not task.acks_late)
        if early:
            self._log.warning(
                "tasks that are acknowledged early are lost with their worker: set acks_late", tasks=early
            )
        if worker.concurrency != self._contract.slots:
            self._log.warning(
                "the pool counts with other slots than celery has: set --concurrency to MAX_WORKERS",
                concurrency=worker.concurrency,
                max_workers=self._contract.slots,
            )
        visible = float((worker.app.conf.broker_transport_options or {}).get("visibility_timeout", _HOUR))
        if "redis" in str(worker.app.conf.broker_url) and visible <= self._contract.drain_seconds:
            self._log.warning("tasks are run twice during a drain: raise visibility_timeout", seconds=visible)
        return lane

    def start(self, worker: Any) -> None:
        """The pool has its processes, there is no connection yet."""
        from workerpool.adapters.celery_requests import watch  # noqa: PLC0415  producers import this module, too

        self._lane = self.check(worker)
        self.worker, self._pid = worker, os.getpid()
        for task in worker.app.tasks.values():
            watch(task, bridge=lambda: self.bridge, time_limit=worker.time_limit, begins=self.process_begins)
        try:
            self.bridge = Bridge(
                self,
                self._contract,
                lane=self._lane,
                health_port=self._ports[0],
                metrics_port=self._ports[1],
                token_file=self._token_file,
            )
        except ConfigurationError as error:
            refuse(str(error))
        self.bridge.start()
        self.bridge.away("no connection yet")
        signals.task_received.connect(self._received, weak=False)
        signals.worker_shutting_down.connect(self._shutting_down, weak=False)
        signals.worker_shutdown.connect(self._shut_down, weak=False)

    def turned(self) -> None:
        """The worker's event loop."""
        if self.bridge is not None:
            self.bridge.beat()

    def connected(self, consumer: Any) -> None:
        """Before its first message; what the connection before had brought and not begun has been dropped."""
        assert self.bridge is not None
        self.bridge.forget_unstarted()
        with self._lock:
            self._consumer = consumer
            if self._fenced:
                _cancel(consumer)

    def consuming(self) -> None:
        """It asks for messages."""
        assert self.bridge is not None
        self.bridge.ready()

    def disconnected(self) -> None:
        """Nothing more can come."""
        with self._lock:
            self._consumer = None
        self._paused()
        if self.bridge is not None and not self.bridge.evidence.draining:
            self.bridge.away("connection lost")

    def process_begins(self, pid: int, delivery: int) -> None:
        """A process of prefork runs one task: the one before has ended, though Celery may have lost what it said.

        So Celery does with results that come while its connection is broken.
        """
        if self._lane == "cpu" and self.bridge is not None:
            before, self._at[pid] = self._at.get(pid), delivery
            if before is not None:
                self.bridge.ended(before, Outcome.HANDED_BACK)

    def _received(self, request: Any, **_: Any) -> None:
        if self.bridge is not None:
            request.delivery = next(self._deliveries)
            self.bridge.taken(request.delivery, later=bool(request.eta or request.task.rate_limit))

    def _shutting_down(self, **_: Any) -> None:
        if self.bridge is not None:
            self.bridge.drain()

    def _shut_down(self, **_: Any) -> None:
        if self.bridge is not None and os.getpid() == self._pid:
            bridge, self.bridge = self.bridge, None
            bridge.finish()

    # What the bridge asks, in its thread

    def slots(self) -> int:
        """Processes or threads; those it had, when the pool has ended."""
        with suppress(AttributeError):
            self._slots = int(self.worker.pool.num_processes)
        return self._slots

    def children(self) -> Sequence[int]:
        """Of prefork; none when the pool has ended."""
        with suppress(AttributeError):
            return [int(pid) for pid in self.worker.pool.info.get("processes", ())]
        return []

    def pause(self, paused: Callable[[], None]) -> None:
        """In the thread of the event loop, between two of its steps: a message is either received or stays."""
        with self._lock:
            self._fenced = True
            consumer = self._consumer
            self._pausing.append(paused)
        if consumer is None:
            self._paused()
        else:
            consumer.call_soon(self._cancel)

    def resume(self) -> None:
        """In the same thread."""
        with self._lock:
            self._fenced = False
            consumer = self._consumer
        if consumer is not None:
            consumer.call_soon(self._consume)

    def hurry(self) -> None:
        """A cold shutdown: tasks that are acknowledged late go back to their queue."""
        os.kill(os.getpid(), signal.SIGQUIT)

    def _cancel(self) -> None:
        with self._lock:
            if self._consumer is not None and self._fenced:
                _cancel(self._consumer)
        self._paused()

    def _paused(self) -> None:
        with self._lock:
            pausing, self._pausing = self._pausing, []
        for paused in pausing:
            paused()

    def _consume(self) -> None:
        with self._lock:
            if self._consumer is None or self._fenced:
                return
            consumer = self._consumer.task_consumer
            for queue in self._consumer.app.amqp.queues.consume_from.values():
                if not consumer.consuming_from(queue.name):
                    consumer.add_queue(queue)
            consumer.consume()


def _cancel(consumer: Any) -> None:
    for queue in list(consumer.task_consumer.queues):
        consumer.task_consumer.cancel_by_queue(queue.name)


class _WorkerStep(bootsteps.StartStopStep):
    """Of the worker: after the pool of processes, before the connection."""

    requires = ("celery.worker.components:Pool",)
    adapter: _Adapter

    def start(self, worker: Any) -> None:
        """Before anything is received."""
        self.adapter.start(worker)

    def stop(self, worker: Any) -> None:
        """The pool is yet to finish its tasks: `worker_shutdown` comes after that."""

    def terminate(self, worker: Any) -> None:
        """The same, in a cold shutdown."""

    def register_with_event_loop(self, _worker: Any, hub: Any) -> None:
        """At each connection; its timers end with it."""
        hub.call_repeatedly(BEAT_SECONDS, self.adapter.turned)
        hub.call_soon(self.adapter.consuming)


class _ConsumerStep(bootsteps.StartStopStep):
    """Of the consumer: after the queues are known, before anything is received."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    adapter: _Adapter

    def start(self, consumer: Any) -> None:
        """There is a connection."""
        self.adapter.connected(consumer)

    def stop(self, _consumer: Any) -> None:
        """It is lost, or the worker ends."""
        self.adapter.disconnected()

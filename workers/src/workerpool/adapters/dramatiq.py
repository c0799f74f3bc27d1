"""Dramatiq 2.2 or later on Redis: `install(broker)` makes its workers keep the worker contract.

| What is told | By |
|---|---|
| a message came, was acknowledged, rejected or put back | the consumers of the broker, each behind one of ours |
| an attempt begins, and how it ends | the middleware's hooks of `process_message`, and `after_enqueue` for retries |
| the loops turn | the consumers' threads: all of them, each at least once per second |
| drain, end | `before_worker_shutdown` and `after_worker_shutdown` |

A fence keeps consumers from fetching, and pauses no thread: what was prefetched is done meanwhile, and the broker goes
on hearing that this worker lives. Messages that Dramatiq keeps until they are due are not in flight: they are no work
yet, and go back to their queue when the worker ends.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed, DecodeError, RateLimitExceeded
from dramatiq.middleware import Middleware, TimeLimit, TimeLimitExceeded
from dramatiq.middleware.threading import is_gevent_active

from workerpool.adapters.bridge import Bridge
from workerpool.adapters.intake import FetchGate, Rounds
from workerpool.adapters.ledger import Outcome
from workerpool.adapters.refusal import contract_or_refuse, refuse, require_version
from workerpool.errors import ConfigurationError
from workerpool.runtime.contract import Contract
from workerpool.telemetry.logs import TextLog
from workerpool.telemetry.metrics import FailureReason


def install(
    broker: Any, *, health_port: int = 8080, metrics_port: int = 8000, env: Mapping[str, str] | None = None
) -> None:
    """Make workers of this broker keep the worker contract: a middleware is added to it.

    Outside a pool (no `WORKERPOOL_NAME`), and in processes that are no workers, it does nothing.

    Args:
        broker: A `RedisBroker`, with all middleware of the app.
        health_port: Where `/healthz` and `/ready` are; 0 chooses a free one.
        metrics_port: Where `/metrics` is; 0 chooses a free one.
        env: The environment, for tests.
    """
    contract = contract_or_refuse(env)
    if contract is None:
        return
    require_version("Dramatiq", "dramatiq", least=(2, 2), why="is not what this adapter was tested with")
    if not isinstance(broker, RedisBroker):
        refuse(f"install() wants a broker of Dramatiq's class RedisBroker, not {type(broker).__name__}")
    if not hasattr(broker.consumer_class(broker, "", 1, 1), "message_cache"):
        refuse("this version of Dramatiq does not show what it has prefetched: install dramatiq>=2.2,<3")
    if any(isinstance(middleware, WorkerPool) for middleware in broker.middleware):
        refuse("install() was called twice for this broker")
    broker.add_middleware(WorkerPool(contract, ports=(health_port, metrics_port)))


@dataclass(slots=True)
class _Attempt:
    """What is known of a message that is processed, until it is acknowledged or rejected."""

    skipped: bool = False
    enqueued_again: bool = False
    exception: BaseException | None = None


class WorkerPool(Middleware):
    """Tells one worker's bridge what Dramatiq does. Does nothing in a process without a worker."""

    def __init__(self, contract: Contract, *, ports: tuple[int, int]) -> None:
        self._contract = contract
        self._ports = ports
        self._adapter: _Adapter | None = None
        self._attempts: dict[int, _Attempt] = {}
        self._here = threading.local()

    # The life of the worker, in the main thread of its process

    def before_worker_boot(self, broker: Any, worker: Any) -> None:
        """Before the first thread of it is started."""
        if is_gevent_active():
            refuse("gevent has replaced the threads that answer kubelet: start `dramatiq`, not `dramatiq-gevent`")
        try:
            self._adapter = _Adapter(broker, worker, self._contract, ports=self._ports, settled=self._settled)
        except ConfigurationError as error:
            refuse(f"{error}. Each worker has a pod to itself: start dramatiq with --processes 1")
        self._adapter.start()

    def after_worker_boot(self, _broker: Any, _worker: Any) -> None:
        """All its threads are started."""
        if self._adapter is not None:
            self._adapter.booted()

    def before_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
        """SIGTERM came, up to a second ago."""
        if self._adapter is not None:
            self._adapter.drain()

    def after_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
        """Its threads have ended, or have not in time; what they did not begin has been put back."""
        if self._adapter is not None:
            self._adapter.bridge.finish()

    # The messages, each in the thread that processes it

    def before_process_message(self, broker: Any, message: Any) -> None:
        """An attempt begins."""
        if self._adapter is None:
            return
        attempt = self._attempts[id(message)] = _Attempt()
        self._here.message_id, self._here.attempt = message.message_id, attempt
        self._adapter.bridge.begins(
            id(message),
            message.actor_name,
            attempt=1 + int(message.options.get("retries") or 0),
            timeout=_time_limit(broker, message),
        )

    def after_process_message(
        self,
        _broker: Any,
        message: Any,
        *,
        result: Any = None,  # noqa: ARG002  the hook's signature
        exception: BaseException | None = None,
    ) -> None:
        """It has ended; what becomes of the message is decided by other middleware."""
        if self._adapter is not None:
            self._attempts.setdefault(id(message), _Attempt()).exception = exception

    def after_skip_message(self, _broker: Any, message: Any) -> None:
        """Some middleware did not want it to be processed: it is too old, for one."""
        if self._adapter is not None:
            self._attempts.setdefault(id(message), _Attempt()).skipped = True

    def after_enqueue(self, _broker: Any, message: Any, _delay: int | None) -> None:
        """The message that this thread is about puts itself into the queue again: a retry."""
        if getattr(self._here, "message_id", None) == message.message_id:
            self._here.attempt.enqueued_again = True

    def _settled(self, message: Any, *, rejected: bool) -> None:
        """It has been acknowledged or rejected."""
        assert self._adapter is not None
        attempt = self._attempts.pop(id(message), None)
        self._here.message_id = self._here.attempt = None
        outcome, reason = _outcome(attempt, rejected=rejected)
        self._adapter.bridge.ended(id(message), outcome, reason=reason)


class _Adapter:
    """What a worker process does for its bridge."""

    def __init__(
        self,
        broker: Any,
        worker: Any,
        contract: Contract,
        *,
        ports: tuple[int, int],
        settled: Callable[..., None],
    ) -> None:
        """Open the ports. Raises ConfigurationError."""
        self._broker = broker
        self._worker = worker
        self._contract = contract
        self._consume = broker.consume
        self._booted = False
        self.settled = settled
        self.gate = FetchGate()
        self.bridge = Bridge(self, contract, lane="thread", health_port=ports[0], metrics_port=ports[1])
        self.rounds = Rounds(self._fetchers, turned=self.bridge.beat, reached=self.bridge.back, away=self.bridge.away)

    def start(self) -> None:
        """Stand before the consumers that the broker will make, and keep the drain as short as the pool says."""
        self._broker.consume = self.consume
        stop, drain_milliseconds = self._worker.stop, int(self._contract.drain_seconds * 1000)
        self._worker.stop = lambda timeout=drain_milliseconds: stop(timeout=min(timeout, drain_milliseconds))
        self.bridge.start()
        self.bridge.away("no connection yet")

    def booted(self) -> None:
        """All consumers are known."""
        if not self._worker.consumers:
            refuse("there is no queue to consume: name the modules with your actors after the broker, or see --queues")
        if self._worker.worker_threads != self._contract.slots:
            TextLog().warning(
                "the pool counts with other slots than Dramatiq has: set --threads to MAX_WORKERS",
                threads=self._worker.worker_threads,
                max_workers=self._contract.slots,
            )
        self._booted = True

    def drain(self) -> None:
        """Fetch nothing more."""
        self.gate.shut()
        self.bridge.drain()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> "_Consumer":
        """In place of the broker's: called at each (re)start of a consumer's thread."""
        return _Consumer(
            self._consume(queue_name=queue_name, prefetch=prefetch, timeout=timeout),
            self._broker,
            self,
            queue_name=queue_name,
            timeout=timeout / 1000,
        )

    def _fetchers(self) -> Sequence[str]:
        return list(self._worker.consumers) if self._booted else ()

    # What the bridge asks, in its thread

    def slots(self) -> int:
        """Threads."""
        return int(self._worker.worker_threads)

    def children(self) -> Sequence[int]:
        """Dramatiq's processes run their jobs themselves."""
        return ()

    def pause(self, paused: Callable[[], None]) -> None:
        """Consumers look at the gate before each fetch, at least once per second."""
        self.gate.close(paused)

    def resume(self) -> None:
        """They wait at it."""
        self.gate.open()

    def hurry(self) -> None:
        """Nothing: `Worker.stop` gives up at that time by itself. What it leaves is put back by another worker."""


class _Consumer(Consumer):
    """Before a consumer of one queue: tells what it brings and what becomes of it. In its thread, but for `ack`."""

    def __init__(self, inner: Any, broker: Any, adapter: _Adapter, *, queue_name: str, timeout: float) -> None:
        self._inner = inner
        self._broker = broker
        self._adapter = adapter
        self._queue_name = queue_name
        self._timeout = timeout

    def __next__(self) -> Any:
        """A message, or None after a while."""
        if not self._adapter.gate.enter(self):
            return self._wait()
        try:
            message = self._reach(lambda: next(self._inner))
            self._adapter.rounds.turn(self._queue_name)
            if message is not None and "eta" not in message.options:
                self._adapter.bridge.taken(id(message))
        finally:
            if not self._inner.message_cache:
                self._adapter.gate.leave(self)
        return message

    def _wait(self) -> None:
        """Fetch no message, by which the broker knows that this worker lives: what it holds is not given to another."""
        self._reach(lambda: self._broker.do_fetch(self._queue_name, 0))
        self._adapter.rounds.turn(self._queue_name)
        self._adapter.gate.wait(self._timeout)

    def ack(self, message: Any) -> None:
        """In the thread that processed it."""
        self._reach(lambda: self._inner.ack(message))
        self._adapter.settled(message, rejected=False)

    def nack(self, message: Any) -> None:
        """The same."""
        self._reach(lambda: self._inner.nack(message))
        self._adapter.settled(message, rejected=True)

    def requeue(self, messages: Iterable[Any]) -> None:
        """At the end: what was prefetched and has not begun."""
        messages = list(messages)
        self._reach(lambda: self._inner.requeue(messages))
        for message in messages:
            self._adapter.bridge.ended(id(message), Outcome.HANDED_BACK)

    def close(self) -> None:
        """The consumer's thread ends, or makes another one."""
        self._adapter.gate.leave(self)
        self._inner.close()

    def _reach(self, call: Callable[[], Any]) -> Any:
        """What the broker answers. Dramatiq handles errors of its own only, and not all calls raise these."""
        try:
            return call()
        except DecodeError:  # a message that is none
            raise
        except redis.ConnectionError as error:
            self._adapter.rounds.fail(self._queue_name, type(error).__name__)
            raise ConnectionClosed(error) from None
        except ConnectionClosed as error:
            cause = error.args[0] if error.args else error
            self._adapter.rounds.fail(self._queue_name, type(cause).__name__)
            raise
        except Exception as error:
            self._adapter.rounds.fail(self._queue_name, type(error).__name__)
            raise


def _outcome(attempt: _Attempt | None, *, rejected: bool) -> tuple[Outcome, FailureReason]:
    if attempt is None:  # no actor has that name; or one that was kept until it is due is put into its queue
        return (Outcome.DEAD_LETTERED if rejected else Outcome.HANDED_BACK), FailureReason.UNKNOWN_TYPE
    if attempt.skipped:
        return Outcome.DISCARDED, FailureReason.REJECTED
    reason = FailureReason.TIMEOUT if isinstance(attempt.exception, TimeLimitExceeded) else FailureReason.ERROR
    if rejected:
        return Outcome.DEAD_LETTERED, reason
    if attempt.exception is None:
        return Outcome.DONE, reason
    if not attempt.enqueued_again:
        return Outcome.FAILED, reason
    return (Outcome.HANDED_BACK if isinstance(attempt.exception, RateLimitExceeded) else Outcome.RETRIED), reason


def _time_limit(broker: Any, message: Any) -> float | None:
    """Seconds after which Dramatiq interrupts it; None where it never does."""
    limits = next((each for each in broker.middleware if isinstance(each, TimeLimit)), None)
    if limits is None:
        return None
    options = broker.get_actor(message.actor_name).options
    milliseconds = message.options.get("time_limit") or options.get("time_limit", limits.time_limit)
    return milliseconds / 1000 if milliseconds < float("inf") else None

"""The consumer's side: handlers by type of job, and the process around them."""

import asyncio
import contextlib
import inspect
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from workerpool._job import Job
from workerpool._queue import Queue
from workerpool.errors import ConfigurationError
from workerpool.runtime.contract import Contract
from workerpool.runtime.drain import Drained, Stop
from workerpool.runtime.engine import Engine
from workerpool.runtime.execution import Handler
from workerpool.runtime.health import HealthServer
from workerpool.runtime.scrapes import MetricsServer
from workerpool.runtime.signals import end_at_next_signal, leave_at_sigterm
from workerpool.telemetry.logs import Log, configure
from workerpool.telemetry.metrics import Metrics

H = TypeVar("H", bound=Callable[[Job], Coroutine[Any, Any, object]])
_SCRAPE_SECONDS: Final = 10.0
MARGIN_SECONDS: Final = 20.0
"""What the pod's grace period must give beyond the drain: cancel, hand back, last words, the last scrape."""
_TERMINATION_LOG: Final = Path("/dev/termination-log")
_EXIT_CONFIGURATION: Final = 2
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


class Worker:
    """Takes jobs from its queues and runs their handlers until it is told to stop.

    In a pool everything comes from the environment (docs/reference/worker-contract.md). Outside, `queue` names one
    that needs no broker: a `Queue`, or the URL of one, such as `sqlite:///jobs.db`.

    Args:
        queue: The queue outside a pool; in a pool the environment wins.
        lifespan: A context manager around the worker's life; what it yields is `job.context`, for example an HTTP
            client that all jobs share.
        health_port: Where `/healthz` and `/ready` are; 0 chooses a free one.
        metrics_port: Where `/metrics` is; 0 chooses a free one.
        env: The environment, for tests.

    Attributes:
        health_port: The port in use, once it serves.
        metrics_port: The port in use, once it serves.
    """

    def __init__(
        self,
        queue: Queue | str | None = None,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[Any]] = _nothing,
        health_port: int = 8080,
        metrics_port: int = 8000,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._queue = Queue.connect(queue) if isinstance(queue, str) else queue
        self._lifespan = lifespan
        self._ports = (health_port, metrics_port)
        self._env = os.environ if env is None else env
        self._handlers: dict[str, Handler] = {}
        self._stop: Stop | None = None
        self.health_port, self.metrics_port = self._ports

    def job(self, name: str, *, timeout: float | None = None) -> Callable[[H], H]:
        """Register the handler of a type of job.

        Args:
            name: The type that producers write.
            timeout: Seconds after which an attempt is cancelled and counts as failed. Declare it: a worker whose jobs
                declare none is never stopped while it runs one, however long that may be.

        Raises:
            ConfigurationError: the name is taken, or the handler is not an `async def`.
        """
        if name in self._handlers:
            raise ConfigurationError(f"there is a handler for {name!r} already")
        if timeout is not None and timeout <= 0:
            raise ConfigurationError(f"the timeout of {name!r} must be more than 0 seconds")

        def register(handler: H) -> H:
            function: Callable[[Job], Coroutine[Any, Any, object]] = handler
            if not inspect.iscoroutinefunction(function):
                raise ConfigurationError(f"the handler of {name!r} must be an 'async def'")
            self._handlers[name] = Handler(function, timeout)
            return handler

        return register

    def run(self, *, health: HealthServer | None = None) -> None:
        """Run until SIGTERM or SIGINT, drain, and return.

        A second signal hands running jobs back at once, a third one ends the process, with status 128 and its number.
        Exits with status 2 when the configuration is wrong, and with 1 when the broker did not confirm what became of
        the last jobs.

        Args:
            health: The server for kubelet, if it serves already: `workerpool.run` opens it before it loads the worker.
        """
        leave_at_sigterm()
        try:
            with self._health(health) as serving:
                contract = self._contract()
                configure(pool=contract.pool, version=contract.version, worker=contract.pod)
                drained = asyncio.run(self._serve_process(contract, serving))
        except ConfigurationError as error:
            refuse(error)
        if drained.unsettled:
            sys.exit(1)

    async def serve(self) -> Drained:
        """Run inside an event loop of the caller until `stop`, without signals and without waiting for a scrape."""
        with self._health() as health, self._open(self._contract(), health) as opened:
            return await opened.engine.run(self._new_stop())

    def stop(self) -> None:
        """Ask to drain; asked again, to hand running jobs back at once. For the loop's own thread."""
        if self._stop is not None:
            self._stop.ask()

    def _contract(self) -> Contract:
        if not self._handlers:
            # It would take every job and dead-letter it.
            raise ConfigurationError("this worker has no handlers: register them with @worker.job before it runs")
        return Contract.from_env(self._env, source=self._queue.source if self._queue else None)

    def _new_stop(self) -> Stop:
        self._stop = Stop()
        return self._stop

    async def _serve_process(self, contract: Contract, health: HealthServer) -> Drained:
        stop = self._new_stop()
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            stop.ask()
            if stop.hurry.is_set():  # whatever the loop is busy with
                for number in _STOPPING:
                    loop.remove_signal_handler(number)
                end_at_next_signal(*_STOPPING)

        for number in _STOPPING:
            loop.add_signal_handler(number, on_signal)
        with self._open(contract, health) as opened:
            drained = await opened.engine.run(stop)
            _write_totals(opened.metrics, drained)
            left = contract.drain_seconds + MARGIN_SECONDS - stop.seconds_ago
            if contract.pool and left > 0 and not stop.hurry.is_set():
                await asyncio.to_thread(opened.scraped.wait_scraped, min(_SCRAPE_SECONDS, left))
        if drained.stubborn:
            # asyncio would wait for ever for a handler that does not heed its cancellation.
            Log().error("a handler does not heed its cancellation, leaving without it")
            sys.stdout.flush()
            os._exit(1 if drained.unsettled else 0)
        return drained

    @contextmanager
    def _health(self, health: HealthServer | None = None) -> Iterator[HealthServer]:
        """Before anything else: kubelet may ask already."""
        health = health or HealthServer(self._ports[0])
        self.health_port = health.port
        try:
            yield health
        finally:
            health.stop()

    @contextmanager
    def _open(self, contract: Contract, health: HealthServer) -> Iterator["_Opened"]:
        metrics = Metrics(pool=contract.pool, version=contract.version, slots=contract.slots)
        engine = Engine(
            contract,
            self._handlers,
            lifespan=self._lifespan,
            evidence=health.evidence,
            metrics=metrics,
            log=Log(),
            token_file=self._env.get("WORKERPOOL_TOKEN_FILE", ""),
        )
        scraped = MetricsServer(self._ports[1], metrics)
        self.metrics_port = scraped.port
        scraped.start()
        Log().info("listening", health_port=health.port, metrics_port=scraped.port)
        try:
            yield _Opened(engine, metrics, scraped)
        finally:
            scraped.stop()


def refuse(error: ConfigurationError) -> NoReturn:
    """Say why this worker cannot start, and end the process."""
    configure(pool="", version="", worker="")
    Log().error("cannot start", error=str(error))
    sys.exit(_EXIT_CONFIGURATION)


class _Opened(NamedTuple):
    """A worker's parts while its servers answer."""

    engine: Engine
    metrics: Metrics
    scraped: MetricsServer


def _write_totals(metrics: Metrics, drained: Drained) -> None:
    """The last figures, where Kubernetes keeps them with the dead container."""
    if _TERMINATION_LOG.is_file():
        totals = {**asdict(metrics.totals()), "interrupted": drained.interrupted}
        with contextlib.suppress(OSError):
            _TERMINATION_LOG.write_text(json.dumps(totals) + "\n", encoding="utf-8")

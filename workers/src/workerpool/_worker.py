"""The consumer's side: handlers by type of job, and the process around them."""

import asyncio
import inspect
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeVar, overload

from workerpool._job import Job
from workerpool._own_thread import in_own_thread
from workerpool._queue import Queue
from workerpool.errors import ConfigurationError
from workerpool.introspect.door import open_door
from workerpool.runtime import exits
from workerpool.runtime.contract import Contract
from workerpool.runtime.drain import Drained, Stop
from workerpool.runtime.engine import Engine
from workerpool.runtime.evidence import Evidence
from workerpool.runtime.forks import end_forks_in
from workerpool.runtime.health import HealthServer
from workerpool.runtime.lanes import Handler, Kind
from workerpool.runtime.lanes.plan import cores, share
from workerpool.runtime.last_figures import scrape_seconds, write_last_figures
from workerpool.runtime.leaving import Leaving
from workerpool.runtime.options import Options
from workerpool.runtime.recycle import Recycle
from workerpool.runtime.scrapes import MetricsServer
from workerpool.runtime.signals import end_at_next_signal, leave_at_sigterm
from workerpool.telemetry.logs import Log, configure
from workerpool.telemetry.metrics import Metrics
from workerpool.telemetry.tracing import Tracing, tracing

if TYPE_CHECKING:
    from workerpool._batch import Batch
    from workerpool.guards.breaker import Breaker
    from workerpool.guards.endpoint import Endpoint
    from workerpool.introspect.subject import Subject

H = TypeVar("H", bound=Callable[[Job], Any])
B = TypeVar("B", bound=Callable[[list[Job]], Any])
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
        slots: Jobs at a time of each lane, for example `{"cpu": 2}`. The lanes that are not named share what
            `MAX_WORKERS` leaves: the cpu lane gets one per core (one for each job of a batch per core, where it has a
            handler for batches), the others get equal parts.
        adaptive: Run as many jobs at a time as what they call can take, found by how long they take: each lane but the
            cpu lane has a limit of its own between 1 and its slots. For handlers that wait for something.
        recycle_after_jobs: Drain and exit with status 0 after so many jobs: in a pool the worker is started anew.
        recycle_rss_bytes: The same, when the worker's memory has grown so large.
        recycle_children_after_jobs: Replace a process of the cpu lane, between two jobs, after so many.
        recycle_children_rss_bytes: The same, when its memory has grown so large.
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
        slots: Mapping[str, int] | None = None,
        adaptive: bool = False,
        recycle_after_jobs: int | None = None,
        recycle_rss_bytes: int | None = None,
        recycle_children_after_jobs: int | None = None,
        recycle_children_rss_bytes: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._queue = Queue.connect(queue) if isinstance(queue, str) else queue
        self._lifespan = lifespan
        self._ports = (health_port, metrics_port)
        self._env = os.environ if env is None else env
        self._handlers: dict[str, Handler] = {}
        self._endpoints: dict[str, Endpoint] = {}
        bounds = (recycle_after_jobs, recycle_rss_bytes, recycle_children_after_jobs, recycle_children_rss_bytes)
        if any(number is not None and number < 1 for number in (*bounds, *(slots or {}).values())):
            raise ConfigurationError("the slots of a lane, and what a process is recycled by, are at least 1")
        self._options = Options(
            slots={_kind(name): count for name, count in (slots or {}).items()},
            lifespan=lifespan is not _nothing,
            adaptive=adaptive,
            recycle=Recycle(recycle_after_jobs, recycle_rss_bytes),
            recycle_children=Recycle(recycle_children_after_jobs, recycle_children_rss_bytes),
        )
        self._stop: Stop | None = None
        self.health_port, self.metrics_port = self._ports

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """What is registered, by type of job: for tools that run a handler by itself."""
        return dict(self._handlers)

    @property
    def lifespan(self) -> Callable[[], AbstractAsyncContextManager[Any]]:
        """What was given, or one that yields None."""
        return self._lifespan

    @overload
    def job(
        self,
        name: str,
        *,
        timeout: float | None = None,
        kind: str = "",
        slow: float | None = None,
        breaker: "Breaker | None" = None,
        fallback: Callable[[Job], Any] | None = None,
        batch: None = None,
    ) -> Callable[[H], H]: ...

    @overload
    def job(
        self,
        name: str,
        *,
        timeout: float | None = None,
        kind: str = "",
        slow: float | None = None,
        breaker: "Breaker | None" = None,
        fallback: Callable[[list[Job]], Any] | None = None,
        batch: "Batch",
    ) -> Callable[[B], B]: ...

    def job(
        self,
        name: str,
        *,
        timeout: float | None = None,
        kind: str = "",
        slow: float | None = None,
        breaker: "Breaker | None" = None,
        fallback: Callable[[Any], Any] | None = None,
        batch: "Batch | None" = None,
    ) -> Callable[[Any], Any]:
        """Register the handler of a type of job.

        Args:
            name: The type that producers write.
            timeout: Seconds after which an attempt is cancelled and counts as failed. Declare it: a worker whose jobs
                declare none is never stopped while it runs one, however long that may be.
            kind: Where it runs: `io`, in the event loop; `thread`, in a thread, for calls that block; `cpu`, in a
                process, for what computes. Default: `io` for an `async def`, `thread` for a plain function.
            slow: Seconds from which on an attempt counts as slow: what canaries are judged by, and whose traces are
                always kept. Default: what the pool says (`spec.rollout.analysis.slowJobSeconds`), else
                `SLOW_JOB_SECONDS` of the environment, or 2.
            breaker: Keeps jobs from being run while what they call is down; see `Breaker`.
            fallback: Runs them then, in the same lane. Without one they wait.
            batch: The handler takes a list of jobs, gathered like this. `timeout` and `slow` are then of a whole batch,
                and so is a call that `breaker` counts. See docs/how-to/batch-jobs.md.

        Raises:
            ConfigurationError: the name is taken, there is no such kind, or the fallback fits nowhere.
        """
        if name in self._handlers:
            raise ConfigurationError(f"there is a handler for {name!r} already")
        if timeout is not None and timeout <= 0:
            raise ConfigurationError(f"the timeout of {name!r} must be more than 0 seconds")
        if slow is not None and slow <= 0:
            raise ConfigurationError(f"a job of {name!r} is slow from more than 0 seconds on")
        if fallback is not None and breaker is None:
            raise ConfigurationError(f"the fallback of {name!r} would never run: it needs a breaker")

        def register(handler: Any) -> Any:
            default = Kind.IO if inspect.iscoroutinefunction(handler) else Kind.THREAD
            lane = _kind(kind) if kind else default
            if fallback is not None and lane is Kind.IO and not inspect.iscoroutinefunction(fallback):
                raise ConfigurationError(f"the fallback of {name!r} runs in the event loop: make it an `async def`")
            self._handlers[name] = Handler(handler, timeout, lane, slow, breaker, fallback, batch)
            return handler

        return register

    def endpoint(self, name: str, *, at_most: int, timeout: float = 10.0) -> "Endpoint":
        """A bound on how many jobs of this worker call something at a time: `async with` or `with` it around the call.

        ```python
        crm = worker.endpoint("crm", at_most=5)

        @worker.job("sync", timeout=30)
        async def sync(job: Job) -> None:
            async with crm:
                await client.post(...)
        ```

        Args:
            name: What metrics call it.
            at_most: Jobs of this worker at a time; for all workers together see `spec.delivery.rateLimitPerSecond`.
            timeout: Seconds that a job waits for its turn, which are part of its own time; then EndpointBusy is
                raised, by which its attempt fails and is repeated later.

        Raises:
            ConfigurationError: the name is taken, or nobody could ever call it.
        """
        if name in self._endpoints:
            raise ConfigurationError(f"there is an endpoint {name!r} already")
        if at_most < 1 or timeout <= 0:
            raise ConfigurationError(f"the endpoint {name!r} needs at_most of 1 or more, and a timeout above 0 seconds")
        from workerpool.guards.endpoint import Endpoint  # noqa: PLC0415  few use it, all would load it

        self._endpoints[name] = endpoint = Endpoint(name, at_most=at_most, timeout=timeout)
        return endpoint

    def run(self, *, health: HealthServer | None = None) -> None:
        """Run until SIGTERM or SIGINT, drain, and return.

        A second signal hands running jobs back at once, a third one ends the process, with status 128 and its number.
        Exits with status 2 when the configuration is wrong, and with 1 when the broker did not confirm what became of
        the last jobs. Threads that handlers have started keep a program that has ended for 3 s at most.

        Args:
            health: The server for kubelet, if it serves already: `workerpool.run` opens it before it loads the worker.
        """
        leave_at_sigterm()
        try:
            with self._health(health) as serving:
                contract = self._contract()
                configure(pool=contract.pool, version=contract.version, worker=contract.pod)
                drained, leaving = exits.run(self._serve_process(contract, serving), log=Log())
        except ConfigurationError as error:
            refuse(error)
        leaving.loop_ended()
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

    async def _serve_process(self, contract: Contract, health: HealthServer) -> tuple[Drained, Leaving]:
        stop = self._new_stop()
        loop = asyncio.get_running_loop()
        end_forks_in(loop)

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
            write_last_figures(opened.metrics, interrupted=drained.interrupted)
            left = scrape_seconds(drain_seconds=contract.drain_seconds, draining_for=stop.seconds_ago)
            if contract.pool and health.evidence.started and left and not stop.hurry.is_set():
                await in_own_thread(opened.scraped.wait_scraped, left)
        status = 1 if drained.unsettled else 0
        if drained.stubborn:
            # asyncio would wait for ever for what does not heed its cancellation.
            Log().error("a handler or the lifespan does not heed its cancellation, leaving without it")
            sys.stdout.flush()
            os._exit(status)
        return drained, Leaving(status=status, log=Log())

    @contextmanager
    def _health(self, health: HealthServer | None = None) -> Iterator[HealthServer]:
        """Before anything else: kubelet may ask already."""
        health = health or HealthServer(self._ports[0])
        self.health_port = health.port
        try:
            yield health
        finally:
            health.stop()

    def assemble(
        self,
        contract: Contract,
        *,
        evidence: Evidence,
        log: Any,
        watchdog: bool = True,
        tracing: Tracing | None = None,
    ) -> "Assembled":
        """The runtime with this worker's handlers, without servers and signals: what `workerpool.testing` drives."""
        handlers = self._handlers.values()
        kinds = [handler.kind for handler in handlers]
        batches = [one.batch.size for one in handlers if one.batch is not None and one.kind is Kind.CPU]
        slots = share(
            contract.slots, kinds, cores=cores(), chosen=self._options.slots, per_process=max(batches, default=1)
        )
        figures = {kind.value: count for kind, count in slots.items()}
        metrics = Metrics(pool=contract.pool, version=contract.version, slots=figures)
        metrics.locks = {name: endpoint.figures for name, endpoint in self._endpoints.items()}
        engine = Engine(
            contract,
            self._handlers,
            options=replace(self._options, watchdog=watchdog),
            lifespan=self._lifespan,
            evidence=evidence,
            metrics=metrics,
            log=log,
            token_file=self._env.get("WORKERPOOL_TOKEN_FILE", ""),
            tracing=tracing,
        )
        return Assembled(engine, metrics)

    @contextmanager
    def _open(self, contract: Contract, health: HealthServer) -> Iterator["_Opened"]:
        engine, metrics = self.assemble(contract, evidence=health.evidence, log=Log(), tracing=tracing())
        scraped = MetricsServer(self._ports[1], metrics)
        self.metrics_port = scraped.port
        scraped.start()
        Log().info("listening", health_port=health.port, metrics_port=scraped.port)
        try:
            with open_door(partial(self._subject, contract, engine)):
                yield _Opened(engine, metrics, scraped)
        finally:
            scraped.stop()

    def _subject(self, contract: Contract, engine: Engine) -> "Subject":
        """Who is asked by `workerpool.introspect`."""
        from workerpool.introspect.subject import Subject  # noqa: PLC0415  when somebody asks

        about = {"role": "worker", "pool": contract.pool, "version": contract.version, "worker": contract.pod}
        return Subject(about, loop=engine.loop, in_flight=engine.in_flight, endpoints=self._endpoints)


def _kind(name: str) -> Kind:
    try:
        return Kind(name)
    except ValueError:
        known = ", ".join(Kind)
        raise ConfigurationError(f"there is no lane {name!r}, choose one of: {known}") from None


def refuse(error: ConfigurationError) -> NoReturn:
    """Say why this worker cannot start, and end the process."""
    configure(pool="", version="", worker="")
    Log().error("cannot start", error=str(error))
    sys.exit(_EXIT_CONFIGURATION)


class Assembled(NamedTuple):
    """A worker's parts before they run."""

    engine: Engine
    metrics: Metrics


class _Opened(NamedTuple):
    """A worker's parts while its servers answer."""

    engine: Engine
    metrics: Metrics
    scraped: MetricsServer

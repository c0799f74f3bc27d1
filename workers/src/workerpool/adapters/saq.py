"""SAQ 0.26 or later, on Redis: `install(settings)` makes the worker of these settings keep the worker contract.

| What is told | By |
|---|---|
| a job came | `queue.dequeue`, which returns after a second at most here, and waits while there is a fence |
| an attempt begins | the hook `before_process` |
| how it ends | the job's own status, when the task that `Worker.process` runs in is over |
| the loop turns | a task in SAQ's event loop |
| the broker is away, and back | a `dequeue` that fails, and `queue.count` from then on |
| drain, end | the worker's `event`, which its signal handlers set; the hook `shutdown` |

SAQ takes a job when it has room for it, and none ahead. Its own drain cancels what runs after
`shutdown_grace_period_s`, which becomes `DRAIN_TIMEOUT`; here it ends with the last job.
"""

import argparse
import asyncio
import multiprocessing
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from typing import Any, Final

from workerpool.adapters.bridge import BEAT_SECONDS, Bridge
from workerpool.adapters.ledger import Outcome
from workerpool.adapters.refusal import contract_or_refuse, refuse, require_version
from workerpool.adapters.saq_sweep import look_twice
from workerpool.adapters.taking import TakingGate
from workerpool.errors import ConfigurationError
from workerpool.runtime.contract import Contract
from workerpool.telemetry.logs import TextLog
from workerpool.telemetry.metrics import FailureReason

_TAKE_SECONDS: Final = 1
"""A `dequeue` waits no longer for a job, so a fence and a drain take some such time. Whole: Redis before 6 wants it."""
_ANSWER_SECONDS: Final = 5.0
"""A broker that is later than that is away."""
_LOOK_SECONDS: Final = 1.0
_LANE: Final = "io"


def install(
    settings: MutableMapping[str, Any],
    *,
    health_port: int = 8080,
    metrics_port: int = 8000,
    env: Mapping[str, str] | None = None,
) -> None:
    """Make SAQ's worker of these settings keep the worker contract.

    Outside a pool (no `WORKERPOOL_NAME`) it does nothing, and nothing begins before the worker's `startup`: a producer
    may import the same module.

    Args:
        settings: SAQ's settings, a dictionary; a function that returns them calls this on what it returns.
        health_port: Where `/healthz` and `/ready` are; 0 chooses a free one.
        metrics_port: Where `/metrics` is; 0 chooses a free one.
        env: The environment, for tests.

    Raises:
        SystemExit: these settings or this version cannot keep it; a log line says why.
    """
    contract = contract_or_refuse(env)
    if contract is None:
        return
    require_version("SAQ", "saq", least=(0, 26), why="does not drain as this adapter needs it")
    if not isinstance(settings, MutableMapping):
        refuse("install() wants SAQ's settings as a dictionary: call it in the function that returns them")
    hooks = _Hooks(contract, ports=(health_port, metrics_port))
    settings["startup"] = [hooks.startup, *_many(settings.get("startup")), hooks.started]
    settings["before_process"] = [hooks.before_process, *_many(settings.get("before_process"))]
    settings["shutdown"] = [*_many(settings.get("shutdown")), hooks.shutdown]
    settings["shutdown_grace_period_s"] = max(1, round(contract.drain_seconds))


def _many(hooks: Any) -> list[Callable[[Any], Any]]:
    """As SAQ takes them: none, one or several."""
    if hooks is None:
        return []
    return list(hooks) if isinstance(hooks, Collection) else [hooks]


class _Hooks:
    """SAQ's hooks, in its loop."""

    def __init__(self, contract: Contract, *, ports: tuple[int, int]) -> None:
        self._contract = contract
        self._ports = ports
        self._adapter: _Adapter | None = None

    async def startup(self, context: Mapping[str, Any]) -> None:
        """The first of all: the ports are open while the app's own hooks run."""
        _check(context["worker"], self._contract)
        try:
            self._adapter = _Adapter(context["worker"], self._contract, ports=self._ports)
        except ConfigurationError as error:
            refuse(f"{error}. `saq --web` takes port 8080, too: give it another one by --port")

    async def started(self, _context: Mapping[str, Any]) -> None:
        """The last one: the app's own have done what they do."""
        if self._adapter is not None:
            self._adapter.start()

    async def before_process(self, context: Mapping[str, Any]) -> None:
        """An attempt begins, in the task that took the job."""
        if self._adapter is not None:
            self._adapter.begins(context["job"])

    async def shutdown(self, _context: Mapping[str, Any]) -> None:
        """The last of all: no job runs."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            await adapter.finish()


def _check(worker: Any, contract: Contract) -> None:
    """Refuse a worker that could not keep the contract; warn of what costs jobs."""
    if not any(base.__name__ == "RedisQueue" for base in type(worker.queue).__mro__):
        kind = type(worker.queue).__name__
        refuse(f"SAQ's {kind} is not supported: of its RedisQueue only is it known here when a job is taken")
    if multiprocessing.parent_process() is not None or _processes(sys.argv) > 1:
        refuse("SAQ is asked for several processes, and a pod has one: leave --workers out, and add replicas instead")
    if worker.concurrency != contract.slots:
        TextLog().warning(
            "the pool counts with other slots than SAQ has: set concurrency to MAX_WORKERS",
            concurrency=worker.concurrency,
            max_workers=contract.slots,
        )


def _processes(arguments: Sequence[str]) -> int:
    """What SAQ's command line asks for."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--workers", type=int, default=1)
    return int(parser.parse_known_args(arguments)[0].workers)


class _Adapter(TakingGate):
    """What one worker tells the bridge, and does for it. In SAQ's loop, but for what the bridge asks."""

    def __init__(self, worker: Any, contract: Contract, *, ports: tuple[int, int]) -> None:
        """Open the ports. Raises ConfigurationError."""
        super().__init__()
        self._worker = worker
        self._log = TextLog()
        self._bridge = Bridge(self, contract, lane=_LANE, health_port=ports[0], metrics_port=ports[1])
        self._processing: dict[asyncio.Task[Any], Any] = {}
        """SAQ's tasks that take and run jobs, and the job that each has."""
        self._upkeep: list[asyncio.Task[Any]] = []
        self._looking = asyncio.Lock()
        self._sweeping = asyncio.Lock()
        self._interrupted = 0
        self._dequeue: Callable[..., Awaitable[Any]] = worker.queue.dequeue
        worker.queue.dequeue = self._take
        self._sweep: Callable[..., Awaitable[Any]] = worker.queue.sweep
        worker.queue.sweep = self._sweep_whole
        if not look_twice(worker.queue, worker.event):
            self._log.warning("this version of SAQ sweeps in another way: a worker's start may have jobs run twice")
        self._background = [asyncio.create_task(run()) for run in (self._beat, self._drain)]
        self._bridge.start()

    def start(self) -> None:
        """Ready when the broker answers; nobody waits for it."""
        self._background.append(asyncio.create_task(self._until_answered()))

    def begins(self, job: Any) -> None:
        """In the task that took it."""
        self._bridge.begins(asyncio.current_task(), job.function, attempt=job.attempts, timeout=job.timeout or None)

    async def finish(self) -> None:
        """Nothing runs any more. Some 12 s at most."""
        for task in self._background:
            task.cancel()
        await asyncio.to_thread(self._bridge.finish, interrupted=self._interrupted + self._bridge.in_flight)

    # Jobs

    async def _take(self, timeout: float = 0.0, poll_interval: float = 0.0) -> Any:  # noqa: ASYNC109  SAQ's signature
        """Instead of the queue's `dequeue`."""
        task = asyncio.current_task()
        assert task is not None
        self._upkeep = self._upkeep or [task for task in self._worker.tasks if task.get_name() != "process"]
        self._processing[task] = None
        task.add_done_callback(self._processed)
        if not await self.enter():
            return None
        try:
            async with asyncio.timeout(_TAKE_SECONDS + _ANSWER_SECONDS):
                wait = min(timeout or _TAKE_SECONDS, _TAKE_SECONDS)
                job = await self._dequeue(timeout=wait, poll_interval=poll_interval)
            if job is not None:
                self._processing[task] = job
                self._bridge.taken(task)
        except Exception as error:  # noqa: BLE001  of whatever client the queue has
            failed = error
        else:
            return job
        finally:
            self.leave()
        self._log.warning("no job could be taken", error=f"{type(failed).__name__}: {failed}")
        await self._until_answered()  # or else SAQ asks again at once, as fast as it can
        return None

    def _processed(self, task: "asyncio.Task[Any]") -> None:
        """SAQ has nothing more to do with it."""
        job = self._processing.pop(task, None)
        if job is not None:
            outcome, reason = _meaning(job, known=job.function in self._worker.functions)
            self._interrupted += outcome is Outcome.HANDED_BACK
            self._bridge.ended(task, outcome, reason=reason)

    async def _sweep_whole(self, *arguments: Any, **named: Any) -> Any:
        async with self._sweeping:
            return await self._sweep(*arguments, **named)

    # The worker

    async def _beat(self) -> None:
        while True:
            self._bridge.beat()
            await asyncio.sleep(BEAT_SECONDS)

    async def _until_answered(self) -> None:
        """Return when the broker answers, or in a drain. One asks at a time, whoever else has failed as well."""
        async with self._looking:
            while not self._worker.event.is_set():
                try:
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await self._worker.queue.count("queued")
                except Exception as error:  # noqa: BLE001  of whatever client the queue has
                    self._bridge.away(type(error).__name__)
                    await asyncio.sleep(_LOOK_SECONDS)
                else:
                    self._bridge.back()
                    return

    async def _drain(self) -> None:
        """SAQ waits for all of its tasks, and its upkeep may sleep for a minute: that ends with the last job here."""
        await self._worker.event.wait()
        self._bridge.drain()
        self.end()
        while self._processing:
            await asyncio.wait(tuple(self._processing))
            await asyncio.sleep(0)  # `_processed` is called in the next turn
        async with self._sweeping:  # one that is cut off between its two steps loses the job that it moves
            for task in self._upkeep:
                task.cancel()

    # What the bridge asks, in its thread

    def slots(self) -> int:
        """Jobs at a time."""
        return int(self._worker.concurrency)

    def children(self) -> Sequence[int]:
        """There are none."""
        return ()

    def hurry(self) -> None:
        """SAQ cancels what runs after `shutdown_grace_period_s` by itself, and lets it wait again."""


def _meaning(job: Any, *, known: bool) -> tuple[Outcome, FailureReason]:
    """What a job's status means: how it ended, and why the attempt failed. `known`: SAQ has a function for it."""
    failed = FailureReason.ERROR if known else FailureReason.UNKNOWN_TYPE
    if (job.error or "").rstrip().endswith("\nTimeoutError"):  # the last line of the traceback that SAQ keeps
        failed = FailureReason.TIMEOUT
    match job.status.value:
        case "complete":
            return Outcome.DONE, failed
        case "failed":
            return Outcome.FAILED, failed
        case "queued" if job.error == "cancelled":  # by SAQ itself, at the end of a drain
            return Outcome.HANDED_BACK, failed
        case "queued":
            return Outcome.RETRIED, failed
        case "aborting" | "aborted":
            return Outcome.DISCARDED, failed
        case _:  # the broker did not hear how it ended: it is repeated when its timeout is over
            return Outcome.RETRIED, FailureReason.LEASE_LOST

"""The jobs of a worker between take and settlement: started in their lanes, counted, and settled once each."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from workerpool.broker import Broker, DeathReason, Taken
from workerpool.runtime.comeback import Comeback
from workerpool.runtime.execution import Execution, about_job
from workerpool.runtime.inflight import InFlight, Running
from workerpool.runtime.settle import Bury, Done, Drop, HandBack, Outcome, Settler, TryAgain
from workerpool.runtime.solitude import RUNS_ALONE, Solitude, is_suspect
from workerpool.runtime.stations import Runnable, Station, Stations
from workerpool.telemetry import fates
from workerpool.telemetry.metrics import FailureReason, LaneMetrics, Metrics
from workerpool.telemetry.tracing import QueueTraces

if TYPE_CHECKING:
    from workerpool.runtime.batches import Batches, Gathered

_HEED_SECONDS: Final = 2.0
"""How long a handler in the event loop may go on after its timeout, or when it was cancelled."""

_OPERATIONS: Final[Mapping[type[Outcome], str]] = {
    Done: "ack",
    TryAgain: "retry",
    Bury: "dead_letter",
    HandBack: "hand_back",
    Drop: "",
}
"""What traces call it when the broker is told."""


class Jobs:
    """All jobs in flight.

    Attributes:
        in_flight: Taken and not yet settled.
        settled: How many have been settled that had a slot of a lane.
    """

    def __init__(
        self,
        stations: Stations,
        execution: Execution,
        *,
        taken: Callable[[], None],
        freed: Callable[[Running], None],
        max_attempts: Callable[[], int],
        solitude: Solitude,
        metrics: Metrics,
        log: Any,
    ) -> None:
        """`taken`: some have come. `freed`: this one is settled, and so its slot is free. `max_attempts`: now."""
        self._stations = stations
        self._execution = execution
        self._taken = taken
        self._freed = freed
        self._max_attempts = max_attempts
        self._solitude = solitude
        self._batches: Batches | None = None
        self._metrics = metrics
        self._log = log
        self._settlers: dict[str, Settler] = {}
        self._traces: dict[str, QueueTraces] = {}
        self.in_flight = InFlight()
        self.settled = 0
        self.context: Any = None
        """What the worker's lifespan gave."""

    def open(self, queue: str, broker: Broker, comeback: Comeback, *, traces: QueueTraces | None = None) -> Settler:
        """The settler of a queue, before the first of its jobs. `traces`: what makes the spans of its jobs."""
        if traces is not None:
            self._traces[queue] = traces
        self._settlers[queue] = settler = Settler(broker, comeback=comeback, settled=self._settled, log=self._log)
        return settler

    def accept(self, queue: str, broker: Broker, jobs: Sequence[Taken]) -> list[Taken]:
        """Register jobs that were taken and start them. Called inside the gate: it must not wait.

        Returns those whose lane is full, whose circuit is open, or that are to run alone while another one does: they
        are handed back.
        """
        now, refused = asyncio.get_running_loop().time(), []
        traces = self._traces.get(queue)
        for job in jobs:
            handler = self._stations.by_type.get(job.type)
            station = handler.station if handler else self._stations.default
            # Without a handler it ends at once.
            running = Running(job, queue, now, broker, timeout=handler.timeout if handler else 0.0)
            self.in_flight.add(running)
            room = (not job.redelivered or self._may_stay(running)) and station.enter()
            if room and (handler is None or handler.circuit is None or _admitted(running, handler, now)):
                running.station = station
                running.trace = traces.attempt(job) if traces is not None else None
                station.figures.redelivered += job.redelivered
                station.figures.waits[job.priority].observe(job.waited)
                if running.alone:
                    running.task = asyncio.create_task(self._run_alone(running, handler, station))
                elif handler is not None and handler.batch is not None:
                    self._gather(running, handler)
                    continue
                else:
                    running.task = asyncio.create_task(self._run_job(running, station))
                running.task.add_done_callback(partial(self._ended, running))
            else:
                station.figures.refused += 1
                refused.append(job)
                self._settle(HandBack(running))
        if jobs:
            self._taken()
        if self._batches is not None:
            full = self._solitude.taken or len(self.in_flight) >= self._stations.slots
            self._batches.no_more(of=lambda station: full or station.full)
        if dropped := broker.dropped():
            self._count_dropped(queue, dropped)
        return refused

    def _count_dropped(self, queue: str, dropped: Mapping[DeathReason, int]) -> None:
        """Jobs that the broker did not give us, for they were not to be run any more."""
        for reason, count in dropped.items():
            self._metrics.shed[reason] += count
            self._log.warning(
                "jobs dead-lettered that were not to be run", queue=queue, reason=reason.value, jobs=count
            )
        self._metrics.last_progress = time.time()

    async def _run_job(self, running: Running, station: Station) -> None:
        running.started_at = asyncio.get_running_loop().time()
        if running.trace is not None:
            running.trace.begin()
        self._settle(await self._execution.run(running, station.figures, self.context))

    def _may_stay(self, running: Running) -> bool:
        """Not while another job runs alone, or waits for that, and this one has to as well."""
        return not is_suspect(running.job, allowed=self._max_attempts()) or self._solitude.claim(running)

    async def _run_alone(self, running: Running, handler: Runnable | None, station: Station) -> None:
        beside = await self._solitude.begin(self.in_flight)
        self._log.warning(RUNS_ALONE, **about_job(running.job), beside=beside)
        if handler is None or handler.batch is None:
            await self._run_job(running, station)
            return
        self._gather(running, handler)
        assert running.task is not None, "a job that was redelivered is a batch of its own, and begins at once"
        await asyncio.wait([running.task])

    def _gather(self, running: Running, handler: Runnable) -> None:
        if self._batches is None:
            from workerpool.runtime.batches import Batches  # noqa: PLC0415  few handlers do batches

            self._batches = Batches(due=self._begin_batch, max_attempts=self._max_attempts)
        self._batches.add(running, handler)

    def no_more(self) -> None:
        """The worker takes no more jobs: nobody needs to wait for them."""
        self._solitude.give_up()
        if self._batches is not None:
            self._batches.no_more()

    def _begin_batch(self, gathered: "Gathered") -> None:
        task = asyncio.create_task(self._run_batch(gathered))
        gathered.begin(task)
        task.add_done_callback(partial(self._batch_ended, gathered))

    async def _run_batch(self, gathered: "Gathered") -> None:
        turns = gathered.station.lane.turns
        async with turns or contextlib.nullcontext():
            await self._run_gathered(gathered)

    async def _run_gathered(self, gathered: "Gathered") -> None:
        from workerpool.runtime.batches import BatchRun  # noqa: PLC0415  it is loaded

        assert self._batches is not None
        self._batches.close(gathered)
        run = BatchRun(gathered, self._execution, settle=self._settle, context=self.context, log=self._log)
        await run.run()

    def _batch_ended(self, gathered: "Gathered", task: "asyncio.Task[None]") -> None:
        assert self._batches is not None
        self._batches.close(gathered)  # it may have been cancelled before it began
        for number, running in enumerate(gathered.jobs):
            if not number or not running.settling:  # an error is told in any case
                self._ended(running, task)

    def _ended(self, running: Running, task: "asyncio.Task[None]") -> None:
        """Whatever happened to the task, its job must be settled: else it would keep its slot for ever."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("running a job failed in the runtime", exc_info=error)
            self._settle(self._execution.broken(running, error))
        elif not running.settling:  # cancelled before it began
            self._settle(HandBack(running))

    def hand_back(self, running: Running) -> None:
        """Give up on a handler that does not heed its cancellation."""
        self._settle(HandBack(running))

    def _settle(self, outcome: Outcome) -> None:
        """The first outcome counts: a handler may end after its job was handed back."""
        running = outcome.running
        if not running.settling:
            if running.station is not None and running.station.adaptive is not None:
                # A job's part of its batch: a call for more of them at a time takes longer, and is no sign of load.
                took = running.took / (1 if running.batch is None else len(running.batch.jobs))
                self._stations.ended(running.job.type, took, running.verdict, station=running.station)
            if running.trace is not None:
                running.trace.ended(_OPERATIONS[type(outcome)])
            self._settlers[running.queue].submit(outcome)

    def _settled(self, outcome: Outcome, ours: bool) -> None:  # noqa: FBT001  a callback with a fixed form
        station = outcome.running.station
        if station is not None:
            self._count(outcome, station.figures, ours=ours)
            station.leave()
            self.settled += 1
            self._metrics.last_progress = time.time()
        if outcome.running.trace is not None:
            outcome.running.trace.settled(ours=ours)
        self.in_flight.discard(outcome.running)
        self._solitude.settled(outcome.running)
        self._freed(outcome.running)

    def _count(self, outcome: Outcome, figures: LaneMetrics, *, ours: bool) -> None:
        job = outcome.running.job
        match outcome:
            case Done() if ours:
                figures.processed += 1
                if job.attempt > 1:  # somebody may have read of the one before, and waits
                    self._log.info(fates.DONE, **about_job(job))
            case Done():
                figures.failed[FailureReason.LEASE_LOST] += 1
                self._log.warning(fates.DONE_LATE, **about_job(job))
            case Bury() if ours:
                figures.dead_lettered += 1
            case HandBack() if ours:
                self._metrics.handed_back += 1
            case _:
                pass

    def give_up_the_deaf(self) -> None:
        """Settle jobs whose handlers do not heed their cancellation: else each would keep its slot for ever."""
        now = asyncio.get_running_loop().time()
        for one in self.in_flight:
            if one.late(now) <= _HEED_SECONDS or one.settling or one.task is None or one.station is None:
                continue
            if one.station.abandon(one.task):
                self._settle(self._execution.given_up(one, one.station.figures))


def _admitted(running: Running, handler: Runnable, now: float) -> bool:
    """Whether it may run although its handler has a breaker. It has entered its lane, and leaves it if not."""
    assert handler.circuit is not None
    if handler.circuit.admit(running, now=now):
        running.circuit = handler.circuit
        return True
    running.fallback = handler.fallback is not None
    if not running.fallback:
        handler.station.leave()
    return running.fallback

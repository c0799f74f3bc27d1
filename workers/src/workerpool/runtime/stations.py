"""The lanes of a worker at work: which handler runs where, how full each lane is, and its figures."""

import asyncio
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from workerpool.runtime.contract import Contract
from workerpool.runtime.lanes import Bound, Given, Handler, Kind, Lane, NotHere
from workerpool.runtime.lanes.io import IoLane
from workerpool.runtime.lanes.plan import cores
from workerpool.runtime.recycle import Recycle
from workerpool.runtime.verdict import Verdict
from workerpool.telemetry.metrics import BATCH_JOBS, Histogram, LaneMetrics, Metrics

if TYPE_CHECKING:
    from workerpool._batch import Batch
    from workerpool.guards.adaptive import AdaptiveLimit
    from workerpool.guards.breaker import Circuit, Circuits

BLOCKS: Final = 3
"""How often a handler may block the event loop for over 0.1 s until it is moved."""
TELLING: Final = 2
"""A limit that was found is logged when it is so many times the one before, or one of so many parts of it."""


@dataclass(slots=True, eq=False)
class Station:
    """One lane. Mutable: the loop's own record of it."""

    kind: Kind
    lane: Lane
    figures: LaneMetrics
    adaptive: "AdaptiveLimit | None" = None
    slots: int = 0
    """Jobs that may run here at a time now: what the lane has, within the limits in force."""
    most: int = 0
    """The same without the limit that the lane found itself."""
    told: int = 0
    """The limit that was logged last."""

    def fit(self, share: float) -> None:
        """Bring the slots into line with the lane, this share of it, and what was found out."""
        most = max(0, math.ceil(self.lane.slots * share))
        self.slots = self.figures.slots = self.most = most
        if self.adaptive is not None:
            self.adaptive.bound(max(1, most))
            self.slots = min(most, self.adaptive.limit)
            self.figures.slots = min(most, self.adaptive.settled)

    @property
    def full(self) -> bool:
        """Whether it has no slot for another job."""
        return self.figures.in_progress >= self.slots

    def enter(self) -> bool:
        """Take a slot for a job, if there is one."""
        if self.full:
            return False
        self.figures.in_progress += 1
        return True

    def abandon(self, task: "asyncio.Task[None]") -> bool:
        """Whether a task that was cancelled and goes on can be left to itself. Other lanes see to it themselves."""
        if not isinstance(self.lane, IoLane):
            return False
        self.lane.abandon(task)
        return True

    def leave(self) -> None:
        """The job is settled."""
        self.figures.in_progress -= 1


class Runnable(NamedTuple):
    """A handler in its lane."""

    run: Bound
    timeout: float | None
    station: Station
    circuit: "Circuit | None" = None
    fallback: Bound | None = None
    """Runs what the circuit does not admit."""
    batch: "Batch | None" = None
    """How its jobs are gathered; None: each is run by itself."""


class Stations:
    """All lanes in use."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        contract: Contract,
        *,
        recycle: Recycle,
        adaptive: bool,
        circuits: "Circuits | None",
        movable: bool,
        resized: Callable[[], None],
        metrics: Metrics,
        log: Any,
    ) -> None:
        """Make the lanes.

        `recycle` is for the processes of the cpu lane; `adaptive`: whether the other lanes find out themselves how many
        jobs they run at a time; `resized` is called when there are other slots than before; `movable`: whether an
        `async def` has nothing of this event loop in its hands and may run in another one.

        Raises:
            ConfigurationError: a handler cannot be run in its lane.
        """
        self._contract = contract
        self._recycle = recycle
        self._adaptive = adaptive
        self._circuits = circuits
        self._movable = movable
        self._resized = resized
        self._cap = self._bounded(contract.policy.concurrency_per_worker)
        self._metrics = metrics
        self._handlers = dict(handlers)
        self._blocks: dict[str, int] = {}
        self._log = log
        self._stations: dict[Kind, Station] = {}
        for name, figures in metrics.lanes.items():
            self._make(Kind(name), figures)
        self.by_type = {type_: self._bind(type_, handler) for type_, handler in handlers.items()}

    def __iter__(self) -> Iterator[Station]:
        return iter(self._stations.values())

    @property
    def default(self) -> Station:
        """Stands for jobs that have no handler: one with room, if there is any."""
        return next((station for station in self if not station.full), next(iter(self)))

    def without_room(self, now: float) -> tuple[frozenset[str], float]:
        """Types of jobs that could not be started now, and in how many seconds that may change by itself."""
        again = math.inf
        if self._circuits is None and len(self._stations) == 1:  # nobody takes when its only lane is full
            return frozenset(), again
        types = {type_ for type_, handler in self.by_type.items() if handler.station.full}
        for type_, handler in self.by_type.items():
            if handler.circuit is not None and handler.fallback is None and (shut := handler.circuit.shut_for(now)):
                types.add(type_)
                again = min(again, shut)
        return frozenset(types), again

    @property
    def slots(self) -> int:
        """Jobs that the worker may run at a time now."""
        return min(self._cap, sum(station.slots for station in self))

    @property
    def capacity(self) -> int:
        """The same, apart from moments in which fewer run only to measure what one takes."""
        return min(self._cap, sum(station.figures.slots for station in self))

    @property
    def most(self) -> int:
        """The same without the limits that lanes found themselves."""
        return min(self._cap, sum(station.most for station in self))

    @property
    def measuring(self) -> bool:
        """Whether this is such a moment."""
        return any(station.slots < station.figures.slots for station in self)

    def cap(self, most: int | None) -> None:
        """Run no more than so many jobs at a time from now on; None: as many as there are slots.

        Each lane keeps its share, so that one that stands still leaves the others theirs. What runs goes on.
        """
        cap = self._bounded(most)
        if cap != self._cap:
            self._cap = cap
            self._log.info("jobs at a time", most=cap)
            self._fit()

    def _bounded(self, most: int | None) -> int:
        return min(most or self._contract.slots, self._contract.slots)

    def ended(self, type_: str, seconds: float, verdict: Verdict, *, station: Station) -> None:
        """A job has ended in a lane that finds its limit by that."""
        if station.adaptive is not None:
            busy = station.figures.in_progress
            station.adaptive.ended(type_, seconds, verdict, busy=busy, now=asyncio.get_running_loop().time())
            self._follow(station)

    def tick(self) -> None:
        """To be called now and then."""
        for station in self:
            if station.adaptive is not None:
                station.adaptive.tick(asyncio.get_running_loop().time())
                self._follow(station)

    def _follow(self, station: Station) -> None:
        """Its limit may be another one."""
        if station.adaptive is None or (station.adaptive.limit, station.adaptive.settled) == (
            station.slots,
            station.figures.slots,
        ):
            return
        found = station.adaptive.settled
        if not station.told / TELLING < found < station.told * TELLING:
            self._log.info("concurrency limit", lane=station.kind.value, limit=found, before=station.told)
            station.told = found
        self._fit()

    def _fit(self) -> None:
        for station in self:
            station.fit(self._cap / self._contract.slots)
        self._resized()

    def problem(self) -> str:
        """Why some lane can never run a job again; empty while all can."""
        return next((problem for station in self if (problem := station.lane.problem())), "")

    @property
    def wedged(self) -> bool:
        """Whether something of a handler goes on that no job needs any more."""
        return any(station.lane.threads().wedged for station in self)

    def processes(self) -> list[int]:
        """Pids of all processes of all lanes."""
        return [pid for station in self for pid in station.lane.processes()]

    def blocked(self, type_: str) -> None:
        """A handler of the io lane held up the event loop. The third time its jobs move to the thread lane.

        A plain function can run there as it is. An `async def` gets an event loop of its own there, which only works
        when it holds nothing that belongs to this one: it is moved only where no lifespan gave it such things, and if
        its first job there fails with a RuntimeError, as asyncio does then, the job is handed back and it stays here.
        """
        self._blocks[type_] = self._blocks.get(type_, 0) + 1
        handler = self._handlers[type_]
        if self._blocks[type_] != BLOCKS or not (self._movable or not inspect.iscoroutinefunction(handler.function)):
            return
        if Kind.THREAD not in self._stations:
            self._open_threads()
        there = self._bind(type_, handler._replace(kind=Kind.THREAD))
        self.by_type[type_] = there._replace(run=self._on_trial(type_, there))
        self._log.warning("a handler that blocks the event loop runs in the thread lane from now on", job_type=type_)

    def _on_trial(self, type_: str, there: Runnable) -> Bound:
        here = self.by_type[type_]

        async def trial(given: Given) -> None:
            try:
                await there.run(given)
            except RuntimeError as error:
                if self.by_type[type_].run is trial:
                    self.by_type[type_] = here
                    self._log.warning("it cannot run there: back to the event loop", job_type=type_, error=str(error))
                    raise NotHere from error
                raise
            if self.by_type[type_].run is trial:
                self.by_type[type_] = there

        return trial

    def _open_threads(self) -> None:
        """A thread lane with half of the io lane's slots."""
        io = self._stations[Kind.IO]
        assert isinstance(io.lane, IoLane)
        half = max(1, io.lane.slots // 2)
        io.lane.slots = max(1, io.lane.slots - half)  # the same lane: it counts those who heed no cancellation
        figures = self._metrics.lanes[Kind.THREAD.value] = LaneMetrics(half)
        self._make(Kind.THREAD, figures)
        self._fit()

    async def close(self) -> None:
        """No job runs any more."""
        for station in self:
            await station.lane.close()

    def _bind(self, type_: str, handler: Handler) -> Runnable:
        station = self._stations[handler.kind]
        circuit = self._circuits.of(type_) if self._circuits is not None else None
        other = handler.fallback
        fallback = station.lane.bind(handler._replace(function=other)) if other is not None else None
        if handler.batch is not None:
            station.figures.batches = station.figures.batches or Histogram(BATCH_JOBS)
            most = station.lane.slots
            if handler.batch.size > most:
                self._log.info("batches are smaller than they may be: raise MAX_WORKERS", job_type=type_, most=most)
        return Runnable(station.lane.bind(handler), handler.timeout, station, circuit, fallback, handler.batch)

    def _make(self, kind: Kind, figures: LaneMetrics) -> Station:
        lane = self._lane(kind, figures.slots)
        figures.threads = lane.threads
        station = self._stations[kind] = Station(kind, lane, figures)
        if self._adaptive and kind is not Kind.CPU:  # the cpu lane has a slot per core: more only take turns
            from workerpool.guards.adaptive import starting  # noqa: PLC0415  most workers have a fixed limit

            station.adaptive = starting(most=lane.slots)
            station.told = station.adaptive.settled
        station.fit(self._cap / self._contract.slots)
        return station

    def _lane(self, kind: Kind, slots: int) -> Lane:
        # Imported when they are used: many workers start at once, and most have one lane.
        match kind:
            case Kind.IO:
                return IoLane(slots)
            case Kind.THREAD:
                from workerpool.runtime.lanes.thread import ThreadLane  # noqa: PLC0415

                return ThreadLane(slots, resized=self._fit, log=self._log)
            case Kind.CPU:
                from workerpool.runtime.lanes.cpu import CpuLane  # noqa: PLC0415

                said = self._contract
                fields = {"pool": said.pool, "version": said.version, "worker": said.pod}
                batches = any(one.batch is not None for one in self._handlers.values() if one.kind is kind)
                processes = min(slots, cores()) if batches else None
                return CpuLane(slots, recycle=self._recycle, log_fields=fields, log=self._log, processes=processes)

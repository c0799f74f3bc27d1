"""The lanes of a worker at work: which handler runs where, how full each lane is, and its figures."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from workerpool.runtime.contract import Contract
from workerpool.runtime.lanes import Bound, Handler, Kind, Lane
from workerpool.runtime.lanes.io import IoLane
from workerpool.runtime.recycle import Recycle
from workerpool.telemetry.metrics import LaneMetrics, Metrics


@dataclass(slots=True, eq=False)
class Station:
    """One lane. Mutable: the loop's own record of it."""

    kind: Kind
    lane: Lane
    figures: LaneMetrics

    def enter(self) -> bool:
        """Take a slot for a job, if there is one."""
        if self.figures.in_progress >= self.lane.slots:
            return False
        self.figures.in_progress += 1
        return True

    def leave(self) -> None:
        """The job is settled."""
        self.figures.in_progress -= 1


class Runnable(NamedTuple):
    """A handler in its lane."""

    run: Bound
    timeout: float | None
    station: Station


class Stations:
    """All lanes in use."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        contract: Contract,
        *,
        recycle: Recycle,
        resized: Callable[[], None],
        metrics: Metrics,
        log: Any,
    ) -> None:
        """`recycle` is for the processes of the cpu lane; `resized` is called when a lane has other slots than before.

        Raises:
            ConfigurationError: a handler cannot be run in its lane.
        """
        self._contract = contract
        self._recycle = recycle
        self._resized = resized
        self._log = log
        self._stations = {Kind(name): self._make(Kind(name), figures) for name, figures in metrics.lanes.items()}
        self.by_type = {type_: self._bind(handler) for type_, handler in handlers.items()}
        self.default = next(iter(self._stations.values()))
        """Stands for jobs that have no handler."""

    def __iter__(self) -> Iterator[Station]:
        return iter(self._stations.values())

    @property
    def slots(self) -> int:
        """Jobs that the worker can run at a time now."""
        return min(self._contract.slots, sum(max(0, station.lane.slots) for station in self))

    def of(self, type_: str) -> Station:
        """Where jobs of this type run."""
        runnable = self.by_type.get(type_)
        return runnable.station if runnable else self.default

    def problem(self) -> str:
        """Why some lane can never run a job again; empty while all can."""
        return next((problem for station in self if (problem := station.lane.problem())), "")

    async def close(self) -> None:
        """No job runs any more."""
        for station in self:
            await station.lane.close()

    def _bind(self, handler: Handler) -> Runnable:
        station = self._stations[handler.kind]
        return Runnable(station.lane.bind(handler), handler.timeout, station)

    def _make(self, kind: Kind, figures: LaneMetrics) -> Station:
        lane = self._lane(kind, figures.slots)
        figures.threads = lane.threads
        return Station(kind, lane, figures)

    def _lane(self, kind: Kind, slots: int) -> Lane:
        # Imported when they are used: many workers start at once, and most have one lane.
        match kind:
            case Kind.IO:
                return IoLane(slots)
            case Kind.THREAD:
                from workerpool.runtime.lanes.thread import ThreadLane  # noqa: PLC0415

                return ThreadLane(slots, resized=self._resized, log=self._log)
            case Kind.CPU:
                from workerpool.runtime.lanes.cpu import CpuLane  # noqa: PLC0415

                said = self._contract
                fields = {"pool": said.pool, "version": said.version, "worker": said.pod}
                return CpuLane(slots, recycle=self._recycle, log_fields=fields, log=self._log)

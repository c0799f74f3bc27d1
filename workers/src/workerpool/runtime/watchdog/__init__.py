"""What a worker notices about itself while it works.

`loop` measures how late the event loop is and catches who holds it up, in the act; `trends` decides when a figure is
worth a warning, and `resources` applies that to CPU, memory and open files. `sizing` tells how many jobs at a time a
lane's cores could do.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workerpool.runtime.inflight import InFlight
from workerpool.runtime.lanes import Handler, Kind
from workerpool.runtime.lanes.plan import cores
from workerpool.runtime.stations import Stations
from workerpool.runtime.watchdog.loop import LoopWatch
from workerpool.runtime.watchdog.resources import Resources
from workerpool.telemetry.metrics import Metrics
from workerpool.telemetry.process import open_files

if TYPE_CHECKING:
    from workerpool.runtime.watchdog.sizing import Sizing


class Watchdog:
    """Watches while jobs run, and sums up at each heartbeat."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        stations: Stations,
        in_flight: InFlight,
        *,
        metrics: Metrics,
        log: Any,
    ) -> None:
        in_loop = frozenset(name for name, handler in handlers.items() if handler.kind is Kind.IO)

        def type_of(task: "asyncio.Task[Any]") -> str:
            running = in_flight.of(task)
            return running.job.type if running is not None and running.job.type in in_loop else ""

        self._loop = LoopWatch(
            type_of=type_of,
            idle=lambda: not in_flight,
            blocked=stations.blocked,
            log=log,
        )
        self._resources = Resources(cores=cores(), open_files=open_files, log=log)
        self._stations = stations
        self._metrics = metrics
        self._sizing: Sizing | None = None
        self._log = log

    def wake(self) -> None:
        """Jobs were taken. For the running loop's own thread."""
        self._loop.wake()

    def stop(self) -> None:
        """Watch no more."""
        self._loop.stop()

    def heartbeat(self) -> None:
        """Measure, and warn about what is new."""
        metrics = self._metrics
        metrics.heartbeat(children=self._stations.processes(), loop_lag=self._loop.worst())
        self._resources.look(cpu_percent=metrics.cpu_percent, memory_bytes=metrics.memory_bytes)
        self._size()

    def _size(self) -> None:
        if self._loop.stopped:  # nobody watches: in a played time CPU says nothing
            return
        if self._sizing is None:
            from workerpool.runtime.watchdog.sizing import Sizing  # noqa: PLC0415  not at the start

            self._sizing = Sizing(cores=cores(), log=self._log)
        self._sizing.look(self._stations)

"""What a worker notices about itself while it works.

`loop` measures how late the event loop is and catches who holds it up, in the act; `trends` decides when a figure is
worth a warning, and `resources` applies that to CPU, memory and open files.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from workerpool.runtime.lanes import Handler, Kind
from workerpool.runtime.lanes.plan import cores
from workerpool.runtime.stations import Stations
from workerpool.runtime.watchdog.loop import LoopWatch
from workerpool.runtime.watchdog.resources import Resources
from workerpool.telemetry.metrics import Metrics
from workerpool.telemetry.process import open_files


class Watchdog:
    """Watches while jobs run, and sums up at each heartbeat."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        stations: Stations,
        *,
        idle: Callable[[], bool],
        metrics: Metrics,
        log: Any,
    ) -> None:
        """`idle`: whether no job is in flight."""
        in_loop = {name: handler for name, handler in handlers.items() if handler.kind is Kind.IO}
        codes = {getattr(inspect.unwrap(one.function), "__code__", None): name for name, one in in_loop.items()}
        self._loop = LoopWatch(
            codes={code: name for code, name in codes.items() if code is not None},
            idle=idle,
            blocked=stations.blocked,
            log=log,
        )
        self._resources = Resources(cores=cores(), open_files=open_files, log=log)
        self._stations = stations
        self._metrics = metrics

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

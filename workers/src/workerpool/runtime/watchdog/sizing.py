"""How many jobs at a time would keep busy what a lane computes on: cores x (1 + wait / service).

A handler that computes for `service` seconds and waits for `wait` leaves its core to wait / service others meanwhile
(Goetz, Java Concurrency in Practice, 8.2). Both are measured: together they are the time in the handler, and service is
the CPU time of the lane's threads. That of the io lane is the rest of the process': what the worker itself does for a
job counts, for it takes the same core.

The io lane has one core, its event loop is one thread. The thread lane has all of them, as the formula is used for it;
handlers in pure Python share one, too. The cpu lane has a process per core, and needs no hint.

It is a hint. How many what the handlers call can take is another matter (`Worker(adaptive=True)` finds that out), and
what they need of memory, too.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from workerpool.runtime.lanes import Kind
from workerpool.runtime.stations import Station

ENOUGH: Final = 50
"""Jobs of a lane, by which it is measured."""
SATURATED: Final = 0.7
"""Of its cores: beyond, jobs wait for a core, which is no wait that others can use. Then nothing is to be learnt."""
TELLING: Final = 2
"""A hint is logged when it is so many times what there is, or was said before, or one of so many parts of it."""
MOST: Final = 10_000


class _Mark(NamedTuple):
    """What a lane had done at a moment. Seconds."""

    at: float
    jobs: int
    in_handlers: float
    cpu: float


class Sizing:
    """Looks once per heartbeat: nothing is counted for it per job but in threads, where a job costs more."""

    def __init__(
        self,
        *,
        cores: int,
        log: Any,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        """`cpu`: seconds that all threads of this process have used."""
        self._cores = cores
        self._log = log
        self._clock = clock
        self._cpu = cpu
        self._marks: dict[Kind, _Mark] = {}
        self._told: dict[Kind, int] = {}

    def look(self, stations: Iterable[Station]) -> None:
        """Give each lane its hint, where enough of its jobs have ended since the last one."""
        now, cpu, lanes = self._clock(), self._cpu(), list(stations)
        in_threads = sum(station.lane.cpu_seconds() for station in lanes)
        for station in lanes:
            if station.kind is Kind.CPU:
                continue
            used = station.lane.cpu_seconds() if station.kind is Kind.THREAD else cpu - in_threads
            times = station.figures.processing
            self._measure(station, _Mark(now, sum(times.counts), times.sum, used))

    def _measure(self, station: Station, mark: _Mark) -> None:
        before = self._marks.setdefault(station.kind, mark)
        jobs, passed = mark.jobs - before.jobs, mark.at - before.at
        if jobs < ENOUGH:
            return
        self._marks[station.kind] = mark
        cores = self._cores if station.kind is Kind.THREAD else 1
        busy, service = mark.in_handlers - before.in_handlers, mark.cpu - before.cpu
        if not 0 < service <= min(SATURATED * cores * passed, busy):
            return
        hint = station.figures.slots_hint = min(MOST, round(cores * busy / service))
        told = self._told.get(station.kind, station.slots)
        if not told / TELLING < hint < told * TELLING:
            self._told[station.kind] = hint
            seconds = {"wait": round((busy - service) / jobs, 4), "service": round(service / jobs, 4)}
            text = "sizing hint: cores x (1 + wait / service)"
            self._log.info(text, lane=station.kind.value, hint=hint, slots=station.slots, **seconds)

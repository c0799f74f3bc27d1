"""Counts the jobs that come to each pool that wants forecasts, and makes these.

Every few seconds the board is looked at: by how much the brokers' counts of what ever came have grown; where a broker
does not count, by how much the jobs that workers began and those that wait have grown together. A time in which a
queue could not be read, a count began anew or this process stood still is not counted. Of a bin that was counted for
less than half of it nothing is kept.

How jobs came before this process did, the operator knows (`PastArrivals`): it holds what it was told.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import structlog

from workerpool_operator.collector.board import Board, PoolBoard, WorkerState
from workerpool_operator.forecast import Course, Outlook, lead_bins, merged, predict, width_of
from workerpool_operator.protocol import Arrivals, CourseReport, PastArrivals, Predictive

LOOK_SECONDS: Final = 2.0
STOOD_STILL_SECONDS: Final = 30.0
"""Between two looks: then nobody knows what came meanwhile, and when."""
STALE_POLLS: Final = 3
STALE_FLOOR_SECONDS: Final = 5.0
"""As the operator has it: a reading counts for so many of its polls, and for so long at least."""
LEAST_COVERED: Final = 0.5
_DIGITS: Final = 4

_log = structlog.get_logger(__name__)


class _Count(NamedTuple):
    """What a look at the board found. Figures only grow, but for `waiting`."""

    at: float
    came: Mapping[str, int] | None
    """Queue -> jobs that ever came; None: not every broker counts."""
    waiting: int
    queues: frozenset[str]
    begun: Mapping[tuple[str, str], int]
    """(pod uid, boot) -> jobs that this worker began."""

    def since(self, before: "_Count") -> int | None:
        """Jobs that came since the look before; None: that is not known."""
        if self.queues != before.queues or self.at - before.at > STOOD_STILL_SECONDS:
            return None
        if self.came is not None and before.came is not None:
            grown = [count - before.came[queue] for queue, count in self.came.items()]
            return sum(grown) if min(grown) >= 0 else None
        begun = (count - before.begun[worker] for worker, count in self.begun.items() if worker in before.begun)
        return self.waiting - before.waiting + sum(max(0, grown) for grown in begun)


@dataclass(slots=True, kw_only=True)
class _Tally:
    """One pool's."""

    uid: str
    wanted: Predictive
    course: Course
    lead: int
    bin: int
    outlook: Outlook
    last: _Count | None = None
    jobs: float = 0.0
    covered: float = 0.0

    def count(self, found: _Count | None) -> None:
        before, self.last = self.last, found
        came = found.since(before) if found is not None and before is not None else None
        if found is not None and before is not None and came is not None:
            self.jobs += came
            self.covered += found.at - before.at

    def ends(self, number: int) -> None:
        """A bin is over, and this one begins."""
        width = self.course.width
        if self.covered >= LEAST_COVERED * width:
            rate = round(max(0.0, self.jobs) / self.covered, _DIGITS)
            self.course = self.course.with_bin(self.bin, rate)
        self.bin, self.jobs, self.covered = number, 0.0, 0.0
        self.look()

    def look(self) -> None:
        self.outlook = predict(self.course, at=self.bin, lead=self.lead)


class ArrivalCounter:
    """All pools'. `announce("arrivals", pool)` is called when there is something new to tell."""

    def __init__(
        self,
        board: Board,
        *,
        announce: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._board = board
        self._announce = announce
        self._clock = clock
        self._wall = wall
        self._tallies: dict[str, _Tally] = {}

    async def run(self) -> None:
        """Look at the board every few seconds until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Count what has come since the last look."""
        for gone in self._tallies.keys() - self._board.pools.keys():
            del self._tallies[gone]
        for name, pool in self._board.pools.items():
            tally = self._tally(name, pool)
            if tally is None:
                continue
            number = int(self._wall() / tally.course.width)
            if number != tally.bin:
                tally.ends(number)
                self._announce("arrivals", name)
            tally.count(self._found(name, pool))

    def take(self, past: PastArrivals) -> None:
        """The operator tells what it knows of the time before."""
        pool = self._board.pools.get(past.pool)
        tally = self._tally(past.pool, pool) if pool is not None else None
        if tally is None:
            return
        said = past.course
        known = merged(tally.course, Course(width=said.width_seconds, first=said.first, rates=said.rates))
        if known != tally.course:
            tally.course = known
            tally.look()
            _log.info("arrivals_remembered", pool=past.pool, bins=len(known.rates))
            self._announce("arrivals", past.pool)

    def message(self, pool: str) -> Arrivals | None:
        """What is told of a pool."""
        known = self._tallies.get(pool)
        if known is None:
            return None
        course, outlook = known.course, known.outlook
        return Arrivals(
            pool=pool,
            course=CourseReport(width_seconds=course.width, first=course.first, rates=course.rates),
            rate=outlook.rate,
            error=outlook.error,
            why=outlook.why,
        )

    def _tally(self, name: str, pool: PoolBoard) -> _Tally | None:
        """The pool's tally, begun anew where the pool or its season is another one."""
        wanted = pool.config.predictive
        if wanted is None:
            self._tallies.pop(name, None)
            return None
        known, uid = self._tallies.get(name), pool.config.uid
        if known is not None and (known.uid, known.wanted) == (uid, wanted):
            return known
        width = width_of(wanted.season_seconds)
        course = Course(width=width)
        if known is not None and known.uid == uid:
            course = merged(course, known.course)
        begun, lead = int(self._wall() / width), lead_bins(wanted.horizon_seconds, width=width)
        outlook = predict(course, at=begun, lead=lead)
        tally = _Tally(uid=uid, wanted=wanted, course=course, lead=lead, bin=begun, outlook=outlook)
        self._tallies[name] = tally
        self._announce("arrivals", name)
        return tally

    def _found(self, name: str, pool: PoolBoard) -> _Count | None:
        """None: a queue is not known now."""
        now, queues = self._clock(), frozenset(str(queue["name"]) for queue in pool.config.queues)
        fresh = {
            queue: sample
            for queue, (sample, at) in pool.samples.items()
            if sample.waiting is not None
            and sample.age_seconds + now - at <= max(STALE_POLLS * sample.poll_seconds, STALE_FLOOR_SECONDS)
        }
        if fresh.keys() != queues:
            return None
        came = {queue: sample.arrivals_total for queue, sample in fresh.items() if sample.arrivals_total is not None}
        return _Count(
            at=now,
            came=came if len(came) == len(queues) else None,
            waiting=sum(sample.waiting or 0 for sample in fresh.values()),
            queues=queues,
            begun=_begun(self._board.workers.get(name, {})),
        )


def _begun(workers: Mapping[str, WorkerState]) -> dict[tuple[str, str], int]:
    return {
        (uid, worker.boot_id): worker.report.counters.started
        for uid, worker in workers.items()
        if worker.report is not None
    }

"""How many jobs a lane runs at a time, found by what they take: more while that costs them no time, fewer when it does.

After Gradient2 of Netflix's concurrency-limits (Gradient2Limit.java, Apache-2.0): what jobs take lately is held against
what they take in the long term, `gradient = clamp(1.5 * long / short, 0.5, 1)`, and `limit * gradient + headroom` is
the next limit, with the square root of the limit as headroom. So a downstream with room for N at a time is given some
1.5 N: enough that it never waits for us, and a queue in it that stays short. Without a full lane nothing grows.

Three things differ, since this is a consumer of a queue and not a server:

- A worker has a backlog for hours. Gradient2's long-term average would learn the overload as normal, and the limit
  would creep up. As in Envoy's adaptive concurrency filter ("minRTT"), what a job takes is measured now and then with
  few of them: a third of the limit, for a moment, some 3 % of the time. All workers do it at the same moment, by the
  clock, because each would else measure the queue that the others keep up.
- Jobs of several types are mixed. Each type is held against its own long-term figure, so another mix is no overload.
- Failures are not fast jobs. They say nothing about how long one takes, and many of them lower the limit; a few are
  what bad input makes. An attempt that timed out counts as slow, too.

One slow job among fast ones is counted as five times its usual length at most, which moves nothing by itself.

`AdaptiveLimit` is pure: samples in, limit out, the clock is the caller's. Times are seconds.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from workerpool.runtime.lanes.plan import cores
from workerpool.runtime.verdict import Verdict

TOLERANCE: Final = 1.5
"""How much longer than in the long term jobs may take before the limit falls (Gradient2's default)."""
STEEPEST: Final = 0.5
"""What is left of the limit by one window, at least."""
SMOOTHING: Final = 0.4
"""Share of the way down that is gone at once: Gradient2 goes 0.2 of it, but decides more often."""
START_GROWTH: Final = 1.5
"""By window, until the first sign of a limit: as in TCP's slow start."""
TOLERATED_FAILURES: Final = 0.1
"""Share of attempts that may fail without saying anything about the downstream."""
OUTLIER: Final = 5.0
"""Times what a job takes in the long term: one counts as no longer than that."""
SHORTEST_SECONDS: Final = 0.005
"""Jobs that take less are as good as this: what they take is the event loop's own time."""
WINDOW_SECONDS: Final = 1.0
WINDOW_JOBS: Final = 10
"""A window lasts so long at least, and as long as a job takes, and holds so many jobs."""
MEASURE_SECONDS: Final = 60.0
MEASURE_PART: Final = 60
"""Measurements begin so often, and take two such parts of that time, each at least as long as two jobs."""
MEASURE_SHARE: Final = 3
"""It is done with one of so many parts of the limit."""
FELL: Final = 4
EARLY_SECONDS: Final = 10.0
"""A limit that has since fallen to one of so many parts is measured for sooner, at the next multiple of this time: if
jobs take longer by themselves, it falls for nothing."""
PATIENCE_SECONDS: Final = 10.0
"""A measurement that gets no jobs for so long is given up."""
START_PER_CORE: Final = 4
"""Jobs at a time of a new worker."""
_YOUNG: Final = 10
"""A long-term figure is the plain average of its first so many jobs, and moves by this part with each one after."""


class _Phase(Enum):
    WORKING = auto()
    """At the limit that was found."""
    EMPTYING = auto()
    """At a third of it; jobs end that began before."""
    MEASURING = auto()
    """At a third of it."""


@dataclass(slots=True)
class _LongTerm:
    """What a job of one type takes when few run."""

    seconds: float
    jobs: int

    def learn(self, jobs: int, total: float) -> None:
        young = self.jobs + jobs <= _YOUNG
        share = jobs / (self.jobs + jobs) if young else 1.0 - (1.0 - 1.0 / _YOUNG) ** jobs
        self.seconds += share * (total / jobs - self.seconds)
        self.jobs += jobs


@dataclass(slots=True)
class _Window:
    """What ended within some time."""

    due: float
    took: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By type: jobs, and the sum of what they took."""
    ended: int = 0
    failed: int = 0
    peak: int = 0


class AdaptiveLimit:
    """One lane's limit.

    Attributes:
        found: The limit, apart from measurements.
    """

    def __init__(self, *, start: int, most: int, now: float, epoch: float = 0.0) -> None:
        """`epoch`: what to add to `now` for the time of the day that all workers share."""
        self.found = float(min(start, most))
        self._most = most
        self._epoch = epoch
        self._long: dict[str, _LongTerm] = {}
        self._phase = _Phase.WORKING
        self._starting = True
        self._mean = 0.0
        self._window = _Window(due=now + WINDOW_SECONDS)
        self._fell_from = 0.0
        self._measure_at = self._next_measurement(now, MEASURE_SECONDS)

    @property
    def settled(self) -> int:
        """The limit, apart from measurements."""
        return max(1, int(self.found))

    @property
    def limit(self) -> int:
        """The limit in force."""
        return self.settled if self._phase is _Phase.WORKING else max(1, self.settled // MEASURE_SHARE)

    @property
    def measuring(self) -> bool:
        """Whether fewer run than could, for a moment."""
        return self.limit < self.settled

    def bound(self, most: int) -> None:
        """Never more than so many from now on."""
        self._most = most
        self.found = min(self.found, float(most))

    def ended(self, type_: str, seconds: float, verdict: Verdict, *, busy: int, now: float) -> None:
        """A job has ended, and so many ran, itself included."""
        window = self._window
        window.peak = max(window.peak, busy)
        if verdict is not Verdict.NONE:
            window.ended += 1
            window.failed += verdict is not Verdict.DONE
        if verdict in {Verdict.DONE, Verdict.SLOW}:
            long = self._long.get(type_)
            seconds = max(seconds, SHORTEST_SECONDS)
            seconds = seconds if long is None else min(seconds, OUTLIER * long.seconds)
            jobs, total = window.took.get(type_, (0, 0.0))
            window.took[type_] = (jobs + 1, total + seconds)
        if self._phase is _Phase.WORKING and now >= self._measure_at:
            self._begin_measurement(now)
        elif now >= window.due and (window.ended >= WINDOW_JOBS or self._phase is not _Phase.WORKING):
            self._close(now)

    def tick(self, now: float) -> None:
        """To be called now and then: a measurement that no jobs come for must not last."""
        if self._phase is not _Phase.WORKING and now > self._window.due + max(PATIENCE_SECONDS, 2 * self._mean):
            self._phase = _Phase.WORKING
            self._window = _Window(due=now + self._length)

    def _close(self, now: float) -> None:
        window, due = self._window, now + self._length
        match self._phase:
            case _Phase.WORKING:
                jobs = sum(count for count, _ in window.took.values())
                self._mean = sum(total for _, total in window.took.values()) / jobs if jobs else self._mean
                self._adjust(window)
                early = self.found < self._fell_from / FELL
                soon = self._next_measurement(now, EARLY_SECONDS if early else MEASURE_SECONDS)
                self._measure_at = min(self._measure_at, soon)  # jobs may have become shorter
                self._fell_from = 0.0 if early else self._fell_from
            case _Phase.EMPTYING:
                self._phase = _Phase.MEASURING
                due = window.due + self._interval / MEASURE_PART
            case _Phase.MEASURING:
                self._learn(window, lambda _: True)
                self._phase = _Phase.WORKING
                self._fell_from = self.found
        self._window = _Window(due=due)

    @property
    def _length(self) -> float:
        return max(WINDOW_SECONDS, self._mean)

    def _adjust(self, window: _Window) -> None:
        few = window.peak <= self.found / MEASURE_SHARE
        self._learn(window, lambda long: few or long.jobs < _YOUNG)
        if window.peak < self.found / 2:
            return  # what is not used says nothing about what would be too much
        failures, gradient = window.failed / window.ended, self._gradient(window)
        headroom, full = math.sqrt(self.found), window.peak >= self.settled
        if failures > TOLERATED_FAILURES:
            self._starting = False
            self.found *= max(STEEPEST, 1.0 - failures)
        elif gradient < 1.0:
            self._starting = False
            step = SMOOTHING * (self.found * gradient + headroom - self.found)
            self.found += step if full else min(step, 0.0)
        elif full:
            self.found = self.found * START_GROWTH + 1 if self._starting else self.found + headroom
        self.found = min(max(self.found, 1.0), float(self._most))

    def _gradient(self, window: _Window) -> float:
        short = sum(total for _, total in window.took.values())
        long = sum(count * self._long[type_].seconds for type_, (count, _) in window.took.items())
        return min(1.0, max(STEEPEST, TOLERANCE * long / short)) if short else 1.0

    def _learn(self, window: _Window, known: Callable[[_LongTerm], bool]) -> None:
        """Take what is new, and what fits into it by `known`, as what jobs take when few run."""
        for type_, (jobs, total) in window.took.items():
            long = self._long.get(type_)
            if long is None:
                self._long[type_] = _LongTerm(total / jobs, jobs)
            elif known(long):
                long.learn(jobs, total)

    def _begin_measurement(self, now: float) -> None:
        due = self._measure_at + self._interval / MEASURE_PART
        self._measure_at = self._next_measurement(now, MEASURE_SECONDS)
        few = self._window.peak <= self.found / MEASURE_SHARE or self.settled == 1
        if not few and now < due:  # else few run anyway, or the others have begun long ago
            self._phase = _Phase.EMPTYING
            self._window = _Window(due=due)

    @property
    def _interval(self) -> float:
        interval = MEASURE_SECONDS
        while interval < MEASURE_PART * 2 * self._mean:
            interval *= 2
        return interval

    def _next_measurement(self, now: float, interval: float) -> float:
        """A multiple of the interval, by the time of the day. Intervals differ by powers of two.

        So workers whose jobs take differently long measure together at least each second time.
        """
        least = interval / MEASURE_SECONDS * MEASURE_PART * 2 * self._mean
        while interval < least:
            interval *= 2
        return (math.floor((now + self._epoch) / interval) + 1) * interval - self._epoch


def starting(*, most: int) -> AdaptiveLimit:
    """A lane's limit when its worker starts: a few jobs per core, which is right for none and wrong for few."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    epoch = getattr(loop, "epoch", None)  # where time is played, the time of the day is played as well
    return AdaptiveLimit(
        start=START_PER_CORE * cores(), most=most, now=now, epoch=time.time() - now if epoch is None else epoch
    )

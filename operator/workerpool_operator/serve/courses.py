"""How jobs came to the pools of a namespace, as its collectors told: a second copy, for a collector that begins anew.

A course takes days to become one, and a collector lives shorter: its node is drained, its image changes, and each new
credential restarts it. Every replica of the operator keeps what all collectors told, put together; the leader gives it
to a collector that connects. So a course is lost only when all of them begin anew at the same time.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isnan, nan
from typing import Final

from workerpool_operator.forecast import Course, merged, width_of
from workerpool_operator.protocol import Arrivals, CourseReport, PastArrivals, PoolConfig

KEPT_SECONDS: Final = 86_400.0
"""Of a pool that nobody has mentioned for so long the course is dropped: the pool may be gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A course in a few kilobytes. Holes are not numbers."""

    width: float
    first: int
    rates: "array[float]"
    told_at: float

    @classmethod
    def of(cls, course: Course, *, now: float) -> "_Kept":
        rates = array("f", (nan if rate is None else rate for rate in course.rates))
        return cls(width=course.width, first=course.first, rates=rates, told_at=now)

    @property
    def course(self) -> Course:
        rates = tuple(None if isnan(rate) else rate for rate in self.rates)
        return Course(width=self.width, first=self.first, rates=rates)


@dataclass(slots=True)
class Courses:
    """By pool. Belongs to one event loop."""

    _kept: dict[str, _Kept] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether any is kept."""
        return bool(self._kept)

    def told(self, message: Arrivals, *, now: float) -> None:
        """A collector has told one: it is added to what others told, unless it is of another season."""
        said = message.course
        course = Course(width=said.width_seconds, first=said.first, rates=said.rates)
        kept = self._kept.get(message.pool)
        self._kept[message.pool] = _Kept.of(merged(course, kept.course) if kept is not None else course, now=now)

    def past(self, pools: Iterable[PoolConfig], *, epoch: int) -> Iterator[tuple[str, PastArrivals]]:
        """What is known of the pools that want forecasts, with the subject of each message."""
        for pool in pools:
            kept = self._kept.get(pool.name)
            if kept is None or pool.predictive is None or kept.width != width_of(pool.predictive.season_seconds):
                continue
            course = kept.course
            report = CourseReport(width_seconds=course.width, first=course.first, rates=course.rates)
            yield f"past/{pool.name}", PastArrivals(epoch=epoch, pool=pool.name, course=report)

    def forget(self, pool: str) -> None:
        """The pool is gone."""
        self._kept.pop(pool, None)

    def tidy(self, *, now: float) -> None:
        """Forget what nobody has told for long."""
        self._kept = {pool: kept for pool, kept in self._kept.items() if now - kept.told_at <= KEPT_SECONDS}

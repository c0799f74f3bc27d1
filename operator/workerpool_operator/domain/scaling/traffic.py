"""How fast jobs come and how long they take, estimated from counts as they are heard. Memory is bounded.

Jobs come as fast as the larger of two estimates says. A broker that counts what ever came says so itself, but does not
count attempts that are repeated. The balance does: what workers begin, and by how much more is waiting. It needs no
broker that counts, but misses what workers did that are not heard. Each of them only ever misses something.

Counts fall when a broker is emptied, and begin anew with another process: from there everything begins anew. What is
not known yet, or no more, is None.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, NamedTuple

WINDOW_SECONDS: Final = 30.0
"""Rates are means over so long: short enough to follow a ramp, long enough that 10 jobs/s are known to some 6 %."""
STEP_SECONDS: Final = 2.5
"""Readings that lie closer together are not kept apart."""
LEAST_SECONDS: Final = 5.0
"""A mean over less says nothing."""
SERVICE_SECONDS: Final = 120.0
"""Weight of a job in the mean service time falls to 1/e in so long a time, while others end."""
_LARGEST: Final = 2.0**63
"""No count is larger. What a worker says of itself is not trusted to be a sensible number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A count over the last `WINDOW_SECONDS`. Times are monotonic seconds."""

    marks: tuple[tuple[float, float], ...]
    """(time, count) from the begin of the window on, oldest first, at least `STEP_SECONDS` apart."""
    last: tuple[float, float]

    def rate_at(self, now: float) -> float | None:
        """By how much it grows per second; None until that is known, and when it has not been read for a window.

        The smaller of the rates before and after the middle: a burst is in one of them only, and is no flow. Workers
        for it are asked for by the jobs that wait, and are not needed once it is done.
        """
        (since, _), (at, _) = self.marks[0], self.last
        if now - at > WINDOW_SECONDS or at - since < LEAST_SECONDS:
            return None
        middle = min(self.marks, key=lambda mark: abs(mark[0] - (since + at) / 2))
        parts = [self.marks[0], middle, self.last] if middle[0] > since else [self.marks[0], self.last]
        return max(0.0, min((after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(parts)))


def metered(before: Meter | None, total: float, *, at: float, may_fall: bool = False) -> Meter:
    """After one more reading, which was true at `at`. Older ones, by another collector, change nothing.

    `may_fall`: a count that falls is a fact, and not one that began anew.
    """
    if before is None or at - before.last[0] > WINDOW_SECONDS or (total < before.last[1] and not may_fall):
        return Meter(marks=((at, total),), last=(at, total))
    if at <= before.last[0]:
        return before
    marks = before.marks
    if before.last[0] - marks[-1][0] >= STEP_SECONDS:
        marks = (*marks, before.last)
    outside = sum(1 for mark in marks[1:] if mark[0] <= at - WINDOW_SECONDS)
    return Meter(marks=marks[outside:], last=(at, total))


class Progress(NamedTuple):
    """What a worker process has done since its start, as it says."""

    boot_id: str
    begun: float
    """Attempts begun."""
    ended: float
    """Attempts that ended, however."""
    seconds: float | None
    """Time that these have spent in handlers; None: not measured."""

    @property
    def sensible(self) -> bool:
        """Whether these can be counts."""
        return all(0.0 <= number < _LARGEST for number in (self.begun, self.ended, self.seconds or 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What all workers of a pool have done: attempts ever begun, and a mean over those that ended of late."""

    begun: float = 0.0
    seconds: float = 0.0
    ended: float = 0.0
    """Attempts that ended, those of long ago weighing less."""
    at: float = 0.0

    @property
    def mean(self) -> float | None:
        """Seconds that an attempt takes; None before one has ended."""
        return self.seconds / self.ended if self.ended else None


def served(before: Service, last: Progress, now: Progress, *, at: float) -> Service:
    """After a worker has told of its progress since its `last` word.

    Another process, counts that fell or did not move: nothing can be concluded. Old attempts lose their weight
    only by new ones, and never all of it: the mean of a pool at rest stays, and one odd job does not replace it.
    """
    begun, ended = now.begun - last.begun, now.ended - last.ended
    if now.boot_id != last.boot_id or min(begun, ended) < 0 or not (begun or ended):
        return before
    after = replace(before, begun=before.begun + begun)
    if not ended or now.seconds is None or last.seconds is None or now.seconds < last.seconds:
        return after
    kept = math.exp(-max(0.0, at - before.at) / SERVICE_SECONDS)
    kept = max(kept, min(1.0, 1.0 / before.ended)) if before.ended else 0.0
    return replace(
        after,
        seconds=kept * before.seconds + now.seconds - last.seconds,
        ended=kept * before.ended + ended,
        at=max(at, before.at),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Both figures of a pool, as far as they are known."""

    arrivals: float | None = None
    """Attempts that become due per second."""
    service_seconds: float | None = None
    """Time that an attempt spends in its handler."""

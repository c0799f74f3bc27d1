"""When jobs are due: pure, in seconds from the start of the load."""

import bisect
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_JOBS: Final = 1_000_000
"""More than this in one run would cost the feeder more memory than its figures are worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Jobs 0 to `jobs` - 1, each due at `due(number)` seconds, which never falls."""

    jobs: int
    due: Callable[[int], float]
    burst_of: Callable[[int], int] = lambda _: 0
    """The burst that a job belongs to; bursts count from 0. Jobs that come one by one are all one burst."""
    phases: tuple[str, ...] = ()
    """Names of the bursts, in whose figures apart somebody is interested; empty: only those of all jobs matter."""

    def __post_init__(self) -> None:
        if not 1 <= self.jobs <= MAX_JOBS:
            raise ValueError(f"a load has 1 to {MAX_JOBS:,} jobs, this one would have {self.jobs:,}")

    @property
    def seconds(self) -> float:
        """When the last job is due."""
        return self.due(self.jobs - 1)

    def burst_starts(self) -> Iterator[float]:
        """When each burst is due."""
        last = -1
        for number in range(self.jobs):
            if self.burst_of(number) != last:
                last = self.burst_of(number)
                yield self.due(number)


def steady(*, rate: float, jobs: int) -> Schedule:
    """A job every 1 / `rate` seconds."""
    return Schedule(jobs=jobs, due=lambda number: number / rate)


def ramp(*, rate: float, seconds: float) -> Schedule:
    """From none to `rate` jobs per second, in a straight line over `seconds`.

    The n-th job is due when the area under that line has reached n: rate * t^2 / (2 * seconds) = n.
    """
    jobs = math.floor(rate * seconds / 2)
    return Schedule(jobs=jobs, due=lambda number: math.sqrt(2 * seconds * number / rate))


def burst(*, jobs: int) -> Schedule:
    """All jobs at once."""
    return Schedule(jobs=jobs, due=lambda _: 0.0)


def bursts(*, size: int, every: float, jobs: int) -> Schedule:
    """`size` jobs at once, again every `every` seconds."""
    return Schedule(
        jobs=jobs,
        due=lambda number: number // size * every,
        burst_of=lambda number: number // size,
        phases=tuple(f"burst {number + 1}" for number in range(math.ceil(jobs / size))),
    )


def peak(*, rate: float, seconds: float) -> Schedule:
    """Three equal parts of `seconds`: at the rate, at twice the rate, and at the rate again."""
    part = seconds / 3
    before, twice = math.floor(rate * part), math.floor(2 * rate * part)

    def phase_of(number: int) -> int:
        return bisect.bisect_right((before, before + twice), number)

    def due(number: int) -> float:
        phase = phase_of(number)
        first, times = ((0, 1), (before, 2), (before + twice, 1))[phase]
        return phase * part + (number - first) / (times * rate)

    return Schedule(jobs=2 * before + twice, due=due, burst_of=phase_of, phases=("before", "peak", "after"))


def moments(*planned: tuple[float, int]) -> Schedule:
    """At each of these moments (seconds, ascending), so many jobs at once."""
    ends = list(itertools.accumulate(size for _, size in planned))

    def burst_of(number: int) -> int:
        return bisect.bisect_right(ends, number)

    return Schedule(jobs=ends[-1], due=lambda number: planned[burst_of(number)][0], burst_of=burst_of)

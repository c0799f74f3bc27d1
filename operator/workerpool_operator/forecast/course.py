"""How fast jobs came, by bins of equal length, for as many seasons as a forecast looks at.

Bins are numbered by the clock on the wall, in seconds since 1970: so the courses of two collectors, or of one and its
successor, fit together, and no change of summer time moves them. A bin that was not seen for long enough is a hole.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

SEASON_BINS: Final = 288
"""Of a day: five minutes each."""
SEASONS: Final = 4
"""The last one is forecast from those before, to know how good forecasts are."""
MOST_RATE: Final = 1e9
"""Jobs per second; whoever says more says nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Rates of bins that follow each other. `first` is the oldest one's number: its begin divided by `width`."""

    width: float
    """Seconds of a bin."""
    first: int = 0
    rates: tuple[float | None, ...] = ()
    """Jobs per second, oldest first; None: a hole."""

    @property
    def end(self) -> int:
        """Number of the bin after the newest."""
        return self.first + len(self.rates)

    def rate(self, number: int) -> float | None:
        """Of one bin; None: not known."""
        return self.rates[number - self.first] if self.first <= number < self.end else None

    def with_bin(self, number: int, rate: float | None) -> "Course":
        """After one more bin has ended."""
        return merged(self, Course(width=self.width, first=number, rates=(rate,)))


def width_of(season_seconds: float) -> float:
    """Seconds of a bin, where the course repeats itself after so many."""
    return season_seconds / SEASON_BINS


def lead_bins(horizon_seconds: float, *, width: float) -> int:
    """How many bins after the present one begin within the horizon."""
    return max(1, math.ceil(horizon_seconds / width))


def merged(one: Course, other: Course) -> Course:
    """Both together: of a bin that both know the larger rate, as each only ever misses jobs. Bounded.

    A course of another width is of another season, and is left out: `one` counts.
    """
    if one.width != other.width or not other.rates:
        return replace(one, rates=tuple(_clean(one.rates)))
    if not one.rates:
        return merged(other, one)
    end = max(one.end, other.end)
    first = max(min(one.first, other.first), end - SEASONS * SEASON_BINS)
    both = (_larger(one.rate(number), other.rate(number)) for number in range(first, end))
    return Course(width=one.width, first=first, rates=tuple(_clean(both)))


def _larger(one: float | None, other: float | None) -> float | None:
    known = [rate for rate in (one, other) if rate is not None]
    return max(known, default=None)


def _clean(rates: Iterable[float | None]) -> Iterable[float | None]:
    """What is no rate is a hole."""
    return (rate if rate is not None and 0 <= rate <= MOST_RATE else None for rate in rates)

"""A forecast of arrivals: seasonal naive with a level, and how far such forecasts were off of late.

What is expected of a bin is the mean of what came at the same time in the seasons before (Hyndman and Athanasopoulos,
Forecasting: Principles and Practice, 5.2, the seasonal naive method, over up to three seasons), raised or lowered by
as much as the last bins were above or below theirs. The same forecast is made for each bin of the last season, from
what was known as long before as the horizon asks, and compared with what came: the error is the sum of the differences
by the sum of what came (weighted absolute percentage error).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workerpool_operator.forecast.course import SEASON_BINS, SEASONS, Course

MOST_ERROR: Final = 0.5
"""A forecast that was off by more says nothing."""
LEVEL_BINS: Final = 12
"""Of a day: the last hour."""
LEAST_SHARE: Final = 0.5
"""Of bins that have to be known."""
MOST_LEVEL: Final = 2.0
"""An odd hour does not raise what is expected by more."""
_KEPT: Final = SEASONS * SEASON_BINS


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is expected; or why nothing is."""

    rate: float | None = None
    """Jobs per second, the most of any bin within the horizon; None: no forecast."""
    error: float | None = None
    """Of the forecasts of the last season, as a share of what came; None: not known."""
    why: str = ""


def predict(course: Course, *, at: int, lead: int) -> Outlook:
    """The forecast for the bin `at`, which has just begun, and the `lead` bins after it."""
    past = _Past.of(course, at=at, lead=lead)
    if not any(value is not None for value in past.values):
        return Outlook(why="no jobs were counted yet")
    expected = [past.shape[_KEPT + ahead] for ahead in range(lead + 1)]
    known = [value for value in expected if value is not None]
    if len(known) < len(expected):
        return Outlook(why=_unseasoned(past, width=course.width))
    error = past.error(_KEPT - SEASON_BINS, _KEPT, lead=lead)
    if error is None:
        return Outlook(why="less than half of the last season can be compared with one before: it was not observed")
    if error > MOST_ERROR:
        return Outlook(error=_told(error), why=f"forecasts of the last season were off by {_percent(error)}")
    return _lately(past, most=max(known), error=error, lead=lead, span=_span(LEVEL_BINS * course.width))


def _lately(past: "_Past", *, most: float, error: float, lead: int, span: str) -> Outlook:
    """What a good season says, unless it says something else than the last bins."""
    late, level = past.error(_KEPT - LEVEL_BINS, _KEPT, lead=lead), past.level(_KEPT)
    if late is None or level is None:
        return Outlook(error=error, why=f"too little is known of the last {span}")
    if late > MOST_ERROR:
        return Outlook(error=error, why=f"forecasts of the last {span} were off by {_percent(late)}")
    return Outlook(rate=most * level, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """The bins before the present one, `_KEPT` of them, and what their seasons say of them and of those to come."""

    values: Sequence[float | None]
    shape: Sequence[float | None]
    """The mean of the seasons before; longer by what is to come."""
    came: Sequence[float]
    due: Sequence[float]
    both: Sequence[int]
    """Sums up to each bin: of what came, of what the seasons said, and of how many bins, where both are known."""

    @classmethod
    def of(cls, course: Course, *, at: int, lead: int) -> "_Past":
        values = [course.rate(number) for number in range(at - _KEPT, at)]
        shape = [_mean(values, place) for place in range(_KEPT + lead + 1)]
        came, due, both = [0.0], [0.0], [0]
        for value, said in zip(values, shape, strict=False):
            known = value is not None and said is not None
            came.append(came[-1] + (value or 0.0) * known)
            due.append(due[-1] + (said or 0.0) * known)
            both.append(both[-1] + known)
        return cls(values=values, shape=shape, came=came, due=due, both=both)

    def level(self, place: int) -> float | None:
        """How much more came than the seasons said, in the bins before this one."""
        begin = max(0, place - LEVEL_BINS)
        if self.both[place] - self.both[begin] < LEAST_SHARE * LEVEL_BINS:
            return None
        due = self.due[place] - self.due[begin]
        return min((self.came[place] - self.came[begin]) / due, MOST_LEVEL) if due > 0 else 1.0

    def error(self, begin: int, end: int, *, lead: int) -> float | None:
        """Of the forecasts for these bins, each made `lead` bins before; None: too few can be compared."""
        off, came, compared = 0.0, 0.0, 0
        for place in range(begin, end):
            value, said, level = self.values[place], self.shape[place], self.level(place - lead)
            if value is not None and said is not None and level is not None:
                off += abs(said * level - value)
                came += value
                compared += 1
        if compared < LEAST_SHARE * (end - begin):
            return None
        return off / came if came > 0 else (math.inf if off > 0 else 0.0)


def _mean(values: Sequence[float | None], place: int) -> float | None:
    """What came at the same time in the seasons before."""
    places = range(place - SEASON_BINS, max(-1, place - SEASONS * SEASON_BINS), -SEASON_BINS)
    said = [value for each in places if each < len(values) and (value := values[each]) is not None]
    return sum(said) / len(said) if said else None


def _unseasoned(past: _Past, *, width: float) -> str:
    oldest = next(place for place, value in enumerate(past.values) if value is not None)
    seen, season = (_KEPT - oldest) * width, SEASON_BINS * width
    if seen < season:
        return f"jobs are counted for {_span(seen)}, and a season takes {_span(season)}"
    return "no season before was observed at this time of it"


def _told(error: float) -> float | None:
    """Where nothing came that could be a share of: None."""
    return error if math.isfinite(error) else None


def _percent(error: float) -> str:
    return f"{min(error, 99.99):.0%}, {MOST_ERROR:.0%} is the most that counts"


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds / 60:.3g} min"  # noqa: PLR2004  an hour

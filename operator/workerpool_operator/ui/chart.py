"""Where the lines of a chart go: figures in, coordinates of an SVG out. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from workerpool_operator.ui.series import WINDOW_SECONDS, Points

WIDTH: Final = 600
HEIGHT: Final = 120
_STEPS: Final = (1, 2, 2.5, 5, 10)
_RANGE: Final = (0.2, 10.0)
"""Of ratios that the picture of a verdict has room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One chart, without its words."""

    lines: Sequence[str]
    """`d` of an SVG path each; empty where nothing is known."""
    area: str
    """`d` of what lies below the first line."""
    top: float
    """The figure at the upper edge; the lower one is 0."""
    lowest: float | None
    highest: float | None
    last: float | None


def chart(*series: Points, now: float, span: float = WINDOW_SECONDS) -> Chart:
    """The last `span` seconds, the newest at the right edge. What is not known is a gap."""
    known = [[value for _, value in points if value is not None] for points in series]
    top = nice(max((value for values in known for value in values), default=0.0))
    first = known[0] if known else []
    return Chart(
        lines=[_line(_runs(points, now=now, top=top, span=span)) for points in series],
        area=_area(_runs(series[0], now=now, top=top, span=span)) if series else "",
        top=top,
        lowest=min(first, default=None),
        highest=max(first, default=None),
        last=series[0][-1][1] if series and series[0] else None,
    )


def nice(largest: float) -> float:
    """A round figure that is not below; 1 at least."""
    if largest <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next(step * power for step in _STEPS if step * power >= largest * (1 - 1e-9))


def _runs(points: Points, *, now: float, top: float, span: float) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for at, value in points:
        if value is None:
            runs.append([])
        else:
            x = WIDTH * (1 - (now - at) / span)
            runs[-1].append((max(0.0, min(float(WIDTH), x)), HEIGHT * (1 - min(value, top) / top)))
    return [run for run in runs if run]


def _line(runs: list[list[tuple[float, float]]]) -> str:
    return " ".join("M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in (run if len(run) > 1 else run * 2)) for run in runs)


def _area(runs: list[list[tuple[float, float]]]) -> str:
    return " ".join(
        f"M{run[0][0]:.1f} {HEIGHT} L"
        + " L".join(f"{x:.1f} {y:.1f}" for x, y in run)
        + f" L{run[-1][0]:.1f} {HEIGHT} Z"
        for run in runs
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A verdict's ratio and its 95 % interval, as percent of the picture's width. The scale is logarithmic."""

    low: float
    high: float
    ratio: float
    same: float
    """Where both versions fail as often."""
    tolerate: float
    reject: float


def interval(*, low: str, high: str, ratio: str, tolerate: str, reject: str) -> Interval | None:
    """From the status' and the spec's own words; None where one is no number."""
    try:
        numbers = [float(word) for word in (low, high, ratio, tolerate, reject)]
    except ValueError:
        return None
    if any(math.isnan(number) for number in numbers):
        return None
    places = [_place(number) for number in numbers]
    return Interval(
        low=places[0], high=places[1], ratio=places[2], tolerate=places[3], reject=places[4], same=_place(1.0)
    )


def _place(ratio: float) -> float:
    lowest, highest = _RANGE
    inside = min(highest, max(lowest, ratio))
    return round(100 * math.log(inside / lowest) / math.log(highest / lowest), 1)

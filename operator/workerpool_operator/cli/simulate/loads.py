"""The jobs that come, tick by tick: patterns, and traces from files."""

import csv
import itertools
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from workerpool_operator.cli.load import schedule
from workerpool_operator.cli.simulate.model import TICK_SECONDS

MOST_TICKS: Final = 86_400 * 7
MOST_RATE: Final = 1e6


class Pattern(StrEnum):
    """How jobs come, as with `wpool load`."""

    STEADY = "steady"
    RAMP = "ramp"
    BURST = "burst"
    PEAK = "peak"


class TraceError(ValueError):
    """A trace cannot be read."""


def from_pattern(pattern: Pattern, *, rate: float, seconds: float) -> list[float]:
    """Jobs of each tick. A burst: as many jobs as come at this rate in a tenth of the time, all at once after that.

    Raises:
        ValueError: more jobs than `wpool load` would put.
    """
    match pattern:
        case Pattern.STEADY:
            made = schedule.steady(rate=rate, jobs=max(1, int(rate * seconds)))
        case Pattern.RAMP:
            made = schedule.ramp(rate=rate, seconds=seconds)
        case Pattern.PEAK:
            made = schedule.peak(rate=rate, seconds=seconds)
        case Pattern.BURST:
            made = schedule.moments((seconds / 10, max(1, int(rate * seconds / 10))))
    jobs = [0.0] * max(1, int(seconds / TICK_SECONDS))
    for number in range(made.jobs):
        tick = int(made.due(number) / TICK_SECONDS)
        jobs[min(tick, len(jobs) - 1)] += 1
    return jobs


def from_trace(file: Path) -> list[float]:
    """Jobs of each tick, from a CSV with the columns `seconds` and `rate`.

    Each line holds from its time until the next one's; the last only says when the trace ends.

    Raises:
        TraceError: it is no such file. The text names the line.
    """
    lines = list(_read(file))
    if len(lines) < 2:  # noqa: PLR2004  a begin and an end
        raise TraceError(f"{file}: a trace has at least two lines below its header")
    for number, ((before, _), (after, _)) in enumerate(itertools.pairwise(lines), 3):
        if not before < after:
            raise TraceError(f"{file}, line {number}: times have to rise")
    begin, end = lines[0][0], lines[-1][0]
    if end - begin > MOST_TICKS * TICK_SECONDS:
        raise TraceError(f"{file}: longer than {MOST_TICKS * TICK_SECONDS / 86_400:.0f} days")
    return _ticks(lines, begin=begin, end=end)


def _read(file: Path) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    with file.open(encoding="utf-8", newline="") as text:
        rows = csv.DictReader(text)
        if not {"seconds", "rate"} <= set(rows.fieldnames or ()):
            raise TraceError(f"{file}: the header has to name seconds and rate")
        for number, row in enumerate(rows, 2):
            try:
                at, rate = float(row["seconds"]), float(row["rate"])
            except (TypeError, ValueError):
                raise TraceError(f"{file}, line {number}: seconds and rate are numbers") from None
            if not (0 <= rate <= MOST_RATE and abs(at) < 1e12):  # noqa: PLR2004  beyond any clock
                raise TraceError(f"{file}, line {number}: a rate is from 0 to {MOST_RATE:,.0f} jobs per second")
            found.append((at, rate))
    return found


def _ticks(lines: Sequence[tuple[float, float]], *, begin: float, end: float) -> list[float]:
    jobs, line = [], 0
    for tick in range(max(1, int((end - begin) / TICK_SECONDS))):
        at = begin + tick * TICK_SECONDS
        while line + 2 < len(lines) and lines[line + 1][0] <= at:
            line += 1
        jobs.append(lines[line][1] * TICK_SECONDS)
    return jobs

"""The jobs that come, tick by tick: patterns, and traces from files."""

import csv
import math
import random
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

from workerpool_operator.cli.load import schedule
from workerpool_operator.cli.simulate.model import TICK_SECONDS

MOST_TICKS: Final = 86_400 * 7
MOST_RATE: Final = 1e6
_DAY_SECONDS: Final = 86_400
_SEED: Final = 1
_KNUTH_MOST: Final = 50.0
"""Above this mean a Poisson number is drawn from the normal distribution, which is as good there and takes no loop."""


class Pattern(StrEnum):
    """How jobs come: but for `daily` as with `wpool load`."""

    STEADY = "steady"
    RAMP = "ramp"
    BURST = "burst"
    PEAK = "peak"
    DAILY = "daily"


class TraceError(ValueError):
    """A trace cannot be read."""


def from_pattern(pattern: Pattern, *, rate: float, seconds: float) -> list[float]:
    """Jobs of each tick. A burst: as many jobs as come at this rate in a tenth of the time, all at once after that.

    Daily: working days, one like the other, with jobs that come at random. The same each time.

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
        case Pattern.DAILY:
            return _days(rate=rate, seconds=seconds)
    jobs = [0.0] * max(1, int(seconds / TICK_SECONDS))
    for number in range(made.jobs):
        tick = int(made.due(number) / TICK_SECONDS)
        jobs[min(tick, len(jobs) - 1)] += 1
    return jobs


def _days(*, rate: float, seconds: float) -> list[float]:
    """Each day is up to a tenth busier or quieter than the rate says; arrivals are Poisson."""
    chance, jobs, scale = random.Random(_SEED), [], 1.0  # noqa: S311  no secret
    for tick in range(max(1, int(seconds / TICK_SECONDS))):
        second = tick * TICK_SECONDS
        if second % _DAY_SECONDS == 0:
            scale = chance.uniform(0.9, 1.1)
        jobs.append(float(_poisson(chance, rate * scale * share_of_peak(second) * TICK_SECONDS)))
    return jobs


def share_of_peak(second: float) -> float:
    """A working day: a tenth at night, up around 8:00 within an hour, a dip at noon, down around 18:00 within two."""
    hour = second % _DAY_SECONDS / 3600
    working = _step((hour - 8) / 0.25) * (1 - _step((hour - 18) / 0.5))
    return 0.1 + 0.9 * working * (1 - 0.3 * math.exp(-(((hour - 12.5) / 0.5) ** 2)))


def _step(distance: float) -> float:
    return 1 / (1 + math.exp(-distance))


def _poisson(chance: random.Random, mean: float) -> int:
    if mean > _KNUTH_MOST:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, chance.random()  # Knuth, TAOCP 2, 3.4.1
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


def from_trace(file: Path, *, pool: str = "") -> list[float | None]:
    """Jobs of each tick, from a CSV with the columns `seconds` and `rate`; None where nobody knows: a rate is empty.

    Each line holds from its time until the next one's; the last only says when the trace ends. Where there is a column
    `pool`, the lines of this pool count.

    Raises:
        TraceError: it is no such file. The text names the line.
    """
    lines = _read(file, pool=pool)
    if len(lines) < 2:  # noqa: PLR2004  a begin and an end
        of = f" of pool {pool}" if pool else ""
        raise TraceError(f"{file}: a trace{of} has at least two lines below its header")
    begin, end = lines[0][0], lines[-1][0]
    if end - begin > MOST_TICKS * TICK_SECONDS:
        raise TraceError(f"{file}: longer than {MOST_TICKS * TICK_SECONDS / 86_400:.0f} days")
    return _ticks(lines, begin=begin, end=end)


def _read(file: Path, *, pool: str) -> list[tuple[float, float | None]]:
    found: list[tuple[float, float | None]] = []
    with file.open(encoding="utf-8-sig", newline="") as text:  # spreadsheets begin a file with a mark
        rows = csv.DictReader(text)
        if not {"seconds", "rate"} <= set(rows.fieldnames or ()):
            raise TraceError(f"{file}: the header has to name seconds and rate")
        for row in rows:
            number = rows.line_num
            if pool and row.get("pool", pool) != pool:
                continue
            try:
                at, rate = float(row["seconds"]), _rate(row["rate"])
            except (TypeError, ValueError, AttributeError):
                raise TraceError(f"{file}, line {number}: seconds and rate are numbers") from None
            if not (0 <= (rate or 0.0) <= MOST_RATE and abs(at) < 1e12):  # noqa: PLR2004  beyond any clock
                raise TraceError(f"{file}, line {number}: a rate is from 0 to {MOST_RATE:,.0f} jobs per second")
            if found and not found[-1][0] < at:
                raise TraceError(f"{file}, line {number}: times have to rise")
            found.append((at, rate))
    return found


def _rate(text: str) -> float | None:
    """Empty, or what Prometheus writes where it knows nothing: a hole."""
    rate = float(text) if text.strip() else math.nan
    return None if math.isnan(rate) else rate


def _ticks(lines: Sequence[tuple[float, float | None]], *, begin: float, end: float) -> list[float | None]:
    jobs: list[float | None] = []
    line = 0
    for tick in range(max(1, int((end - begin) / TICK_SECONDS))):
        at = begin + tick * TICK_SECONDS
        while line + 2 < len(lines) and lines[line + 1][0] <= at:
            line += 1
        rate = lines[line][1]
        jobs.append(None if rate is None else rate * TICK_SECONDS)
    return jobs

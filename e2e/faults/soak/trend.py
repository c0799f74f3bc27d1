"""How fast something grows, and whether that is too fast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

HOUR_SECONDS = 3600.0
MOST_PERCENT_PER_HOUR = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What there was at one moment."""

    seconds: float
    """Since the beginning."""
    memory_mb: float
    """Resident memory of the operator, MiB."""
    files: int
    """Its open descriptors."""
    objects: int
    """In the namespace, whoever made them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One figure over the time after the warm-up, by a straight line of least squares."""

    first: float
    """At the end of the warm-up."""
    last: float
    percent_per_hour: float
    """Of `first`; below 0 where it shrinks."""

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]]) -> Trend:
        """Through (seconds, figure).

        Raises:
            ValueError: there are fewer than three, or all of one moment: that is no line.
        """
        if len(points) < 3 or len({at for at, _ in points}) < 2:
            raise ValueError(f"{len(points)} looks after the warm-up tell of no trend")
        middle = math.fsum(at for at, _ in points) / len(points)
        mean = math.fsum(figure for _, figure in points) / len(points)
        spread = math.fsum((at - middle) ** 2 for at, _ in points)
        slope = math.fsum((at - middle) * (figure - mean) for at, figure in points) / spread
        first, last = (mean + slope * (at - middle) for at in (points[0][0], points[-1][0]))
        grown = slope * HOUR_SECONDS
        percent = 100 * grown / first if first > 0 else math.copysign(math.inf, grown) if grown else 0.0
        return cls(first=round(first, 2), last=round(last, 2), percent_per_hour=round(percent, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a soak came to."""

    hours: float
    rounds: int
    pools: int
    """Made and deleted."""
    memory_mb: Trend
    files: Trend
    objects: Trend
    failures: tuple[str, ...] = ()
    """What did not come to its end, or was left over."""

    @classmethod
    def of(cls, looks: Sequence[Look], *, warm_seconds: float, pools: int, failures: Sequence[str]) -> Report:
        """Sum up. Raises ValueError when it was too short to tell."""
        warm = [look for look in looks if look.seconds >= warm_seconds]

        def trend(figure: str) -> Trend:
            return Trend.of([(look.seconds, float(getattr(look, figure))) for look in warm])

        return cls(
            hours=round(looks[-1].seconds / HOUR_SECONDS, 2) if looks else 0.0,
            rounds=len(looks),
            pools=pools,
            memory_mb=trend("memory_mb"),
            files=trend("files"),
            objects=trend("objects"),
            failures=tuple(failures),
        )

    @property
    def grows(self) -> list[str]:
        """Which figures grow faster than they may."""
        return [
            f"{name} grows by {trend.percent_per_hour:.2f} % an hour, from {trend.first:g} to {trend.last:g}"
            for name, trend in (("memory_mb", self.memory_mb), ("files", self.files), ("objects", self.objects))
            if trend.percent_per_hour >= MOST_PERCENT_PER_HOUR
        ]

    @property
    def holds(self) -> bool:
        """Whether all is as it has to be."""
        return not self.grows and not self.failures

    def dump(self) -> dict[str, Any]:
        """Give it for JSON."""
        return {**asdict(self), "verdict": "holds" if self.holds else "broken"}

"""What a process tells of itself in Prometheus' text format: sums, and quantiles of histograms between two looks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

_LE: Final = re.compile(r'[{,]le="([^"]+)"')


def total(text: str, name: str, having: str = "") -> float:
    """Sum of a metric's samples whose line has `having` in it; 0 where there are none."""
    return math.fsum(value for _, value in _samples(text, name, having))


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Counts below upper bounds, cumulative, as Prometheus has them; series that differ in other labels added up."""

    counts: Mapping[float, float]
    """Upper bound, the last one infinite -> how many were at most that."""

    @classmethod
    def of(cls, text: str, name: str, having: str = "") -> Self:
        """Read one, without `_bucket` in its name; empty where there is none."""
        counts: dict[float, float] = {}
        for line, value in _samples(text, f"{name}_bucket", having):
            if found := _LE.search(line):
                bound = float(found[1])
                counts[bound] = counts.get(bound, 0.0) + value
        return cls(counts=counts)

    def since(self, before: Self) -> Self:
        """What came after `before`; all of it where the process was started anew in between."""
        if self.count() < before.count():
            return self
        return type(self)(counts={bound: value - before.counts.get(bound, 0.0) for bound, value in self.counts.items()})

    def count(self) -> float:
        """How many there are."""
        return self.counts.get(math.inf, 0.0)

    def quantile(self, share: float) -> float | None:
        """By interpolation within a bucket, as Prometheus' histogram_quantile; None where nothing was counted.

        What lies above the last finite bound is told as that bound.
        """
        wanted = share * self.count()
        if wanted <= 0:
            return None
        lower, below = 0.0, 0.0
        for bound, value in sorted(self.counts.items()):
            if value >= wanted:
                return lower if math.isinf(bound) else lower + (bound - lower) * (wanted - below) / (value - below)
            lower, below = bound, value
        return lower


def _samples(text: str, name: str, having: str) -> list[tuple[str, float]]:
    starts = (f"{name}{{", f"{name} ")
    lines = (line for line in text.splitlines() if line.startswith(starts) and having in line)
    return [(line, float(line.rsplit(" ", 1)[1])) for line in lines]

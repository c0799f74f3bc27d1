"""Quantiles of measured times."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Of one measured time; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Quantiles":
        """By nearest rank: each is one of the measured values."""
        if not values:
            return cls()
        ascending = sorted(values)

        def rank(share: float) -> float:
            return ascending[max(0, math.ceil(share * len(ascending)) - 1)]

        return cls(p50=rank(0.5), p95=rank(0.95), p99=rank(0.99), max=ascending[-1])

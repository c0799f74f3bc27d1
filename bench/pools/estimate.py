"""What was measured at a few numbers of namespaces says of others: a straight line, as each adds one collector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """A cost that is `fixed`, and so much more for `each` namespace."""

    fixed: float
    each: float

    def at(self, namespaces: int) -> float:
        """The cost with so many namespaces."""
        return self.fixed + self.each * namespaces

    def reaches(self, cost: float) -> float:
        """The number of namespaces, not rounded, at which it is this cost.

        0 where it is above that with none, infinite where it never gets there.
        """
        if self.fixed >= cost:
            return 0.0
        return (cost - self.fixed) / self.each if self.each > 0 else math.inf


def through(points: Mapping[int, float]) -> Line:
    """The line of least squares through namespaces -> cost.

    Raises:
        ValueError: fewer than two numbers of namespaces.
    """
    if len(points) < 2:
        raise ValueError("a line needs the costs at two numbers of namespaces")
    middle = sum(points) / len(points)
    mean = sum(points.values()) / len(points)
    spread = sum((namespaces - middle) ** 2 for namespaces in points)
    each = sum((namespaces - middle) * (cost - mean) for namespaces, cost in points.items()) / spread
    return Line(fixed=mean - each * middle, each=each)


def break_even(lines: Mapping[str, Line], costs: Mapping[str, float]) -> tuple[str, float]:
    """The resource that reaches the other's cost first, and at how many namespaces. Both name the same resources."""
    reached = {name: line.reaches(costs[name]) for name, line in lines.items()}
    first = min(reached, key=reached.__getitem__)
    return first, reached[first]


def told(number: float) -> str:
    """A break-even in words: whole namespaces, up to which ours costs no more."""
    return "any number" if math.isinf(number) else f"{math.floor(number):,}"

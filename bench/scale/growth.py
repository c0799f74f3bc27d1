"""How a cost grows with the number of objects: the exponent of a power law."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping


def exponent(costs: Mapping[int, float]) -> float | None:
    """The slope of least squares through log(objects) -> log(cost): 1 is linear, 2 is quadratic.

    A fixed cost flattens it, so it is told beside `steepest`. None where fewer than two sizes have a cost above 0.
    """
    points = [(math.log(objects), math.log(cost)) for objects, cost in costs.items() if objects > 0 and cost > 0]
    if len(points) < 2:
        return None
    middle = math.fsum(x for x, _ in points) / len(points)
    mean = math.fsum(y for _, y in points) / len(points)
    spread = math.fsum((x - middle) ** 2 for x, _ in points)
    return math.fsum((x - middle) * (y - mean) for x, y in points) / spread


def steepest(costs: Mapping[int, float]) -> float | None:
    """The largest exponent between two neighbouring sizes: what a mean over all of them would hide."""
    sizes = sorted(costs)
    slopes = [exponent({one: costs[one], other: costs[other]}) for one, other in itertools.pairwise(sizes)]
    return max((slope for slope in slopes if slope is not None), default=None)


def worst(costs: Mapping[str, Mapping[int, float]]) -> float | None:
    """The largest exponent of several costs, each over all of its sizes."""
    found = [exponent(each) for each in costs.values()]
    return max((one for one in found if one is not None), default=None)

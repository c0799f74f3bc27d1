"""Where more jobs at a time bring no more throughput, and only take longer: pure. Times in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FLAT: Final = 0.9
"""A limit with this share of the best throughput is as good as the best: measured throughput varies by some percent."""
CLIMB: Final = 1.1
"""Beyond the knee p95 is to have climbed by this factor, or what was seen is no knee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One strategy at one limit, as measured."""

    strategy: str
    limit: int
    jobs: int
    failed: int
    throughput: float
    """Jobs done per second."""
    p50: float
    p95: float
    p99: float
    cpu: float
    """CPU time of the calling process per job."""
    switches: float
    """Context switches of the calling process per job, voluntary ones included."""

    def cost(self, *, price: float) -> float:
        """What a million jobs cost, at this price of an hour."""
        return price / 3600 / self.throughput * 1e6 if self.throughput else float("inf")


def best(repeats: Sequence[Level]) -> Level:
    """Of several measurements of the same: whatever else the machine does can only make it slower."""
    return max(repeats, key=lambda level: level.throughput)


def knee(levels: Sequence[Level]) -> Level | None:
    """The smallest limit with at least `FLAT` of the best throughput; None: none was seen.

    By Little's law, limit = throughput x latency: where throughput stays, latency grows with the limit. So the largest
    limit has to be at least `CLIMB` times slower at p95; and a knee at the very end of the range is none, since
    throughput may go on rising beyond it.

    Rejected: Kneedle (V. Satopaa et al., "Finding a 'Kneedle' in a Haystack", ICDCSW 2011), which looks for the largest
    distance from the diagonal. With a dozen points its answer depends on where the range ends.
    """
    rising = sorted((level for level in levels if level.throughput > 0), key=lambda level: level.limit)
    if not rising:
        return None
    enough = FLAT * max(level.throughput for level in rising)
    found = next(level for level in rising if level.throughput >= enough)
    last = rising[-1]
    return found if found.limit < last.limit and last.p95 >= CLIMB * found.p95 else None

"""How fast stable workers take jobs, and so how fast those of a canary may.

A worker that fails each job at once is free at once, and takes the next: with a backlog one of twenty that fails its
jobs in 10 ms took 84 % of all in a simulation, before there could be a verdict. So the workers of a canary are held to
what a stable one takes, and a little more: by as much they may be quicker. Where that keeps jobs from them the stable
ones take these, and the cap rises with it.
"""

from collections.abc import Iterable, Mapping
from math import floor, log10
from typing import Final, NamedTuple

HALF_LIFE_SECONDS: Final = 30.0
"""What was taken so long ago counts half: soon enough to follow a load that comes, and steady over a few jobs."""
SLACK: Final = 1.25
LEAST_RATE: Final = 0.1
"""Jobs per second. A cap below would keep a canary from the few jobs that a quiet pool has."""


class Taken(NamedTuple):
    """What stable workers began of late, each second of the past with a weight that halves in `HALF_LIFE_SECONDS`."""

    jobs: float = 0.0
    pod_seconds: float = 0.0

    def plus(self, pods: Iterable[tuple[int, float]], *, gap: float) -> "Taken":
        """After `gap` seconds in which each of these pods began so many jobs in so many seconds."""
        kept = 0.5 ** (gap / HALF_LIFE_SECONDS)
        jobs, seconds = self.jobs * kept, self.pod_seconds * kept
        for began, span in pods:
            jobs, seconds = jobs + began, seconds + span
        return Taken(jobs, seconds)


def take_rates(taken: Taken, *, canary: str) -> Mapping[str, float]:
    """Version -> jobs per second that each of its workers may begin: of the canary's, where it is known.

    Two digits, so that it is not another one at each look.
    """
    if not canary or taken.jobs <= 0 or taken.pod_seconds <= 0:
        return {}
    rate = max(SLACK * taken.jobs / taken.pod_seconds, LEAST_RATE)
    return {canary: round(rate, 1 - floor(log10(rate)))}

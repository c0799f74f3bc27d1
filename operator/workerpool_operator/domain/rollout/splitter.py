"""How many of a pool's workers run the canary, and what part of the jobs they may take."""

from dataclasses import dataclass
from typing import Final

from workerpool_operator.domain.rollout.mixture import Interval

_PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Workers of each version. Together they are the total, but beside a single worker."""

    stable: int
    canary: int


def split(total: int, *, weight: int) -> Split:
    """`total` workers with `weight` percent of canary, rounded half up; both versions keep a worker.

    A pool of one runs one worker above it, else it would have no stable one, or no canary: never more, however many may
    be above the total, or nearly all jobs were the canary's. A pool that sleeps has neither.
    """
    if total <= 0:
        return Split(stable=0, canary=0)
    if total == 1:
        return Split(stable=1, canary=1)
    canary = min(max((total * weight + _PERCENT // 2) // _PERCENT, 1), total - 1)
    return Split(stable=total - canary, canary=canary)


def pod_share(split: Split) -> float:
    """The canary's part of the workers; 0 of none."""
    total = split.stable + split.canary
    return split.canary / total if total else 0.0


def job_share(attempts: Interval) -> float | None:
    """The canary's part of the jobs; None of none.

    It is not that of the workers: one that fails at once is free at once, and takes the next job.
    """
    total = attempts.canary_trials + attempts.stable_trials
    return attempts.canary_trials / total if total else None

"""What a rollout will be able to show, said before it has begun."""

from typing import Final

from workerpool_operator.domain.rollout.judge import Rules
from workerpool_operator.domain.rollout.mixture import detectable_ratio
from workerpool_operator.domain.rollout.steps import Policy

_PERCENT: Final = 100.0


def foreseen_ratio(policy: Policy, rules: Rules, *, arrivals: float | None) -> float | None:
    """The ratio that all steps together will find, if the stable version fails as often as is acceptable.

    `arrivals`: jobs per second of the whole pool; None: unknown, and only the jobs that the steps wait for are counted.
    None where nothing will be found: there are too few jobs, or no steps.
    """
    jobs = sum(
        max(float(step.min_jobs), (arrivals or 0.0) * step.weight / _PERCENT * step.duration_seconds)
        for step in policy.steps
    )
    return detectable_ratio(jobs * rules.acceptable_failure_rate, alpha=rules.false_alarm)

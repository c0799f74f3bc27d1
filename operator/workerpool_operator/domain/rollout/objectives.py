"""Whether a canary breaks an objective of the pool (`spec.slo`) that its stable version keeps.

A trial is a first attempt, as for the judge. It is bad by failing, or by ending later than the goal.

| Rule | Why |
|---|---|
| the canary's bad share is tested by a likelihood ratio, looked at at any time | one failure shows nothing |
| only stretches of measured time count in which the stable version kept the objective | what hits both is an outage |
| while both miss it, in this stretch and the one before, the rollout holds | and goes on when that is over |

Given how often the canary may fail, `p`, the log likelihood ratio of `f p` over it is `x ln f + (n - x) ln((1 - f p) /
(1 - p))` for `x` bad of `n`; the evidence is the mean over the factors f of the judge (`mixture`), tempered by phi.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import log
from typing import Any, Final

from workerpool_operator.domain.rollout.mixture import FAIL_FACTORS, Interval, log_mean

STRETCH_SECONDS: Final = 300.0
"""Of measured time. An outage of both is left out by so much, and the rollout goes on twice as long after it."""
_NOTHING: Final = Interval()


class Objective(StrEnum):
    """What a pool may promise of its jobs."""

    AVAILABILITY = "availability"
    """They succeed at their first attempt."""
    LATENCY = "latency"
    """Their first attempt ends soon enough after they were due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """The objectives of a pool."""

    allowed: Mapping[Objective, float] = field(default_factory=dict)
    """Share of the jobs that may miss each, above 0 and below 1. One that is not named is not promised."""
    late_seconds: float = 0.0
    """From when on a job is late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the two versions did by one objective."""

    allowed: float
    kept: Interval = _NOTHING
    """Of the stretches that are over, and in which the stable version kept it."""
    before: Interval = _NOTHING
    """Of the stretch before this one."""
    stretch: Interval = _NOTHING
    began: float = 0.0
    """The measured clock when this stretch began."""

    def plus(self, interval: Interval, *, at: float) -> "Course":
        """With what happened until `at`, by the measured clock."""
        course = self
        if at - self.began >= STRETCH_SECONDS:
            course = replace(self, kept=self.shown, before=self.stretch, stretch=_NOTHING, began=at)
        return replace(course, stretch=course.stretch.plus(interval))

    @property
    def shown(self) -> Interval:
        """What the canary is tested by: of this stretch only while the stable version keeps the objective in it."""
        return self.kept.plus(self.stretch) if self._kept_by_stable else self.kept

    @property
    def recent(self) -> Interval:
        """What happened of late."""
        return self.before.plus(self.stretch)

    @property
    def _kept_by_stable(self) -> bool:
        one = self.stretch
        return one.stable_trials > 0 and one.stable_failures <= self.allowed * one.stable_trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the two versions stand by one objective."""

    objective: Objective
    allowed: float
    canary: float | None
    """Bad share of late. None: no job."""
    stable: float | None
    broken: bool
    """The canary is shown to break it, and the stable version keeps it."""

    @property
    def missed_by_both(self) -> bool:
        """Of late."""
        return all(share is not None and share > self.allowed for share in (self.canary, self.stable))


def followed(
    courses: Mapping[Objective, Course], happened: Mapping[Objective, Interval], *, goals: Goals, at: float
) -> dict[Objective, Course]:
    """The courses after a look. What was gathered against another share is forgotten."""
    found: dict[Objective, Course] = {}
    for objective, allowed in goals.allowed.items():
        before = courses.get(objective)
        fresh = before is None or before.allowed != allowed
        course = Course(allowed=allowed, began=at) if before is None or fresh else before
        found[objective] = course.plus(happened.get(objective, _NOTHING), at=at)
    return found


def stand(course: Course, *, objective: Objective, phi: float, incidents: int, alarm: float, least: int) -> Standing:
    """What a course shows. `alarm`: the log of the evidence that is asked for; `least`: incidents of the canary."""
    shown, recent = course.shown, course.recent
    evidence = log_mean(tuple(_ratios(shown, course.allowed)), phi=phi)
    return Standing(
        objective=objective,
        allowed=course.allowed,
        canary=_share(recent.canary_trials, recent.canary_failures),
        stable=_share(recent.stable_trials, recent.stable_failures),
        broken=incidents >= least and evidence >= alarm,
    )


def _ratios(shown: Interval, allowed: float) -> Iterator[float]:
    good = max(shown.canary_trials - shown.canary_failures, 0.0)
    for factor in FAIL_FACTORS:
        # A share is below 1, however many times what is allowed it is.
        rate = min(factor * allowed, (1 + allowed) / 2)
        yield shown.canary_failures * log(rate / allowed) + good * log((1 - rate) / (1 - allowed))


def _share(trials: float, bad: int) -> float | None:
    return bad / trials if trials > 0 else None


def dump(course: Course) -> dict[str, Any]:
    """As JSON."""
    return {
        "allowed": course.allowed,
        "kept": list(course.kept),
        "before": list(course.before),
        "stretch": list(course.stretch),
        "began": course.began,
    }


def load(stored: Mapping[str, Any]) -> Course:
    """What was stored.

    Raises:
        KeyError, TypeError, ValueError: it is not understood.
    """
    kept, before, stretch = (_interval(stored[name]) for name in ("kept", "before", "stretch"))
    return Course(
        allowed=float(stored["allowed"]), kept=kept, before=before, stretch=stretch, began=float(stored["began"])
    )


def _interval(stored: Any) -> Interval:
    canary, failed, stable, stable_failed = stored
    return Interval(float(canary), int(failed), float(stable), int(stable_failed))

"""What the judge knows: sums over all intervals so far. Small, the same after any number of them, and storable.

Counter baselines are not among it. After a restart the first look sets new ones; what happened in between is not
measured and not guessed at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from workerpool_operator.domain.rollout import objectives
from workerpool_operator.domain.rollout.mixture import FAIL_FACTORS, PASS_FACTORS, Interval, step
from workerpool_operator.domain.rollout.objectives import Course, Objective
from workerpool_operator.domain.rollout.spread import Spread

SCHEME: Final = 2
"""Of stored evidence. What was stored under another one is forgotten: its sums mean something else."""

_NOTHING: Final = Interval()
_NO_CELLS: Final = Spread()


class Signal(StrEnum):
    """What a version is judged by."""

    FAILURES = "failures"
    """First attempts that failed, lost jobs included, of the first attempts."""
    SLOW = "slow"
    """First attempts that took longer than a job should, of the first attempts."""
    CRASHES = "crashes"
    """Containers that died, killed for their memory or otherwise, per pod-minute."""
    LATE = "late"
    """First attempts that ended later than the pool promises, of the first attempts. Only the objective asks for it."""

    @property
    def counted(self) -> bool:
        """Whether its trials are jobs; else they are pod-minutes."""
        return self is not Signal.CRASHES


@dataclass(frozen=True, slots=True, kw_only=True)
class Nulls:
    """The ratios that evidence is gathered against. They are fixed for a rollout, like the sums that hold them."""

    tolerate: float
    reject: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalEvidence:
    """What is known by one signal."""

    fail: tuple[float, ...] = (0.0,) * len(FAIL_FACTORS)
    """Log likelihood ratios that the canary is worse than tolerable, one per alternative, not yet tempered."""
    passed: tuple[float, ...] = (0.0,) * len(PASS_FACTORS)
    """The same, that it is better than what is rejected."""
    total: Interval = _NOTHING
    pending: Interval = _NOTHING
    """What happened since both sides last had trials: compared when they have."""
    incidents: int = 0
    """Failures of the canary, those of one pod within a minute taken as one."""
    canary_cells: Spread = _NO_CELLS
    stable_cells: Spread = _NO_CELLS
    """Of pods that are watched no more."""

    def plus(self, interval: Interval, *, nulls: Nulls) -> "SignalEvidence":
        """With one more interval. Where only one side was at work there is nothing to compare yet."""
        pending = self.pending.plus(interval)
        total = self.total.plus(interval)
        if not pending.comparable:
            return replace(self, total=total, pending=pending)
        fail, passed = self.fail, self.passed
        if pending.canary_failures or pending.stable_failures:
            fail = step(fail, pending, null=nulls.tolerate, factors=FAIL_FACTORS)
            passed = step(passed, pending, null=nulls.reject, factors=PASS_FACTORS)
        return replace(self, fail=fail, passed=passed, total=total, pending=_NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one canary."""

    nulls: Nulls
    signals: Mapping[Signal, SignalEvidence] = field(default_factory=dict)
    measured_seconds: float = 0.0
    """The rollout's clock: it stands while nothing is measured."""
    unmeasured_seconds: float = 0.0
    """For how long nothing has been measured now."""
    unready_seconds: float = 0.0
    """For how long no worker of the canary has been ready now, although it has pods on nodes."""
    late_seconds: float = 0.0
    """What was counted as late was so by this."""
    courses: Mapping[Objective, Course] = field(default_factory=dict)
    """How both versions did by the pool's objectives."""
    missed_jobs: float = 0.0
    """First attempts that the canary's workers would have had, had they taken as many as stable ones, since it was last
    seen to take any."""


def dump(evidence: Evidence) -> dict[str, Any]:
    """As JSON."""
    return {
        "scheme": SCHEME,
        "nulls": [evidence.nulls.tolerate, evidence.nulls.reject],
        "measuredSeconds": evidence.measured_seconds,
        "unmeasuredSeconds": evidence.unmeasured_seconds,
        "unreadySeconds": evidence.unready_seconds,
        "missedJobs": evidence.missed_jobs,
        "lateSeconds": evidence.late_seconds,
        "courses": {objective.value: objectives.dump(one) for objective, one in evidence.courses.items()},
        "signals": {
            signal.value: {
                "fail": list(one.fail),
                "passed": list(one.passed),
                "total": list(one.total),
                "pending": list(one.pending),
                "incidents": one.incidents,
                **_dump_spread("canary", one.canary_cells),
                **_dump_spread("stable", one.stable_cells),
            }
            for signal, one in evidence.signals.items()
        },
    }


def load(stored: Any, *, nulls: Nulls) -> Evidence:
    """What was stored; evidence anew, if it is of another scheme, against other ratios, or not understood.

    What another release did not store yet begins at 0, and signals that are not known here are passed over.
    """
    fresh = Evidence(nulls=nulls)
    try:
        if stored.get("scheme") != SCHEME or stored.get("nulls") != [nulls.tolerate, nulls.reject]:
            return fresh
        known, courses = set(Signal), stored.get("courses", {})
        return replace(
            fresh,
            signals={Signal(name): _signal(one) for name, one in stored.get("signals", {}).items() if name in known},
            measured_seconds=float(stored.get("measuredSeconds", 0.0)),
            unmeasured_seconds=float(stored.get("unmeasuredSeconds", 0.0)),
            unready_seconds=float(stored.get("unreadySeconds", 0.0)),
            missed_jobs=float(stored.get("missedJobs", 0.0)),
            late_seconds=float(stored.get("lateSeconds", 0.0)),
            courses={one: objectives.load(courses[one]) for one in Objective if one in courses},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return fresh


def _signal(stored: Mapping[str, Any]) -> SignalEvidence:
    return SignalEvidence(
        fail=_floats(stored["fail"], FAIL_FACTORS),
        passed=_floats(stored["passed"], PASS_FACTORS),
        total=_interval(stored["total"]),
        pending=_interval(stored.get("pending", _NOTHING)),
        incidents=int(stored.get("incidents", 0)),
        canary_cells=_spread(stored, "canary"),
        stable_cells=_spread(stored, "stable"),
    )


def _floats(stored: Any, factors: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(one) for one, _ in zip(stored, factors, strict=True))


def _interval(stored: Any) -> Interval:
    canary, failed, stable, stable_failed = stored
    return Interval(float(canary), int(failed), float(stable), int(stable_failed))


def _dump_spread(side: str, spread: Spread) -> dict[str, Any]:
    """The rates beside the others: an earlier release, which the operator may be rolled back to, reads those four."""
    *figures, rates = spread
    return {f"{side}Cells": figures, f"{side}Rates": rates}


def _spread(stored: Mapping[str, Any], side: str) -> Spread:
    """Earlier releases stored no rates: then as if all cells had one size."""
    *known, _ = _NO_CELLS
    cells, trials, failures, squares = stored.get(f"{side}Cells", known)
    even = cells * failures / trials if trials else 0.0
    return Spread(int(cells), float(trials), int(failures), float(squares), float(stored.get(f"{side}Rates", even)))

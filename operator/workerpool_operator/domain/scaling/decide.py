"""From samples to a size: collect the terms, combine them, apply the limiters in order, each exactly once.

A limiter that changed the outcome is named in `Decision.limited_by`. Unknown is not zero: while any queue has no
fresh sample the size may grow (on what is known) but never shrink.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from workerpool_operator.api import Limiter, Targets
from workerpool_operator.domain.scaling.history import History
from workerpool_operator.domain.scaling.terms import (
    Backlog,
    Term,
    depth,
    depth_per_replica,
)

STALE_POLLS: Final = 3
STALE_FLOOR_SECONDS: Final = 5.0
DEPTH_INTERVAL_SECONDS: Final = 15.0
"""The queueDepth target is asked at most this often, or once per pod start where that takes longer."""


class Outcome(StrEnum):
    """Why this size."""

    MANUAL = "Manual"
    """A person set `spec.replicas`."""
    ACTIVE = "Active"
    """All queues have fresh samples and the targets were evaluated."""
    PARTIAL = "PartialSamples"
    """Some queues have no fresh sample: growing on the others, not shrinking."""
    HELD = "Held"
    """No queue has a fresh sample: the size is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One queue's latest reading; counts are jobs, None when the reading failed."""

    queue: str
    waiting: int | None
    in_flight: int | None
    age: float
    poll_seconds: float
    oldest_age: float | None = None
    """How long the oldest waiting job has waited, seconds. Shown, not decided by."""
    arrivals: int | None = None
    """Jobs that ever came, where the broker counts them."""

    @property
    def usable(self) -> bool:
        """Whether a size may follow from it: it was read, and recently."""
        return self.waiting is not None and self.in_flight is not None and self.age <= self.stale_after

    @property
    def stale_after(self) -> float:
        """Seconds until this reading counts as none."""
        return stale_after(self.poll_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The pool's own wishes, from `spec.scaling` and `spec.worker`."""

    manual_replicas: int | None
    """Set in mode manual, where nothing else counts."""
    min_replicas: int
    max_replicas: int
    cooldown_seconds: float
    stabilization_seconds: float
    slots: int
    """Jobs that one worker runs at a time."""
    targets: Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that a size follows from."""

    rules: Rules
    queues: Sequence[str]
    samples: Sequence[Sample]
    current: int
    history: History
    now: float
    pod_start_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A size and its reasons. `look_again` is when time alone may change the answer, in seconds from now."""

    desired: int
    outcome: Outcome
    history: History
    terms: tuple[Term, ...] = ()
    limited_by: tuple[Limiter, ...] = ()
    backlog: Backlog | None = None
    look_again: float | None = None


def stale_after(poll_seconds: float) -> float:
    """Age in seconds from which a reading of a queue that is read so often counts as none."""
    return max(STALE_POLLS * poll_seconds, STALE_FLOOR_SECONDS)


def decide(inputs: Inputs) -> Decision:
    """The size that the pool should have now."""
    rules = inputs.rules
    if rules.manual_replicas is not None:
        return Decision(desired=rules.manual_replicas, outcome=Outcome.MANUAL, history=inputs.history)
    usable = [sample for sample in inputs.samples if sample.usable and sample.queue in inputs.queues]
    if not usable:
        held, limits = _clamp(inputs.current, rules=rules)
        unknown = replace(inputs.history, gap=True)
        return Decision(desired=held, outcome=Outcome.HELD, history=unknown, limited_by=limits)
    complete = len({sample.queue for sample in usable}) == len(inputs.queues)
    if not complete:
        inputs = replace(inputs, history=replace(inputs.history, gap=True))
    elif inputs.history.gap:
        inputs = replace(inputs, history=inputs.history.resumed(now=inputs.now))
    arrivals = {sample.queue: sample.arrivals for sample in usable if sample.arrivals is not None}
    inputs = replace(inputs, history=inputs.history.arrived(arrivals, now=inputs.now))
    backlog = Backlog(
        waiting=sum(sample.waiting or 0 for sample in usable),
        in_flight=sum(sample.in_flight or 0 for sample in usable),
    )
    return _from_backlog(inputs, backlog=backlog, complete=complete)


def _from_backlog(inputs: Inputs, *, backlog: Backlog, complete: bool) -> Decision:
    terms, history = _terms(inputs, backlog=backlog)
    if backlog.total:
        history = replace(history, active_at=inputs.now)
    wanted = max(term.value for term in terms)
    limited: list[Limiter] = []
    wanted, history = _stabilize(inputs, wanted=wanted, history=history, limited=limited)
    quiet_left = _quiet_left(inputs, history=history)
    if wanted == 0 and inputs.current > 0 and quiet_left > 0:
        # After stabilisation, so that what the cooldown keeps is not remembered as wanted, and kept for longer still.
        wanted = 1
        limited.append(Limiter.COOLDOWN)
    if not complete and wanted < inputs.current:
        wanted = inputs.current
        limited.append(Limiter.STALE)
    desired, clamps = _clamp(wanted, rules=inputs.rules)
    if clamps == (Limiter.MIN_REPLICAS,):
        limited.clear()
    return Decision(
        desired=desired,
        outcome=Outcome.ACTIVE if complete else Outcome.PARTIAL,
        history=history,
        terms=terms,
        limited_by=(*limited, *clamps),
        backlog=backlog,
        look_again=_look_again(inputs, history=history, quiet_left=quiet_left, desired=desired, backlog=backlog),
    )


def _terms(inputs: Inputs, *, backlog: Backlog) -> tuple[tuple[Term, ...], History]:
    rules, history = inputs.rules, inputs.history
    terms: list[Term] = []
    targets = rules.targets.effective()
    if targets.queue_depth_per_replica is not None:
        terms.append(depth_per_replica(backlog, per_replica=targets.queue_depth_per_replica))
    if targets.queue_depth is not None:
        term, history = _paced_depth(inputs, backlog=backlog, limit=targets.queue_depth)
        terms.append(term)
    return tuple(terms), history


def _paced_depth(inputs: Inputs, *, backlog: Backlog, limit: int) -> tuple[Term, History]:
    """The queueDepth term, held between two evaluations: asked at every sample it would multiply itself."""
    history = inputs.history
    due = history.depth_at is None or inputs.now - history.depth_at >= _depth_interval(inputs)
    if backlog.waiting > limit and not due:
        return Term("queueDepth", history.depth_value), history
    term = depth(backlog, limit=limit, current=inputs.current, slots=inputs.rules.slots)
    if backlog.waiting > limit:
        return term, replace(history, depth_at=inputs.now, depth_value=term.value)
    return term, history


def _depth_interval(inputs: Inputs) -> float:
    return max(DEPTH_INTERVAL_SECONDS, inputs.pod_start_seconds)


def _quiet_left(inputs: Inputs, *, history: History) -> float:
    return history.active_at + inputs.rules.cooldown_seconds - inputs.now


def _stabilize(inputs: Inputs, *, wanted: int, history: History, limited: list[Limiter]) -> tuple[int, History]:
    """Scaling in follows the largest size wanted within the window; a history shorter than that allows none."""
    window = inputs.rules.stabilization_seconds
    history = history.with_wanted(wanted, now=inputs.now, window=window)
    floor = history.largest
    if inputs.now - history.since < window:
        floor = max(floor, inputs.current)
    kept = min(floor, max(inputs.current, wanted))
    if kept <= max(wanted, inputs.rules.min_replicas):
        return wanted, history
    limited.append(Limiter.STABILIZATION)
    return kept, history


def _clamp(wanted: int, *, rules: Rules) -> tuple[int, tuple[Limiter, ...]]:
    if wanted < rules.min_replicas:
        return rules.min_replicas, (Limiter.MIN_REPLICAS,)
    if wanted > rules.max_replicas:
        return rules.max_replicas, (Limiter.MAX_REPLICAS,)
    return wanted, ()


def _look_again(inputs: Inputs, *, history: History, quiet_left: float, desired: int, backlog: Backlog) -> float | None:
    """The nearest moment at which the answer may change though no sample does.

    A sample going stale is not among them: whoever holds the samples tells that, once for all pools.
    """
    moments: list[float] = []
    if desired > inputs.rules.min_replicas:
        window = inputs.rules.stabilization_seconds
        moments.append(history.peaks[0][0] + window - inputs.now)
        moments.append(history.since + window - inputs.now)
        if not backlog.total:
            moments.append(quiet_left)
    if history.depth_at is not None and inputs.rules.targets.queue_depth is not None:
        moments.append(history.depth_at + _depth_interval(inputs) - inputs.now)
    ahead = [moment for moment in moments if moment > 0]
    return math.ceil(min(ahead) * 20) / 20 if ahead else None

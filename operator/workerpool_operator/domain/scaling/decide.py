"""From samples to a size: ask the targets, take the largest answer, apply the limiters in order, each exactly once.

A limiter that changed the outcome is named in `Decision.limited_by`. Unknown is not zero: while any queue has no
fresh sample, or a target cannot say, the size may grow (on what is known) but never shrink.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from workerpool_operator.api import Limiter
from workerpool_operator.domain.scaling.history import History
from workerpool_operator.domain.scaling.inputs import Inputs
from workerpool_operator.domain.scaling.limits import Case, limit, limit_blind, moments, within_budget
from workerpool_operator.domain.scaling.predictive import Foreseen
from workerpool_operator.domain.scaling.targets import ask, ask_the_clock, depth_interval
from workerpool_operator.domain.scaling.terms import MOST_JOBS, Backlog, Silence, Term

FIGURES_INTERVAL_SECONDS: Final = 15.0
"""Rates, and what workers report, change without a new reading of a queue: so they are looked at this often."""


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
    FALLBACK = "Fallback"
    """No queue has had a fresh sample for long: the size is raised to the one that the pool names for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A size and its reasons. `look_again` is when time alone may change the answer, in seconds from now."""

    desired: int
    wanted: int = 0
    """What it would be without the budget that the pool shares with others."""
    outcome: Outcome
    history: History
    terms: tuple[Term, ...] = ()
    silent: tuple[Silence, ...] = ()
    """Targets that cannot say anything."""
    limited_by: tuple[Limiter, ...] = ()
    backlog: Backlog | None = None
    foreseen: Foreseen | None = None
    """What a forecast asks for, if the pool wants one made: among the terms only where it counts."""
    look_again: float | None = None


def decide(inputs: Inputs) -> Decision:
    """The size that the pool should have now."""
    alone = _alone(inputs)
    desired = within_budget(inputs, alone.desired)
    limited = alone.limited_by if desired == alone.desired else (*alone.limited_by, Limiter.BUDGET)
    if inputs.rules.suspended:
        # Stronger than every other word. Of its budget it wants nothing, so that others get what it had.
        return replace(alone, desired=0, wanted=0, limited_by=(Limiter.SUSPENDED,))
    return replace(alone, desired=desired, wanted=alone.desired, limited_by=limited)


def _alone(inputs: Inputs) -> Decision:
    """The size of a pool that shares nothing with others."""
    rules = inputs.rules
    if rules.manual_replicas is not None:
        return Decision(desired=rules.manual_replicas, outcome=Outcome.MANUAL, history=inputs.history)
    usable = [sample for sample in inputs.samples if sample.usable and sample.queue in inputs.queues]
    if not usable:
        return _blind(inputs)
    history = inputs.history
    complete = len({sample.queue for sample in usable}) == len(inputs.queues)
    if not complete:
        history = history.with_gap(_unknown_since(inputs), blind_since=None)
    else:
        history = history.resumed(now=inputs.now, bridged=min(sample.stale_after for sample in usable))
    arrivals = {sample.queue: sample.arrivals for sample in usable if sample.arrivals is not None}
    inputs = replace(inputs, history=history.arrived(arrivals, now=inputs.now))
    backlog = Backlog(
        waiting=min(sum(sample.waiting or 0 for sample in usable), MOST_JOBS),
        in_flight=min(sum(sample.in_flight or 0 for sample in usable), MOST_JOBS),
    )
    return _from_backlog(inputs, backlog=backlog, complete=complete)


def _from_backlog(inputs: Inputs, *, backlog: Backlog, complete: bool) -> Decision:
    answers, rules = ask(inputs, backlog=backlog), inputs.rules
    history = answers.history if not backlog.total else replace(answers.history, active_at=inputs.now)
    history = history.with_size(inputs.current, now=inputs.now).with_wanted(
        answers.wanted, now=inputs.now, down=rules.down.stabilization_seconds, up=rules.up.stabilization_seconds
    )
    case = Case(inputs=inputs, answers=answers, backlog=backlog, complete=complete, history=history)
    desired, limited = limit(case, answers.wanted)
    return Decision(
        desired=desired,
        outcome=Outcome.ACTIVE if complete else Outcome.PARTIAL,
        history=history,
        terms=answers.terms,
        silent=answers.silent,
        limited_by=limited,
        backlog=backlog,
        foreseen=answers.foreseen,
        look_again=_look_again(case, desired=desired),
    )


def _blind(inputs: Inputs) -> Decision:
    """No queue is known: the size is held, and raised by what is wanted all the same."""
    since = inputs.now if inputs.history.blind_since is None else inputs.history.blind_since
    history, answers = inputs.history.with_gap(_unknown_since(inputs), blind_since=since), ask_the_clock(inputs)
    nothing = Backlog(waiting=0, in_flight=0)
    case = Case(inputs=inputs, answers=answers, backlog=nothing, complete=False, history=history)
    desired, limited = limit_blind(case)
    moments = [left for left in (answers.changes_in, case.fallback_in) if left is not None and 0 < left < math.inf]
    return Decision(
        desired=desired,
        outcome=Outcome.FALLBACK if Limiter.FALLBACK in limited else Outcome.HELD,
        history=history,
        terms=answers.terms,
        silent=answers.silent,
        limited_by=limited,
        foreseen=answers.foreseen,
        look_again=min(moments, default=None),
    )


def _unknown_since(inputs: Inputs) -> float:
    """When the first of the queues that are unknown became so: one that was never read always was."""
    known = {sample.queue: sample for sample in inputs.samples}
    found = [known.get(queue) for queue in inputs.queues]
    return min(
        (-math.inf if one is None else inputs.now - one.age for one in found if one is None or not one.usable),
        default=inputs.now,
    )


def _look_again(case: Case, *, desired: int) -> float | None:
    """The nearest moment at which the answer may change though no sample does.

    A sample going stale is not among them: whoever holds the samples tells that, once for all pools.
    """
    inputs, history = case.inputs, case.history
    found = moments(case, desired)
    if case.answers.changes_in is not None:
        found.append(case.answers.changes_in)
    if _figures_matter(inputs, desired=desired):
        found.append(FIGURES_INTERVAL_SECONDS)
    if history.depth_at is not None and inputs.rules.targets.queue_depth is not None:
        found.append(history.depth_at + depth_interval(inputs) - inputs.now)
    ahead = [moment for moment in found if moment > 0]
    return math.ceil(min(ahead) * 20) / 20 if ahead else None


def _figures_matter(inputs: Inputs, *, desired: int) -> bool:
    """Whether the size may follow from more than readings of queues."""
    targets = inputs.rules.targets
    if inputs.current and (targets.utilization is not None or targets.cpu_utilization is not None):
        return True
    return desired > inputs.rules.min_replicas and bool(inputs.traffic.arrivals)

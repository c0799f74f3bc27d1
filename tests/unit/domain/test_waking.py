"""Two workers go ahead of the others in a pool that wakes, and never for long."""

from dataclasses import replace
from typing import Any

import pytest

from workerpool_operator.api import Limiter, Targets
from workerpool_operator.domain.scaling import Decision, Fleet, History, Inputs, Outcome, Overrides, Rules
from workerpool_operator.domain.waking import first_ahead

RULES = Rules(manual_replicas=None, min_replicas=0, max_replicas=100, cooldown_seconds=0.0, slots=1, targets=Targets())
ASLEEP = History(since=0.0, active_at=0.0, sizes=((40.0, 0),))
WOKEN = replace(ASLEEP, sizes=((40.0, 0), (100.0, 2)))
TWELVE = Decision(desired=12, outcome=Outcome.ACTIVE, history=ASLEEP, limited_by=(Limiter.MAX_REPLICAS,))


def size(decision: Decision = TWELVE, **more: Any) -> tuple[int, Decision]:
    fleet = Fleet(heard=more.pop("heard", 0))
    inputs = Inputs(
        rules=replace(RULES, **more.pop("rules", {})),
        queues=("main",),
        samples=(),
        history=decision.history,
        fleet=fleet,
        **({"current": 0, "now": 100.0} | more),
    )
    return first_ahead(decision, inputs)


def test_of_those_who_are_wanted_two_go_ahead() -> None:
    """The decision stays what it was, and says why the size is not that."""
    found, decision = size()
    assert (found, decision.desired) == (2, 12)
    assert decision.limited_by == (Limiter.MAX_REPLICAS, Limiter.WAKING)
    assert decision.look_again == 1.0


def test_the_others_follow_when_one_reports_and_after_a_second_whatever_they_do() -> None:
    """The second counts from when the pool had its first workers."""
    woken = replace(TWELVE, history=WOKEN)
    found, decision = size(woken, current=2, now=100.75)
    assert (found, decision.look_again) == (2, 0.25)
    assert size(woken, current=2, now=101.0) == (12, woken)
    assert size(woken, current=2, now=100.25, heard=1) == (12, woken)


@pytest.mark.parametrize(
    "other",
    [
        {"current": 3, "decision": replace(TWELVE, history=WOKEN)},
        {"decision": replace(TWELVE, desired=2)},
        {"decision": replace(TWELVE, desired=1)},
        {"decision": replace(TWELVE, desired=0)},
        {"decision": replace(TWELVE, outcome=Outcome.HELD)},
        {"rules": {"min_replicas": 1}},
        {"rules": {"warm_replicas": 1}},
        {"rules": {"overrides": Overrides(at_least=1)}},
        {"heard": 1},
        {"current": 2, "decision": replace(TWELVE, history=replace(ASLEEP, sizes=((100.0, 2),)))},
        {"current": 2, "decision": replace(TWELVE, history=replace(ASLEEP, sizes=((10.0, 3), (100.0, 2))))},
    ],
    ids=[
        "more there",
        "two wanted",
        "one wanted",
        "none wanted",
        "blind",
        "never asleep",
        "warm",
        "forced",
        "heard",
        "new leader",
        "shrunk",
    ],
)
def test_everywhere_else_nothing_is_held(other: dict[str, Any]) -> None:
    """A leader that did not see the pool wake holds nothing either."""
    decision = other.pop("decision", TWELVE)
    assert size(decision, **other) == (decision.desired, decision)


def test_whatever_comes_sooner_is_not_put_off() -> None:
    """A nearer look of the decision stays."""
    assert size(replace(TWELVE, look_again=0.5))[1].look_again == 0.5
    assert size(replace(TWELVE, look_again=9.0))[1].look_again == 1.0

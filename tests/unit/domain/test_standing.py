"""What holds whatever the queues say: the clock, people on call, a warm pool, and the fallback."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from workerpool_operator.api import Limiter, Targets
from workerpool_operator.domain.scaling import (
    Decision,
    Fleet,
    History,
    Inputs,
    Outcome,
    Overrides,
    Pace,
    Rules,
    Sample,
    Schedule,
    decide,
    overrides,
)

RULES = Rules(
    manual_replicas=None,
    min_replicas=0,
    max_replicas=50,
    cooldown_seconds=0,
    slots=20,
    targets=Targets(queue_depth_per_replica=1),
)
MORNING = Schedule(cron="0 7 * * *", time_zone="UTC", seconds=3600, min_replicas=5)
AT_SEVEN, AT_SIX = datetime(2026, 1, 14, 7, 30, tzinfo=UTC), datetime(2026, 1, 14, 6, tzinfo=UTC)


def ask(
    waiting: int | None,
    running: int = 0,
    *,
    current: int = 0,
    now: float = 1000.0,
    wall: datetime = AT_SIX,
    history: History | None = None,
    fleet: Fleet | None = None,
    **rules: Any,
) -> Decision:
    found = Sample(queue="main", waiting=waiting, in_flight=running, age=0.1, poll_seconds=1.0)
    return decide(
        Inputs(
            rules=replace(RULES, **rules),
            queues=("main",),
            samples=(found,),
            current=current,
            history=history or History(since=0.0, active_at=0.0),
            now=now,
            wall=wall,
            fleet=fleet or Fleet(),
        )
    )


def said(**annotations: str) -> Overrides:
    return overrides({f"workerpool.dev/{name.replace('_', '-')}": value for name, value in annotations.items()})


# Schedules


def test_a_schedule_is_a_floor_while_its_window_lasts() -> None:
    within, before = (ask(0, wall=wall, schedules=(MORNING,)) for wall in (AT_SEVEN, AT_SIX))
    assert (within.desired, within.look_again) == (5, 1800.0)
    assert (before.desired, before.look_again) == (0, 3600.0)
    assert ask(9, wall=AT_SEVEN, schedules=(MORNING,)).desired == 9


def test_a_schedule_holds_while_the_queues_cannot_be_read() -> None:
    blind = ask(None, wall=AT_SEVEN, schedules=(MORNING,))
    assert (blind.desired, blind.outcome, blind.look_again) == (5, Outcome.HELD, 1800.0)


def test_a_schedule_that_cannot_be_read_takes_nobody_away_and_says_why() -> None:
    decision = ask(0, current=7, schedules=(replace(MORNING, time_zone="Mars/Olympus"),))
    assert (decision.desired, decision.limited_by) == (7, (Limiter.UNKNOWN,))
    assert "there is no time zone 'Mars/Olympus'" in decision.silent[-1].why
    assert ask(0, current=7, schedules=(MORNING,)).desired == 0, "once it is mended"


def test_a_clock_that_jumps_moves_the_floor_and_nothing_else() -> None:
    first = ask(0, current=5, wall=AT_SEVEN, schedules=(MORNING,))
    jumped = ask(
        0, current=5, now=1001.0, wall=datetime(1970, 1, 1, tzinfo=UTC), history=first.history, schedules=(MORNING,)
    )
    back = ask(0, current=0, now=1002.0, wall=AT_SEVEN, history=jumped.history, schedules=(MORNING,))
    assert (first.desired, jumped.desired, back.desired) == (5, 0, 5)


# A warm pool


def test_a_warm_pool_keeps_workers_without_a_job_beside_the_busy_ones() -> None:
    targets = Targets(queue_depth=1000)
    assert ask(0, 35, targets=targets, warm_replicas=3).desired == 5
    assert ask(0, targets=targets, warm_replicas=3).desired == 3
    assert ask(0, 7, targets=targets, warm_replicas=3, fleet=Fleet(heard=1, slots=2)).desired == 7


# People on call


def test_a_paused_pool_keeps_its_size() -> None:
    for waiting in (0, 40):
        decision = ask(waiting, current=7, overrides=said(paused="true"))
        assert (decision.desired, decision.limited_by) == (7, (Limiter.FROZEN,))
    assert ask(0, current=7, overrides=said(paused="false")).desired == 0


@pytest.mark.parametrize(("freeze", "empty", "full"), [("in", 7, 40), ("out", 0, 7), ("both", 7, 7)])
def test_a_pool_is_frozen_in_one_direction_or_both(freeze: str, empty: int, full: int) -> None:
    assert ask(0, current=7, overrides=said(freeze=freeze)).desired == empty
    assert ask(40, current=7, overrides=said(freeze=freeze)).desired == full


def test_a_forced_size_is_held_up_by_no_limit_on_growth() -> None:
    forced: dict[str, Any] = {
        "overrides": said(force_active="10", freeze="out"),
        "up": Pace(pods=1, stabilization_seconds=60),
    }
    decision = ask(0, current=2, fleet=Fleet(heard=2, tripped=2), **forced)
    assert (decision.desired, Limiter.FORCED in decision.limited_by) == (10, True)
    assert ask(None, current=2, **forced).desired == 10, "nor by what is not known"
    assert ask(40, overrides=said(force_active="10")).desired == 40
    assert ask(0, overrides=said(force_active="100000")).desired == 50, "but by what there may be at most"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("paused", "yes"),
        ("freeze", "all"),
        *(("force_active", value) for value in ("many", "-1", "1.5", "", "100001", "9" * 5000, "\u0663")),
    ],
)
def test_an_annotation_that_makes_no_sense_does_nothing_and_says_so(annotation: str, value: str) -> None:
    decision = ask(9, current=2, overrides=said(**{annotation: value}))
    assert decision.desired == 9
    [silent] = [one for one in decision.silent if one.name == "annotations"]
    assert annotation.replace("_", "-") in silent.why
    assert ask(0, current=9, overrides=said(**{annotation: value})).desired == 0


def test_all_troubles_of_annotations_are_told_together() -> None:
    assert said(paused="x", freeze="y", force_active="z").trouble.count(";") == 2
    assert said() == Overrides()


# The fallback


def test_a_pool_whose_queues_are_unknown_for_long_falls_back() -> None:
    rules: dict[str, Any] = {"fallback_after": 180.0, "fallback_replicas": 5}
    first = ask(None, current=2, **rules)
    assert (first.desired, first.outcome, first.look_again) == (2, Outcome.HELD, 180.0)
    early = ask(None, current=2, now=1179.0, history=first.history, **rules)
    late = ask(None, current=2, now=1180.0, history=early.history, **rules)
    assert (early.desired, late.desired) == (2, 5)
    assert (late.outcome, late.limited_by, late.look_again) == (Outcome.FALLBACK, (Limiter.FALLBACK,), None)
    again = ask(1, current=5, now=1181.0, history=late.history, **rules)
    blind = ask(None, current=5, now=1200.0, history=again.history, **rules)
    assert (again.outcome, blind.outcome, blind.look_again) == (Outcome.ACTIVE, Outcome.HELD, 180.0)


def test_a_fallback_takes_nobody_away() -> None:
    history = History(since=0.0, active_at=0.0, blind_since=0.0)
    decision = ask(None, current=9, history=history, fallback_after=10.0, fallback_replicas=5)
    assert (decision.desired, decision.outcome) == (9, Outcome.HELD)

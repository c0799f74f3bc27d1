"""A canary that breaks what the pool promises goes if the stable version keeps it, and waits while both break it."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from workerpool_operator.api import SloSpec
from workerpool_operator.domain.rollout.evidence import Evidence, Signal, dump, load
from workerpool_operator.domain.rollout.judge import Assessment, Cause, Rules, Verdict, Watch, assess, look, storable
from workerpool_operator.domain.rollout.ledger import Reading, Side
from workerpool_operator.domain.rollout.mixture import Interval
from workerpool_operator.domain.rollout.objectives import STRETCH_SECONDS, Course, Goals, Objective, stand
from workerpool_operator.domain.versions import goals_of

AVAILABLE = Goals(allowed={Objective.AVAILABILITY: 0.01})
IN_TIME = Goals(allowed={Objective.LATENCY: 0.05}, late_seconds=30.0)
LENIENT = Rules(tolerate_ratio=100.0, reject_ratio=200.0)
"""What fails a canary here is its objective and not its ratio."""
LOOK = 10.0


class Play:
    """Nine stable workers and a canary, each with a job a second, look by look."""

    def __init__(self, goals: Goals) -> None:
        self.rules = replace(LENIENT, goals=goals)
        self.evidence, self.watch, self.at = Evidence(nulls=LENIENT.nulls), Watch(), 0.0
        self.bad = {Side.CANARY: 0.0, Side.STABLE: 0.0}
        self.late = dict(self.bad)

    def go(self, seconds: float, *, canary: float = 0.0, stable: float = 0.0, **late: float) -> Assessment:
        """So many seconds more, with these shares of failures on each side, and of late jobs."""
        end = self.at + seconds
        while self.at < end:
            self.evidence, self.watch = look(
                self.evidence,
                self.watch,
                self._readings(),
                now=self.at,
                rules=self.rules,
                lease_seconds=60.0,
                fresh_seconds=30.0,
            )
            self.at += LOOK
            for side, share in ((Side.CANARY, canary), (Side.STABLE, stable)):
                self.bad[side] += share * LOOK
                self.late[side] += late.get(f"{side}_late", 0.0) * LOOK
        return self.said()

    def said(self) -> Assessment:
        return assess(self.evidence, self.watch.ledger, rules=self.rules)

    def _readings(self) -> tuple[Reading, ...]:
        workers = [(f"s{number}", Side.STABLE) for number in range(9)] + [("c", Side.CANARY)]
        done = int(self.at)
        return tuple(
            Reading(
                uid=uid,
                side=side,
                start="1",
                age_seconds=600.0,
                heard_at=self.at,
                started=done,
                finished=done,
                in_flight=0,
                first_attempts=done,
                first_failures=int(self.bad[side]),
                first_slow=0,
                first_late=int(self.late[side]),
            )
            for uid, side in workers
        )


def test_a_canary_that_breaks_the_objective_goes_where_the_stable_version_keeps_it() -> None:
    found = Play(AVAILABLE).go(1200, canary=0.05, stable=0.008)
    assert (found.verdict, found.cause) == (Verdict.FAIL, Cause.SLO)
    [standing] = found.standings
    assert standing.broken
    assert standing.canary == pytest.approx(0.05, abs=0.01)


def test_without_the_objective_the_same_version_is_only_unlike_the_other() -> None:
    assert Play(Goals()).go(1200, canary=0.05, stable=0.008).verdict is not Verdict.FAIL


def test_jobs_that_are_late_on_the_canary_alone_are_its_fault() -> None:
    found = Play(IN_TIME).go(600, canary_late=0.3, stable_late=0.01)
    assert (found.verdict, found.cause) == (Verdict.FAIL, Cause.SLO)


def test_a_canary_that_keeps_the_objective_is_judged_by_the_signals() -> None:
    found = Play(AVAILABLE).go(1200, canary=0.005, stable=0.005)
    assert (found.cause, [one.broken for one in found.standings]) == (Cause.EVIDENCE, [False])


def test_while_both_miss_the_objective_nothing_moves_and_after_it_the_rollout_goes_on() -> None:
    play = Play(AVAILABLE)
    assert not play.go(600).holds
    outage = play.go(120, canary=0.5, stable=0.5)
    assert (outage.verdict, outage.cause, outage.holds) == (Verdict.INCONCLUSIVE, Cause.OUTAGE, True)
    assert not play.go(2 * STRETCH_SECONDS).holds
    assert not any(one.broken for one in play.go(3600).standings), "the outage is not the canary's"


def test_a_backlog_makes_the_jobs_of_both_late_and_holds_the_rollout() -> None:
    found = Play(IN_TIME).go(120, canary_late=0.9, stable_late=0.9)
    assert (found.cause, found.holds) == (Cause.OUTAGE, True)


def test_a_stable_version_that_alone_misses_the_objective_holds_nobody_up() -> None:
    found = Play(AVAILABLE).go(600, stable=0.05)
    assert (found.holds, found.verdict) == (False, Verdict.PASS)


def shown(course: Course, **more: Any) -> bool:
    asked: dict[str, Any] = {"phi": 1.0, "incidents": 9, "alarm": 4.0, "least": 2}
    return stand(course, objective=Objective.AVAILABILITY, **asked | more).broken


def test_one_failure_is_more_than_is_allowed_and_shows_nothing() -> None:
    few = Course(allowed=0.001, stretch=Interval(100, 1, 900, 0))
    many = Course(allowed=0.001, stretch=Interval(100, 4, 900, 0))
    assert (shown(few), shown(many)) == (False, True)
    assert not shown(many, incidents=1), "of one run of failures"
    assert not shown(many, phi=5.0), "failures that cluster"
    assert not shown(replace(many, stretch=Interval(100, 4, 0, 0))), "where no stable worker did a job"


def test_what_is_allowed_may_be_half_of_the_jobs() -> None:
    assert shown(Course(allowed=0.5, stretch=Interval(100, 99, 900, 0)))


def test_a_version_that_just_keeps_the_objective_is_hardly_ever_called_broken() -> None:
    """Looked at after each ten jobs, up to 3,000: fewer false alarms than the share of one of four."""
    dice, broken = random.Random(7), 0
    for _ in range(200):
        course = Course(allowed=0.01)
        for at in range(300):
            bad = sum(dice.random() < 0.01 for _ in range(10))
            course = course.plus(Interval(10, bad, 90, 0), at=10.0 * at)
            if shown(course, alarm=Rules(goals=AVAILABLE).alarm):
                broken += 1
                break
    assert broken <= 200 * 0.05 / 4 + 4


def test_objectives_take_their_part_of_the_false_alarms() -> None:
    assert Rules(goals=AVAILABLE).alarm > Rules().alarm


def test_another_share_is_judged_from_the_beginning() -> None:
    play = Play(AVAILABLE)
    play.go(1200, canary=0.05, stable=0.008)
    play.rules = replace(play.rules, goals=Goals(allowed={Objective.AVAILABILITY: 0.02}))
    [standing] = play.go(LOOK).standings
    assert (standing.allowed, standing.broken) == (0.02, False)
    play.rules = replace(play.rules, goals=Goals())
    assert play.go(LOOK).standings == ()


def test_jobs_that_were_late_by_another_time_are_forgotten_also_those_of_workers_that_go() -> None:
    play = Play(IN_TIME)
    play.go(300, canary_late=0.3)
    play.rules = replace(play.rules, goals=replace(IN_TIME, late_seconds=60.0))
    evidence, _ = look(
        play.evidence, play.watch, (), now=play.at, rules=play.rules, lease_seconds=60.0, fresh_seconds=30.0
    )
    assert Signal.LATE not in evidence.signals
    assert evidence.courses[Objective.LATENCY].recent == Interval()


def test_the_next_leader_goes_on_with_what_was_stored() -> None:
    play = Play(replace(IN_TIME, allowed={**IN_TIME.allowed, **AVAILABLE.allowed}))
    play.go(900, canary=0.03, stable=0.001, canary_late=0.02)
    whole = storable(play.evidence, play.watch.ledger)
    stored = json.loads(json.dumps(dump(whole)))
    found = load(stored, nulls=LENIENT.nulls)
    assert (found.courses, found.late_seconds) == (whole.courses, 30.0)
    assert load(stored | {"courses": {"latency": {}}}, nulls=LENIENT.nulls) == Evidence(nulls=LENIENT.nulls)
    assert load({**stored, "courses": {"tide": 1}}, nulls=LENIENT.nulls).courses == {}


@pytest.mark.parametrize(
    ("slo", "allowed", "late"),
    [
        ({}, {}, 0.0),
        ({"availability": "0.999"}, {Objective.AVAILABILITY: 0.001}, 0.0),
        ({"jobLatencySeconds": 30}, {Objective.LATENCY: 0.05}, 30.0),
        ({"jobLatencySeconds": 30, "jobLatencyQuantile": "0.5"}, {Objective.LATENCY: 0.5}, 30.0),
    ],
)
def test_goals_follow_from_the_spec(slo: dict[str, Any], allowed: dict[Objective, float], late: float) -> None:
    goals = goals_of(SloSpec.model_validate(slo))
    assert goals.allowed == pytest.approx(allowed)
    assert goals.late_seconds == late

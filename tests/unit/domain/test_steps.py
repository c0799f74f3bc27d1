"""From version to version: what follows from a verdict, a command, a clock, and from what the pool asks for."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.domain.rollout.commands import Command, Verb, parse, said
from workerpool_operator.domain.rollout.judge import Assessment, Cause, Verdict
from workerpool_operator.domain.rollout.steps import (
    REMEMBERED_REJECTIONS,
    Event,
    Now,
    OnInconclusive,
    Outcome,
    Policy,
    State,
    Step,
    Wait,
    advance,
    lasts,
    weight,
)

POLICY = Policy()
CANARY = State(stable="v1", canary="v2")
LAST = replace(CANARY, step=1, began_seconds=1800.0, began_jobs=200.0)
PASS, FAIL = Assessment(verdict=Verdict.PASS), Assessment(verdict=Verdict.FAIL)
UNKNOWN = Assessment(verdict=Verdict.INCONCLUSIVE)
UNMEASURED = Assessment(verdict=Verdict.INCONCLUSIVE, cause=Cause.UNMEASURED)
OUTAGE = Assessment(verdict=Verdict.INCONCLUSIVE, cause=Cause.OUTAGE)


def now(target: str = "v2", assessment: Assessment = UNKNOWN, **fields: Any) -> Now:
    return Now(target=target, assessment=assessment, **{"total": 10} | fields)


def late(assessment: Assessment = UNKNOWN, **fields: Any) -> Now:
    """A day later, after a million jobs."""
    return now(assessment=assessment, measured_seconds=86_400.0, jobs=1e6, **fields)


def told(verb: Verb, version: str = "v2", identity: str = "1") -> Command:
    return Command(verb=verb, version=version, id=identity)


def test_the_first_version_has_no_canary() -> None:
    outcome = advance(State(), now("v1"), POLICY)
    assert outcome == Outcome(state=State(stable="v1"), events=(Event.REPLACED,), fresh=True)
    assert weight(outcome.state, POLICY) == 0


def test_a_version_that_is_there_stays() -> None:
    assert advance(State(stable="v1"), now("v1"), POLICY) == Outcome(state=State(stable="v1"))


def test_a_new_version_begins_as_a_canary_with_a_tenth_of_the_workers() -> None:
    outcome = advance(State(stable="v1"), now(), POLICY)
    assert outcome == Outcome(state=CANARY, events=(Event.STARTED,), fresh=True)
    assert weight(outcome.state, POLICY) == 10


def test_what_replaces_a_first_version_of_which_no_worker_was_ever_ready_needs_no_canary() -> None:
    dead = advance(State(stable="v1", proven=False), now("v1", stable_ready=False), POLICY).state
    mended = advance(dead, now(stable_ready=False), POLICY)
    assert (mended.events, mended.state.stable, mended.state.canary) == ((Event.REPLACED,), "v2", "")
    again = advance(mended.state, now("v3", stable_ready=False), POLICY)
    assert (again.events, again.state.stable) == ((Event.REPLACED,), "v3")
    ran = advance(again.state, now("v3", stable_ready=True), POLICY).state
    assert advance(ran, now("v4", stable_ready=False), POLICY).events == (Event.STARTED,)


@pytest.mark.parametrize(("seconds", "jobs"), [(1799.0, 1e6), (1e6, 199.0)])
def test_a_step_needs_its_time_and_its_jobs(seconds: float, jobs: float) -> None:
    outcome = advance(CANARY, now(measured_seconds=seconds, jobs=jobs), POLICY)
    assert outcome == Outcome(state=CANARY, wait=Wait.STEP)


def test_a_step_that_is_not_the_last_needs_no_pass() -> None:
    outcome = advance(CANARY, now(measured_seconds=1800.0, jobs=200.0), POLICY)
    assert outcome == Outcome(state=LAST, events=(Event.STEPPED,))
    assert weight(outcome.state, POLICY) == 50


def test_the_last_step_needs_a_pass() -> None:
    assert advance(LAST, late(), POLICY) == Outcome(state=LAST, wait=Wait.VERDICT)
    outcome = advance(LAST, late(PASS), POLICY)
    assert outcome == Outcome(state=State(stable="v2", kept=("v1",)), events=(Event.PROMOTED,), fresh=True)


def test_a_pass_does_not_shorten_a_step() -> None:
    assert advance(LAST, now(assessment=PASS, measured_seconds=2399.0, jobs=1e6), POLICY).wait is Wait.STEP


def test_a_step_counts_from_its_own_beginning_also_where_the_evidence_was_lost() -> None:
    assert advance(LAST, now(measured_seconds=599.0, jobs=0.0), POLICY).wait is Wait.STEP
    assert advance(LAST, now(measured_seconds=600.0, jobs=0.0), POLICY).wait is Wait.VERDICT


@pytest.mark.parametrize("state", [CANARY, LAST, replace(CANARY, paused=True)])
def test_a_fail_acts_at_once_and_is_remembered(state: State) -> None:
    outcome = advance(state, now(assessment=FAIL), POLICY)
    assert outcome == Outcome(state=State(stable="v1", rejected=("v2",)), events=(Event.REJECTED,), fresh=True)
    assert advance(outcome.state, late(), POLICY) == Outcome(state=outcome.state)


def test_people_may_keep_the_last_word() -> None:
    policy = Policy(auto_promote=False, auto_rollback=False)
    assert advance(LAST, late(PASS), policy) == Outcome(state=LAST, wait=Wait.PROMOTION)
    assert advance(LAST, late(FAIL), policy) == Outcome(state=LAST, wait=Wait.ABORTION)
    promote, back = (replace(policy, on_inconclusive=one) for one in (OnInconclusive.PROMOTE, OnInconclusive.ROLLBACK))
    assert advance(LAST, late(), promote).wait is Wait.PROMOTION
    assert advance(LAST, late(), back).wait is Wait.ABORTION


@pytest.mark.parametrize("assessment", [UNKNOWN, UNMEASURED])
def test_what_becomes_of_a_canary_of_which_nothing_can_be_said_is_the_pools_choice(assessment: Assessment) -> None:
    promoted = advance(LAST, late(assessment), Policy(on_inconclusive=OnInconclusive.PROMOTE))
    assert promoted.state.stable == "v2"
    rejected = advance(LAST, late(assessment), Policy(on_inconclusive=OnInconclusive.ROLLBACK))
    assert rejected.state.rejected == ("v2",)
    assert advance(LAST, late(assessment), POLICY).state == LAST


def test_a_gap_in_the_measurement_ends_no_canary_by_itself() -> None:
    assert advance(CANARY, now(assessment=UNMEASURED), POLICY) == Outcome(state=CANARY, wait=Wait.UNMEASURED)


def test_a_pool_that_sleeps_waits_or_takes_the_version_as_it_likes() -> None:
    asleep = late(UNMEASURED, total=0)
    rollback = Policy(on_inconclusive=OnInconclusive.ROLLBACK)
    assert advance(CANARY, asleep, rollback) == Outcome(state=CANARY, wait=Wait.UNMEASURED)
    assert advance(CANARY, asleep, replace(rollback, promote_when_idle=True)).state.stable == "v2"


def test_in_an_outage_of_both_nothing_moves() -> None:
    assert advance(LAST, late(OUTAGE), POLICY) == Outcome(state=LAST, wait=Wait.OUTAGE)


def test_a_newer_version_takes_the_canarys_place_and_the_stable_one_stays() -> None:
    outcome = advance(replace(LAST, paused=True), now("v3"), POLICY)
    assert outcome == Outcome(state=State(stable="v1", canary="v3"), events=(Event.SUPERSEDED,), fresh=True)


def test_a_pool_that_asks_for_its_stable_version_again_ends_the_canary_without_a_mark() -> None:
    outcome = advance(LAST, now("v1"), POLICY)
    assert outcome == Outcome(state=State(stable="v1"), events=(Event.WITHDRAWN,), fresh=True)


def test_a_rejected_version_ends_the_canary_and_is_not_tried() -> None:
    outcome = advance(replace(CANARY, rejected=("v0",)), now("v0"), POLICY)
    assert outcome == Outcome(state=State(stable="v1", rejected=("v0",)), events=(Event.WITHDRAWN,), fresh=True)


def test_the_way_back_to_a_kept_version_needs_no_canary() -> None:
    outcome = advance(State(stable="v2", kept=("v1", "v0")), now("v0"), POLICY)
    assert outcome == Outcome(state=State(stable="v0", kept=("v2", "v1")), events=(Event.REPLACED,), fresh=True)


@pytest.mark.parametrize("state", [State(stable="v1"), CANARY])
def test_without_steps_the_new_version_takes_over(state: State) -> None:
    outcome = advance(state, now(), Policy(steps=()))
    assert outcome == Outcome(state=State(stable="v2", kept=("v1",)), events=(Event.REPLACED,), fresh=True)
    assert weight(state, Policy(steps=())) == 0


def test_only_so_many_versions_are_kept() -> None:
    state = State(stable="v1")
    for number in range(2, 7):
        state = advance(state, now(f"v{number}"), Policy(steps=(), keep_drained_versions=2)).state
    assert state == State(stable="v6", kept=("v5", "v4"))


def test_only_so_many_rejections_are_remembered() -> None:
    state = State(stable="v1")
    for number in range(2, 40):
        state = advance(state, now(f"v{number}"), POLICY).state
        state = advance(state, now(f"v{number}", FAIL), POLICY).state
    assert len(state.rejected) == REMEMBERED_REJECTIONS
    assert state.rejected[0] == "v39"


def test_steps_that_became_fewer_leave_the_canary_at_the_last() -> None:
    one = Policy(steps=(Step(weight=20),))
    assert weight(LAST, one) == 20
    assert advance(LAST, late(PASS), one).state.stable == "v2"


def test_a_step_may_wait_for_a_word() -> None:
    policy = Policy(steps=(Step(weight=10, pause=True), Step(weight=50)))
    assert advance(CANARY, late(), policy) == Outcome(state=CANARY, wait=Wait.PAUSE)
    resumed = advance(CANARY, late(command=told(Verb.RESUME)), policy)
    assert resumed.events == (Event.RESUMED,)
    assert advance(resumed.state, late(), policy).events == (Event.STEPPED,)


def test_a_step_lasts_as_long_as_it_says_or_as_people_take() -> None:
    policy = Policy(steps=(Step(weight=10, duration_seconds=60.0, pause=True), Step(weight=50, duration_seconds=600.0)))
    assert lasts(CANARY, policy) == math.inf
    assert lasts(replace(CANARY, resumed=True), policy) == 60
    assert lasts(replace(CANARY, step=7), policy) == 600
    assert lasts(State(stable="v1"), policy) == lasts(CANARY, Policy(steps=())) == 0


def test_a_paused_rollout_stays_until_it_is_resumed() -> None:
    paused = advance(LAST, late(PASS, command=told(Verb.PAUSE)), POLICY)
    assert (paused.events, paused.wait) == ((Event.PAUSED,), Wait.PAUSE)
    assert advance(paused.state, late(PASS), POLICY) == Outcome(state=paused.state, wait=Wait.PAUSE)
    resumed = advance(paused.state, late(PASS, command=told(Verb.RESUME, identity="2")), POLICY)
    assert advance(resumed.state, late(PASS), POLICY).state.stable == "v2"


def test_promote_ends_a_step_and_the_last_one_for_good() -> None:
    stepped = advance(CANARY, now(jobs=7.0, measured_seconds=9.0, command=told(Verb.PROMOTE)), POLICY)
    assert stepped.state == replace(CANARY, step=1, began_seconds=9.0, began_jobs=7.0, command_id="1")
    done = advance(stepped.state, now(command=told(Verb.PROMOTE, identity="2")), POLICY)
    assert (done.state.stable, done.events) == ("v2", (Event.PROMOTED,))


def test_promote_full_takes_the_version_at_once_even_in_the_moment_it_appears() -> None:
    outcome = advance(State(stable="v1"), now(command=told(Verb.PROMOTE_FULL)), POLICY)
    assert outcome.state == State(stable="v2", kept=("v1",), command_id="1")
    assert outcome.events == (Event.STARTED, Event.PROMOTED)


@pytest.mark.parametrize("verb", [Verb.ABORT, Verb.UNDO])
def test_abort_and_undo_end_a_canary(verb: Verb) -> None:
    outcome = advance(LAST, now(assessment=PASS, command=told(verb)), POLICY)
    assert outcome.state == State(stable="v1", rejected=("v2",), command_id="1")


def test_retry_tries_a_rejected_version_anew() -> None:
    rejected = State(stable="v1", rejected=("v3", "v2"))
    outcome = advance(rejected, now(command=told(Verb.RETRY)), POLICY)
    assert outcome.state == State(stable="v1", canary="v2", rejected=("v3",), command_id="1")
    assert (outcome.events, outcome.fresh) == ((Event.STARTED,), True)


def test_undo_goes_back_to_the_version_before_although_the_pool_asks_for_another() -> None:
    outcome = advance(State(stable="v2", kept=("v1", "v0")), now(command=told(Verb.UNDO)), POLICY)
    assert outcome.state == State(stable="v1", kept=("v0",), rejected=("v2",), command_id="1")
    assert advance(outcome.state, late(), POLICY) == Outcome(state=outcome.state)


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (CANARY, told(Verb.PROMOTE_FULL, version="v9")),
        (CANARY, told(Verb.RETRY)),
        (State(stable="v2"), told(Verb.PROMOTE)),
        (State(stable="v2"), told(Verb.RETRY)),
        (State(stable="v2"), told(Verb.UNDO)),
        (State(stable="v1", kept=("v0",), rejected=("v2",)), told(Verb.UNDO)),
    ],
)
def test_a_command_that_does_not_fit_is_refused_and_answered(state: State, command: Command) -> None:
    outcome = advance(state, now(command=command), POLICY)
    assert outcome == Outcome(state=replace(state, command_id="1", command_refused=True), events=(Event.REFUSED,))


def test_two_who_end_the_same_step_end_one() -> None:
    """The second is refused, and told so: nobody has seen the next step yet."""
    ends = replace(told(Verb.PROMOTE), step=1)
    first = advance(CANARY, now(command=ends), POLICY)
    assert (first.state.step, first.state.command_refused) == (1, False)
    second = advance(first.state, now(command=replace(ends, id="2")), POLICY)
    assert (second.state.step, second.state.command_refused) == (1, True)
    third = advance(second.state, now(command=replace(ends, step=2, id="3")), POLICY)
    assert (third.state.stable, third.state.command_refused) == ("v2", False)


def test_a_command_is_obeyed_once() -> None:
    first = advance(CANARY, now(command=told(Verb.PROMOTE)), POLICY)
    assert advance(first.state, now(command=told(Verb.PROMOTE)), POLICY).state == first.state


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("promote-full@9a3f#17", Command(verb=Verb.PROMOTE_FULL, version="9a3f", id="17")),
        ("promote@9a3f/2#17", Command(verb=Verb.PROMOTE, version="9a3f", step=2, id="17")),
        ("pause@00ff#a-b.c", Command(verb=Verb.PAUSE, version="00ff", id="a-b.c")),
        ("promote@9a3f", None),
        ("promote@XYZ#1", None),
        ("promote@9a3f/0#1", None),
        ("promote@9a3f/#1", None),
        ("destroy@9a3f#1", None),
        ("", None),
        ("promote@9a3f#1\n", None),
    ],
)
def test_a_command_is_verb_version_and_id(text: str, command: Command | None) -> None:
    assert parse(text) == command
    assert command is None or said(command) == text


LOOKS = st.lists(
    st.builds(
        Now,
        target=st.sampled_from(["a1", "a2", "a3"]),
        total=st.integers(0, 3),
        assessment=st.sampled_from([PASS, FAIL, UNKNOWN, UNMEASURED, OUTAGE]),
        measured_seconds=st.floats(0, 1e4),
        jobs=st.floats(0, 1e4),
        command=st.none()
        | st.builds(
            Command,
            verb=st.sampled_from(Verb),
            version=st.sampled_from(["a1", "a2", "a3"]),
            id=st.sampled_from(["1", "2"]),
        ),
    ),
    max_size=12,
)


@given(LOOKS, st.sampled_from([POLICY, Policy(steps=()), Policy(auto_rollback=False, keep_drained_versions=0)]))
def test_whatever_comes_the_state_makes_sense_and_a_repeated_look_repeats_no_decision(
    looks: list[Now], policy: Policy
) -> None:
    state = State()
    for one in looks:
        outcome = advance(state, one, policy)
        state = outcome.state
        assert state.stable
        assert state.canary != state.stable
        assert state.canary not in state.rejected
        assert state.stable not in state.kept
        assert len(state.kept) <= policy.keep_drained_versions
        assert bool(state.canary) == bool(weight(state, policy))
        if outcome.fresh:
            again = replace(one, assessment=UNKNOWN, measured_seconds=0.0, jobs=0.0)
            assert advance(state, again, policy).state == state

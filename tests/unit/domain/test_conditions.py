"""Each judge has one situation in which it is the one that speaks."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import (
    NOW,
    WALL,
    deployment,
    memory,
    pool,
    revision,
    sample,
    settled,
    snapshot,
)
from tests.unit.domain.verdicts import (
    EARLIER,
    FALSE,
    PROGRESSING,
    QUEUE_REACHABLE,
    READY,
    SCALING_ACTIVE,
    STALLED,
    TRUE,
    UNKNOWN,
    judged,
    said,
    starting,
    verdict,
)
from workerpool_operator.api import Reason
from workerpool_operator.domain import desired
from workerpool_operator.domain.conditions import judge_all
from workerpool_operator.domain.judging import Case, Refusal
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.scaling import History, Pod, Report
from workerpool_operator.domain.snapshot import PodList, Snapshot

LISTED: dict[str, Any] = {"memory": memory(pods_listed_at=NOW)}
"""The pods were listed a moment ago, so they are not asked for again."""
ROLLING = {"strategy": "Rolling"}
OLD, NEW = pool(rollout=ROLLING), pool(rollout=ROLLING, worker={"image": "web:2"}, generation=2)


def takeover() -> Snapshot:
    """Three workers of the old version, and the first of the new one."""
    both = deployment(OLD, 3) | deployment(NEW, 1)
    return settled(NEW, 0, samples=(sample(60),), deployments=both, revisions=revision(OLD) | revision(NEW), **LISTED)


@pytest.fixture
def unrenderable(monkeypatch: pytest.MonkeyPatch) -> Snapshot:
    def refuse(_: object) -> None:
        raise desired.RenderError("the name is too long")

    seen = settled(OLD, 3, samples=(sample(60),))
    monkeypatch.setattr(desired, "revision_for", refuse)
    return seen


def test_a_pool_of_which_no_pod_can_be_made_is_neither_ready_nor_progressing_and_waits_for_a_person(
    unrenderable: Snapshot,
) -> None:
    for kind, status in [(READY, FALSE), (PROGRESSING, FALSE), (STALLED, TRUE)]:
        condition = judged(unrenderable, kind)
        assert (condition.status, condition.reason) == (status, Reason.RENDER_ERROR)
        assert condition.message == "the name is too long"


# Ready


def test_a_pool_without_work_and_workers_is_ready_and_asleep() -> None:
    assert verdict(settled(pool(), 0, samples=(sample(0),)), READY) == (TRUE, Reason.SCALED_TO_ZERO)


def test_a_pool_without_work_is_awake_while_it_has_workers() -> None:
    assert verdict(settled(pool(), 3, samples=(sample(0),), **LISTED), READY) == (TRUE, Reason.ALL_READY)


def test_a_pool_with_all_its_workers_is_ready() -> None:
    condition = judged(settled(pool(), 3, samples=(sample(60),)), READY)
    assert (condition.status, condition.reason) == (TRUE, Reason.ALL_READY)
    assert condition.message == "3 of 3 workers are ready"


def test_a_worker_that_is_about_to_go_is_not_one_of_those_that_are_wanted() -> None:
    """While one version takes over from another, there are more."""
    condition = judged(settled(pool(), 3, deployments=deployment(pool(), 4), samples=(sample(60),), **LISTED), READY)
    assert condition.message == "3 of 3 workers are ready"


def test_workers_of_the_old_version_do_not_make_a_pool_ready() -> None:
    assert verdict(takeover(), READY) == (FALSE, Reason.WORKERS_STARTING)


def test_a_pool_whose_first_workers_start_has_none() -> None:
    condition = judged(starting(), READY)
    assert (condition.status, condition.reason) == (FALSE, Reason.NO_WORKERS)
    assert condition.message == "0 of 3 workers are ready"


def test_a_pool_of_which_some_workers_are_missing_says_how_many_it_has() -> None:
    condition = judged(starting(2), READY)
    assert (condition.status, condition.reason) == (FALSE, Reason.WORKERS_STARTING)
    assert condition.message == "2 of 3 workers are ready"


# Progressing


def test_workers_that_are_missing_for_ten_minutes_are_too_late() -> None:
    waiting = starting(2, memory=memory(unready_since=NOW - 600, pods_listed_at=NOW))
    assert verdict(waiting, PROGRESSING) == (TRUE, Reason.SCALING)
    assert verdict(replace(waiting, now=NOW + 1), PROGRESSING) == (FALSE, Reason.PROGRESS_DEADLINE_EXCEEDED)


def test_another_version_that_still_has_workers_is_named() -> None:
    seen = takeover()
    condition = judged(seen, PROGRESSING)
    assert (condition.status, condition.reason) == (TRUE, Reason.VERSION_CHANGE)
    old, new = desired.revision_for(OLD).name, desired.revision_for(NEW).name
    assert condition.message == f"{new} takes over from {old}"


def test_another_version_without_workers_has_been_taken_over_from() -> None:
    both = deployment(OLD, 0) | deployment(NEW, 3)
    seen = settled(NEW, 0, samples=(sample(60),), deployments=both, revisions=revision(OLD) | revision(NEW))
    assert verdict(seen, PROGRESSING) == (FALSE, Reason.STEADY)


def test_surplus_workers_that_are_at_work_are_waited_for() -> None:
    web = pool()
    name = desired.revision_for(web).name
    active = tuple(
        Pod(name=uid, uid=uid, deployment=name, assigned=True, pending=False, ready=True, created="2026")
        for uid in ("a", "b")
    )
    busy = {
        uid: Report(uid=uid, age=0.0, in_flight=1, fence="", fenceable=True, connected=True, remaining=None)
        for uid in ("a", "b")
    }
    seen = settled(web, 2, samples=(sample(0, 2),), pods=PodList(active=active), reports=busy)
    condition = judged(seen, PROGRESSING)
    assert (condition.status, condition.reason) == (TRUE, Reason.DRAINING)
    assert condition.message == "1 surplus workers finish their jobs first"


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (settled(OLD, 3, samples=(sample(100),)), "3 workers, 5 wanted"),
        (starting(2), "3 workers, 3 wanted"),
        (settled(OLD, 3, samples=(sample(20),), **LISTED), "3 workers, 1 wanted"),
    ],
    ids=["fewer-than-wanted", "not-all-ready", "more-than-wanted"],
)
def test_another_number_than_wanted_is_on_its_way(seen: Snapshot, message: str) -> None:
    condition = judged(seen, PROGRESSING)
    assert (condition.status, condition.reason, condition.message) == (TRUE, Reason.SCALING, message)


def test_a_pool_that_is_as_wanted_is_steady() -> None:
    assert verdict(settled(pool(), 3, samples=(sample(60),)), PROGRESSING) == (FALSE, Reason.STEADY)


# ScalingActive


@pytest.mark.parametrize("scaling", [{}, {"mode": "manual"}, {"minReplicas": 2}])
def test_a_person_has_stopped_the_pool(scaling: dict[str, Any]) -> None:
    """It is ready as soon as its workers are gone, since that is what is wanted."""
    stopped = pool(suspend=True, scaling=scaling)
    assert verdict(settled(stopped, 0, samples=(sample(60),)), READY) == (TRUE, Reason.SUSPENDED)
    assert verdict(settled(stopped, 0, samples=(sample(60),)), SCALING_ACTIVE) == (FALSE, Reason.SUSPENDED)


def test_a_person_sets_the_size_in_mode_manual() -> None:
    web = pool(scaling={"mode": "manual"}, replicas=3)
    assert verdict(settled(web, 3), SCALING_ACTIVE) == (TRUE, Reason.MANUAL)


def test_the_size_follows_queues_that_are_read() -> None:
    assert verdict(settled(pool(), 3, samples=(sample(60),)), SCALING_ACTIVE) == (TRUE, Reason.ACTIVE)


def test_the_size_is_held_before_the_first_reading() -> None:
    assert verdict(settled(pool(), 3), SCALING_ACTIVE) == (UNKNOWN, Reason.NO_SAMPLE_YET)


@pytest.mark.parametrize(
    "known",
    [{"samples": (sample(60, age=60.0),)}, {"errors": {"main": (Reason.UNREACHABLE, "connection refused")}}],
    ids=["old-reading", "failed-reading"],
)
def test_the_size_is_held_while_a_queue_cannot_be_read(known: dict[str, Any]) -> None:
    assert verdict(settled(pool(), 3, **known), SCALING_ACTIVE) == (FALSE, Reason.SAMPLES_STALE)


# QueueReachable


def test_queues_that_were_just_read_are_reachable() -> None:
    assert verdict(settled(pool(), 0, samples=(sample(0),)), QUEUE_REACHABLE) == (TRUE, Reason.SAMPLES_FRESH)


def test_fresh_readings_count_although_their_collector_is_away() -> None:
    seen = settled(pool(), 0, samples=(sample(0),), collectors=0)
    assert verdict(seen, QUEUE_REACHABLE) == (TRUE, Reason.SAMPLES_FRESH)


def test_no_collector_means_nothing_is_known_of_the_queues() -> None:
    assert verdict(settled(pool(), 0, collectors=0), QUEUE_REACHABLE) == (UNKNOWN, Reason.COLLECTOR_DOWN)


def test_a_collector_has_time_to_come_up_before_it_is_missed() -> None:
    young = memory(history=History(since=NOW - 44, active_at=NOW))
    seen = settled(pool(), 0, collectors=0, memory=young)
    assert verdict(seen, QUEUE_REACHABLE) == (UNKNOWN, Reason.NO_SAMPLE_YET)
    assert verdict(replace(seen, now=NOW + 1), QUEUE_REACHABLE) == (UNKNOWN, Reason.COLLECTOR_DOWN)


def test_why_a_queue_cannot_be_read_is_told_with_its_name() -> None:
    stream = {"url": "redis://redis:6379/0", "stream": "web", "group": "web"}
    web = pool(queues=[{"name": "main", "redisStream": stream}, {"name": "late", "redisStream": stream}])
    errors = {"late": (Reason.AUTHENTICATION_FAILED, "WRONGPASS")}
    condition = judged(settled(web, 0, samples=(sample(0),), errors=errors), QUEUE_REACHABLE)
    assert (condition.status, condition.reason) == (FALSE, Reason.AUTHENTICATION_FAILED)
    assert condition.message == "queue late: WRONGPASS"


def test_a_queue_that_has_not_been_read_yet_is_unknown() -> None:
    assert verdict(settled(pool(), 0), QUEUE_REACHABLE) == (UNKNOWN, Reason.NO_SAMPLE_YET)


@pytest.mark.parametrize("before", [Reason.SAMPLES_FRESH, Reason.SAMPLES_STALE])
def test_a_silence_so_long_that_what_was_said_is_forgotten_is_no_beginning(before: Reason) -> None:
    silent = settled(pool(status=said(QUEUE_REACHABLE, TRUE, before)), 3)
    assert verdict(silent, QUEUE_REACHABLE) == verdict(silent, SCALING_ACTIVE) == (FALSE, Reason.SAMPLES_STALE)


def test_a_queue_that_was_not_read_in_time_is_not_reachable() -> None:
    seen = settled(pool(), 0, samples=(sample(0, age=60.0),))
    assert verdict(seen, QUEUE_REACHABLE) == (FALSE, Reason.SAMPLES_STALE)


# Stalled


def test_a_refused_object_waits_for_a_person() -> None:
    refusals = [Refusal(reason=Reason.FORBIDDEN, message="x" * 2000), Refusal(reason=Reason.APPLY_REFUSED, message="y")]
    condition = judged(settled(pool(), 0, samples=(sample(0),)), STALLED, refusals=refusals)
    assert (condition.status, condition.reason, condition.message) == (TRUE, Reason.FORBIDDEN, "x" * 1024)


def test_a_pool_that_goes_on_waits_for_nobody() -> None:
    assert verdict(settled(pool(), 0, samples=(sample(0),)), STALLED) == (FALSE, Reason.NOT_STALLED)


# What holds for all of them


def test_every_condition_is_about_the_generation_that_was_seen() -> None:
    seen = snapshot(NEW)
    case = Case(snapshot=seen, plan=plan(seen), refusals=())
    assert {c.observed_generation for c in judge_all(case, before=(), now=WALL)} == {2}


def test_the_time_of_a_transition_is_kept_while_the_status_stays_and_not_when_it_changes() -> None:
    sleeping = pool(status=said(READY, TRUE, Reason.SCALED_TO_ZERO))
    awake = judged(settled(sleeping, 3, samples=(sample(60),)), READY)
    assert (awake.reason, awake.last_transition_time) == (Reason.ALL_READY, EARLIER)
    waking = judged(settled(sleeping, 0, samples=(sample(60),)), READY)
    assert (waking.status, waking.last_transition_time) == (FALSE, WALL)


def test_a_new_leader_repeats_what_was_said_of_the_queues_until_it_hears_of_them_or_is_old_enough() -> None:
    before = said(QUEUE_REACHABLE, FALSE, Reason.TLS_FAILED, "queue main: certificate expired")
    web = pool(status=before, generation=2)
    young = settled(web, 0, memory=memory(history=History(since=NOW, active_at=NOW)))
    for collectors in (0, 1):
        kept = judged(replace(young, collectors=collectors), QUEUE_REACHABLE)
        assert (kept.status, kept.reason, kept.message) == (FALSE, Reason.TLS_FAILED, "queue main: certificate expired")
        assert (kept.last_transition_time, kept.observed_generation) == (EARLIER, 2)
    assert verdict(replace(young, samples=(sample(0),)), QUEUE_REACHABLE) == (TRUE, Reason.SAMPLES_FRESH)
    failed = {"main": (Reason.UNREACHABLE, "connection refused")}
    assert verdict(replace(young, errors=failed), QUEUE_REACHABLE) == (FALSE, Reason.UNREACHABLE)
    assert verdict(replace(young, now=NOW + 45), QUEUE_REACHABLE) == (UNKNOWN, Reason.NO_SAMPLE_YET)


def test_a_new_leader_repeats_that_the_size_follows_the_queues() -> None:
    web = pool(status=said(SCALING_ACTIVE, TRUE, Reason.ACTIVE))
    young = settled(web, 3, memory=memory(history=History(since=NOW, active_at=NOW)))
    assert verdict(young, SCALING_ACTIVE) == (TRUE, Reason.ACTIVE)


def test_a_new_leader_says_of_workers_what_it_sees_itself() -> None:
    web = pool(status=said(READY, FALSE, Reason.NO_WORKERS))
    young = settled(web, 3, memory=memory(history=History(since=NOW, active_at=NOW)))
    assert verdict(young, READY) == (TRUE, Reason.ALL_READY)

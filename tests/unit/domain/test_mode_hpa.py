"""A pool in mode hpa, from snapshot to plan, status and conditions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import (
    NOW,
    applied,
    child,
    deleted,
    deployment,
    memory,
    pool,
    revision,
    sample,
    settled,
    sizes,
    snapshot,
)
from workerpool_operator.api import ConditionStatus, ConditionType, Reason, WorkerPool, find
from workerpool_operator.domain import desired
from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.domain.judging import Refusal
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.scaling import History
from workerpool_operator.domain.scaling.hpa import STANDING_SECONDS, HpaMemory
from workerpool_operator.domain.snapshot import Child, Snapshot
from workerpool_operator.domain.status import announcements, build

EXACT = ClusterFacts(kubernetes=(1, 36), serves_metric=True)
FAILS = {"type": "ScalingActive", "status": "False", "reason": "FailedGetExternalMetric", "message": "no such API"}


def hpa_pool(
    replicas: int, *, before: Mapping[str, Any] | None = None, mode: str = "hpa", generation: int = 1, **scaling: Any
) -> WorkerPool:
    """A pool in mode hpa since long, with this in spec.replicas."""
    base = {"mode": mode, "cooldownSeconds": 0, "scaleDown": {"stabilizationSeconds": 0}}
    status = {"scaling": {"desired": 4, "mode": "hpa"}, "observedGeneration": 1} | dict(before or {})
    return pool(replicas=replicas, scaling=base | scaling, status=status, generation=generation)


def autoscaler(of: WorkerPool, *, facts: ClusterFacts = EXACT, **status: Any) -> Child:
    return child({**desired.autoscaler(of, exact=facts.exact_hpa), "status": status})


def running(of: WorkerPool, size: int, *, jobs: int, **more: Any) -> Snapshot:
    """A pool with all that it should have at this size, and so many jobs waiting (20 to a worker)."""
    return settled(of, size, **({"facts": EXACT, "autoscaler": autoscaler(of), "samples": (sample(jobs),)} | more))


def name(of: WorkerPool) -> str:
    return desired.revision_for(of).name


def verdict(seen: Snapshot) -> tuple[ConditionStatus, str, str]:
    condition = find(build(seen, plan(seen), refusals=()).conditions, ConditionType.SCALING_ACTIVE)
    assert condition is not None
    return condition.status, condition.reason, condition.message


# The size


def test_a_pool_grows_when_the_hpa_says_so_and_not_before() -> None:
    waiting = plan(running(hpa_pool(4), 4, jobs=200))
    assert (waiting.decision.desired, waiting.size, sizes(waiting), waiting.replicas) == (10, 4, {}, None)
    web = hpa_pool(10)
    assert sizes(plan(running(web, 4, jobs=200))) == {name(web): 10}


def test_a_pool_shrinks_when_the_hpa_says_so_and_not_before() -> None:
    assert not plan(running(hpa_pool(4), 4, jobs=20)).wants_pods
    assert plan(running(hpa_pool(1), 4, jobs=20)).wants_pods


def test_a_pool_wakes_to_its_whole_size_and_writes_it_down() -> None:
    web = hpa_pool(0)
    made = plan(running(web, 0, jobs=140))
    assert (sizes(made), made.replicas) == ({name(web): 7}, 7)


def test_a_pool_without_work_is_sent_to_sleep_by_the_operator() -> None:
    made = plan(running(hpa_pool(3), 3, jobs=0))
    assert made.wants_pods
    assert (made.size, made.replicas) == (0, 0)


def test_unread_queues_hold_the_size_whatever_the_field_says() -> None:
    for stood in (0, 1, 9):
        assert plan(running(hpa_pool(stood), 4, jobs=0, samples=())).size == 4


def test_the_size_that_was_given_is_told_from_a_surge_although_another_is_wanted() -> None:
    """Old and new make five for a moment; the HPA holds the pool at four where ten are wanted."""
    before = {"scaling": {"desired": 10, "size": 4, "mode": "hpa"}}
    old, new = hpa_pool(4), hpa_pool(4, before=before).changed(spec=pool(worker={"image": "web:2"}).spec)
    new = new.changed(spec=new.spec.changed(replicas=4, scaling=old.spec.scaling))
    seen = running(
        new,
        0,
        jobs=200,
        deployments=deployment(old, 4) | deployment(new, 1),
        revisions=revision(old) | revision(new),
        memory=memory(pods_listed_at=NOW),
    )
    assert plan(seen).size == 4


# The HPA as an object


def test_the_hpa_is_made_and_put_back_and_left_alone_when_it_is_right() -> None:
    web = hpa_pool(4)
    assert applied(plan(running(web, 4, jobs=80, autoscaler=None))) == [("HorizontalPodAutoscaler", "web")]
    assert applied(plan(running(web, 4, jobs=80))) == []
    edited = child({**desired.autoscaler(hpa_pool(4, maxReplicas=3), exact=True)})
    made = plan(running(web, 4, jobs=80, autoscaler=edited))
    assert made.corrected == ("HorizontalPodAutoscaler web",)


def test_an_hpa_that_follows_a_change_of_the_pool_is_no_correction() -> None:
    old, new = hpa_pool(4), hpa_pool(4, maxReplicas=9, generation=2)
    assert plan(running(new, 4, jobs=80, autoscaler=autoscaler(old))).corrected == ()


@pytest.mark.parametrize("mode", ["direct", "manual"])
def test_in_any_other_mode_there_is_no_hpa(mode: str) -> None:
    web = hpa_pool(4, mode=mode)
    made = plan(running(web, 4, jobs=80))
    assert deleted(made) == [("HorizontalPodAutoscaler", "web")]
    assert (made.deletes[0].uid, made.deletes[0].resource_version) == ("uid-web", "")
    assert applied(plan(running(web, 4, jobs=80, autoscaler=None))) == []


def test_auto_goes_by_what_the_cluster_offers() -> None:
    web = hpa_pool(4, mode="auto")
    assert deleted(plan(running(web, 4, jobs=80, facts=ClusterFacts()))) == [("HorizontalPodAutoscaler", "web")]
    assert deleted(plan(running(web, 4, jobs=80))) == []


# Changes of mode


def test_from_direct_to_hpa_the_size_is_written_down_first() -> None:
    web = hpa_pool(1, before={"scaling": {"desired": 6, "mode": "direct"}})
    made = plan(running(web, 6, jobs=120, autoscaler=None))
    assert (made.size, made.replicas, applied(made)) == (6, 6, [("HorizontalPodAutoscaler", "web")])


def test_a_new_pool_in_mode_hpa_sleeps_until_its_queues_are_read() -> None:
    web = pool(scaling={"mode": "hpa"})
    made = plan(snapshot(web, facts=EXACT))
    assert (made.size, made.replicas, sizes(made)) == (0, 0, {name(web): 0})


def test_from_hpa_to_direct_the_field_is_not_read_any_more() -> None:
    made = plan(running(hpa_pool(1, mode="direct"), 4, jobs=80))
    assert (made.size, made.replicas, sizes(made)) == (4, None, {})


def test_from_hpa_to_manual_the_size_stays_as_it_is() -> None:
    made = plan(running(hpa_pool(4, mode="manual"), 4, jobs=0))
    assert (made.size, made.replicas, sizes(made)) == (4, None, {})


def test_from_hpa_to_manual_with_a_put_that_leaves_the_field_out_nobody_goes() -> None:
    made = plan(running(hpa_pool(1, mode="manual"), 4, jobs=0))
    assert (made.size, made.replicas, sizes(made)) == (4, 4, {})


def test_the_field_is_put_right_although_no_pod_can_be_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The status names the new mode from then on, and who reads it takes the field at its word."""

    def refuse(_: object) -> None:
        raise desired.RenderError("no")

    monkeypatch.setattr(desired, "revision_for", refuse)
    web = hpa_pool(1, before={"scaling": {"desired": 6, "mode": "direct"}})
    made = plan(snapshot(web, facts=EXACT))
    assert (made.problem, made.replicas) == ("no", 0)


# What the status says


def test_the_status_tells_what_is_wanted_and_what_the_pool_is_brought_to() -> None:
    seen = running(hpa_pool(4), 4, jobs=200)
    scaling = build(seen, plan(seen), refusals=()).scaling
    assert scaling is not None
    assert (scaling.desired, scaling.size, scaling.mode, scaling.limited_by) == (10, 4, "hpa", ("hpa",))


def test_a_pool_is_ready_when_it_has_the_size_that_the_hpa_has_asked_for_so_far() -> None:
    seen = running(hpa_pool(4), 4, jobs=200)
    conditions = build(seen, plan(seen), refusals=()).conditions
    ready, progressing = (find(conditions, kind) for kind in (ConditionType.READY, ConditionType.PROGRESSING))
    assert ready is not None
    assert progressing is not None
    assert (ready.reason, progressing.reason) == (Reason.ALL_READY, Reason.STEADY)


# ScalingActive


def watched(**more: Any) -> Any:
    """The memory of a leader that has watched for long, with these told for as long."""
    long_ago = NOW - STANDING_SECONDS
    return memory(hpa=replace(HpaMemory.new(now=long_ago), **more))


def test_the_size_follows_the_queues_where_the_hpa_works() -> None:
    assert verdict(running(hpa_pool(4), 4, jobs=200))[:2] == ("True", Reason.ACTIVE)


def stood(value: int, **more: Any) -> Any:
    return replace(HpaMemory.new(now=NOW - STANDING_SECONDS).asked, value=value, **more)


def test_an_hpa_without_its_metric_is_told_in_its_own_words_with_what_to_do() -> None:
    web = hpa_pool(4)
    failing = running(web, 4, jobs=80, autoscaler=autoscaler(web, conditions=[FAILS]))
    assert verdict(failing)[1] == Reason.ACTIVE
    status, reason, message = verdict(replace(failing, memory=watched(trouble=stood(1))))
    assert (status, reason) == ("False", Reason.METRICS_UNAVAILABLE)
    assert "FailedGetExternalMetric: no such API" in message
    assert "externalMetrics.enabled=true" in message


def test_a_second_hpa_on_the_pool_is_told_as_such() -> None:
    web = hpa_pool(4)
    two = FAILS | {"reason": "AmbiguousSelector", "message": "controlled by multiple HPAs: [media/mine media/web]"}
    seen = running(web, 4, jobs=80, autoscaler=autoscaler(web, conditions=[two]), memory=watched(trouble=stood(1)))
    _, reason, message = verdict(seen)
    assert reason == Reason.METRICS_UNAVAILABLE
    assert "media/mine" in message
    assert "Delete the HPA that is not the pool's own" in message
    assert "externalMetrics" not in message


def test_an_hpa_that_is_refused_is_told_as_what_keeps_the_size() -> None:
    seen = running(hpa_pool(4), 4, jobs=200, autoscaler=None)
    refused = Refusal(reason=Reason.APPLY_REFUSED, message="somebody made one", kind="HorizontalPodAutoscaler")
    condition = find(build(seen, plan(seen), refusals=(refused,)).conditions, ConditionType.SCALING_ACTIVE)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", Reason.METRICS_UNAVAILABLE)
    assert "somebody made one" in condition.message
    other = replace(refused, kind="PodDisruptionBudget")
    condition = find(build(seen, plan(seen), refusals=(other,)).conditions, ConditionType.SCALING_ACTIVE)
    assert condition is not None
    assert condition.reason == Reason.ACTIVE


def test_a_size_that_is_kept_from_what_is_wanted_is_told() -> None:
    stuck = running(hpa_pool(4), 4, jobs=200)
    status, reason, message = verdict(replace(stuck, memory=watched(asked=stood(4), side=stood(1))))
    assert (status, reason) == ("False", Reason.METRICS_DISAGREE)
    assert "stays at 4 where 10 are wanted" in message


def test_queues_that_cannot_be_read_are_the_greater_trouble() -> None:
    web = hpa_pool(4)
    failing = running(web, 4, jobs=80, autoscaler=autoscaler(web, conditions=[FAILS]), memory=watched(trouble=stood(1)))
    assert verdict(replace(failing, samples=(sample(80, age=60.0),)))[1] == Reason.SAMPLES_STALE
    stuck = running(hpa_pool(4), 4, jobs=200, memory=watched(asked=stood(4), side=stood(1)))
    assert verdict(replace(stuck, samples=(sample(80, age=60.0),)))[1] == Reason.SAMPLES_STALE


def before(reason: Reason) -> dict[str, Any]:
    condition = {
        "type": "ScalingActive",
        "status": "False",
        "reason": reason,
        "lastTransitionTime": "2025-12-24T00:00:00Z",
    }
    return {"conditions": [condition]}


@pytest.mark.parametrize("reason", [Reason.METRICS_UNAVAILABLE, Reason.METRICS_DISAGREE])
def test_a_new_leader_believes_the_one_before_while_it_sees_the_same(reason: Reason) -> None:
    """It has not watched for long yet, and what was wrong for long is no news."""
    web = hpa_pool(4, before=before(reason))
    fresh = replace(memory(), history=History(since=NOW, active_at=NOW))
    seen = running(web, 4, jobs=200, autoscaler=autoscaler(web, conditions=[FAILS]), memory=fresh)
    assert verdict(seen)[1] == reason
    todo = plan(seen)
    assert [told.reason for told in announcements(seen, todo, build(seen, todo, refusals=()))] == []
    mended = running(hpa_pool(10, before=before(reason)), 10, jobs=200, memory=fresh)
    assert verdict(mended)[1] == Reason.ACTIVE


@pytest.mark.parametrize("reason", [Reason.METRICS_UNAVAILABLE, Reason.METRICS_DISAGREE])
def test_a_leader_that_has_watched_for_long_goes_by_what_it_saw(reason: Reason) -> None:
    web = hpa_pool(4, before=before(reason))
    seen = running(web, 4, jobs=200, autoscaler=autoscaler(web, conditions=[FAILS]), memory=watched())
    assert verdict(seen)[1] == Reason.ACTIVE


def test_an_hpa_that_fails_is_an_event_once_and_again_when_it_works() -> None:
    web = hpa_pool(4)
    failing = running(web, 4, jobs=80, autoscaler=autoscaler(web, conditions=[FAILS]), memory=watched(trouble=stood(1)))

    def told(seen: Snapshot) -> tuple[list[tuple[Reason, bool]], Snapshot]:
        todo = plan(seen)
        status = build(seen, todo, refusals=())
        events = [(one.reason, one.warning) for one in announcements(seen, todo, status)]
        return events, replace(seen, pool=seen.pool.changed(status=status))

    events, seen = told(failing)
    assert (Reason.METRICS_UNAVAILABLE, True) in events
    assert told(seen)[0] == []
    mended = replace(seen, autoscaler=autoscaler(web))
    assert told(mended)[0] == [(Reason.ACTIVE, False)]

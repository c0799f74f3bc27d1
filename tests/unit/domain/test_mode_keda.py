"""A pool in mode keda, from snapshot to plan, status and conditions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import NOW, applied, child, deleted, memory, pool, sample, settled, sizes, snapshot
from workerpool_operator.api import ConditionStatus, ConditionType, Reason, WorkerPool, find
from workerpool_operator.domain import desired
from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.domain.judging import Refusal
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.scaling.hpa import STANDING_SECONDS, HpaMemory
from workerpool_operator.domain.snapshot import Absence, Keda, Snapshot
from workerpool_operator.domain.status import announcements, build

EXACT = ClusterFacts(kubernetes=(1, 36))
TOLD, SCALED = ("ConfigMap", "web-size"), ("ScaledObject", "web")
FAILS = {"type": "Ready", "status": "False", "reason": "TriggerError", "message": "not working correctly"}


def keda_pool(
    replicas: int, *, before: Mapping[str, Any] | None = None, mode: str = "keda", generation: int = 1, **scaling: Any
) -> WorkerPool:
    """A pool in mode keda since long, with this in spec.replicas."""
    base = {"mode": mode, "cooldownSeconds": 0, "scaleDown": {"stabilizationSeconds": 0}}
    status = {"scaling": {"desired": 4, "mode": "keda"}, "observedGeneration": 1} | dict(before or {})
    return pool(replicas=replicas, scaling=base | scaling, status=status, generation=generation)


def with_keda(of: WorkerPool, told: int | None, **status: Any) -> Keda:
    scaled = child({**desired.scaled_object(of, exact=True), "status": status})
    return Keda(scaled_object=scaled, answer=child(desired.answer(of, told)))


def running(of: WorkerPool, size: int, *, jobs: int, **more: Any) -> Snapshot:
    """A pool with all that it should have at this size, and so many jobs waiting (20 to a worker)."""
    base = {"facts": EXACT, "keda": with_keda(of, -(-jobs // 20)), "samples": (sample(jobs),)}
    return settled(of, size, **(base | more))


def told(made: Plan) -> list[str]:
    return [one.body["data"]["desiredReplicas"] for one in made.applies if one.body["kind"] == "ConfigMap"]


def name(of: WorkerPool) -> str:
    return desired.revision_for(of).name


def verdict(seen: Snapshot, *refusals: Refusal) -> tuple[ConditionStatus, str, str]:
    condition = find(build(seen, plan(seen), refusals=refusals).conditions, ConditionType.SCALING_ACTIVE)
    assert condition is not None
    return condition.status, condition.reason, condition.message


# The size


def test_a_pool_grows_and_shrinks_when_keda_says_so_and_not_before() -> None:
    waiting = plan(running(keda_pool(4), 4, jobs=200))
    assert (waiting.decision.desired, waiting.size, sizes(waiting), waiting.replicas) == (10, 4, {}, None)
    web = keda_pool(10)
    assert sizes(plan(running(web, 4, jobs=200))) == {name(web): 10}
    assert not plan(running(keda_pool(4), 4, jobs=20)).wants_pods
    assert plan(running(keda_pool(1), 4, jobs=20)).wants_pods


def test_to_and_from_zero_the_operator_goes_alone() -> None:
    web = keda_pool(0)
    made = plan(running(web, 0, jobs=140))
    assert (sizes(made), made.replicas) == ({name(web): 7}, 7)
    asleep = plan(running(keda_pool(3), 3, jobs=0))
    assert (asleep.size, asleep.replicas) == (0, 0)


def test_what_keda_says_beyond_what_is_wanted_costs_no_worker() -> None:
    for stood in (0, 1, 9):
        made = plan(running(keda_pool(stood), 4, jobs=80))
        assert (made.size, sizes(made)) == (4, {})


# What KEDA is told


def test_keda_is_told_each_new_number() -> None:
    made = plan(running(keda_pool(4), 4, jobs=200, keda=with_keda(keda_pool(4), 4)))
    assert (applied(made), told(made)) == ([TOLD], ["10"])
    assert applied(plan(running(keda_pool(4), 4, jobs=200))) == []


@pytest.mark.parametrize(
    "samples",
    [(), (sample(80, age=60.0),)],
    ids=["none", "stale"],
)
def test_keda_is_told_no_number_that_is_not_known(samples: tuple[Any, ...]) -> None:
    """The last one was true when it was written. What KEDA cannot read as a number makes it hold the size."""
    web = keda_pool(4)
    seen = running(web, 4, jobs=80, keda=with_keda(web, 4), samples=samples)
    made = plan(seen)
    assert (told(made), made.size) == (["unknown"], 4)
    assert applied(plan(replace(seen, keda=with_keda(web, None)))) == []


def test_what_one_of_two_queues_asks_for_is_told_where_it_is_more() -> None:
    """As the metrics API does: it may grow by what is known, and never shrinks by what is not."""
    queue = {"redisStream": {"url": "redis://redis:6379/0", "stream": "web", "group": "web"}}
    both = pool(queues=[{"name": name, **queue} for name in ("main", "other")]).spec.queues
    web = keda_pool(4)
    web = web.changed(spec=web.spec.changed(queues=both))
    for jobs, number in ((200, "10"), (0, "4")):
        partial = (sample(jobs), replace(sample(80, age=60.0), queue="other"))
        assert told(plan(running(web, 4, jobs=0, keda=with_keda(web, None), samples=partial))) == [number]


def test_the_pool_is_raised_by_what_is_wanted_although_no_queue_can_be_read() -> None:
    """That number is not KEDA's to carry out, since it is told none."""
    web = keda_pool(1, minReplicas=3)
    made = plan(running(web, 1, jobs=0, keda=with_keda(web, None), samples=()))
    assert (made.size, told(made)) == (3, [])


# The objects


def test_both_objects_are_made_and_put_back_and_left_alone_when_they_are_right() -> None:
    web = keda_pool(4)
    made = plan(running(web, 4, jobs=80, keda=Keda()))
    assert applied(made) == [TOLD, SCALED]
    assert all(one.only_new for one in made.applies), "nothing of somebody else's is overwritten"
    assert applied(plan(running(web, 4, jobs=80))) == []
    edited = with_keda(keda_pool(4, maxReplicas=3), 4)
    assert plan(running(web, 4, jobs=80, keda=edited)).corrected == ("ScaledObject web",)


def test_a_scaled_object_that_follows_a_change_of_the_pool_is_no_correction() -> None:
    old, new = keda_pool(4), keda_pool(4, maxReplicas=9, generation=2)
    made = plan(running(new, 4, jobs=80, keda=with_keda(old, 4)))
    assert (applied(made), made.corrected) == ([SCALED], ())


def test_keda_comes_when_the_hpa_has_gone() -> None:
    """KEDA's webhook refuses a target that another HPA scales."""
    web = keda_pool(4, before={"scaling": {"desired": 4, "mode": "hpa"}})
    hpa = child(desired.autoscaler(web, exact=True))
    made = plan(running(web, 4, jobs=80, keda=Keda(), autoscaler=hpa))
    assert (applied(made), deleted(made)) == ([TOLD], [("HorizontalPodAutoscaler", "web")])


@pytest.mark.parametrize("mode", ["direct", "manual", "hpa", "auto"])
def test_in_any_other_mode_nothing_of_keda_is_left(mode: str) -> None:
    made = plan(running(keda_pool(4, mode=mode), 4, jobs=80))
    assert deleted(made) == [SCALED, TOLD]
    assert made.size == 4
    assert plan(running(keda_pool(4, mode=mode), 4, jobs=80, keda=Keda())).deletes == ()


def test_auto_never_means_keda() -> None:
    for facts in (ClusterFacts(), EXACT, ClusterFacts(kubernetes=(1, 36), serves_metric=True)):
        made = plan(running(keda_pool(4, mode="auto"), 4, jobs=80, facts=facts, keda=Keda()))
        assert not {TOLD, SCALED} & set(applied(made))


# Changes of mode


def test_from_another_mode_to_keda_the_size_is_written_down_first() -> None:
    for mode in ("direct", "hpa"):
        web = keda_pool(1, before={"scaling": {"desired": 6, "mode": mode}})
        made = plan(running(web, 6, jobs=120))
        assert (made.size, made.replicas) == (6, 6)


def test_from_keda_to_manual_with_a_put_that_leaves_the_field_out_nobody_goes() -> None:
    made = plan(running(keda_pool(1, mode="manual"), 4, jobs=0))
    assert (made.size, made.replicas, sizes(made)) == (4, 4, {})


# ScalingActive


def test_the_size_follows_the_queues_where_keda_works() -> None:
    assert verdict(running(keda_pool(4), 4, jobs=200))[:2] == ("True", Reason.ACTIVE)


@pytest.mark.parametrize(
    ("absence", "reason", "text"),
    [
        (Absence.NOT_SERVED, Reason.KEDA_NOT_INSTALLED, "Install KEDA 2.19 or later"),
        (Absence.FORBIDDEN, Reason.FORBIDDEN, "ClusterRole"),
    ],
)
def test_without_keda_the_size_is_held_and_it_is_told_once(absence: Absence, reason: Reason, text: str) -> None:
    """The rest of the pool is as it should be, and what only KEDA reads is not made."""
    seen = running(keda_pool(4), 4, jobs=200, keda=Keda(absence=absence))
    made = plan(seen)
    assert (made.size, applied(made)) == (4, [])
    status, found, message = verdict(seen)
    assert (status, found) == ("False", reason)
    assert text in message
    after = build(seen, made, refusals=())
    assert [(one.reason, one.warning) for one in announcements(seen, made, after)] == [(reason, True)]
    again = replace(seen, pool=seen.pool.changed(status=after))
    assert announcements(again, made, build(again, made, refusals=())) == ()
    there = replace(again, keda=with_keda(seen.pool, 10))
    told_of = announcements(there, plan(there), build(there, plan(there), refusals=()))
    assert [(one.reason, one.warning) for one in told_of] == [(Reason.ACTIVE, False)]


def test_where_another_mode_is_in_force_nobody_misses_keda() -> None:
    seen = running(keda_pool(4, mode="direct"), 4, jobs=80, keda=Keda(absence=Absence.NOT_SERVED))
    assert verdict(seen)[1] == Reason.ACTIVE


def watched(**more: Any) -> Any:
    """The memory of a leader that has watched for long, with these told for as long."""
    return memory(hpa=replace(HpaMemory.new(now=NOW - STANDING_SECONDS), **more))


def stood(value: int) -> Any:
    return replace(HpaMemory.new(now=NOW - STANDING_SECONDS).asked, value=value)


def test_a_keda_that_cannot_do_its_work_is_told_in_its_own_words() -> None:
    web = keda_pool(4)
    failing = running(web, 4, jobs=80, keda=with_keda(web, 4, conditions=[FAILS]))
    assert verdict(failing)[1] == Reason.ACTIVE
    status, reason, message = verdict(replace(failing, memory=watched(trouble=stood(1))))
    assert (status, reason) == ("False", Reason.METRICS_UNAVAILABLE)
    assert "KEDA says TriggerError: not working correctly" in message
    assert "kubectl describe scaledobject web" in message


def test_what_keda_says_for_want_of_a_number_is_not_held_against_it() -> None:
    """It looks twice a minute, and goes on saying it for so long after there is a number again."""
    web = keda_pool(4)
    keda = with_keda(web, None, conditions=[FAILS])
    unread = plan(running(web, 4, jobs=80, keda=keda, samples=(), memory=watched(trouble=stood(1))))
    assert unread.memory.hpa is not None
    assert unread.memory.hpa.trouble.value == 0
    read = running(web, 4, jobs=80, keda=keda, memory=replace(unread.memory))
    assert verdict(read)[1] == Reason.ACTIVE


def test_a_scaled_object_that_is_refused_is_told_as_what_keeps_the_size() -> None:
    seen = running(keda_pool(4), 4, jobs=200, keda=Keda())
    refused = Refusal(reason=Reason.APPLY_REFUSED, message="webhook says no", kind="ScaledObject", optional=True)
    status, reason, message = verdict(seen, refused)
    assert (status, reason) == ("False", Reason.METRICS_UNAVAILABLE)
    assert "no ScaledObject, the size is held. webhook says no" in message
    conditions = build(seen, plan(seen), refusals=(refused,)).conditions
    monitored = find(conditions, ConditionType.MONITORED)
    assert monitored is not None
    assert "webhook" not in monitored.message


def test_a_size_that_is_kept_from_what_is_wanted_is_told() -> None:
    stuck = running(keda_pool(4), 4, jobs=200, memory=watched(asked=stood(4), side=stood(1)))
    status, reason, message = verdict(stuck)
    assert (status, reason) == ("False", Reason.METRICS_DISAGREE)
    assert "stays at 4 where 10 are wanted" in message
    assert "keda-hpa-web" in message


def test_a_second_hpa_on_the_pool_is_told_as_such() -> None:
    web = keda_pool(4)
    two = {"type": "HPAActive", "status": "False", "reason": "AmbiguousSelector", "message": "media/mine media/web"}
    seen = running(web, 4, jobs=80, keda=with_keda(web, 4, conditions=[two]), memory=watched(trouble=stood(1)))
    assert "Delete the HPA that is not the pool's own" in verdict(seen)[2]


def test_a_new_pool_in_mode_keda_sleeps_until_its_queues_are_read() -> None:
    web = pool(scaling={"mode": "keda"})
    made = plan(snapshot(web, facts=EXACT))
    assert (made.size, made.replicas, sizes(made), told(made)) == (0, 0, {name(web): 0}, ["unknown"])

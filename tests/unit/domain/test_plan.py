"""Plans follow from what is observed, and only from that."""

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
    reporting,
    revision,
    sample,
    settled,
    sizes,
    snapshot,
)
from workerpool_operator.domain import desired
from workerpool_operator.domain.plan import ACCOUNT_LOOK_SECONDS, plan
from workerpool_operator.domain.scaling import (
    DELETION_COST,
    PARTING_RECHECK_SECONDS,
    Outcome,
    Pod,
    Report,
    ScaleInMemory,
)
from workerpool_operator.domain.size import present_size
from workerpool_operator.domain.snapshot import PodList, PodTrouble


def name(of: Any) -> str:
    return desired.revision_for(of).name


def worker_pod(of: Any, uid: str, *, cost: int = 0, ready: bool = True) -> Pod:
    return Pod(
        name=uid, uid=uid, deployment=name(of), assigned=True, pending=False, ready=ready, created="2026", cost=cost
    )


def idle(uid: str, *, fence: str = "", in_flight: int = 0) -> Report:
    remaining = None if in_flight else 0.0
    return Report(
        uid=uid, age=0.0, in_flight=in_flight, fence=fence, fenceable=True, connected=True, remaining=remaining
    )


def test_a_new_pool_gets_its_revision_before_its_deployment_and_a_budget() -> None:
    web = pool()
    made = plan(snapshot(web))
    assert applied(made) == [
        ("ControllerRevision", name(web)),
        ("Deployment", name(web)),
        ("PodDisruptionBudget", "web"),
    ]
    assert made.started_versions == (name(web),)


def test_a_new_pool_without_any_reading_starts_at_its_minimum() -> None:
    web = pool(scaling={"minReplicas": 2})
    made = plan(snapshot(web))
    assert sizes(made) == {name(web): 2}
    assert made.decision.outcome is Outcome.HELD


def test_a_pool_that_has_all_it_should_have_is_left_alone() -> None:
    web = pool()
    made = plan(settled(web, 0, samples=(sample(0),)))
    assert (made.applies, made.deletes, made.marks, made.fence) == ((), (), (), None)
    assert made.look_again is None


def test_work_raises_the_deployment_at_once() -> None:
    web = pool()
    made = plan(settled(web, 2, samples=(sample(100),)))
    assert sizes(made) == {name(web): 5}
    assert made.applies[0].resource_version is None


def test_a_sleeping_pool_gets_two_workers_ahead_of_the_others() -> None:
    """What is wanted stays what it is, and it is looked at again when the others may follow."""
    web = pool()
    made = plan(settled(web, 0, samples=(sample(100),)))
    assert (sizes(made), made.decision.desired, made.look_again) == ({name(web): 2}, 5, 1.0)


def test_fewer_workers_wanted_asks_for_the_pods_first() -> None:
    web = pool()
    assert plan(settled(web, 5, samples=(sample(20),))).wants_pods


def test_fewer_workers_wanted_fences_before_anything_else() -> None:
    web = pool()
    pods = PodList(active=(worker_pod(web, "a"), worker_pod(web, "b")))
    seen = settled(web, 2, samples=(sample(20),), pods=pods, reports={"a": idle("a", in_flight=3), "b": idle("b")})
    made = plan(seen)
    assert made.fence is not None
    assert made.fence.pods == {"b"}
    assert (made.applies, made.marks) == ((), ())


def test_a_deployment_is_lowered_only_onto_the_state_that_was_observed() -> None:
    web = pool()
    scale_in = ScaleInMemory(epoch=1, sequence=1, fenced=frozenset({"b"}), marked_at={"b": NOW - 2})
    pods = PodList(active=(worker_pod(web, "a"), worker_pod(web, "b", cost=DELETION_COST)))
    seen = settled(
        web,
        2,
        samples=(sample(20),),
        pods=pods,
        reports={"a": idle("a", in_flight=3), "b": idle("b", fence="1.1")},
        memory=memory(scale_in=scale_in),
    )
    made = plan(seen)
    assert sizes(made) == {name(web): 1}
    assert made.applies[0].resource_version == "7"
    assert [(scaled.before, scaled.after) for scaled in made.scaled] == [(2, 1)]


def test_pods_are_not_listed_at_each_report_of_a_busy_pool() -> None:
    web = pool()
    made = plan(settled(web, 5, samples=(sample(20),), memory=memory(pods_listed_at=NOW - 0.1)))
    assert not made.wants_pods
    assert made.look_again == pytest.approx(0.1)


def test_a_fence_is_lifted_when_more_workers_are_wanted_again() -> None:
    web = pool()
    scale_in = ScaleInMemory(epoch=1, sequence=1, fenced=frozenset({"a"}))
    pods = PodList(active=(worker_pod(web, "a"),))
    seen = settled(web, 1, samples=(sample(100),), pods=pods, memory=memory(scale_in=scale_in))
    made = plan(seen)
    assert made.fence is not None
    assert made.fence.pods == frozenset()
    assert sizes(made) == {name(web): 5}


def test_a_fence_of_the_leader_before_is_lifted_where_nobody_has_to_go() -> None:
    web = pool()
    fenced = {"a": idle("a", fence="1.7")}
    made = plan(settled(web, 1, samples=(sample(20),), reports=fenced, memory=memory(scale_in=ScaleInMemory(epoch=2))))
    assert made.fence is not None
    assert made.fence.pods == frozenset()


def test_a_fence_of_the_leader_before_stays_until_it_is_known_who_has_to_go() -> None:
    web = pool()
    fenced = {"a": idle("a", fence="1.7")}
    listed = memory(scale_in=ScaleInMemory(epoch=2), pods_listed_at=NOW - 0.1)
    seen = settled(web, 2, samples=(sample(0),), reports=fenced, memory=listed)
    made = plan(seen)
    assert not made.wants_pods
    assert made.fence is None


def test_a_deleted_worker_stays_fenced_and_is_looked_for_now_and_then() -> None:
    web = pool()
    scale_in = ScaleInMemory(epoch=1, sequence=1, fenced=frozenset({"gone"}))
    pods = PodList(active=(worker_pod(web, "a"),), terminating=frozenset({"gone"}))
    seen = settled(web, 1, samples=(sample(20),), pods=pods, memory=memory(scale_in=scale_in))
    made = plan(seen)
    assert made.fence is not None
    assert made.fence.pods == {"gone"}
    soon = plan(replace(seen, pods=None, memory=made.memory, now=NOW + 1))
    assert not soon.wants_pods
    assert soon.look_again == pytest.approx(PARTING_RECHECK_SECONDS - 1)
    assert plan(replace(seen, pods=None, memory=made.memory, now=NOW + PARTING_RECHECK_SECONDS)).wants_pods


def test_a_template_once_stored_is_used_whatever_the_renderer_would_say_now() -> None:
    web = pool()
    rendered = desired.revision_for(web)
    template = desired.stored_template(rendered.body)
    changed = {**template, "metadata": {**template["metadata"], "annotations": {"rendered": "long ago"}}}
    old = rendered.holding(changed).body
    body = desired.deployment(web, name=name(web), template=changed, replicas=1)
    seen = settled(
        web, 1, revisions={name(web): child(old)}, deployments={name(web): child(body)}, samples=(sample(1),)
    )
    assert plan(seen).applies == ()


def test_a_record_that_somebody_deleted_is_made_again_from_what_runs() -> None:
    web = pool()
    rendered = desired.stored_template(desired.revision_for(web).body)
    running = {**rendered, "metadata": {**rendered["metadata"], "annotations": {"rendered": "long ago"}}}
    body = desired.deployment(web, name=name(web), template=running, replicas=1)
    seen = settled(web, 1, revisions={}, deployments={name(web): child(body)}, samples=(sample(1),))
    made = plan(seen)
    assert applied(made) == [("ControllerRevision", name(web))]
    assert desired.stored_template(made.applies[0].body) == running


def test_a_new_version_starts_one_worker_and_leaves_the_old_ones() -> None:
    old, new = pool(), pool(worker={"image": "web:2"}, generation=2)
    seen = settled(new, 0, samples=(sample(60),), deployments=deployment(old, 3), revisions=revision(old))
    made = plan(seen)
    assert sizes(made) == {name(new): 1}
    assert name(old) not in sizes(made)


def test_an_old_version_goes_when_its_last_worker_is_gone_and_its_record_after_it() -> None:
    old, new = pool(), pool(worker={"image": "web:2"}, generation=2)
    both = revision(old) | revision(new)
    first = plan(
        settled(new, 0, samples=(sample(40),), deployments=deployment(old, 0) | deployment(new, 2), revisions=both)
    )
    assert deleted(first) == [("Deployment", name(old))]
    then = plan(settled(new, 2, samples=(sample(40),), revisions=both))
    assert deleted(then) == [("ControllerRevision", name(old))]


def test_an_old_version_with_pods_still_stopping_is_kept() -> None:
    old, new = pool(), pool(worker={"image": "web:2"}, generation=2)
    emptied = deployment(old, 0)
    body = {**emptied[name(old)].body, "status": {"replicas": 1}}
    stopping = {name(old): replace(emptied[name(old)], body=body)}
    seen = settled(
        new,
        0,
        samples=(sample(40),),
        deployments=stopping | deployment(new, 2),
        revisions=revision(old) | revision(new),
    )
    assert deleted(plan(seen)) == []


def test_drift_is_put_back_and_told() -> None:
    web = pool(status={"observedGeneration": 1})
    bent = deployment(web, 2)
    body = {**bent[name(web)].body}
    body["spec"] = {**body["spec"], "template": {**body["spec"]["template"], "metadata": {"labels": {"x": "y"}}}}
    seen = settled(web, 2, samples=(sample(40),), deployments={name(web): replace(bent[name(web)], body=body)})
    made = plan(seen)
    assert applied(made) == [("Deployment", name(web))]
    assert made.corrected == (f"Deployment {name(web)}",)


def test_a_size_changed_by_hand_is_put_back_upwards_at_once() -> None:
    web = pool(status={"scaling": {"desired": 3, "mode": "direct"}})
    assert sizes(plan(settled(web, 1, samples=(sample(60),)))) == {name(web): 3}


@pytest.mark.parametrize("collectors", [0, 1])
def test_stale_readings_hold_the_size_whether_or_not_a_collector_is_connected(collectors: int) -> None:
    stale = plan(settled(pool(), 4, samples=(sample(0, age=6.0),), collectors=collectors))
    assert (stale.decision.desired, stale.applies) == (4, ())


def test_manual_takes_the_persons_word() -> None:
    web = pool(scaling={"mode": "manual"}, replicas=4)
    assert sizes(plan(settled(web, 1))) == {name(web): 4}


def test_manual_starts_from_the_size_that_is_and_writes_it_down_once() -> None:
    before = {"scaling": {"desired": 6, "mode": "direct", "specReplicas": 1}}
    web = pool(scaling={"mode": "manual"}, status=before)
    made = plan(settled(web, 6))
    assert (made.replicas, made.applies, made.decision.desired) == (6, (), 6)
    later = pool(scaling={"mode": "manual"}, status={"scaling": {"desired": 6, "mode": "manual"}}, replicas=6)
    assert plan(settled(later, 6)).replicas is None


@pytest.mark.parametrize("mode", ["direct", "hpa"])
@pytest.mark.parametrize("left", [0, 1, 5, 40])
def test_what_was_left_in_the_field_is_nobodys_word(mode: str, left: int) -> None:
    """Of an HPA that slept, of a person long ago: only what changed with the mode is said now."""
    before = {"scaling": {"desired": 20, "mode": mode, "specReplicas": left}}
    made = plan(settled(pool(scaling={"mode": "manual"}, status=before, replicas=left), 20))
    assert (made.replicas, made.size, made.applies) == (20, 20, ())


@pytest.mark.parametrize(("written", "size"), [(8, 8), (0, 0), (1, 6)])
def test_what_changed_with_the_mode_is_a_persons_word_but_for_the_default(written: int, size: int) -> None:
    """A PUT without the field makes it 1."""
    before = {"scaling": {"desired": 6, "mode": "direct", "specReplicas": 4}}
    spoken = pool(scaling={"mode": "manual"}, status=before, replicas=written)
    assert plan(settled(spoken, 6)).size == size


def test_a_pool_at_rest_comes_into_mode_manual_at_rest() -> None:
    before = {"scaling": {"desired": 0, "mode": "direct", "specReplicas": 5}}
    made = plan(settled(pool(scaling={"mode": "manual"}, status=before, replicas=5), 0))
    assert (made.replicas, made.size) == (0, 0)


def test_the_surge_of_a_change_of_version_is_not_taken_for_the_size() -> None:
    old, new = pool(), pool(worker={"image": "web:2"}, status={"scaling": {"desired": 3, "mode": "direct"}})
    seen = snapshot(new, deployments=deployment(old, 3) | deployment(new, 1))
    assert present_size(seen) == 3
    fast = new.changed(spec=new.spec.changed(rollout=new.spec.rollout.changed(surge=3)))
    assert present_size(snapshot(fast, deployments=deployment(old, 3) | deployment(new, 3))) == 3


def test_pods_of_workers_that_stay_unready_are_looked_at_for_a_reason() -> None:
    web = pool(scaling={"minReplicas": 1})
    stuck = settled(web, 1, deployments=deployment(web, 1, ready=0), samples=(sample(0),))
    first = plan(stuck)
    assert not first.wants_pods
    assert first.memory.unready_since == NOW
    assert first.look_again == 5.0
    later = replace(stuck, memory=first.memory, now=NOW + 5)
    assert plan(later).wants_pods
    pods = PodList(active=(), troubles=(PodTrouble(pod="a", reason="ErrImagePull", message="no"),))
    looked = plan(replace(later, pods=pods))
    assert not looked.wants_pods
    again = replace(stuck, memory=looked.memory, now=NOW + 6)
    assert not plan(again).wants_pods


def test_pods_that_are_not_made_yet_are_not_listed() -> None:
    """Thousands of pools wait for a control plane that is slow: to ask each for its pods makes it slower."""
    made = deployment(web := pool(scaling={"minReplicas": 1}), 1, ready=0)
    there = settled(web, 1, deployments=made, samples=(sample(0),))
    waiting = replace(there, deployments=reporting(made, replicas=0))
    later = plan(replace(waiting, memory=plan(waiting).memory, now=NOW + 60))
    assert (later.wants_pods, later.memory.unready_since, later.look_again) == (False, NOW, 300.0)
    begun = plan(replace(there, memory=later.memory, now=NOW + 61))
    assert (begun.wants_pods, begun.look_again) == (False, 5.0)


def test_a_new_version_that_does_not_start_is_looked_at_although_the_old_one_has_all_its_workers() -> None:
    old, new = pool(), pool(worker={"image": "web:nope"}, generation=2)
    both = deployment(old, 3) | deployment(new, 1, ready=0)
    seen = settled(new, 0, samples=(sample(60),), deployments=both, revisions=revision(old) | revision(new))
    assert plan(seen).memory.unready_since == NOW
    assert plan(replace(seen, memory=memory(unready_since=NOW - 5, starting_since=NOW - 5))).wants_pods


def test_old_workers_that_are_busy_for_long_are_no_missing_ones() -> None:
    old, new = pool(), pool(worker={"image": "web:2"}, generation=2)
    seen = settled(
        new,
        0,
        samples=(sample(60),),
        deployments=deployment(old, 3) | deployment(new, 1),
        revisions=revision(old) | revision(new),
    )
    assert plan(seen).memory.unready_since is None


def test_how_long_a_start_takes_is_remembered() -> None:
    web = pool(scaling={"minReplicas": 1})
    waiting = memory(unready_since=NOW - 8)
    assert plan(settled(web, 1, samples=(sample(0),), memory=waiting)).memory.pod_start_seconds == 8.0


def test_what_cannot_be_rendered_is_a_problem_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise desired.RenderError("the name is too long")

    monkeypatch.setattr(desired, "revision_for", refuse)
    made = plan(settled_without_rendering())
    assert made.problem == "the name is too long"
    assert (made.applies, made.deletes) == ((), ())


def test_a_service_account_that_may_not_be_used_is_a_problem_that_may_pass() -> None:
    """Nothing is made, and the pool looks again by itself: no news comes of a label on an account."""
    web = pool(worker={"image": "web:1", "serviceAccountName": "uploader"})
    refused = plan(snapshot(web, samples=(sample(10),), account_usable=False))
    assert refused.problem.startswith("ServiceAccount uploader of spec.worker.serviceAccountName is not there, or not")
    assert refused.applies == ()
    assert refused.look_again is not None
    assert refused.look_again <= ACCOUNT_LOOK_SECONDS
    assert plan(snapshot(web, samples=(sample(10),))).problem == ""


def settled_without_rendering() -> Any:
    return snapshot(pool(), samples=(sample(10),))


@pytest.mark.parametrize(
    ("said", "cap", "workers"),
    [
        ((), None, 3),  # 20 each, as the pool says
        ((), 10, 6),
        ((5, 7), None, 10),  # 6 on the average
        ((5, 7), 3, 20),
        ((50, 90), None, 3),  # never more than the pool says
    ],
)
def test_running_jobs_are_carried_by_workers_with_the_slots_that_they_say_they_have(
    said: tuple[int, ...], cap: int | None, workers: int
) -> None:
    scaling = {"targets": {"queueDepth": 10}, "maxReplicas": 50, "mode": "direct"}
    delivery = {} if cap is None else {"concurrencyPerWorker": cap}
    web = pool(scaling=scaling, worker={"image": "web:1", "maxWorkers": 20}, delivery=delivery)
    reports = {str(slots): replace(idle(str(slots)), slots=slots) for slots in said}
    reports["gone"] = replace(idle("gone"), slots=1, connected=False)
    reports["leaving"] = replace(idle("leaving"), slots=1, draining=True)
    reports["bare"] = idle("bare")
    asked = replace(settled(web, 1), samples=(sample(1, 60),), reports=reports)
    assert plan(asked).decision.desired == workers

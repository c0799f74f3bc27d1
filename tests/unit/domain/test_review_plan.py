"""What a plan does with objects that somebody else has had hands on."""

from dataclasses import replace
from datetime import timedelta

from tests.unit.domain.builders import WALL, child, deployment, pool, revision, sample, settled
from workerpool_operator.domain import desired, status
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.scaling import DELETION_COST, Pod
from workerpool_operator.domain.snapshot import PodList


def test_a_stored_revision_without_a_template_is_a_problem_that_is_told_and_not_a_crash() -> None:
    of = pool()
    broken = {name: child({**one.body, "data": {"something": "else"}}) for name, one in revision(of).items()}
    todo = plan(settled(of, 2, revisions=broken, samples=(sample(0),)))
    assert "delete it" in todo.problem
    assert not todo.applies
    assert not todo.deletes


def test_the_time_of_a_reading_is_that_at_which_it_was_taken() -> None:
    of = pool()
    snapshot = settled(of, 0, samples=(replace(sample(3), age=4.0),))
    written = status.build(snapshot, plan(snapshot), refusals=())
    assert written.queues[0].sample_time == WALL - timedelta(seconds=4)


def test_a_deployment_that_is_not_known_is_made_and_never_overwritten() -> None:
    """One that lost its label or owner is not seen; an apply with a size would take workers that nobody fenced."""
    of = pool()
    (apply,) = [a for a in plan(settled(of, 0, deployments={})).applies if a.body["kind"] == "Deployment"]
    assert apply.body["metadata"]["name"] == desired.revision_for(of).name
    assert apply.only_new


def test_a_new_leader_keeps_those_fenced_whose_deletion_its_predecessor_asked_for() -> None:
    """The Deployment was lowered and nobody went yet: a marked worker that took a job now would lose it."""
    of = pool()
    lowered = {
        name: replace(one, body={**one.body, "status": {"replicas": 2, "readyReplicas": 2}})
        for name, one in deployment(of, 1).items()
    }
    before = settled(of, 1, deployments=lowered, samples=(sample(20),))
    assert plan(before).wants_pods
    (name,) = lowered
    pods = tuple(
        Pod(name=one, uid=one, deployment=name, assigned=True, pending=False, ready=True, created="", cost=cost)
        for one, cost in (("marked", DELETION_COST), ("stays", 0))
    )
    todo = plan(replace(before, pods=PodList(active=pods)))
    assert todo.fence is not None
    assert todo.fence.pods == {"marked"}

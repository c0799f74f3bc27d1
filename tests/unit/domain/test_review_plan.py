"""What a plan does with objects that somebody else has had hands on."""

from dataclasses import replace
from datetime import timedelta

from tests.unit.domain.builders import WALL, child, pool, revision, sample, settled
from workerpool_operator.domain import desired, status
from workerpool_operator.domain.plan import plan


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

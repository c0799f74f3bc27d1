"""What the status, the condition Placed and the events say of places."""

from dataclasses import replace
from typing import Any

from tests.unit.domain.builders import child, pool, settled
from tests.unit.placement.stage import Stage, placed
from workerpool_operator.api import Condition, ConditionType, Reason
from workerpool_operator.domain import desired
from workerpool_operator.domain.judging import Case
from workerpool_operator.domain.placed import placed as verdict
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.status import announcements, build


def condition(stage: Stage) -> tuple[str, str]:
    (found,) = [one for one in stage.status["conditions"] if one["type"] == "Placed"]
    return found["status"], found["reason"]


def lost(**placement: Any) -> Stage:
    stage = Stage(spec={"placement": placed(**placement)}, size=3)
    stage.run(10)
    stage.lose("a1")
    stage.run(40)
    return stage


def test_a_pool_without_places_says_so_and_has_no_such_status() -> None:
    stage = Stage(spec={}, size=2)
    stage.run(5)
    assert condition(stage) == ("True", "NoPlaces")
    assert "placement" not in stage.status


def test_the_status_says_where_workers_are_added_and_how_many_are_lost() -> None:
    stage = Stage(spec={"placement": placed()}, size=3)
    stage.run(10)
    assert condition(stage) == ("True", "Placed")
    since = stage.status["placement"]["since"]
    assert stage.status["placement"] == {"active": "primary", "since": since, "lost": 0, "lostNodes": []}
    stage.lose("a1")
    stage.run(40)
    assert condition(stage) == ("False", "FailedOver")
    assert stage.status["placement"] == {"active": "secondary", "since": since, "lost": 3, "lostNodes": ["a1"]}
    assert (stage.status["replicas"], stage.status["readyReplicas"]) == (3, 3)
    stage.bring_back("a1")
    stage.run(10)
    assert condition(stage) == ("False", "FailingBack")


def test_the_lost_nodes_are_named_and_where_there_are_none_the_lack_of_room() -> None:
    stage = lost()
    seen = stage.snapshot()
    said = verdict(Case(snapshot=seen, plan=plan(seen), refusals=()))
    assert "nothing is heard of a1" in said.message
    stage.nodes.clear()
    stage.run(40)
    seen = stage.snapshot()
    none = replace(seen, places=replace(seen.places, nodes=()))
    assert "there is no room" in verdict(Case(snapshot=none, plan=plan(seen), refusals=())).message
    many = replace(seen, places=replace(seen.places, nodes=tuple("abcdefg")))
    assert "a, b, c, d, e, ..." in verdict(Case(snapshot=many, plan=plan(seen), refusals=())).message


def test_that_a_person_is_waited_for_is_said() -> None:
    stage = lost(failback="Manual")
    stage.bring_back("a1")
    stage.run(10)
    assert condition(stage) == ("False", "FailbackWaits")
    (found,) = [one for one in stage.status["conditions"] if one["type"] == "Placed"]
    assert found["message"].endswith("stay until the pool is told: wpool migrate web --to primary -n ns")


def test_a_move_is_told_and_so_is_one_from_a_place_that_is_not_named_any_more() -> None:
    stage = Stage(spec={"placement": placed()}, size=3)
    stage.run(10)
    stage.annotations["workerpool.dev/place"] = "secondary"
    stage.run(2)
    assert condition(stage) == ("False", "Moving")
    stage.run(60)
    assert condition(stage) == ("True", "Placed")
    stage.spec = {}
    stage.run(2)
    assert condition(stage) == ("False", "Moving")


def test_a_wish_for_a_place_that_there_is_not_is_no_wish() -> None:
    stage = Stage(spec={"placement": {"primary": {"nodeSelector": {"zone": "a"}}}}, size=2)
    stage.annotations["workerpool.dev/place"] = "secondary"
    stage.run(10)
    assert stage.sizes() == {"primary": 2}


def test_a_missing_right_is_told_where_it_matters() -> None:
    stage = Stage(spec={"placement": placed()}, size=2, readable=False)
    stage.run(10)
    assert condition(stage) == ("True", "LeasesUnreadable")


def test_a_failover_is_a_warning_and_its_end_is_told_once() -> None:
    stage = lost()
    seen = stage.snapshot()
    todo = plan(seen)
    before = seen.pool.status
    calm = [one for one in before.conditions if one.type != ConditionType.PLACED]
    well = Condition.model_validate(
        {"type": "Placed", "status": "True", "reason": "Placed", "lastTransitionTime": seen.wall_time}
    )
    earlier = replace(seen, pool=seen.pool.changed(status=before.changed(conditions=(*calm, well))))
    told = announcements(earlier, todo, build(earlier, todo, refusals=()))
    assert [(one.reason, one.warning) for one in told] == [(Reason.FAILED_OVER, True)]


def test_a_revision_that_somebody_deleted_is_stored_again_without_its_place() -> None:
    """Else its next Deployment in the other place would need the nodes of both."""
    stage = Stage(spec={"placement": placed()}, size=2)
    stage.run(10)
    (stored,) = stage.revisions.values()
    stage.revisions.clear()
    stage.run(2)
    (again,) = stage.revisions.values()
    assert desired.stored_template(again.body) == desired.stored_template(stored.body)


def test_without_its_revision_a_new_place_is_made_of_what_would_be_rendered() -> None:
    of = pool(placement=placed(), replicas=2, scaling={"mode": "manual"})
    seen = settled(of, 2, deployments={}, revisions={})
    assert [one.body["kind"] for one in plan(seen).applies][:2] == ["ControllerRevision", "Deployment"]


def test_the_deployment_of_a_place_goes_in_silence_and_a_version_with_its_last_one() -> None:
    of = pool()
    revision = desired.revision_for(of)
    template = desired.stored_template(revision.body)
    other = desired.placed(template, {"zone": "a"})
    name = desired.deployment_name(revision.name, desired.place_key({"zone": "a"}))
    gone = child(desired.deployment(of, name=name, template=other, replicas=0))
    seen = settled(of, 3)
    seen = replace(seen, deployments={**seen.deployments, name: gone}, memory=replace(seen.memory, unready_since=None))
    todo = plan(seen)
    assert ("Deployment", name) in {(one.kind, one.name) for one in todo.deletes}
    told = announcements(seen, todo, build(seen, todo, refusals=()))
    assert Reason.VERSION_REMOVED not in {one.reason for one in told}

"""A pool with strategy Canary: who gets workers, what the status says, and what the next leader goes on from."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import NOW, WALL, child, deleted, deployment, memory, pool, revision, sizes, snapshot
from workerpool_operator import api
from workerpool_operator.api import Reason, WorkerPool, WorkerPoolStatus
from workerpool_operator.domain import desired
from workerpool_operator.domain import status as status_of
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION
from workerpool_operator.domain.rollout.ledger import Reading
from workerpool_operator.domain.rollout.steps import Event
from workerpool_operator.domain.rollout_status import REASONS
from workerpool_operator.domain.snapshot import Snapshot
from workerpool_operator.domain.versions import LOOK_SECONDS

SHORT = [{"weight": 20, "durationSeconds": 10, "minJobs": 10}, {"weight": 50, "durationSeconds": 10}]


def canary(image: str = "web:2", *, command: str = "", **rollout: Any) -> WorkerPool:
    """A pool of five that asks for this image."""
    made = pool(
        worker={"image": image},
        scaling={"mode": "manual"},
        replicas=5,
        rollout={"strategy": "Canary", "steps": SHORT, "analysis": {"warmupSeconds": 0}} | rollout,
    )
    annotations = {COMMAND_ANNOTATION: command} if command else {}
    return made.changed(metadata=made.metadata.model_copy(update={"annotations": annotations}))


OLD, NEW = canary("web:1"), canary()


def version(of: WorkerPool) -> str:
    return desired.hashes(of).version


def name(of: WorkerPool) -> str:
    return desired.revision_for(of).name


def running(of: WorkerPool = NEW, *, old: int = 5, new: int = 0, ready: int | None = None, **more: Any) -> Snapshot:
    """A pool with so many workers of each version."""
    deployments = deployment(OLD, old) | (deployment(NEW, new, ready=ready) if new else {})
    revisions = revision(OLD) | (revision(NEW) if new else {})
    return snapshot(of, deployments=deployments, revisions=revisions, **more)


def heard(at: float, *, old_failed: int = 0, new_failed: int = 0) -> dict[str, Any]:
    """Both versions' workers after so many seconds, each with 50 jobs a second."""
    jobs = int(50 * at)
    workers = (("a", OLD, old_failed), ("b", OLD, old_failed), ("c", NEW, new_failed), ("d", NEW, new_failed))
    readings = tuple(
        Reading(
            uid=uid,
            version=version(of),
            start="1",
            age_seconds=600.0,
            heard_at=NOW + at,
            started=jobs,
            finished=jobs,
            in_flight=0,
            first_attempts=jobs,
            first_failures=failed,
        )
        for uid, of, failed in workers
    )
    return {"now": NOW + at, "readings": readings}


def played(*looks: dict[str, Any], of: WorkerPool = NEW, **counts: Any) -> tuple[Snapshot, Plan]:
    """One plan after the other, each with the memory of the one before."""
    remembered, seen, made = memory(), running(), plan(running(of, **counts))
    for one in looks:
        seen = running(of, memory=remembered, **counts | one)
        made = plan(seen)
        remembered = made.memory
    return seen, made


def told(seen: Snapshot, made: Plan) -> WorkerPoolStatus:
    return status_of.build(seen, made, refusals=())


def events(seen: Snapshot, made: Plan) -> dict[str, str]:
    found = status_of.announcements(seen, made, told(seen, made))
    return {str(one.reason): one.message for one in found}


def test_the_first_version_has_no_canary() -> None:
    seen = snapshot(NEW)
    made = plan(seen)
    assert sizes(made) == {name(NEW): 5}
    found = told(seen, made).rollout
    assert found is not None
    assert (found.stable, found.canary, found.step) == (version(NEW), "", 0)


def test_a_wrong_first_image_is_mended_without_a_canary() -> None:
    dead = snapshot(OLD, deployments=deployment(OLD, 5, ready=0), revisions=revision(OLD))
    mended = replace(dead, pool=NEW, revisions=revision(OLD), memory=plan(dead).memory)
    made = plan(mended)
    assert sizes(made) == {name(NEW): 1}
    assert "VersionReplaced" in events(mended, made)
    resumed = OLD.changed(status=told(dead, plan(dead)))
    assert "VersionReplaced" in events(mended, plan(replace(mended, pool=NEW.changed(status=resumed.status))))


def test_a_pool_whose_strategy_becomes_canary_begins_none_and_trusts_what_runs() -> None:
    """As one of before an upgrade of the operator: nothing is stored of a rollout."""
    for of, running_now in ((NEW, deployment(NEW, 5)), (NEW, {})):
        made = plan(snapshot(of, deployments=running_now, revisions=revision(NEW)))
        assert made.versions is not None
        assert (made.versions.main, made.versions.canary) == (name(NEW), "")
        assert sizes(made).keys() <= {name(NEW)}
    middle = running(old=3, new=2)
    started = plan(middle).versions
    assert started is not None
    assert (started.main, started.canary) == (name(OLD), name(NEW))


def test_a_rolling_pool_has_no_rollout_in_its_status() -> None:
    of = canary(strategy="Rolling")
    seen = running(of)
    made = plan(seen)
    assert sizes(made) == {name(NEW): 1}
    assert made.memory.rollout is None
    assert told(seen, made).rollout is None
    assert not events(seen, made).keys() & REASONS.values()


def test_a_new_version_gets_one_worker_above_the_total_and_then_its_share() -> None:
    made = plan(running())
    assert sizes(made) == {name(NEW): 1}
    assert made.look_again is not None
    assert made.look_again <= LOOK_SECONDS
    assert plan(running(new=1)).wants_pods
    assert sizes(plan(running(old=4, new=1))) == {}


def test_a_canary_counts_as_workers_that_the_pool_should_have() -> None:
    seen = running(old=4, new=1)
    made = plan(seen)
    found = told(seen, made)
    conditions = {one.type: one for one in found.conditions}
    assert conditions["Ready"].reason == Reason.ALL_READY
    assert conditions["Progressing"].reason == Reason.CANARY_RUNNING
    waiting = f"{name(NEW)} is tried by 20 % of the workers: Inconclusive"
    assert conditions["Progressing"].message == waiting
    after = plan(running(old=4, new=1, memory=made.memory))
    conditions = {one.type: one for one in told(seen, after).conditions}
    assert conditions["Progressing"].message == f"{waiting}, StepRuns"
    assert {one.hash: one.role for one in found.versions} == {version(OLD): "stable", version(NEW): "canary"}
    assert events(seen, made)["CanaryStarted"] == (
        f"version {version(NEW)} is tried by 20 % of the workers beside {version(OLD)}; "
        "the steps will find 16.2 times the stable rate"
    )
    assert conditions["CanaryHealthy"].reason == Reason.CANARY_INCONCLUSIVE
    inconclusive = f"{version(NEW)}: Inconclusive by Evidence; 16.2 times the stable rate would be found"
    assert conditions["CanaryHealthy"].message == inconclusive


def test_a_canary_that_starts_keeps_the_pool_from_being_complete() -> None:
    seen = running(new=1, ready=0)
    assert plan(seen).memory.unready_since == NOW


def test_a_good_canary_steps_on_and_takes_over() -> None:
    looks = [heard(at) for at in (0, 1, 11)]
    seen, made = played(*looks, old=4, new=1)
    assert events(seen, made)["CanaryStepped"].endswith(f"tried by 50 % of the workers beside {version(OLD)}")
    assert sizes(made) == {name(NEW): 2}
    found = told(seen, made).rollout
    assert found is not None
    assert (found.step, found.weight, found.job_share, found.jobs, found.failures) == (2, 50, "0.5", 1000, 0)
    assert found.pod_share == "0.2"
    seen, made = played(*looks, *(heard(at) for at in (16, 22)), old=4, new=1)
    assert events(seen, made)["CanaryPromoted"] == f"version {version(NEW)} is the stable one"
    found = told(seen, made).rollout
    assert found is not None
    assert (found.stable, found.canary, found.memory.count("failures")) == (version(NEW), "", 0)


def test_a_bad_canary_goes_at_once_and_is_not_tried_again() -> None:
    looks = [heard(0), heard(0), heard(1, old_failed=1, new_failed=40)]
    seen, made = played(*looks, old=4, new=1)
    assert sizes(made) == {name(OLD): 5}
    message = events(seen, made)["CanaryRejected"]
    assert message.startswith(f"{version(NEW)}: failures at 40 times the stable rate; back to")
    found = told(seen, made).rollout
    assert found is not None
    assert (found.canary, found.rejected) == ("", (version(NEW),))
    again = plan(running(old=4, new=1, memory=made.memory))
    assert sizes(again) == {name(OLD): 5}
    assert events(running(old=4, new=1), again).keys() & {"CanaryStarted", "CanaryRejected"} == set()


def test_what_failed_where_nothing_failed_before_is_told_without_a_ratio() -> None:
    seen, made = played(heard(0), heard(0), heard(1, new_failed=40), old=4, new=1)
    assert events(seen, made)["CanaryRejected"] == (
        f"{version(NEW)}: 80 failures, and none of the stable version; back to {version(OLD)}"
    )


def test_where_nothing_has_failed_no_end_of_an_interval_is_told() -> None:
    """There is no ratio, and from 0 would say nothing."""
    seen, made = played(heard(0), heard(2), heard(4), old=4, new=1)
    found = told(seen, made).rollout
    assert found is not None
    assert (found.signal, found.ratio, found.ratio_low, found.ratio_high) == ("failures", "", "", "")


def test_a_spent_budget_is_told_as_such() -> None:
    of = canary(analysis={"failureBudget": 1, "warmupSeconds": 0})
    seen, made = played(heard(0), heard(0), heard(1, old_failed=2, new_failed=2), of=of, old=4, new=1)
    assert events(seen, made)["CanaryRejected"].startswith(
        f"{version(NEW)}: more first attempts failed than spec.rollout.analysis.failureBudget allows; back to"
    )


def test_a_broken_objective_is_told_as_such() -> None:
    of = canary(analysis={"tolerateRatio": "100", "rejectRatio": "200", "warmupSeconds": 0})
    of = of.changed(spec=of.spec.changed(slo=api.SloSpec(availability="0.99")))
    seen, made = played(heard(0), heard(0), heard(10, old_failed=1, new_failed=40), of=of, old=4, new=1)
    assert events(seen, made)["CanaryRejected"] == (
        f"{version(NEW)}: it breaks an objective of spec.slo that the stable version keeps: availability, missed by "
        f"0.08; back to {version(OLD)}"
    )


def test_a_canary_is_aborted_by_a_word_whatever_it_has_shown() -> None:
    of = canary(command=f"abort@{version(NEW)}#7")
    seen, made = played({}, of=of, old=4, new=1)
    assert events(seen, made)["CanaryRejected"] == (
        f"{version(NEW)}: Inconclusive by Evidence, as the pool or a command wants it; back to {version(OLD)}"
    )


def test_a_command_that_does_not_fit_is_told() -> None:
    of = canary(command="promote@abc#8")
    seen, made = played({}, of=of, old=4, new=1)
    assert events(seen, made)["CommandRefused"].startswith(f"command 8 does not fit: version {version(NEW)} is tried")
    assert plan(replace(seen, memory=made.memory)).versions is not None


def test_the_next_leader_goes_on_from_the_status() -> None:
    seen, made = played(
        heard(0), heard(2, old_failed=1, new_failed=1), heard(4, old_failed=2, new_failed=2), old=4, new=1
    )
    status = told(seen, made).to_json()
    resumed = NEW.changed(status=api.WorkerPoolStatus.model_validate(status))
    after = plan(running(resumed, old=4, new=1))
    assert after.memory.rollout is not None
    assert made.memory.rollout is not None
    assert after.memory.rollout.state == made.memory.rollout.state
    assert after.memory.rollout.evidence.measured_seconds == made.memory.rollout.evidence.measured_seconds
    found = told(running(resumed, old=4, new=1), after).rollout
    assert found is not None
    before = told(seen, made).rollout
    assert before is not None
    assert (found.jobs, found.failures, found.ratio) == (before.jobs, before.failures, before.ratio)


@pytest.mark.parametrize("stored", ["", "{", "[]", '{"state":{}}'])
def test_a_status_that_says_nothing_leaves_the_trust_with_what_runs(stored: str) -> None:
    of = NEW.changed(status=api.WorkerPoolStatus(rollout=api.RolloutStatus(memory=stored)))
    made = plan(running(of, old=4, new=1))
    assert made.versions is not None
    assert (made.versions.main, made.versions.canary) == (name(OLD), name(NEW))


def test_other_ratios_are_judged_from_the_beginning() -> None:
    _, made = played(heard(0), heard(5), old=4, new=1)
    stricter = canary(analysis={"rejectRatio": "2", "warmupSeconds": 0})
    after = plan(running(stricter, old=4, new=1, memory=made.memory))
    assert after.memory.rollout is not None
    assert after.memory.rollout.evidence.measured_seconds == 0.0


def test_workers_of_which_nothing_is_heard_have_not_ended() -> None:
    _, made = played(heard(0), heard(5), old=4, new=1)
    for silence in ({"collectors": 0}, {"readings": ()}):
        silent = plan(running(old=4, new=1, memory=made.memory, **heard(9) | silence))
        assert silent.memory.rollout is not None
        assert made.memory.rollout is not None
        assert silent.memory.rollout.watch.ledger == made.memory.rollout.watch.ledger


def test_a_stable_version_of_which_nothing_is_left_gives_way() -> None:
    _, made = played({}, old=4, new=1)
    alone = snapshot(NEW, deployments=deployment(NEW, 1), revisions=revision(NEW), memory=made.memory)
    after = plan(alone)
    assert sizes(after) == {name(NEW): 5}
    assert after.versions is not None
    assert (after.versions.main, after.versions.canary) == (name(NEW), "")


def test_the_revision_of_a_version_that_was_stable_before_is_kept_for_the_way_back() -> None:
    promoted = canary(command=f"promote-full@{version(NEW)}#1")
    _, made = played({}, of=promoted, old=4, new=1)
    gone = snapshot(
        promoted, deployments=deployment(NEW, 5), revisions=revision(OLD) | revision(NEW), memory=made.memory
    )
    assert deleted(plan(gone)) == []
    back = canary(command=f"undo@{version(NEW)}#2")
    after = plan(replace(gone, pool=back, memory=plan(gone).memory))
    assert sizes(after)[name(OLD)] == 1
    assert {one for one, _ in deleted(after)} == set()
    third = canary("web:3", strategy="Rolling")
    assert ("ControllerRevision", name(OLD)) in deleted(plan(replace(gone, pool=third)))


@pytest.mark.parametrize(("kept", "way_back"), [(0, "CanaryStarted"), (1, "VersionReplaced")])
def test_the_way_back_is_short_for_as_many_versions_as_are_kept(kept: int, way_back: str) -> None:
    promoted = canary(command=f"promote-full@{version(NEW)}#1", keepDrainedVersions=kept)
    _, made = played({}, of=promoted, old=4, new=1)
    back = canary("web:1", keepDrainedVersions=kept)
    seen = snapshot(back, deployments=deployment(NEW, 5), revisions=revision(NEW), memory=made.memory)
    assert way_back in events(seen, plan(seen))


def test_of_two_deployments_of_the_stable_version_the_larger_one_stays() -> None:
    web = desired.revision_for(OLD)
    small = desired.deployment(OLD, name="web-small", template=desired.stored_template(web.body), replicas=1)
    seen = running(old=3, new=1)
    both = replace(seen, deployments={**seen.deployments, "web-small": child(small)})
    made = plan(both)
    assert made.versions is not None
    assert made.versions.main == name(OLD)


def test_figures_of_a_canary_alone_do_not_make_the_status_urgent() -> None:
    seen, made = played(heard(0), heard(1), old=4, new=1)
    before = told(seen, made)
    seen, made = played(heard(0), heard(1), heard(2), old=4, new=1)
    assert status_of.write_after(before, told(seen, made)) == status_of.QUIET_WRITE_SECONDS
    assert seen.wall_time == WALL


def test_a_single_worker_has_its_canary_beside_it() -> None:
    of = NEW.changed(spec=NEW.spec.changed(replicas=1))
    assert sizes(plan(running(of, old=1, new=1))) == {}


def test_each_event_of_a_rollout_has_a_reason() -> None:
    assert REASONS.keys() == set(Event)


def healthy(seen: Snapshot, made: Plan) -> tuple[str, str, str]:
    one = next(one for one in told(seen, made).conditions if one.type == "CanaryHealthy")
    return str(one.status), one.reason, one.message


BAD = [heard(0), heard(0), heard(1, old_failed=1, new_failed=40)]


def test_the_condition_says_why_a_version_was_rejected_for_as_long_as_it_is_asked_for() -> None:
    seen, made = played(*BAD, old=4, new=1)
    status, reason, message = healthy(seen, made)
    assert (status, reason) == ("False", Reason.CANARY_REJECTED)
    assert message.startswith(f"{version(NEW)} was rejected: failures at 40 times the stable rate")
    later = running(NEW.changed(status=told(seen, made)), old=5, memory=made.memory)
    assert healthy(later, plan(later)) == (status, reason, message)
    forgotten = running(NEW, old=5, memory=made.memory)
    assert healthy(forgotten, plan(forgotten))[:2] == (status, reason)
    mended = running(OLD, old=5, memory=made.memory)
    assert healthy(mended, plan(mended))[:2] == ("True", Reason.NO_CANARY)


def test_a_version_that_fails_while_people_decide_is_not_healthy() -> None:
    status, reason, message = healthy(*played(*BAD, of=canary(autoRollback=False), old=4, new=1))
    assert (status, reason) == ("False", Reason.CANARY_FAILING)
    assert message == f"{version(NEW)}: failures at 40 times the stable rate"


def test_versions_that_take_over_without_a_canary_are_healthy_and_one_that_cannot_be_rendered_is_unknown() -> None:
    seen, made = played({}, of=canary(strategy="Rolling"))
    assert healthy(seen, made)[:2] == ("True", Reason.NO_CANARY)
    assert healthy(seen, replace(made, problem="no"))[:2] == ("Unknown", Reason.RENDER_ERROR)


def test_a_canary_is_held_to_the_pace_of_the_stable_workers_and_nobody_is_without_one() -> None:
    _, made = played(heard(0), heard(2), heard(4), old=4, new=1)
    assert made.versions is not None
    assert made.versions.take_rates == {version(NEW): 62}
    rolling = plan(running(canary(strategy="Rolling")))
    assert rolling.versions is not None
    assert rolling.versions.take_rates == {}

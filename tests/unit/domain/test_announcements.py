"""Which events tell of a change of the status."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.domain.builders import NOW, memory, pool, sample, settled, snapshot
from tests.unit.domain.statuses import after, status_of
from workerpool_operator.api import ConditionStatus, ConditionType, Reason, WorkerPoolStatus
from workerpool_operator.domain import desired
from workerpool_operator.domain.objects import Delete
from workerpool_operator.domain.plan import Plan, Scaled, plan
from workerpool_operator.domain.snapshot import Snapshot
from workerpool_operator.domain.status import Announcement, announcements, build


def told(seen: Snapshot, **more: Any) -> list[tuple[Reason, bool]]:
    """Reasons of the events of this plan with these fields, and whether they are warnings."""
    todo = replace(plan(seen), **more)
    return [(one.reason, one.warning) for one in announcements(seen, todo, build(seen, todo, refusals=()))]


def test_nothing_is_told_when_nothing_changed() -> None:
    seen = settled(pool(), 3, samples=(sample(60),))
    assert told(after(status_of(seen), seen)) == []


def test_a_pool_that_begins_well_tells_of_its_version_only() -> None:
    assert told(snapshot(pool(), samples=(sample(0),))) == [(Reason.VERSION_CREATED, False)]


def test_growing_is_told_with_the_figures_it_follows_from() -> None:
    seen = settled(pool(), 3, samples=(sample(90, 10),))
    todo = plan(seen)
    name = desired.revision_for(pool()).name
    assert announcements(seen, todo, build(seen, todo, refusals=())) == (
        Announcement(
            warning=False,
            reason=Reason.SCALED_UP,
            message=f"{name}: 3 -> 5 (5 wanted: 90 jobs waiting, 10 running)",
        ),
    )


def test_shrinking_is_told() -> None:
    seen = settled(pool(), 5, samples=(sample(60),), memory=memory(pods_listed_at=NOW))
    assert told(seen, scaled=(Scaled(deployment="web-1", before=5, after=3),)) == [(Reason.SCALED_DOWN, False)]


def test_a_size_that_no_backlog_explains_is_told_with_how_it_came_about() -> None:
    seen = settled(pool(scaling={"mode": "manual"}, replicas=4), 1)
    todo = plan(seen)
    (event,) = announcements(seen, todo, build(seen, todo, refusals=()))
    assert event.message.endswith("1 -> 4 (4 wanted: Manual)")


def test_a_version_is_told_when_its_deployment_goes_and_not_again_when_its_record_does() -> None:
    gone = tuple(
        Delete(kind=kind, name="web-old", uid="u", resource_version="1")
        for kind in ("Deployment", "ControllerRevision")
    )
    seen = settled(pool(), 3, samples=(sample(60),))
    assert told(seen, deletes=gone) == [(Reason.VERSION_REMOVED, False)]


def test_a_worker_removed_instead_of_the_chosen_one_is_a_warning() -> None:
    seen = settled(pool(), 3, samples=(sample(60),))
    todo = replace(plan(seen), mistaken=2)
    (event,) = announcements(seen, todo, build(seen, todo, refusals=()))
    assert (event.warning, event.reason) == (True, Reason.VICTIM_MISMATCH)
    assert event.message == "2 workers were removed although others had been chosen"


def test_each_object_that_is_put_back_is_told() -> None:
    seen = settled(pool(), 3, samples=(sample(60),))
    corrected = ("Deployment web-1", "PodDisruptionBudget web")
    assert told(seen, corrected=corrected) == [(Reason.DRIFT_CORRECTED, False)] * 2


def with_condition(kind: ConditionType, status: ConditionStatus, reason: Reason, message: str = "") -> WorkerPoolStatus:
    """The status of a pool in order, but for this condition."""
    written = status_of(settled(pool(), 3, samples=(sample(60),)))
    other = {"status": status, "reason": reason, "message": message}
    return written.changed(
        conditions=tuple(one.changed(**other) if one.type == kind else one for one in written.conditions)
    )


GOOD = status_of(settled(pool(), 3, samples=(sample(60),)))
SEEN = settled(pool(), 3, samples=(sample(60),))
QUIET: Plan = plan(SEEN)


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (ConditionType.READY, ConditionStatus.FALSE, Reason.IMAGE_PULL_FAILED),
        (ConditionType.QUEUE_REACHABLE, ConditionStatus.FALSE, Reason.TLS_FAILED),
        (ConditionType.QUEUE_REACHABLE, ConditionStatus.UNKNOWN, Reason.COLLECTOR_DOWN),
        (ConditionType.STALLED, ConditionStatus.TRUE, Reason.FORBIDDEN),
        (ConditionType.PROGRESSING, ConditionStatus.FALSE, Reason.PROGRESS_DEADLINE_EXCEEDED),
    ],
)
def test_trouble_is_told_once_as_a_warning_and_once_when_it_is_over(
    kind: ConditionType, status: ConditionStatus, reason: Reason
) -> None:
    bad = with_condition(kind, status, reason, "what is wrong")
    (event,) = announcements(after(GOOD, SEEN), QUIET, bad)
    assert event == Announcement(warning=True, reason=reason, message="what is wrong")
    assert announcements(after(bad, SEEN), QUIET, bad) == ()
    (over,) = announcements(after(bad, SEEN), QUIET, GOOD)
    assert not over.warning
    assert [over.reason] == [one.reason for one in GOOD.conditions if one.type == kind]


def test_trouble_at_the_first_look_is_told() -> None:
    bad = with_condition(ConditionType.STALLED, ConditionStatus.TRUE, Reason.FORBIDDEN, "no rights")
    (event,) = announcements(SEEN, QUIET, bad)
    assert (event.warning, event.reason) == (True, Reason.FORBIDDEN)


def test_another_trouble_of_the_same_kind_is_told_and_other_words_for_the_same_are_not() -> None:
    bad = with_condition(ConditionType.READY, ConditionStatus.FALSE, Reason.IMAGE_PULL_FAILED, "pod a")
    reworded = with_condition(ConditionType.READY, ConditionStatus.FALSE, Reason.IMAGE_PULL_FAILED, "pod b")
    other = with_condition(ConditionType.READY, ConditionStatus.FALSE, Reason.CRASH_LOOPING, "pod b")
    assert announcements(after(bad, SEEN), QUIET, reworded) == ()
    assert [one.reason for one in announcements(after(bad, SEEN), QUIET, other)] == [Reason.CRASH_LOOPING]


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (ConditionType.READY, ConditionStatus.FALSE, Reason.NO_WORKERS),
        (ConditionType.SCALING_ACTIVE, ConditionStatus.FALSE, Reason.SAMPLES_STALE),
        (ConditionType.PROGRESSING, ConditionStatus.TRUE, Reason.SCALING),
        (ConditionType.QUEUE_REACHABLE, ConditionStatus.UNKNOWN, Reason.NO_SAMPLE_YET),
    ],
)
def test_what_comes_and_goes_by_itself_is_no_event(
    kind: ConditionType, status: ConditionStatus, reason: Reason
) -> None:
    other = with_condition(kind, status, reason)
    assert announcements(after(GOOD, SEEN), QUIET, other) == ()
    assert announcements(after(other, SEEN), QUIET, GOOD) == ()


def test_a_term_that_speaks_in_part_is_told_once() -> None:
    """The API server refuses a list with two entries of one name."""
    good = {"cron": "* * * * *", "durationSeconds": 60, "minReplicas": 6}
    scaling = {"schedules": [good, {**good, "timeZone": "Mars/Olympus"}]}
    status = status_of(settled(pool(scaling=scaling), 6, samples=(sample(60),)))
    assert status.scaling is not None
    [told] = [term for term in status.scaling.terms if term.name == "schedules"]
    assert (told.value, told.message) == (6, "there is no time zone 'Mars/Olympus': write one such as Europe/Berlin")

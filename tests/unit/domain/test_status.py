"""What the status says, and when it is worth a write."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.domain.builders import NOW, WALL, deployment, memory, pool, sample, settled, snapshot
from tests.unit.domain.statuses import NEW, OLD, after, report, status_of, takeover
from workerpool_operator.api import Reason, WorkerPoolStatus
from workerpool_operator.domain import desired
from workerpool_operator.domain.judging import Refusal
from workerpool_operator.domain.scaling import Forecast, History, Pod, Traffic
from workerpool_operator.domain.snapshot import PodList, Snapshot
from workerpool_operator.domain.status import COUNT_WRITE_SECONDS, QUIET_WRITE_SECONDS, write_after

EARLIER = datetime(2025, 12, 24, tzinfo=UTC)
STREAM = {"url": "redis://redis:6379/0", "stream": "web", "group": "web"}


# What it says


def test_sizes_are_those_observed() -> None:
    web = pool()
    seen = settled(web, 3, deployments=deployment(web, 3, ready=2), samples=(sample(100),))
    status = status_of(seen)
    assert (status.replicas, status.ready_replicas, status.observed_generation) == (3, 2, 1)
    assert status.selector == desired.selector(web)
    assert status.scaling is not None
    assert (status.scaling.desired, status.scaling.mode, status.scaling.depth) == (5, "direct", 100)
    terms = {term.name: (term.value, term.message) for term in status.scaling.terms}
    assert terms["queueDepthPerReplica"] == (5, None)
    assert terms["little"][0] is None
    assert "no job has ended" in (terms["little"][1] or "")


@pytest.mark.parametrize(("mode", "size"), [("observe", 0), ("enabled", 4)])
def test_a_forecast_is_shown_with_what_it_asks_for_and_its_error(mode: str, size: int) -> None:
    """40 jobs/s of 2 s at 20 slots ask for 4 workers; observed, they are shown beside a size without them."""
    web = pool(scaling={"predictive": {"mode": mode}})
    traffic, forecast = Traffic(arrivals=0.0, service_seconds=2.0), Forecast(rate=40.0, error=0.1234)
    scaling = status_of(settled(web, 0, samples=(sample(0),), traffic=traffic, forecast=forecast)).scaling
    assert scaling is not None
    assert scaling.predictive is not None
    assert scaling.desired == size
    assert scaling.predictive.to_json() == {"mode": mode, "jobsPerMinute": 2400, "replicas": 4, "errorPercent": 12}


def test_no_forecast_is_shown_with_the_reason_and_moves_the_figures_only() -> None:
    """A pool that wants none has no such entry."""
    web = pool(scaling={"predictive": {"mode": "observe"}})
    seen = settled(web, 0, samples=(sample(0),), forecast=Forecast(why="jobs are counted for 5 h", error=500.0))
    before, after = status_of(replace(seen, forecast=None)), status_of(seen)
    assert after.scaling is not None
    assert after.scaling.predictive is not None
    assert after.scaling.predictive.to_json() == {
        "mode": "observe",
        "errorPercent": 10_000,
        "message": "jobs are counted for 5 h",
    }
    assert write_after(before, after) == QUIET_WRITE_SECONDS
    plain = status_of(settled(pool(), 0, samples=(sample(0),), forecast=Forecast(rate=1.0))).scaling
    assert plain is not None
    assert plain.predictive is None


def test_the_surge_of_a_change_of_version_is_not_shown_as_size() -> None:
    status = status_of(takeover())
    assert (status.replicas, status.ready_replicas) == (3, 4)


def test_workers_that_were_told_to_stop_are_counted_while_they_are_heard() -> None:
    reports = {"a": report("a", draining=True), "b": report("b"), "c": report("c", draining=True, connected=False)}
    assert status_of(settled(pool(), 3, samples=(sample(60),), reports=reports)).draining_replicas == 1


def test_versions_come_with_their_image_role_and_jobs_the_wanted_one_first() -> None:
    old, new = desired.revision_for(OLD), desired.revision_for(NEW)
    reports = {
        "a": report("a", in_flight=2, version=old.version),
        "b": report("b", in_flight=3, version=old.version),
        "c": report("c", in_flight=4, version=new.version),
    }
    versions = status_of(takeover(reports=reports)).versions
    assert [(v.hash, v.revision, v.image, v.role) for v in versions] == [
        (new.version, new.revision, "web:2", "stable"),
        (old.version, old.revision, "web:1", "draining"),
    ]
    assert [(v.replicas, v.ready_replicas, v.in_flight) for v in versions] == [(1, 1, 4), (3, 3, 5)]


def test_nobody_drains_when_it_is_not_known_who_would_take_over(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = settled(OLD, 3, samples=(sample(60),))

    def refuse(_: object) -> None:
        raise desired.RenderError("the name is too long")

    monkeypatch.setattr(desired, "revision_for", refuse)
    assert [version.role for version in status_of(seen).versions] == ["stable"]


def test_each_queue_is_shown_as_it_was_last_read() -> None:
    names = ("read", "stale", "failed", "unknown")
    web = pool(queues=[{"name": name, "redisStream": STREAM} for name in names])
    samples = (
        replace(sample(7, 2, age=4.0), queue="read", oldest_age=12.6),
        replace(sample(9, age=60.0), queue="stale"),
    )
    errors = {"failed": (Reason.UNREACHABLE, "connection refused")}
    queues = status_of(settled(web, 0, samples=samples, errors=errors)).queues
    assert [(queue.name, queue.reachable) for queue in queues] == list(
        zip(names, (True, False, False, None), strict=True)
    )
    assert [(queue.depth, queue.in_flight) for queue in queues] == [(7, 2), (None, None), (None, None), (None, None)]
    assert queues[0].oldest_age_seconds == 13
    assert queues[0].sample_time == WALL - timedelta(seconds=4)


def test_the_age_of_the_oldest_job_is_left_out_where_the_broker_does_not_tell_it() -> None:
    assert status_of(settled(pool(), 1, samples=(sample(1),))).queues[0].oldest_age_seconds is None


def test_the_depth_is_left_out_while_no_queue_is_known() -> None:
    scaling = status_of(settled(pool(), 3)).scaling
    assert scaling is not None
    assert (scaling.desired, scaling.depth, scaling.reason, scaling.terms) == (3, None, "Held", ())


def test_busy_workers_that_keep_the_size_up_are_named_as_what_limits_it() -> None:
    web = pool()
    name = desired.revision_for(web).name
    pod = Pod(name="a", uid="a", deployment=name, assigned=True, pending=False, ready=True, created="2026")
    other = replace(pod, name="b", uid="b")
    seen = settled(
        web,
        2,
        samples=(sample(0, 2),),
        pods=PodList(active=(pod, other)),
        reports={uid: report(uid, in_flight=1) for uid in ("a", "b")},
    )
    scaling = status_of(seen).scaling
    assert scaling is not None
    assert scaling.limited_by == ("busy",)


def test_the_time_of_the_last_change_of_size_is_kept_while_the_size_is() -> None:
    before = {"scaling": {"desired": 3, "mode": "direct", "lastScaleTime": EARLIER.isoformat()}}
    web = pool(status=before)
    same = status_of(settled(web, 3, samples=(sample(60),))).scaling
    other = status_of(settled(web, 3, samples=(sample(100),))).scaling
    assert same is not None
    assert other is not None
    assert (same.last_scale_time, other.last_scale_time) == (EARLIER, WALL)


# A new leader


def test_a_new_leader_leaves_what_was_said_of_queues_and_size_until_it_hears_of_them() -> None:
    before = settled(pool(), 3, samples=(sample(50, 10),))
    written = status_of(before)
    young = replace(
        after(written, before), samples=(), memory=memory(history=History(since=NOW, active_at=NOW)), collectors=0
    )
    assert write_after(written, status_of(young)) is None
    late = replace(young, now=NOW + 45)
    assert write_after(written, status_of(late)) == 0.0


def test_a_new_leader_says_at_once_which_queue_it_hears_that_cannot_be_read() -> None:
    written = status_of(settled(pool(), 3, samples=(sample(60),)))
    of = pool().changed(status=written)
    young = settled(
        of,
        3,
        errors={"main": (Reason.UNREACHABLE, "connection refused")},
        memory=memory(history=History(since=NOW, active_at=NOW)),
    )
    assert [queue.reachable for queue in status_of(young).queues] == [False]


def test_a_new_leader_that_holds_another_size_than_the_last_says_so() -> None:
    written = status_of(settled(pool(), 3, samples=(sample(60),)))
    of = pool().changed(status=written)
    young = settled(of, 4, memory=memory(history=History(since=NOW, active_at=NOW)))
    scaling = status_of(young).scaling
    assert scaling is not None
    assert (scaling.desired, scaling.reason) == (4, "Held")


def test_the_first_leader_of_a_pool_has_nothing_to_repeat() -> None:
    young = snapshot(pool(), memory=memory(history=History(since=NOW, active_at=NOW)), collectors=0)
    status = status_of(young)
    assert [(queue.name, queue.reachable) for queue in status.queues] == [("main", None)]
    assert status.scaling is not None
    assert status.scaling.reason == "Held"


# When it is worth a write


def test_the_same_situation_is_no_change_however_much_time_goes_by() -> None:
    seen = settled(pool(), 3, samples=(replace(sample(60), oldest_age=3.0),))
    written = status_of(seen)
    later = replace(
        after(written, seen), samples=(replace(sample(60), oldest_age=9.0),), wall_time=WALL + timedelta(seconds=6)
    )
    assert write_after(written, status_of(later)) is None


@pytest.mark.parametrize(
    "other",
    [
        {"samples": (sample(59),)},
        {"samples": (sample(59, 1),)},
        {"reports": {"a": report("a", draining=True)}},
        {"reports": {"a": report("a", in_flight=1, version=desired.revision_for(OLD).version)}},
    ],
    ids=["depth", "in-flight", "draining", "jobs-of-a-version"],
)
def test_a_figure_that_moves_can_wait(other: dict[str, Any]) -> None:
    seen = settled(pool(), 3, samples=(sample(60),))
    written = status_of(seen)
    assert write_after(written, status_of(replace(after(written, seen), **other))) == QUIET_WRITE_SECONDS


def test_jobs_that_move_from_one_queue_to_another_can_wait() -> None:
    web = pool(queues=[{"name": name, "redisStream": STREAM} for name in ("a", "b")])

    def reading(a: int, b: int) -> Snapshot:
        return settled(web, 3, samples=(replace(sample(a), queue="a"), replace(sample(b), queue="b")))

    assert write_after(status_of(reading(40, 20)), status_of(reading(20, 40))) == QUIET_WRITE_SECONDS


def test_other_words_for_the_same_reason_can_wait() -> None:
    seen = settled(pool(), 0, samples=(sample(0),))
    written = status_of(seen, refusals=(Refusal(reason=Reason.FORBIDDEN, message="no"),))
    reworded = status_of(after(written, seen), refusals=(Refusal(reason=Reason.FORBIDDEN, message="still no"),))
    assert write_after(written, reworded) == QUIET_WRITE_SECONDS


@pytest.mark.parametrize(
    "other",
    [
        {"samples": (sample(61),)},
        {"deployments": deployment(OLD, 3, ready=2)},
        {"deployments": deployment(OLD, 4), "memory": memory(pods_listed_at=NOW)},
        {"samples": (sample(60, age=60.0),)},
        {"errors": {"main": (Reason.UNREACHABLE, "no")}, "samples": ()},
        {"pool": pool(generation=2)},
        {"pool": pool(scaling={"mode": "manual"}, replicas=3)},
    ],
    ids=["wanted", "ready", "size", "stale", "unreachable", "generation", "mode"],
)
def test_a_decision_or_a_condition_that_changes_is_written_at_once(other: dict[str, Any]) -> None:
    seen = settled(pool(), 3, samples=(sample(60),))
    written = status_of(seen)
    assert write_after(written, status_of(after(written, replace(seen, **other)))) == 0.0


@pytest.mark.parametrize(
    "now",
    [
        {"deployments": deployment(OLD, 3, ready=2)},
        {"deployments": deployment(OLD, 3, ready=2), "samples": (sample(59),)},
    ],
    ids=["ready", "ready-with-figures"],
)
def test_how_many_workers_there_are_can_wait_for_a_second(now: dict[str, Any]) -> None:
    """While it is as it was said to be: workers start."""
    seen = settled(pool(), 3, samples=(sample(60),), deployments=deployment(OLD, 3, ready=1))
    written = status_of(seen)
    assert write_after(written, status_of(after(written, replace(seen, **now)))) == COUNT_WRITE_SECONDS


def test_the_first_status_is_written_at_once() -> None:
    seen = settled(pool(), 0, samples=(sample(0),))
    assert write_after(seen.pool.status, status_of(seen)) == 0.0


def test_two_statuses_without_a_size_are_the_same() -> None:
    assert write_after(WorkerPoolStatus(), WorkerPoolStatus()) is None

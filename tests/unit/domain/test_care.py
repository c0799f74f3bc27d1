"""A stuck worker is fenced, has its time, is deleted, and another takes its place: by what is observed at each look."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.unit.domain.builders import NOW, memory, pool, reporting, sample, settled
from workerpool_operator.api import Condition, ConditionStatus, ConditionType, Reason, WorkerPoolStatus, find
from workerpool_operator.domain import desired, status
from workerpool_operator.domain.objects import Delete
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.scaling import Pod, Report
from workerpool_operator.domain.snapshot import Memory, PodList, Snapshot
from workerpool_operator.domain.stuck import Conduct, Reading, Restarts, Waiting, Word
from workerpool_operator.domain.stuck.restart import FUTILE_SECONDS

AFTER = 45.0
WEB = pool(scaling={"mode": "manual"}, replicas=3)
SETTLED = memory(restarts=Restarts(settled=True))


def conduct(now: float, *, stuck: bool, fenced: bool = False, since: float = 0.0) -> Conduct:
    word = Word(boot_id="x", taken=9, full=not stuck, fenced=fenced)
    if stuck:
        return Conduct(since=since, heard_at=now, last=word, idle=2 * AFTER + 1)
    return Conduct(since=since, heard_at=now, last=word, moved_at=now, full_at=now)


@dataclass
class Pool:
    """Three workers of which some are stuck, as they are looked at one time after another."""

    stuck: Iterable[str] = ("b",)
    memory: Memory = SETTLED
    now: float = NOW
    in_flight: dict[str, int] = field(default_factory=dict)
    remaining: float | None = None
    fence: dict[str, str] = field(default_factory=dict)
    """Uid -> the fence that the worker has reported."""
    gone: set[str] = field(default_factory=set)
    """Uids of pods that are being deleted."""
    size: int = 3
    status: Mapping[str, Any] = field(default_factory=dict)
    waiting_since: float = 0.0
    uids: tuple[str, ...] = ("a", "b", "c")

    def snapshot(self, *, listed: bool) -> Snapshot:
        of = WEB
        reports = {uid: self._report(uid) for uid in self.uids}
        conducts = {
            uid: conduct(self.now, stuck=uid in self.stuck, fenced=bool(self.fence.get(uid))) for uid in self.uids
        }
        reading = Reading(waiting=7, arrivals=None, holds_seconds=5.0)
        made = settled(
            of,
            self.size,
            samples=(sample(7),),
            reports=reports,
            conducts=conducts,
            waiting={"main": Waiting(read_at=self.now, last=reading, since=self.waiting_since)},
            memory=self.memory,
            now=self.now,
            pods=self._pods() if listed else None,
        )
        return replace(made, deployments=reporting(made.deployments, **self.status))

    def look(self, *, seconds: float = 1.0) -> Plan:
        """One look: with the pods listed where the plan asks for it."""
        self.now += seconds
        made = plan(self.snapshot(listed=False))
        if made.wants_pods:
            made = plan(self.snapshot(listed=True))
        self.memory = made.memory
        return made

    def status_after(self, made: Plan) -> WorkerPoolStatus:
        return status.build(self.snapshot(listed=False), made, refusals=())

    def _report(self, uid: str) -> Report:
        jobs = self.in_flight.get(uid, 0)
        return Report(
            uid=uid,
            age=0.0,
            in_flight=jobs,
            fence=self.fence.get(uid, ""),
            fenceable=True,
            connected=True,
            remaining=self.remaining if jobs else 0.0,
            pod=f"web-{uid}",
        )

    def _pods(self) -> PodList:
        name = desired.revision_for(WEB).name
        pods = [
            Pod(name=f"web-{u}", uid=u, deployment=name, assigned=True, pending=False, ready=True, created="2026")
            for u in self.uids
        ]
        active = tuple(pod for pod in pods if pod.uid not in self.gone)
        return PodList(active=active, terminating=frozenset(self.gone))


def fenced(made: Plan) -> set[str]:
    return set(made.fence.pods) if made.fence else set()


def stalled(found: WorkerPoolStatus) -> Condition:
    condition = find(found.conditions, ConditionType.STALLED)
    assert condition is not None
    return condition


DELETED = (Delete(kind="Pod", name="web-b", uid="b"),)


def test_a_healthy_pool_is_left_alone_and_its_pods_are_not_listed() -> None:
    made = plan(Pool(stuck=()).snapshot(listed=False))
    assert (made.wants_pods, made.fence, made.deletes, made.care.stage) == (False, None, (), None)


def test_a_stuck_worker_is_fenced_first_and_deleted_when_it_has_answered() -> None:
    web = Pool()
    first = web.look()
    assert (fenced(first), first.deletes) == ({"b"}, ())
    assert first.fence is not None
    web.fence["b"] = first.fence.fence_id
    second = web.look()
    assert (fenced(second), second.deletes, second.restarted) == ({"b"}, DELETED, "web-b")
    assert second.marks == ()
    assert second.scaled == ()


def test_a_leader_that_died_after_the_deletion_waits_before_it_restarts_anyone() -> None:
    web = Pool(stuck=("b", "c"), memory=memory(), gone={"b"})
    made = web.look()
    assert (made.fence, made.deletes) == (None, ())
    assert made.look_again is not None


def test_a_leader_that_died_before_the_deletion_does_it_all_again() -> None:
    web = Pool(memory=memory())
    assert web.look().fence is None
    first = web.look(seconds=AFTER + 15)
    assert fenced(first) == {"b"}
    assert first.fence is not None
    web.fence["b"] = first.fence.fence_id
    assert web.look().deletes == DELETED


def test_the_pod_that_is_ending_stays_fenced_and_nobody_else_goes() -> None:
    web = Pool(stuck=("b", "c"))
    web.fence["b"] = f"{web.memory.scale_in.epoch}.1"
    assert web.look().deletes == DELETED
    web.gone = {"b"}
    for _ in range(5):
        made = web.look(seconds=6.0)
        assert (fenced(made) <= {"b"}, made.deletes) == (True, ())
    assert made.care.findings.stuck == {"c"}


def test_the_next_goes_when_the_replacement_has_been_ready_for_its_time() -> None:
    web = Pool(stuck=("b", "c"))
    web.fence["b"] = f"{web.memory.scale_in.epoch}.1"
    assert web.look().deletes == DELETED
    web.gone, web.status = {"b"}, {"readyReplicas": 2}
    assert web.look(seconds=200).deletes == ()
    web.gone, web.uids, web.stuck, web.status = set(), ("a", "c", "d"), ("c",), {}
    assert fenced(web.look()) == set()
    assert fenced(web.look(seconds=AFTER + 14)) == set()
    assert fenced(web.look(seconds=2)) == {"c"}


def test_a_worker_whose_deletion_was_refused_is_deleted_again() -> None:
    """No more is known of it than that it is still there when it should have ended."""
    web = Pool()
    web.fence["b"] = f"{web.memory.scale_in.epoch}.1"
    assert web.look().deletes == DELETED
    assert web.look(seconds=30).care.stage is None
    deleted = [web.look(seconds=10).deletes for _ in range(16)]
    assert [one for one in deleted if one] == [DELETED]


def test_a_stuck_worker_with_a_job_that_may_last_is_waited_for() -> None:
    web = Pool(in_flight={"b": 1})
    first = web.look()
    assert first.fence is not None
    web.fence["b"] = first.fence.fence_id
    assert web.look(seconds=10 * AFTER).deletes == ()
    web.in_flight = {}
    assert web.look().deletes == DELETED


def test_a_stuck_worker_whose_job_ends_within_the_drain_goes() -> None:
    web = Pool(in_flight={"b": 1}, remaining=30.0)
    first = web.look()
    assert first.fence is not None
    web.fence["b"] = first.fence.fence_id
    assert web.look().deletes == DELETED


def test_a_worker_that_cannot_answer_its_fence_goes_after_the_limit() -> None:
    """Its intake hangs inside a take, so the gate never closes: that is what it is restarted for."""
    web = Pool()
    web.look()
    assert web.look(seconds=AFTER - 1).deletes == ()
    assert web.look(seconds=1).deletes == DELETED


def test_a_worker_that_takes_jobs_again_is_released() -> None:
    web = Pool()
    assert fenced(web.look()) == {"b"}
    web.stuck = ()
    made = web.look()
    assert made.fence is not None
    assert (fenced(made), made.deletes) == (set(), ())
    assert web.memory.restarts.chosen == ""


def test_while_a_worker_is_missing_nobody_is_restarted() -> None:
    web = Pool(status={"readyReplicas": 2})
    assert web.look(seconds=20).fence is None


def test_while_a_lowered_deployment_sheds_its_pods_nobody_is_restarted() -> None:
    web = Pool(status={"replicas": 4})
    assert fenced(web.look()) == set()


def test_a_surplus_worker_that_is_stuck_goes_by_scale_in() -> None:
    """One is too many anyway: the idle one goes, and is not replaced."""
    web = Pool(size=4, uids=("a", "b", "c", "d"), in_flight={"a": 1, "c": 1, "d": 1})
    first = web.look()
    assert first.fence is not None
    web.fence["b"] = first.fence.fence_id
    second = web.look()
    assert ([mark.pod for mark in second.marks], second.deletes) == (["web-b"], ())


def test_a_worker_whose_pod_the_collector_does_not_know_any_more_is_not_stuck() -> None:
    made = plan(replace(Pool().snapshot(listed=False), reports={}))
    assert made.care.stage is None


def test_a_queue_that_is_no_longer_the_pools_proves_nothing() -> None:
    found = Pool().snapshot(listed=False)
    assert plan(replace(found, waiting={"former": found.waiting["main"]})).care.stage is None


# What people see


def test_the_condition_names_the_workers_and_what_is_being_done() -> None:
    web = Pool()
    condition = stalled(web.status_after(web.look()))
    assert (condition.status, condition.reason) == (ConditionStatus.TRUE, Reason.WORKERS_STUCK)
    assert condition.message == (
        "1 of 3 workers take no job although 7 wait: web-b; one is restarted as soon as it has no job"
    )


def test_where_all_are_stuck_one_is_restarted_and_the_condition_says_when_that_did_not_help() -> None:
    web = Pool(stuck=("a", "b", "c"))
    web.fence = dict.fromkeys("abc", f"{web.memory.scale_in.epoch}.1")
    first = web.look()
    assert len(first.deletes) == 1
    assert stalled(web.status_after(first)).reason == Reason.ALL_WORKERS_STUCK
    for _ in range(3):
        made = web.look(seconds=AFTER + 15)
        assert made.deletes == ()
    condition = stalled(web.status_after(made))
    assert "has not helped" in condition.message
    assert fenced(web.look(seconds=FUTILE_SECONDS)) != set()


def test_many_stuck_workers_are_not_all_named() -> None:
    names = tuple("abcdefgh")
    web = Pool(stuck=names[1:], uids=names, memory=memory())
    assert "web-b, web-c, web-d, web-e, web-f, ...;" in stalled(web.status_after(web.look())).message


def test_one_event_tells_of_the_trouble_one_of_each_restart_and_one_of_the_end() -> None:
    web = Pool()
    made = web.look()
    first = web.status_after(made)
    quiet = web.snapshot(listed=False)
    told = status.announcements(quiet, made, first)
    assert [(one.reason, one.warning) for one in told if one.reason == Reason.WORKERS_STUCK] == [
        (Reason.WORKERS_STUCK, True)
    ]
    again = replace(quiet, pool=quiet.pool.changed(status=first))
    assert [one.reason for one in status.announcements(again, made, first)] == []
    web.fence["b"] = made.fence.fence_id if made.fence else ""
    restarting = web.look()
    assert [one.reason for one in status.announcements(again, restarting, first)] == [Reason.WORKER_RESTARTED]
    web.stuck = ()
    after = web.look()
    ended = status.announcements(again, after, web.status_after(after))
    assert [(one.reason, one.warning) for one in ended] == [(Reason.NOT_STALLED, False)]

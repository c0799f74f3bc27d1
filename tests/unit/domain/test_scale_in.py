"""Workers go without a job being interrupted, whatever the order of events."""

from collections.abc import Sequence
from dataclasses import replace

from workerpool_operator.domain.scaling import (
    DELETION_COST,
    Pod,
    Report,
    ScaleInMemory,
    ScaleInStep,
    Sizing,
    judge,
    step,
)
from workerpool_operator.domain.scaling.workers import Worker

DRAIN = 60.0


def pod(name: str, *, ready: bool = True, cost: int = 0, created: str = "2026-01-01T00:00:00Z", **more: object) -> Pod:
    base = Pod(
        name=name, uid=name, deployment="web", assigned=True, pending=False, ready=ready, created=created, cost=cost
    )
    return replace(base, **more)  # type: ignore[arg-type]


def report(name: str, in_flight: int = 0, *, fence: str = "", age: float = 0.0, **more: object) -> Report:
    remaining = None if in_flight else 0.0
    base = Report(
        uid=name, age=age, in_flight=in_flight, fence=fence, fenceable=True, connected=True, remaining=remaining
    )
    return replace(base, **more)  # type: ignore[arg-type]


def workers(*pairs: tuple[Pod, Report | None]) -> list[Worker]:
    return [judge(one, said, drain_seconds=DRAIN) for one, said in pairs]


def shrink(
    found: Sequence[Worker], *, remove: int, memory: ScaleInMemory | None = None, now: float = 100.0, replicas: int = -1
) -> ScaleInStep:
    size = Sizing(deployment="web", replicas=len(found) if replicas < 0 else replicas, remove=remove)
    return step(sizes=[size], workers=found, memory=memory or ScaleInMemory(epoch=7), now=now)


def test_idle_workers_are_fenced_first_and_nothing_is_marked_before_they_answer() -> None:
    found = workers((pod("a"), report("a", 3)), (pod("b"), report("b")), (pod("c"), report("c", 1)))
    first = shrink(found, remove=1)
    assert first.fence == {"b"}
    assert (first.mark, dict(first.lower)) == ((), {})


def test_a_fenced_idle_worker_is_marked_then_given_time_and_then_the_deployment_is_lowered() -> None:
    first = shrink(workers((pod("a"), report("a")), (pod("b"), report("b", 2))), remove=1)
    fence = first.memory.fence_id
    answered = workers((pod("a"), report("a", fence=fence)), (pod("b"), report("b", 2)))
    second = shrink(answered, remove=1, memory=first.memory, now=100.1)
    assert [worker.pod.name for worker, _ in second.mark] == ["a"]
    assert not second.lower
    marked = workers((pod("a", cost=DELETION_COST), report("a", fence=fence)), (pod("b"), report("b", 2)))
    third = shrink(marked, remove=1, memory=second.memory, now=100.5)
    assert not third.lower
    assert third.look_again is not None
    fourth = shrink(marked, remove=1, memory=third.memory, now=101.2)
    assert dict(fourth.lower) == {"web": 1}


def test_where_all_of_a_deployment_go_nobody_is_marked_and_nobody_waits() -> None:
    """The ReplicaSet controller has nothing to choose among."""
    first = shrink(workers((pod("a"), report("a")), (pod("b"), report("b"))), remove=2)
    fence = first.memory.fence_id
    one = workers((pod("a"), report("a", fence=fence)), (pod("b"), report("b")))
    assert not shrink(one, remove=2, memory=first.memory).lower, "b has not answered yet"
    both = workers((pod("a"), report("a", fence=fence)), (pod("b"), report("b", fence=fence)))
    second = shrink(both, remove=2, memory=first.memory)
    assert (dict(second.lower), second.mark) == ({"web": 2}, ())
    another = shrink(both, remove=3, memory=first.memory, replicas=3)
    assert dict(another.lower) == {"web": 1}, "one that may be about to start is no part of it"
    after = shrink(both, remove=0, memory=second.memory, replicas=0)
    assert after.fence == {"a", "b"}
    new_leader = shrink(both, remove=0, replicas=0)
    assert new_leader.fence == {"a", "b"}, "who is about to be deleted takes nothing, whoever lowered the Deployment"


def test_a_worker_that_is_being_deleted_stays_fenced_until_it_has_ended() -> None:
    """Its SIGTERM may still be on its way, or never come through: a job taken meanwhile would be cut off."""
    memory = ScaleInMemory(epoch=7, sequence=1, fenced=frozenset({"a", "b"}))
    kept = workers((pod("c"), report("c", 1)))
    size = Sizing(deployment="web", replicas=1)
    gone, deleted = frozenset({"other"}), frozenset({"a", "other"})
    first = step(sizes=[size], workers=kept, memory=memory, now=100.0, terminating=deleted)
    assert first.fence == {"a"}, "b has ended, and nobody fenced the other"
    assert first.memory.fence_id == "7.1"
    assert first.look_again is not None
    second = step(sizes=[size], workers=kept, memory=first.memory, now=105.0, terminating=gone)
    assert second.fence == frozenset()
    assert second.look_again is None


def test_a_mark_that_took_long_to_write_settles_from_when_it_was_written() -> None:
    busy = (pod("b"), report("b", 1))
    first = shrink(workers((pod("a"), report("a")), busy), remove=1)
    answered = workers((pod("a"), report("a", fence=first.memory.fence_id)), busy)
    second = shrink(answered, remove=1, memory=first.memory, now=100.0)
    memory = second.memory.marks_written(104.0)
    marked = workers((pod("a", cost=DELETION_COST), report("a", fence=memory.fence_id)), busy)
    assert not shrink(marked, remove=1, memory=memory, now=104.5).lower
    assert shrink(marked, remove=1, memory=memory, now=105.0).lower


def test_a_busy_worker_without_declared_timeouts_is_never_lowered() -> None:
    memory = ScaleInMemory(epoch=7)
    for now in range(100, 200):
        busy = workers((pod("a"), report("a", 1, fence=memory.fence_id)))
        now_step = shrink(busy, remove=1, memory=memory, now=float(now))
        memory = now_step.memory
        assert not now_step.lower
        assert not now_step.mark
        assert now_step.waiting_for == 1


def test_a_busy_worker_may_go_when_its_jobs_end_within_the_drain() -> None:
    first = shrink(workers((pod("a"), report("a", 2, remaining=30.0))), remove=1)
    said = report("a", 2, remaining=29.0, fence=first.memory.fence_id)
    assert shrink(workers((pod("a"), said)), remove=1, memory=first.memory).mark
    longer = report("a", 2, remaining=61.0, fence=first.memory.fence_id)
    assert not shrink(workers((pod("a"), longer)), remove=1, memory=first.memory).mark


def test_an_answer_to_an_older_fence_proves_nothing() -> None:
    first = shrink(workers((pod("a"), report("a")), (pod("b"), report("b", 1))), remove=1)
    released = shrink(workers((pod("a"), report("a", fence="7.1"))), remove=0, memory=first.memory)
    again = shrink(workers((pod("a"), report("a", fence="7.1"))), remove=1, memory=released.memory)
    assert again.memory.fence_id == "7.2"
    assert not again.mark


def test_silent_or_disconnected_workers_are_unknown_and_stay() -> None:
    for said in (report("a", age=16.0), report("a", connected=False), None):
        first = shrink(workers((pod("a"), said)), remove=1)
        second = shrink(workers((pod("a"), said)), remove=1, memory=first.memory, now=110.0)
        assert not second.mark
        assert not second.lower


def test_pods_that_never_started_go_first_and_at_once() -> None:
    starting = pod("new", ready=False, pending=True, assigned=False)
    found = workers((pod("a"), report("a")), (starting, None))
    first = shrink(found, remove=1)
    assert [worker.pod.name for worker, _ in first.mark] == ["new"]
    assert "new" not in first.fence


def test_a_busy_worker_that_is_not_ready_blocks_because_kubernetes_would_take_it_first() -> None:
    fence = ScaleInMemory(epoch=7, sequence=1, fenced=frozenset({"idle"}))
    idle = (pod("idle", cost=DELETION_COST), report("idle", fence="7.1"))
    ailing = (pod("ailing", ready=False), report("ailing", 4))
    blocked = shrink(workers(idle, ailing), remove=1, memory=replace(fence, marked_at={"idle": 0.0}))
    assert not blocked.lower
    healthy = (pod("ailing"), report("ailing", 4))
    assert shrink(workers(idle, healthy), remove=1, memory=replace(fence, marked_at={"idle": 0.0})).lower


def test_a_mark_left_by_an_earlier_leader_counts_from_now_on() -> None:
    busy = (pod("b"), report("b", 1))
    first = shrink(workers((pod("a", cost=DELETION_COST), report("a")), busy), remove=1)
    fenced = workers((pod("a", cost=DELETION_COST), report("a", fence=first.memory.fence_id)), busy)
    second = shrink(fenced, remove=1, memory=first.memory, now=100.2)
    assert not second.lower
    assert shrink(fenced, remove=1, memory=second.memory, now=101.3).lower


def test_marks_and_fences_are_taken_back_when_nobody_has_to_go() -> None:
    memory = ScaleInMemory(epoch=7, sequence=1, fenced=frozenset({"a"}))
    found = workers((pod("a", cost=DELETION_COST), report("a", fence="7.1")))
    released = shrink(found, remove=0, memory=memory)
    assert released.fence == frozenset()
    assert [worker.pod.name for worker in released.unmark] == ["a"]


def test_workers_about_to_be_deleted_stay_fenced_even_when_more_are_wanted_again() -> None:
    found = workers((pod("a", cost=DELETION_COST), report("a", fence="7.1")), (pod("b"), report("b", 1)))
    memory = ScaleInMemory(epoch=7, sequence=1, fenced=frozenset({"a"}), marked_at={"a": 0.0})
    lowered = shrink(found, remove=1, memory=memory)
    assert dict(lowered.lower) == {"web": 1}
    after = shrink(found, remove=0, memory=lowered.memory, replicas=1)
    assert "a" in after.fence
    assert not after.unmark


def test_pods_that_are_asked_for_and_do_not_exist_cost_nobody() -> None:
    found = workers((pod("a"), report("a", 5)))
    assert dict(shrink(found, remove=9, replicas=10).lower) == {"web": 9}


def test_another_worker_gone_than_the_one_chosen_is_counted() -> None:
    memory = ScaleInMemory(epoch=7, sequence=1, fenced=frozenset({"a"}), marked_at={"a": 0.0})
    found = workers((pod("a", cost=DELETION_COST), report("a", fence="7.1")), (pod("b"), report("b", 1)))
    lowered = shrink(found, remove=1, memory=memory)
    right = shrink(workers((pod("b"), report("b", 1))), remove=0, memory=lowered.memory)
    wrong = shrink(workers((pod("a", cost=DELETION_COST), report("a"))), remove=0, memory=lowered.memory)
    assert (right.mistaken, wrong.mistaken) == (0, 1)


def test_one_that_is_marked_in_the_step_that_lowers_may_go_in_the_others_stead() -> None:
    """The ReplicaSet controller may see the new mark before it deletes anybody; both have nothing to lose."""
    memory = ScaleInMemory(epoch=7, sequence=1, fenced=frozenset({"a", "b"}), marked_at={"a": 0.0})
    settled, fresh, busy = (
        (pod("a", cost=DELETION_COST), report("a", fence="7.1")),
        (pod("b"), report("b", fence="7.1")),
        (pod("c"), report("c", 1)),
    )
    lowered = shrink(workers(settled, fresh, busy), remove=2, memory=memory)
    assert [worker.pod.name for worker, _ in lowered.mark] == ["b"]
    assert dict(lowered.lower) == {"web": 1}
    instead = shrink(workers(settled, busy), remove=1, memory=lowered.memory)
    mistaken = shrink(workers(settled, fresh), remove=1, memory=lowered.memory)
    assert (instead.mistaken, mistaken.mistaken) == (0, 1)


def test_a_lowering_that_did_not_come_about_is_no_mistake_and_is_tried_again() -> None:
    memory = ScaleInMemory(epoch=7, sequence=1, fenced=frozenset({"a"}), marked_at={"a": 0.0})
    found = workers((pod("a", cost=DELETION_COST), report("a", fence="7.1")), (pod("b"), report("b", 1)))
    refused = shrink(found, remove=1, memory=memory)
    assert refused.memory.lowered
    again = shrink(found, remove=1, memory=refused.memory)
    assert (again.mistaken, dict(again.lower)) == (0, {"web": 1})
    assert len(again.memory.lowered) == 1


def test_a_worker_that_cannot_be_fenced_is_taken_on_its_last_word_after_a_fresh_reading() -> None:
    bare = report("a", fenceable=False)
    first = shrink(workers((pod("a"), bare)), remove=1)
    assert first.read_now
    assert [worker.pod.name for worker, _ in first.mark] == ["a"]

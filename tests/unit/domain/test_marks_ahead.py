"""Workers without a job are marked before they have to go, so that they need not wait for their marks then."""

from collections.abc import Sequence
from dataclasses import replace

from tests.unit.domain.builders import NOW, deployment, memory, pool, sample, settled
from tests.unit.domain.test_scale_in import pod, report, workers
from workerpool_operator.domain.ebbing import AHEAD_SECONDS
from workerpool_operator.domain.plan import Mark, Plan, plan
from workerpool_operator.domain.scaling import (
    DELETION_COST,
    Ebb,
    History,
    Report,
    ScaleInMemory,
    ScaleInStep,
    Sizing,
    step,
)
from workerpool_operator.domain.scaling.workers import SOON_COSTS, Worker
from workerpool_operator.domain.snapshot import PodList

SOON = SOON_COSTS[0]


def look(
    found: Sequence[Worker],
    *,
    remove: int = 0,
    ebb: int = 0,
    whole: bool = False,
    memory: ScaleInMemory | None = None,
    now: float = 100.0,
    replicas: int = -1,
) -> ScaleInStep:
    size = len(found) if replicas < 0 else replicas
    sizing = Sizing(deployment="web", replicas=size, remove=remove, ebb=Ebb(count=ebb, whole=whole))
    return step(sizes=[sizing], workers=found, memory=memory or ScaleInMemory(epoch=7), now=now)


def idle(*costs: int, fence: str = "") -> list[Worker]:
    """Idle workers a, b, c and so on."""
    names = "abcdefgh"[: len(costs)]
    return workers(
        *((pod(name, cost=cost), report(name, fence=fence)) for name, cost in zip(names, costs, strict=True))
    )


def written(todo: ScaleInStep) -> dict[str, int]:
    return {worker.pod.name: cost for worker, cost in todo.mark}


def test_who_was_marked_ahead_goes_as_soon_as_the_fence_is_answered() -> None:
    """Each has a cost of its own, lower the sooner it goes; nobody is fenced for that."""
    ahead = look(idle(0, 0, 0), ebb=2)
    assert written(ahead) == {"a": SOON, "b": SOON + 1}
    assert (ahead.fence, dict(ahead.lower)) == (frozenset(), {})
    due = look(idle(SOON, SOON + 1, 0), remove=1, ebb=1, memory=ahead.memory, now=101.2)
    assert due.fence == {"a"}
    assert (due.unmark, due.mark, dict(due.lower)) == ((), (), {})
    answered = workers(
        (pod("a", cost=SOON), report("a", fence=due.memory.fence_id)),
        (pod("b", cost=SOON + 1), report("b")),
        (pod("c"), report("c")),
    )
    gone = look(answered, remove=1, ebb=1, memory=due.memory, now=101.3)
    assert (dict(gone.lower), gone.mark, gone.unmark) == ({"web": 1}, (), ())


def test_a_mark_ahead_that_is_too_fresh_settles_first() -> None:
    """It counts from when it was written, as any other."""
    ahead = look(idle(0, 0), ebb=1)
    fence = look(idle(SOON, 0), remove=1, memory=ahead.memory, now=100.3).memory
    answered = idle(SOON, 0, fence=fence.fence_id)
    assert not look(answered, remove=1, memory=fence, now=100.4).lower
    assert look(answered, remove=1, memory=fence, now=101.1).lower


def test_only_idle_workers_that_listen_are_marked_ahead() -> None:
    """Not one with a job, one that is not known, or one that takes no orders."""
    found = workers(
        (pod("a"), report("a", 1)),
        (pod("b"), None),
        (pod("c"), report("c", fenceable=False)),
        (pod("d"), report("d")),
    )
    assert written(look(found, ebb=4)) == {"d": SOON}


def test_one_that_gets_a_job_loses_its_mark_and_nobody_goes_until_that_is_seen() -> None:
    ahead = look(idle(0, 0), ebb=1)
    found = workers((pod("a", cost=SOON), report("a", 1)), (pod("b"), report("b")))
    back = look(found, remove=1, memory=ahead.memory, now=105.0)
    assert [worker.pod.name for worker in back.unmark] == ["a"]
    fence = back.memory.fence_id
    found = workers((pod("a"), report("a", 1)), (pod("b", cost=DELETION_COST), report("b", fence=fence)))
    marked = look(found, remove=1, memory=replace(back.memory, marked_at={"b": 0.0}), now=105.5)
    assert not marked.lower
    assert look(found, remove=1, memory=marked.memory, now=106.1).lower


def test_who_goes_behind_another_mark_is_marked_anew() -> None:
    """The ReplicaSet controller would take the other one in its stead."""
    memory = ScaleInMemory(epoch=7, sequence=1, fenced=frozenset("b"), marked_at={"a": 0.0, "b": 0.0})
    found = workers(
        (pod("a", cost=SOON, created="2026-01-01T00:00:00Z"), report("a")),
        (pod("b", cost=SOON + 1, created="2026-01-02T00:00:00Z"), report("b", fence="7.1")),
    )
    todo = look(found, remove=1, ebb=1, memory=memory)
    assert written(todo) == {"b": DELETION_COST}
    assert (todo.unmark, dict(todo.lower)) == ((), {})


def test_where_all_go_nobody_is_marked_anew_and_marks_stay() -> None:
    todo = look(idle(SOON, 0), ebb=2, whole=True, memory=ScaleInMemory(epoch=7, marked_at={"a": 90.0}))
    assert (todo.mark, todo.unmark) == ((), ())


def test_marks_ahead_go_when_nobody_is_to_follow_any_more() -> None:
    memory = ScaleInMemory(epoch=7, marked_at={"a": 90.0})
    back = look(idle(SOON, 0), memory=memory)
    assert [worker.pod.name for worker in back.unmark] == ["a"]
    assert back.memory.marked_at, "until it is seen to be gone"
    assert not look(idle(0, 0), memory=back.memory).memory.marked_at


def test_marks_ahead_outlast_the_moment_in_which_others_are_deleted() -> None:
    """The Deployment is lowered and its pods are still there; the next one in line keeps its mark, unfenced."""
    fence = look(idle(SOON, SOON + 1, 0), remove=1, ebb=1).memory
    answered = idle(SOON, SOON + 1, 0, fence=fence.fence_id)
    lowered = look(answered, remove=1, ebb=1, memory=replace(fence, marked_at={"a": 0.0, "b": 0.0}))
    assert lowered.lower
    shedding = look(answered, ebb=1, memory=lowered.memory, replicas=2)
    assert shedding.unmark == ()
    assert shedding.fence == {"a"}


def test_a_new_leader_takes_a_mark_ahead_for_a_choice_while_pods_are_being_deleted() -> None:
    """It does not know who was chosen: all that are marked take nothing until the pods are gone."""
    todo = look(idle(SOON, SOON + 1, 0), replicas=2)
    assert todo.fence == {"a", "b"}


def test_when_no_cost_is_left_the_others_are_marked_in_their_turn() -> None:
    todo = look(idle(SOON_COSTS[-1], 0), ebb=2, memory=ScaleInMemory(epoch=7, marked_at={"a": 90.0}))
    assert (todo.mark, todo.unmark) == ((), ())


POOL = pool(
    scaling={
        "minReplicas": 1,
        "maxReplicas": 12,
        "targets": {"queueDepthPerReplica": 5},
        "cooldownSeconds": 0,
        "scaleDown": {"stabilizationSeconds": 5},
    }
)
BUSY_UNTIL = NOW - 5.0 + AHEAD_SECONDS
"""Three were wanted until then, and two for a moment more."""


def planned(*, now: float, in_flight: int = 0, pods: bool = True, marked_at: dict[str, float] | None = None) -> Plan:
    """Three idle workers, of which one is wanted."""
    history = History(
        since=0.0, active_at=BUSY_UNTIL, peaks=((BUSY_UNTIL, 3), (BUSY_UNTIL + 0.4, 2), (BUSY_UNTIL + 0.8, 1))
    )
    name = next(iter(deployment(POOL, 3)))
    listed = PodList(active=tuple(pod(uid, deployment=name) for uid in "abc"), terminating=frozenset())
    reports: dict[str, Report] = {uid: report(uid) for uid in "abc"}
    scale_in = ScaleInMemory(epoch=1, marked_at=marked_at or {})
    return plan(
        settled(
            POOL,
            3,
            now=now,
            pods=listed if pods else None,
            reports=reports,
            samples=(sample(0, in_flight),),
            memory=memory(history=history, scale_in=scale_in),
        )
    )


def test_the_pods_are_listed_and_marked_a_moment_before_the_window_ends() -> None:
    """The look before that is so timed, and each worker whose time comes within that moment gets its mark."""
    early = planned(now=NOW - 0.5, pods=False)
    assert not early.wants_pods
    assert early.look_again == 0.5
    assert planned(now=NOW, pods=False).wants_pods
    first = planned(now=NOW)
    assert (first.size, first.marks) == (3, (Mark(pod="a", uid="a", cost=SOON),))
    assert first.fence is None or not first.fence.pods
    assert first.look_again is not None
    assert first.look_again <= 0.4
    both = planned(now=NOW + 0.4)
    assert [mark.cost for mark in both.marks] == [SOON, SOON + 1]


def test_as_long_as_there_is_a_job_nobody_is_marked_ahead() -> None:
    """Who is idle now has it in a moment."""
    assert not planned(now=NOW, in_flight=1, pods=False).wants_pods


def test_marks_that_are_left_over_are_looked_at() -> None:
    """More was wanted again: the pods are listed, and their marks go."""
    assert planned(now=NOW, in_flight=15, pods=False, marked_at={"a": 0.0}).wants_pods

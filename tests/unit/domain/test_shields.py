"""Annotations that keep a busy worker's node: when they go up and down, and how many writes that costs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.domain.builders import pool, sample, settled
from workerpool_operator.domain.plan import plan
from workerpool_operator.domain.scaling import Pod, Report
from workerpool_operator.domain.shields import (
    IDLE_SECONDS,
    INTERVAL_SECONDS,
    MOST_AT_ONCE,
    PODS_FOR_A_WRITE,
    Shield,
    Shielding,
    Shields,
    shield,
)
from workerpool_operator.domain.snapshot import PodList


def worker(uid: str, in_flight: int = 0, **more: Any) -> Report:
    base = Report(uid=uid, pod=f"pod-{uid}", age=0.0, in_flight=in_flight, fence="", fenceable=True, connected=True)
    return replace(base, **more)


def look(
    memory: Shields,
    *workers: Report,
    now: float,
    wanted: bool = True,
    seen: Mapping[str, bool | None] | None = None,
) -> Shielding:
    return shield(memory, {one.uid: one for one in workers}, wanted=wanted, now=now, seen=seen)


def said(seen: Shielding) -> list[tuple[str, bool]]:
    return [(order.uid, order.up) for order in seen.orders]


def test_up_with_the_first_job_and_down_a_minute_after_the_last() -> None:
    busy = look(Shields(), worker("a", 1), now=100.0)
    assert (said(busy), busy.look_again) == ([("a", True)], None)
    again = look(busy.memory, worker("a", 3), now=105.0)
    assert said(again) == []
    idle = look(again.memory, worker("a"), now=110.0)
    assert (said(idle), idle.look_again) == ([], IDLE_SECONDS)
    between = look(idle.memory, worker("a", 1), now=150.0)
    late = look(look(between.memory, worker("a"), now=160.0).memory, worker("a"), now=160.0 + IDLE_SECONDS)
    assert said(late) == [("a", False)]
    assert said(look(late.memory, worker("a"), now=999.0)) == []


def test_a_new_leader_looks_at_what_the_one_before_has_left() -> None:
    """It wrote once of every worker before: 20,000 writes after each change of the leader, nearly all for nothing."""
    workers = [worker(uid) for uid in "abcd"]
    first = look(Shields(), *workers, now=0.5)
    assert (said(first), first.look_again, first.wants_pods) == ([], IDLE_SECONDS, False)
    later = 0.5 + IDLE_SECONDS
    assert look(first.memory, *workers, now=later).wants_pods
    then = look(first.memory, *workers, now=later, seen={"a": True, "b": True, "c": False, "d": None})
    assert (said(then), then.wants_pods) == ([("a", False), ("b", False), ("d", False)], False)
    assert said(look(then.memory, *workers, now=later + INTERVAL_SECONDS)) == []


def test_a_new_leader_looks_at_busy_workers_pods_at_once_and_once() -> None:
    """It wrote to each that was busy, though the one before had; who comes later has nothing to look for."""
    workers = [worker(uid, 1) for uid in "ab"]
    assert look(Shields(), *workers, now=0.5).wants_pods
    first = look(Shields(), *workers, now=0.5, seen={"a": True, "b": False})
    assert (said(first), first.wants_pods) == ([("b", True)], False)
    later = look(first.memory, *workers, worker("c", 1), now=9.0)
    assert (said(later), later.wants_pods) == ([("c", True)], False)


def test_what_stands_there_already_is_not_written_again() -> None:
    assert said(look(Shields(), worker("a", 1), now=0.5, seen={"a": True})) == []
    assert said(look(Shields(), worker("a", 1), now=0.5, seen={"a": False})) == [("a", True)]
    off = look(Shields(), worker("a", 1), now=0.5, wanted=False, seen={"a": False})
    assert (said(off), off.wants_pods) == ([], False)


def test_of_a_few_new_ones_among_many_it_is_said_unseen() -> None:
    """Else a pool of a thousand would be listed for each worker that comes."""
    known = Shields(of={f"old-{number}": Shield(up=False) for number in range(PODS_FOR_A_WRITE)})
    workers = [*(worker(uid) for uid in known.of), worker("new")]
    begun = look(known, *workers, now=0.5)
    then = look(begun.memory, *workers, now=0.5 + IDLE_SECONDS)
    assert (said(then), then.wants_pods) == ([("new", False)], False)


def test_of_a_worker_of_which_nothing_fresh_is_known_everything_stays() -> None:
    up = look(Shields(), worker("a", 1), now=100.0)
    for unknown in (
        worker("a", age=60.0),
        worker("a", connected=False),
        worker("a", draining=True),
        worker("a", pod=""),
    ):
        silent = look(up.memory, unknown, now=500.0)
        assert (said(silent), silent.memory.of, silent.look_again) == ([], up.memory.of, None)


def test_who_is_gone_is_forgotten() -> None:
    assert look(look(Shields(), worker("a", 1), now=1.0).memory, now=2.0).memory.of == {}


def test_switched_off_all_go_down_at_once() -> None:
    up = look(Shields(), worker("a", 1), worker("b", 1), now=100.0)
    off = look(up.memory, worker("a", 1), worker("b"), now=101.0, wanted=False)
    assert said(off) == [("a", False), ("b", False)]
    assert look(off.memory, worker("a", 1), worker("b"), now=102.0, wanted=False) == replace(off, orders=())


def test_so_many_at_once_those_that_protect_first() -> None:
    up = look(Shields(), worker("z"), now=0.1, seen={})
    crowd = [worker(f"w{number:02}", 1) for number in range(MOST_AT_ONCE + 5)]
    first = look(up.memory, worker("z"), *crowd, now=0.1 + IDLE_SECONDS)
    assert all(order.up for order in first.orders)
    assert (len(first.orders), first.look_again) == (MOST_AT_ONCE, INTERVAL_SECONDS)
    soon = look(first.memory, worker("z"), *crowd, now=0.6 + IDLE_SECONDS)
    assert said(soon) == []
    assert soon.look_again is not None
    assert 0 < soon.look_again <= INTERVAL_SECONDS
    second = look(soon.memory, worker("z"), *crowd, now=0.2 + IDLE_SECONDS + INTERVAL_SECONDS)
    assert (len(second.orders), said(second)[-1], second.look_again) == (6, ("z", False), None)
    assert not second.wants_pods, "one of many"


def test_a_refused_write_is_made_again() -> None:
    up = look(Shields(), worker("a", 1), worker("b", 1), now=100.0)
    refused = up.memory.without(frozenset("a"))
    assert said(look(refused, worker("a", 1), worker("b", 1), now=102.0)) == [("a", True)]


@given(st.lists(st.tuples(st.floats(0.1, 40.0), st.integers(0, 2)), max_size=60))
def test_a_worker_with_a_job_is_always_protected_for_two_writes_a_minute_at_most(
    steps: list[tuple[float, int]],
) -> None:
    memory, now, up, writes = Shields(), 0.0, False, 0
    for seconds, jobs in steps:
        now += seconds + INTERVAL_SECONDS
        seen = look(memory, worker("a", jobs), now=now)
        memory, writes = seen.memory, writes + len(seen.orders)
        up = seen.orders[0].up if seen.orders else up
        assert up or not jobs
    assert writes <= 2 + 2 * now / IDLE_SECONDS


def test_a_plan_protects_its_busy_workers_unless_told_not_to() -> None:
    busy = {"a": worker("a", 1)}
    seen = settled(pool(), 1, samples=(sample(0, 1),), reports=busy)
    made = plan(seen)
    assert (made.wants_pods, made.shields) == (True, ())
    made = plan(replace(seen, pods=PodList(active=())))
    assert [order.pod for order in made.shields] == ["pod-a"]
    assert plan(replace(seen, memory=made.memory)).shields == ()
    off = replace(seen, pool=pool(disruption={"protectBusyWorkers": False}))
    assert plan(off).wants_pods
    pod = Pod(
        name="pod-a", uid="a", deployment="web", assigned=True, pending=False, ready=True, created="", shielded=True
    )
    assert [order.up for order in plan(replace(off, pods=PodList(active=(pod,)))).shields] == [False]
    never = PodList(active=(replace(pod, shielded=False),))
    assert plan(replace(off, pods=never)).shields == ()

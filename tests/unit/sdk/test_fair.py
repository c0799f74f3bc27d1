"""The fair order: nothing lost, nobody starved, tenants share, keys keep their order."""

from collections import defaultdict
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool.broker import Priority
from workerpool.broker._fair import AGEING_SECONDS, FairQueue, next_class, start_tag


@dataclass(frozen=True, slots=True)
class Waits:
    serial: int
    due: float = 0.0
    tenant: str = ""
    priority: Priority = Priority.NORMAL
    ordering_key: str = ""
    type: str = "t"


def everything(queue: FairQueue[Waits]) -> list[Waits]:
    """Run all that wait, each to its end before the next one."""
    order = []
    while (job := queue.pop()) is not None:
        order.append(job)
        queue.ended(job)
    return order


def queue_of(*jobs: Waits) -> FairQueue[Waits]:
    queue: FairQueue[Waits] = FairQueue()
    for job in jobs:
        queue.add(job)
    return queue


def test_plain_jobs_run_in_the_order_in_which_they_came() -> None:
    jobs = [Waits(n) for n in range(20)]
    assert everything(queue_of(*jobs)) == jobs


def test_a_tag_is_where_the_tenant_ended_or_where_the_queue_is() -> None:
    assert start_tag(5.0, None) == 5.0
    assert start_tag(5.0, 3.0) == 5.0
    assert start_tag(5.0, 9.0) == 9.0


def test_a_tenant_that_comes_late_passes_the_flood() -> None:
    queue = queue_of(*(Waits(n, tenant="flood") for n in range(1000)))
    for _ in range(10):
        queue.pop()
    late = [Waits(1000 + n, tenant="late") for n in range(3)]
    for job in late:
        queue.add(job)
    following = [queue.pop() for _ in range(8)]
    assert [one for one in following if one in late] == late


def test_priorities_are_head_starts_in_time() -> None:
    high, normal, low = (AGEING_SECONDS[one] for one in (Priority.HIGH, Priority.NORMAL, Priority.LOW))
    assert (high, normal, low) == (0.0, 60.0, 600.0)
    assert next_class({Priority.HIGH: 50.0, Priority.NORMAL: 0.0, Priority.LOW: 0.0}) is Priority.HIGH
    assert next_class({Priority.HIGH: 61.0, Priority.NORMAL: 0.0, Priority.LOW: 0.0}) is Priority.NORMAL
    assert next_class({Priority.HIGH: 60.0, Priority.NORMAL: 0.0}) is Priority.HIGH, "at a tie the higher one"
    assert next_class({Priority.HIGH: 601.0, Priority.NORMAL: 541.0, Priority.LOW: 0.0}) is Priority.LOW


def test_what_was_handed_back_runs_next_at_nobodys_expense() -> None:
    jobs = [Waits(n, tenant="a") for n in range(4)]
    queue = queue_of(*jobs)
    first = queue.pop()
    assert first is not None
    queue.add_first(first)
    assert everything(queue) == jobs


def test_a_key_is_held_over_retries_until_the_job_has_ended() -> None:
    queue = queue_of(*(Waits(n, ordering_key="k") for n in range(3)))
    first = queue.pop()
    assert first == Waits(0, ordering_key="k")
    assert queue.pop() is None
    assert len(queue) == 2
    queue.add(first)  # its retry is due
    assert queue.pop() == first
    queue.ended(first)
    queue.ended(first)  # told twice
    assert [job.serial for job in everything(queue)] == [1, 2]
    assert (len(queue), queue.oldest()) == (0, None)


def test_the_oldest_one_may_be_one_in_line() -> None:
    queue = queue_of(Waits(0, due=5.0, ordering_key="k"), Waits(1, due=3.0, ordering_key="k"), Waits(2, due=4.0))
    assert queue.oldest() == 3.0


def test_tenants_that_have_had_their_share_are_forgotten() -> None:
    queue = queue_of(*(Waits(n, tenant=f"t{n}") for n in range(3000)))
    for _ in range(2999):
        assert queue.pop() is not None
        queue.add(Waits(10_000 + len(queue), tenant="steady"))
    one = queue._classes[Priority.NORMAL]
    for number in range(3000):
        queue.add(Waits(20_000 + number, tenant=f"u{number % 5}"))
        queue.pop()
    assert len(one.finish) <= 1001


jobs_of_any_kind = st.lists(
    st.builds(
        Waits,
        serial=st.just(0),
        due=st.floats(0, 1000),
        tenant=st.sampled_from(["", "a", "b", "c"]),
        priority=st.sampled_from(Priority),
        ordering_key=st.sampled_from(["", "", "x", "y"]),
    ),
    max_size=40,
)


@given(jobs_of_any_kind, st.lists(st.sampled_from(["put", "pop", "retry", "back", "end"]), max_size=120))
def test_nothing_is_lost_or_doubled_and_a_key_runs_one_at_a_time_in_its_order(
    jobs: list[Waits], steps: list[str]
) -> None:
    queue: FairQueue[Waits] = FairQueue()
    to_put = [Waits(n, job.due, job.tenant, job.priority, job.ordering_key) for n, job in enumerate(jobs)]
    left, flying, retrying, ended = list(to_put), list[Waits](), list[Waits](), list[Waits]()
    for step in [*steps, *["put"] * len(jobs)]:
        if step == "put" and left:
            queue.add(left.pop(0))
        elif step == "pop" and (job := queue.pop()) is not None:
            assert not job.ordering_key or all(job.ordering_key != one.ordering_key for one in [*flying, *retrying])
            flying.append(job)
        elif step == "retry" and flying:
            retrying.append(flying.pop(0))
        elif step == "back" and flying:
            queue.add_first(flying.pop(0))
        elif step == "end" and flying:
            ended.append(flying.pop(0))
            queue.ended(ended[-1])
        elif step == "put" and retrying:
            queue.add(retrying.pop(0))
        assert len(queue) == len(to_put) - len(left) - len(flying) - len(retrying) - len(ended)
    for job in [*flying, *retrying]:
        queue.add(job)
    ended += everything(queue)
    assert sorted(job.serial for job in ended) == [job.serial for job in to_put]
    by_key = defaultdict(list)
    for job in ended:
        by_key[job.ordering_key].append(job.serial)
    assert all(serials == sorted(serials) for key, serials in by_key.items() if key)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=6), st.randoms(use_true_random=False))
def test_tenants_that_have_jobs_get_the_same_share_give_or_take_one(counts: list[int], chance: Random) -> None:
    """Goyal et al., theorem 1, for equal weights and jobs of one size: shares differ by at most one job each way."""
    owners = [tenant for tenant, count in enumerate(counts) for _ in range(count)]
    chance.shuffle(owners)
    order = everything(queue_of(*(Waits(n, tenant=str(tenant)) for n, tenant in enumerate(owners))))
    left, served = list(counts), [0] * len(counts)
    for job in order:
        served[int(job.tenant)] += 1
        left[int(job.tenant)] -= 1
        busy = [done for done, more in zip(served, left, strict=True) if more]
        assert not busy or max(busy) - min(busy) <= 1


@pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.LOW])
def test_a_full_but_not_overloaded_queue_starts_low_jobs_within_their_bound(priority: Priority) -> None:
    """High jobs come as fast as jobs run, for ever; the bound holds to a turn."""
    queue = queue_of(Waits(0, due=0.0, priority=priority), Waits(1, due=0.0, priority=Priority.HIGH))
    now, serial = 0.0, 2
    while (job := queue.pop()) is None or job.serial:
        now += 1.0
        queue.add(Waits(serial, due=now, priority=Priority.HIGH))
        serial += 1
    assert AGEING_SECONDS[priority] <= now <= AGEING_SECONDS[priority] + 2

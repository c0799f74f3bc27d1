"""Limits of tenants: what holds when consumers disagree, and that a tenant at its limit holds up nobody."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.sdk.test_fair import Waits
from workerpool.broker import Priority, TenantLimit
from workerpool.broker._bucket import burst
from workerpool.broker._fair import FairQueue
from workerpool.broker._tenants import SAY_SECONDS, decode, encode, heard, limit_of, room, strictest

HIGH, LOW = Priority.HIGH, Priority.LOW


def limited(*jobs: Waits, **limits: TenantLimit) -> FairQueue[Waits]:
    """`each` is the limit of those that are not named."""
    queue: FairQueue[Waits] = FairQueue()
    queue.tenants.announce({"*" if name == "each" else name: limit for name, limit in limits.items()}, now=0.0)
    for job in jobs:
        queue.add(job)
    return queue


def flood(count: int, tenant: str = "flood", *, first: int = 0, priority: Priority = Priority.NORMAL) -> list[Waits]:
    return [Waits(first + n, tenant=tenant, priority=priority) for n in range(count)]


def popped(queue: FairQueue[Waits], now: float = 0.0) -> list[Waits]:
    found = []
    while (job := queue.pop(now)) is not None:
        found.append(job)
    return found


def finished(queue: FairQueue[Waits], flying: list[Waits], now: float) -> int:
    """Run all to their end, those first that have begun; how many."""
    count = 0
    for job in flying:
        queue.ended(job, now)
        count += 1
    while (last := queue.pop(now)) is not None:
        queue.ended(last, now)
        count += 1
    return count


class TestWhatHolds:
    def test_a_named_tenant_has_its_own_limit_and_no_tenant_has_none(self) -> None:
        named, each = TenantLimit(max_in_flight=1), TenantLimit(max_in_flight=9)
        limits = {"a": named, "*": each}
        assert limit_of(limits, "a") is named
        assert limit_of(limits, "b") is each
        assert limit_of(limits, "") is None
        assert limit_of({"a": named}, "b") is None

    def test_what_is_announced_is_the_same_text_for_the_same_limits(self) -> None:
        one = {"a": TenantLimit(2.5, None), "*": TenantLimit(None, 3)}
        assert encode(one) == encode(dict(reversed(one.items())))
        assert decode(encode(one)) == one
        assert (encode({}), decode("")) == ("", {})

    def test_the_strictest_of_different_limits_holds(self) -> None:
        one = {"a": TenantLimit(max_in_flight=5), "*": TenantLimit(rate_per_second=2.0)}
        other = {"a": TenantLimit(max_in_flight=3), "b": TenantLimit(rate_per_second=1.0)}
        assert strictest([one, other, {}]) == {
            "a": TenantLimit(max_in_flight=3),
            "b": TenantLimit(rate_per_second=1.0),
            "*": TenantLimit(rate_per_second=2.0),
        }
        assert strictest([{}]) == {}

    def test_an_announcement_holds_until_nobody_repeats_it_while_others_speak(self) -> None:
        said = heard(heard({}, "old", now=0.0), "new", now=SAY_SECONDS)
        assert said.keys() == {"old", "new"}
        assert heard(said, "new", now=SAY_SECONDS + 0.1).keys() == {"new"}
        assert heard({"only": 0.0}, "only", now=1e6) == {"only": 1e6}
        assert heard({"late": 100.0}, "new", now=50.0) == {"new": 50.0}, "the clock was set back"

    def test_a_limit_goes_when_those_who_know_of_none_are_the_only_ones_left(self) -> None:
        queue = limited(*flood(3), flood=TenantLimit(max_in_flight=1))
        assert len(popped(queue)) == 1
        queue.tenants.announce({}, now=1.0)
        assert len(popped(queue, 1.0)) == 0, "somebody else may have been told otherwise"
        queue.tenants.announce({}, now=SAY_SECONDS + 0.1)
        assert [job.serial for job in popped(queue, 4.0)] == [1, 2]


class TestRoom:
    def test_there_is_as_much_as_both_limits_leave(self) -> None:
        both = TenantLimit(rate_per_second=20.0, max_in_flight=3)
        assert room(both, running=1, level=None, now=0.0)[0] == 2
        assert room(TenantLimit(rate_per_second=20.0), running=99, level=None, now=0.0)[0] == math.floor(burst(20.0))
        assert room(None, running=99, level=None, now=0.0)[0] == math.inf

    def test_a_limit_below_what_is_in_flight_leaves_none(self) -> None:
        free, again = room(TenantLimit(max_in_flight=2), running=5, level=None, now=7.0)
        assert (free, again) == (0, 8.0)


class TestQueue:
    def test_no_more_than_the_limit_are_in_flight_and_another_follows_each_that_ends(self) -> None:
        queue = limited(*flood(9), flood=TenantLimit(max_in_flight=2))
        first, second = popped(queue)
        assert queue.blocked(0.0) == len(queue) == 7
        queue.ended(first)
        assert queue.blocked(0.0) == 6
        assert [job.serial for job in popped(queue)] == [2]
        queue.interrupted(second)  # it will be tried again, later
        assert [job.serial for job in popped(queue)] == [3]

    def test_those_of_others_pass(self) -> None:
        queue = limited(*flood(50), *flood(3, "other", first=50), flood=TenantLimit(max_in_flight=1))
        assert [job.tenant for job in popped(queue)] == ["flood", "other", "other", "other"]

    def test_a_tenant_has_no_claim_to_what_it_could_not_use(self) -> None:
        queue = limited(*flood(50), flood=TenantLimit(max_in_flight=1))
        [running] = popped(queue)
        for number in range(100):
            queue.add(Waits(100 + number, tenant="other"))
        for _ in range(60):
            assert queue.pop() is not None
        queue.ended(running)
        tenants = []
        for _ in range(10):
            job = queue.pop()
            assert job is not None
            tenants.append(job.tenant)
            queue.ended(job)
        assert 4 <= tenants.count("flood") <= 6, "half, as from the beginning"

    def test_the_rate_is_that_of_a_bucket(self) -> None:
        queue, rate = limited(*flood(1000), flood=TenantLimit(rate_per_second=10.0)), 10.0
        begun = 0
        for tick in range(1000):
            for job in popped(queue, tick / 100):
                queue.ended(job, tick / 100)
                begun += 1
        assert 9.9 * rate <= begun <= 10 * rate + burst(rate)

    def test_it_says_when_to_look_again(self) -> None:
        queue = limited(*flood(9), flood=TenantLimit(rate_per_second=0.5))
        assert len(popped(queue, 100.0)) == 1
        assert queue.look_at == pytest.approx(100.0 + (1 - 0.125) / 0.5)
        assert queue.pop(101.7) is None
        assert queue.pop(101.8) is not None

    def test_a_limit_that_is_set_while_many_wait_holds_from_then_on(self) -> None:
        queue = limited(*flood(20), *flood(20, "other", first=20))
        queue.tenants.announce({"flood": TenantLimit(max_in_flight=3)}, now=0.0)
        tenants = [job.tenant for job in popped(queue)]
        assert (tenants.count("flood"), tenants.count("other")) == (3, 20)
        assert len(queue) == queue.blocked(0.0) == 17

    def test_a_limit_holds_over_all_classes_and_the_higher_one_is_first(self) -> None:
        queue = limited(*flood(3, priority=LOW), *flood(3, first=3, priority=HIGH), each=TenantLimit(max_in_flight=2))
        assert [job.serial for job in popped(queue)] == [3, 4]
        assert len(queue) == 4
        assert popped(queue) == []

    def test_a_job_that_was_handed_back_costs_nothing(self) -> None:
        queue = limited(*flood(2), flood=TenantLimit(rate_per_second=0.1, max_in_flight=1))
        [job] = popped(queue)
        queue.add_first(job)
        assert popped(queue) == [job]

    def test_the_oldest_may_be_held_and_no_tenant_is_never_limited(self) -> None:
        queue = limited(Waits(0, due=5.0, tenant="a"), Waits(1, due=3.0, tenant="a"), each=TenantLimit(max_in_flight=1))
        assert queue.oldest() == 3.0
        queue.add(Waits(2))
        queue.add(Waits(3))
        assert len(popped(queue)) == 3


@given(
    st.lists(
        st.builds(
            Waits,
            serial=st.just(0),
            due=st.floats(0, 1000),
            tenant=st.sampled_from(["", "a", "b", "c"]),
            priority=st.sampled_from(Priority),
            ordering_key=st.sampled_from(["", "", "x"]),
        ),
        max_size=40,
    ),
    st.lists(st.sampled_from(["put", "pop", "retry", "back", "end", "late"]), max_size=120),
)
def test_nothing_is_lost_and_no_limit_is_passed_whatever_happens(jobs: list[Waits], steps: list[str]) -> None:
    """Each step takes 0.3 s, so that what is looked at again later comes up, too."""
    most = {"a": 1, "b": 3}
    queue = limited(**{tenant: TenantLimit(max_in_flight=count) for tenant, count in most.items()})
    to_put = [Waits(n, job.due, job.tenant, job.priority, job.ordering_key) for n, job in enumerate(jobs)]
    left, flying, retrying, ended, now = list(to_put), list[Waits](), list[Waits](), 0, 0.0
    for step in [*steps, *["put"] * len(jobs)]:
        now += 0.3
        if step == "put" and left:
            queue.add(left.pop(0))
        elif step == "pop" and (job := queue.pop(now)) is not None:
            flying.append(job)
        elif step == "retry" and flying:
            retrying.append(flying.pop(0))
            queue.interrupted(retrying[-1], now)
        elif step == "late" and retrying:
            queue.add(retrying.pop(0))
        elif step == "back" and flying:
            queue.add_first(flying.pop(0), now)
        elif step == "end" and flying:
            queue.ended(flying.pop(0), now)
            ended += 1
        assert all(sum(job.tenant == tenant for job in flying) <= count for tenant, count in most.items())
        assert len(queue) == len(to_put) - len(left) - len(flying) - len(retrying) - ended
        assert 0 <= queue.blocked(now) <= len(queue)
    for job in retrying:
        queue.add(job)
    assert ended + finished(queue, flying, now) == len(to_put)
    assert len(queue) == 0

"""The election, in virtual time: who leads when, and that it is never two."""

import asyncio
import random
from contextlib import suppress

import pytest

from tests.unit.kube.electing import DEADLINE, DURATION, LOOK, RENEW, elector, kill, now, running, until
from tests.unit.kube.lease_store import LeaseStore, Link
from workerpool_operator.kube import errors
from workerpool_operator.kube.lease import LeaderElector, LeaseTimes

pytestmark = pytest.mark.looptime

LONGEST_REQUEST = 4.0


async def test_the_first_replica_leads_at_once() -> None:
    store = LeaseStore()
    one = elector(Link(store), "one")
    async with running(one):
        await asyncio.wait_for(one.wait_leading(), 1)
        one.check()
        assert store.lease is not None
        assert store.lease["spec"]["holderIdentity"] == "one"
        assert store.lease["spec"]["leaseDurationSeconds"] == DURATION


async def test_the_leader_stays_the_leader() -> None:
    store = LeaseStore()
    one, two = elector(Link(store), "one"), elector(Link(store), "two")
    async with running(one):
        await one.wait_leading()
        epoch = one.epoch
        async with running(two):
            for _ in range(100):
                await asyncio.sleep(1)
                assert one.leading
                assert not two.leading
            assert one.epoch == epoch
            assert two.holder == "one"
            with pytest.raises(errors.NotLeader, match="one"):
                two.check()


async def test_a_killed_leader_is_replaced_within_18_seconds() -> None:
    store = LeaseStore()
    link = Link(store)
    one, two = elector(link, "one"), elector(Link(store), "two")
    async with running(one) as (task,):
        await one.wait_leading()
        async with running(two):
            await asyncio.sleep(7)
            kill(task, link)
            # It was renewed when it was killed, or up to one pause before.
            assert DURATION - RENEW * 1.2 - 0.1 <= await until(lambda: two.leading) < DURATION + LOOK * 1.2 + 0.1
            assert two.epoch == one.epoch + 1


async def test_a_stopped_leader_hands_over_at_once() -> None:
    store = LeaseStore()
    one, two = elector(Link(store), "one"), elector(Link(store), "two")
    async with running(one) as (task,):
        await one.wait_leading()
        async with running(two):
            await asyncio.sleep(5)
            task.cancel()
            assert await until(lambda: two.leading) < LOOK * 1.2 + 0.1
            assert two.epoch == one.epoch + 1


async def test_leadership_counts_from_when_the_renewal_was_sent_not_from_its_answer() -> None:
    link = Link(LeaseStore(), delay=1.0)
    one = elector(link, "one")
    async with running(one):
        started = now()
        await one.wait_leading()
        link.request_lost = True
        await until(lambda: not one.leading)
        assert now() - started <= DEADLINE + 0.1


async def test_a_leader_that_stops_no_longer_leads_before_the_lease_is_free() -> None:
    store = LeaseStore()
    link = Link(store)
    one = elector(link, "one")
    async with running(one) as (task,):
        await one.wait_leading()
        link.delay = 0.5
        task.cancel()
        await asyncio.sleep(0.1)
        assert not one.leading
        assert store.lease is not None
        assert store.lease["spec"].get("holderIdentity") == "one"
        with suppress(asyncio.CancelledError):
            await task
        assert "holderIdentity" not in store.lease["spec"]


async def test_during_an_outage_the_leader_stops_writing_at_its_deadline_and_returns_afterwards() -> None:
    store = LeaseStore()
    link = Link(store)
    one = elector(link, "one")
    changes: list[tuple[bool, float]] = []
    one.on_change(lambda leading: changes.append((leading, now())))
    async with running(one) as (task,):
        await one.wait_leading()
        await asyncio.sleep(30)
        link.request_lost = True
        lost_at = now()
        await until(lambda: not one.leading)
        assert DEADLINE - RENEW * 1.2 - 0.1 <= now() - lost_at <= DEADLINE
        await asyncio.sleep(600)
        assert not task.done()
        link.request_lost = False
        assert await until(lambda: one.leading) < 10
        one.check()
        assert [leading for leading, _ in changes] == [True, False, True]
        assert changes[1][1] - lost_at <= DEADLINE + 0.05, "the change is told when it happens"


async def test_nobody_else_leads_before_the_old_leaders_requests_have_ended() -> None:
    """Not by the deadline alone: what was sent at the last moment must be over, too."""
    store = LeaseStore()
    link = Link(store)
    one, two = elector(link, "one"), elector(Link(store), "two")
    async with running(one):
        await one.wait_leading()
        async with running(two):
            await asyncio.sleep(20)
            link.request_lost = True
            await until(lambda: not one.leading)
            stopped_at = now()
            await until(lambda: two.leading)
            assert now() - stopped_at > LONGEST_REQUEST


async def test_a_renewal_whose_answer_was_lost_costs_nothing() -> None:
    store = LeaseStore()
    link = Link(store)
    one = elector(link, "one")
    async with running(one):
        await one.wait_leading()
        epoch = one.epoch
        link.answer_lost = True
        await asyncio.sleep(5)
        link.answer_lost = False
        for _ in range(30):
            await asyncio.sleep(1)
            assert one.leading
        assert one.epoch == epoch


async def test_check_looks_at_the_clock_even_while_the_event_loop_stands_still() -> None:
    store = LeaseStore()
    stopped = 0.0
    one = LeaderElector(
        Link(store), namespace="ns", name="lease", identity="one", clock=lambda: now() + stopped, times=LeaseTimes()
    )
    async with running(one):
        await one.wait_leading()
        stopped = DEADLINE  # no task has run meanwhile
        with pytest.raises(errors.NotLeader):
            one.check()


@pytest.mark.parametrize("skew", [-3600.0, -60.0, 60.0, 3600.0])
async def test_wrong_wall_clocks_change_nothing(skew: float) -> None:
    store = LeaseStore()
    link = Link(store)
    one, two = elector(link, "one"), elector(Link(store), "two", skew=skew, started=12345.0)
    async with running(one) as (task,):
        await one.wait_leading()
        async with running(two):
            await asyncio.sleep(60)
            assert (one.leading, two.leading) == (True, False)
            kill(task, link)
            # It was renewed when it was killed, or up to one pause before.
            assert DURATION - RENEW * 1.2 - 0.1 <= await until(lambda: two.leading) < DURATION + LOOK * 1.2 + 0.1


async def test_a_restarted_process_waits_for_its_own_predecessor() -> None:
    store = LeaseStore()
    link = Link(store)
    before, after = elector(link, "pod-0_aaaa"), elector(Link(store), "pod-0_bbbb")
    async with running(before) as (task,):
        await before.wait_leading()
        kill(task, link)
        async with running(after):
            assert await until(lambda: after.leading) >= DURATION


async def test_a_foreign_edit_of_the_lease_does_not_make_two_leaders() -> None:
    store = LeaseStore()
    one = elector(Link(store), "one")
    async with running(one):
        await one.wait_leading()
        assert store.lease is not None
        store.store({**store.lease, "spec": {**store.lease["spec"], "holderIdentity": "somebody"}})
        assert await until(lambda: not one.leading) <= RENEW * 1.2 + 0.1
        assert one.holder == "somebody"
        await until(lambda: one.leading)


async def test_a_deleted_lease_stays_with_its_holder() -> None:
    store = LeaseStore()
    one, two = elector(Link(store), "one"), elector(Link(store), "two")
    async with running(one):
        await one.wait_leading()
        epoch = one.epoch
        async with running(two):
            await asyncio.sleep(5)
            store.lease = None
            for _ in range(300):
                await asyncio.sleep(0.1)
                assert (one.leading, two.leading) == (True, False)
            assert one.epoch > epoch


async def test_a_standby_knows_where_the_leader_is() -> None:
    store = LeaseStore()
    one, two = (
        elector(Link(store), "one", address="10.0.0.1:6443"),
        elector(Link(store), "two", address="10.0.0.2:6443"),
    )
    async with running(one) as (first,):
        await asyncio.wait_for(one.wait_leading(), 1)
        async with running(two):
            await until(lambda: two.holder_address == "10.0.0.1:6443")
            first.cancel()
            await asyncio.wait_for(two.wait_leading(), 5)
            assert two.holder_address == "10.0.0.2:6443"


async def test_a_lease_that_nobody_holds_leads_nowhere() -> None:
    store = LeaseStore()
    one, two = elector(Link(store), "one", address="10.0.0.1:6443"), elector(Link(store), "two")
    async with running(one):
        await asyncio.wait_for(one.wait_leading(), 1)
    await two._observe()
    assert two.holder_address == ""


async def test_a_leader_without_an_address_leaves_none_of_its_predecessor() -> None:
    store = LeaseStore()
    one, two = elector(Link(store), "one", address="10.0.0.1:6443"), elector(Link(store), "two")
    async with running(one):
        await asyncio.wait_for(one.wait_leading(), 1)
    async with running(two):
        await asyncio.wait_for(two.wait_leading(), 5)
        assert two.holder_address == ""
        assert store.lease is not None
        assert not store.lease["metadata"]["annotations"]


async def test_the_epoch_does_not_go_back_when_the_operator_is_installed_anew() -> None:
    store = LeaseStore()
    first = elector(Link(store), "one")
    async with running(first):
        await first.wait_leading()
    await asyncio.sleep(120)
    store.lease = None
    second = elector(Link(store), "two")
    async with running(second):
        await second.wait_leading()
        assert first.epoch < second.epoch < 2**31


@pytest.mark.parametrize("seed", range(4))
async def test_never_two_leaders_whatever_is_lost(seed: int) -> None:
    """Three replicas, ten minutes of slow, lost and half-lost requests; a write takes up to 4 s."""
    dice = random.Random(seed)
    store = LeaseStore()
    links = [Link(store) for _ in range(3)]
    electors = [elector(link, f"r{i}", skew=dice.uniform(-90, 90)) for i, link in enumerate(links)]
    writing: dict[int, float] = {}
    epochs: list[int] = []
    async with running(*electors):
        end = now() + 600
        while now() < end:
            await asyncio.sleep(0.25)
            for link in links:
                if dice.random() < 0.04:
                    link.request_lost = dice.random() < 0.4
                    link.answer_lost = dice.random() < 0.2
                    link.delay = dice.choice([0.01, 0.5, 2.0, 3.9])
            for i, one in enumerate(electors):
                with suppress(errors.NotLeader):
                    one.check()
                    writing[i] = now() + LONGEST_REQUEST
                    epochs.append(one.epoch)
            assert len([i for i, until_then in writing.items() if until_then > now()]) <= 1
    assert epochs == sorted(epochs)
    assert len(set(epochs)) > 1, "the run had at least one change of leader"


@pytest.mark.parametrize("times", [{"duration_seconds": 10}, {"renew_seconds": 7.5}, {"retry_seconds": 5.5}])
def test_times_that_could_give_two_leaders_or_none_after_one_lost_request_are_refused(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="duration > deadline > renew"):
        LeaseTimes(**times)

"""How often the lease is asked for, when all is well and when it is not."""

import asyncio

import pytest

from tests.unit.kube.electing import LOOK, RENEW, elector, kill, running, until
from tests.unit.kube.lease_store import LeaseStore, Link

pytestmark = pytest.mark.looptime


async def test_a_held_lease_is_not_asked_for_more_often_than_needed() -> None:
    store = LeaseStore()
    link = Link(store)
    one = elector(link, "one")
    async with running(one):
        await one.wait_leading()
        before = link.requests
        await asyncio.sleep(60)
        assert 60 / (RENEW * 1.2) - 2 <= link.requests - before <= 60 / RENEW + 1


async def test_a_renewal_that_failed_is_tried_again_in_time() -> None:
    """One that got no answer for 4 s costs nothing."""
    link = Link(LeaseStore())
    one = elector(link, "one")
    async with running(one):
        await one.wait_leading()
        for _ in range(10):
            before = link.requests
            link.request_lost = True
            await until(lambda before=before: link.requests > before)  # type: ignore[misc]
            await asyncio.sleep(4)
            link.request_lost = False
            for _ in range(60):
                await asyncio.sleep(0.1)
                assert one.leading


async def test_a_slow_api_server_costs_no_leadership() -> None:
    """Each answer takes 2.4 s: to take the lease two are needed, and the deadline counts from before the first."""
    store = LeaseStore()
    async with running(elector(Link(store), "before")) as (task,):
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    one, changes = elector(Link(store, delay=1.2), "one"), list[bool]()
    one.on_change(changes.append)
    async with running(one):
        await asyncio.sleep(600)
        assert changes == [True]


async def test_a_lease_that_is_free_and_cannot_be_had_is_not_asked_for_all_the_time() -> None:
    store = LeaseStore()
    link, other = Link(store), Link(store)
    one, two = elector(link, "one"), elector(other, "two")
    async with running(one) as (task,):
        await one.wait_leading()
        async with running(two):
            await asyncio.sleep(10)
            kill(task, link)
            other.request_lost = True
            await asyncio.sleep(60)
            before = other.requests
            await asyncio.sleep(60)
            assert 5 < other.requests - before <= 60 / (LOOK + 4) + 1

"""The clock of Redis jumps: it is set, a machine resumes, a replica with another clock takes over."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.component.sdk.conftest import OpenBroker
from tests.support.clock import WallClock
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool.broker import NewJob, Taken, TenantLimit
from workerpool.broker._redis import RedisBroker

pytestmark = [pytest.mark.component, pytest.mark.redis]

DAY = 86_400


class Played(NamedTuple):
    """A Redis of this test's own, and its clock."""

    server: RedisServer
    clock: WallClock

    def jump(self, seconds: int) -> None:
        before = self.server.client().time()[0]
        self.clock.set(seconds)
        assert abs(self.server.client().time()[0] - before) > DAY / 2


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Played]:
    clock = WallClock(tmp_path / "clock")
    with RedisServer(tmp_path / "redis", env=clock.env) as server:
        yield Played(server, clock)


async def taken(broker: RedisBroker, *, limit: int = 9) -> list[Taken]:
    """The next ones, over as many takes as that needs."""
    found: list[Taken] = []

    async def take() -> bool:
        await broker.maintain()
        found.extend(await broker.take(limit=limit, wait=0.05))
        return bool(found)

    await until(take, what="a job")
    return found


@pytest.mark.parametrize("first", ["maintain", "take"])
async def test_set_forward_it_robs_nobody_who_lives(open_broker: OpenBroker, redis: Played, first: str) -> None:
    owner, other = open_broker(url=redis.server.url), open_broker(url=redis.server.url)
    await owner.put([NewJob("t", b"1"), NewJob("t", b"2", ordering_key="k")])
    jobs = await taken(owner, limit=1) + await taken(owner, limit=1)
    await other.maintain()
    redis.jump(DAY)
    if first == "maintain":
        await owner.maintain()
    assert await other.take(limit=9, wait=0.05) == []
    assert await owner.extend(jobs) == frozenset()
    assert await owner.ack(jobs) == frozenset()


async def test_who_has_just_come_takes_over_nothing_before_it_knows_the_time(
    open_broker: OpenBroker, redis: Played
) -> None:
    owner = open_broker(url=redis.server.url)
    await owner.put([NewJob("t", b"1")])
    jobs = await taken(owner)
    redis.jump(DAY)
    fresh = open_broker(url=redis.server.url)
    assert await fresh.take(limit=9, wait=0.05) == []
    await owner.maintain()  # every worker does, once a second
    later = open_broker(url=redis.server.url)
    await later.maintain()
    assert await later.take(limit=9, wait=0.05) == []
    assert await owner.ack(jobs) == frozenset()


@pytest.mark.parametrize("seconds", [DAY, -DAY])
async def test_what_a_dead_worker_left_comes_back_after_a_lease(
    open_broker: OpenBroker, redis: Played, seconds: int
) -> None:
    dead, alive = open_broker(url=redis.server.url, lease=1), open_broker(url=redis.server.url, lease=1)
    await dead.put([NewJob("t", b"1"), NewJob("t", b"2")])
    await alive.maintain()
    left = await taken(dead)
    redis.jump(seconds)
    found = await taken(alive)
    assert {job.token for job in found} <= {job.token for job in left}
    assert {job.attempt for job in found} == {2}


async def test_set_back_it_keeps_no_tenant_waiting(open_broker: OpenBroker, redis: Played) -> None:
    """When there would be room for it, it stands in the future now."""
    broker = open_broker(url=redis.server.url)
    broker.limit_tenants({"a": TenantLimit(rate_per_second=0.15)})
    await broker.put([NewJob("t", str(number).encode(), tenant="a") for number in range(3)])
    await broker.ack(await taken(broker, limit=3))
    assert await broker.take(limit=3, wait=0.01) == [], "the tenant is at its limit"
    redis.jump(-DAY)
    assert len(await taken(broker, limit=3)) == 1

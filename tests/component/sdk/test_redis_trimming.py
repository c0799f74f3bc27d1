"""What is done leaves the stream, whatever is still in flight, and nothing else does."""

import pytest

from tests.component.sdk.conftest import OpenBroker
from tests.support.redis import RedisServer
from workerpool.broker import NewJob, Taken

pytestmark = [pytest.mark.component, pytest.mark.redis]


def jobs(count: int) -> list[NewJob]:
    return [NewJob(type="t", payload=str(number).encode()) for number in range(count)]


async def test_finished_entries_are_trimmed_and_unfinished_ones_kept(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    client = redis_server.client()
    broker = open_broker()
    await broker.put(jobs(2000))
    taken = await broker.take(limit=2000, wait=1)
    kept = taken[1500]
    await broker.ack([job for job in taken if job is not kept])
    await broker.maintain()
    length = client.xlen(redis_stream)
    assert 500 <= length < 800
    assert client.xrange(redis_stream, kept.token, kept.token)
    await broker.put(jobs(1))
    assert len(await broker.take(limit=9, wait=1)) == 1


async def test_all_that_a_fast_pool_finished_is_trimmed_at_once(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """Redis' own limit is 10,000 entries per call, and a pool may finish more between two of them."""
    client, broker = redis_server.client(), open_broker()
    await broker.put(jobs(20_000))
    await broker.ack(await broker.take(limit=20_000, wait=1))
    await broker.maintain()
    assert client.xlen(redis_stream) < 200


async def test_what_is_done_behind_a_long_job_does_not_stay(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    """Jobs come and go all the while, and at no moment is the lag unknown, or wrong."""
    client, broker, stats = redis_server.client(), open_broker(), f"{{{redis_stream}}}:stats"
    await broker.put(jobs(1))
    [long] = await broker.take(limit=1, wait=1)
    kept: list[Taken] = []
    for _ in range(6):
        await broker.put(jobs(1000))
        taken = await broker.take(limit=990, wait=1)
        kept += taken[::100]
        await broker.ack([job for job in taken if job not in kept])
        for _ in range(2):
            client.hset(stats, mapping={"kept": 0, "oldest:since": 0})  # a second later, and long after
            await broker.maintain()
        [group] = client.xinfo_groups(redis_stream)
        depth = await broker.depth()
        assert group["lag"] == depth.waiting
        assert depth.in_flight == 1 + len(kept)
    waiting = 6 * 10
    assert (depth.waiting, depth.arrivals_total) == (waiting, 6_001)
    assert client.xlen(redis_stream) < 2500
    for job in (long, *kept):
        assert client.xrange(redis_stream, job.token, job.token), "it is not done"
    assert len(await broker.take(limit=999, wait=1)) == waiting
    assert await broker.ack([long, *kept]) == frozenset()


async def test_nothing_is_thinned_out_that_another_group_has_not_done(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    client, broker, stats = redis_server.client(), open_broker(), f"{{{redis_stream}}}:stats"
    await broker.put(jobs(3001))
    client.xgroup_create(redis_stream, "audit", "0")
    client.xreadgroup("audit", "auditor", {redis_stream: ">"}, count=2000)
    await broker.ack((await broker.take(limit=3001, wait=1))[1:])
    for _ in range(9):
        client.hset(stats, mapping={"kept": 0, "oldest:since": 0})
        await broker.maintain()
    assert client.xlen(redis_stream) == 3001
    client.xack(redis_stream, "audit", *[entry for entry, _ in client.xrange(redis_stream, count=1500)])
    for _ in range(9):
        client.hset(stats, mapping={"kept": 0, "oldest:since": 0})
        await broker.maintain()
    assert client.xlen(redis_stream) == 3001 - 1500 + 1, "the first one is not done by us"


async def test_trimming_leaves_what_another_group_has_not_read(
    open_broker: OpenBroker, redis_server: RedisServer, redis_stream: str
) -> None:
    client = redis_server.client()
    broker = open_broker()
    await broker.put(jobs(1000))
    client.xgroup_create(redis_stream, "audit", "0")
    await broker.ack(await broker.take(limit=1000, wait=1))
    await broker.maintain()
    assert client.xlen(redis_stream) == 1000

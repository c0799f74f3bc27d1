"""A Redis without memory (`maxmemory`, `noeviction`): what is done is freed, and jobs end, however they end."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.component.sdk.conftest import OpenBroker
from tests.component.sdk.running import environment, make_worker, serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, Queue
from workerpool.broker import DeadLetter, DeathReason, NewJob, Retry, Taken
from workerpool.broker._redis import RedisBroker
from workerpool.errors import BrokerUnavailable

pytestmark = [pytest.mark.component, pytest.mark.redis]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    with RedisServer(tmp_path, options={"maxmemory-policy": "noeviction"}) as server:
        yield server


def fill(server: RedisServer) -> None:
    """From now on it refuses whatever takes memory."""
    server.client().config_set("maxmemory", "1")


def jobs(count: int, **wishes: str) -> list[NewJob]:
    return [NewJob(type="t", payload=str(number).encode(), **wishes) for number in range(count)]  # type: ignore[arg-type]


async def refused(broker: RedisBroker) -> bool:
    with pytest.raises(BrokerUnavailable, match="OOM"):
        await broker.put(jobs(1))
    return True


async def take_into(found: list[Taken], broker: RedisBroker) -> bool:
    found += await broker.take(limit=9, wait=0.05)
    return bool(found)


@pytest.mark.parametrize("wishes", [{}, {"tenant": "a"}], ids=["plain", "ordered"])
async def test_jobs_are_taken_and_kept_and_what_is_done_is_trimmed(
    open_broker: OpenBroker, server: RedisServer, redis_stream: str, wishes: dict[str, str]
) -> None:
    client = server.client()
    broker = open_broker(url=server.url, lease=0.5)
    await broker.put(jobs(500, **wishes))
    fill(server)
    assert await refused(broker)
    done = 0
    while done < 500:
        found = await broker.take(limit=100, wait=1)
        assert await broker.extend(found) == frozenset()
        assert await broker.ack(found) == frozenset()
        done += len(found)
    client.hdel(f"{{{redis_stream}}}:stats", "kept")  # trim now
    await broker.maintain()
    assert client.xlen(redis_stream) < 200
    assert (await broker.take_tokens("b", count=1, rate=1.0, burst=1.0)).granted == 1


async def test_the_first_worker_comes_when_it_is_full(
    open_broker: OpenBroker, server: RedisServer, redis_stream: str
) -> None:
    server.client().xadd(redis_stream, {"type": "t", "payload": "1"})
    fill(server)
    broker = open_broker(url=server.url)
    [job] = await broker.take(limit=1, wait=1)
    assert await broker.ack([job]) == frozenset()


async def test_jobs_of_a_dead_worker_are_taken_over(open_broker: OpenBroker, server: RedisServer) -> None:
    dead, alive = open_broker(url=server.url, lease=0.1), open_broker(url=server.url, lease=0.1)
    await dead.put(jobs(1))
    await dead.take(limit=1, wait=1)
    fill(server)
    found: list[Taken] = []
    await until(partial(take_into, found, alive), what="the dead one's job")
    assert [job.attempt for job in found] == [2]


@pytest.mark.parametrize("wishes", [{}, {"ordering_key": "k"}], ids=["plain", "ordered"])
async def test_a_job_that_failed_is_tried_again_with_the_attempt_counted(
    open_broker: OpenBroker, server: RedisServer, wishes: dict[str, str]
) -> None:
    broker = open_broker(url=server.url, lease=0.3)
    await broker.put(jobs(1, **wishes))
    [job] = await broker.take(limit=1, wait=1)
    fill(server)
    for attempt in (2, 3):
        assert await broker.retry_later([Retry(job, delay=0.05)]) == frozenset()
        found: list[Taken] = []

        async def again(found: list[Taken] = found) -> bool:
            await broker.maintain()
            return await take_into(found, broker)

        await until(again, what="the next attempt")
        [job] = found
        assert job.attempt == attempt
    assert await broker.ack([job]) == frozenset()


async def test_a_job_that_goes_back_keeps_its_attempt_and_its_checkpoint(
    open_broker: OpenBroker, server: RedisServer
) -> None:
    one, other = open_broker(url=server.url, lease=0.3), open_broker(url=server.url, lease=0.3)
    await one.put(jobs(1))
    [job] = await one.take(limit=1, wait=1)
    assert await one.checkpoint(job, b"[1]")
    fill(server)
    assert await one.hand_back([job]) == frozenset()
    found: list[Taken] = []
    await until(partial(take_into, found, other), what="the job again")
    assert [(again.attempt, again.redelivered, again.checkpoint) for again in found] == [(1, False, b"[1]")]
    assert await one.hand_back([job]) == frozenset({job.token}), "it is the other one's now"


@pytest.mark.parametrize("state", [b"", b"[1]"], ids=["without a checkpoint", "with one"])
async def test_a_job_that_goes_back_is_known_to_have_begun_and_not_shed(
    open_broker: OpenBroker, server: RedisServer, redis_stream: str, state: bytes
) -> None:
    one, other = open_broker(url=server.url, lease=0.3), open_broker(url=server.url, lease=0.3)
    await one.put(jobs(2))
    begun, waited = await one.take(limit=2, wait=1)
    assert not state or await one.checkpoint(begun, state)
    fill(server)
    assert await one.hand_back([replace(begun, begun=True), waited]) == frozenset()
    other.shed_after({"normal": 0.0})
    found: list[Taken] = []
    await until(partial(take_into, found, other), what="the job again")
    assert [(job.token, job.begun, job.checkpoint) for job in found] == [(begun.token, True, state)]
    assert other.dropped() == {DeathReason.SHED: 1}
    assert await other.ack(found) == frozenset()
    assert server.client().hlen(f"{{{redis_stream}}}:checkpoints") == 0


async def test_a_dead_letter_says_less(open_broker: OpenBroker, server: RedisServer) -> None:
    broker = open_broker(url=server.url)
    await broker.put(jobs(1))
    [job] = await broker.take(limit=1, wait=1)
    fill(server)
    letter = DeadLetter(job, DeathReason.REJECTED, error="e" * 5000, traceback="t" * 5000)
    assert await broker.dead_letter([letter]) == frozenset()
    [dead] = await broker.dead_letters(limit=9)
    assert (dead.payload, dead.reason, dead.error, dead.traceback) == (b"0", "rejected", "e" * 200, "")


async def filled(queue: Queue) -> int:
    """How many jobs were enqueued until it was full: each has its number, and is large."""
    number = 0
    while await enqueued(queue, number, size=20_000):
        number += 1
    return number


async def enqueued(queue: Queue, number: int, *, size: int) -> bool:
    try:
        await queue.enqueue("t", [number, "x" * size])
    except BrokerUnavailable:
        return False
    return True


async def test_a_worker_empties_a_full_redis_and_producers_go_on(server: RedisServer, redis_stream: str) -> None:
    """Nobody but the worker makes room, and some of the jobs fail."""
    client = server.client()
    client.config_set("maxmemory", str(client.info("memory")["used_memory"] + (3 << 20)))
    done: set[int] = set()
    worker = make_worker(environment(server, redis_stream, LEASE_SECONDS="1", BACKOFF_SECONDS="0.1"))

    @worker.job("t")
    async def handle(job: Job) -> None:
        number = job.payload[0]
        if number % 10 == 0 and job.attempt == 1:
            raise OSError("what it calls is down")
        done.add(number)

    async with Queue.connect(server.url, stream=redis_stream) as queue:
        count = await filled(queue)
        assert count > 20
        async with serving(worker):
            await until(lambda: len(done) == count, what="all of them done")
            await until(partial(enqueued, queue, -1, size=100_000), what="room for a job")
            await until(lambda: -1 in done, what="that one done, too")

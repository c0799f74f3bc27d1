"""Tenants, priorities and ordering keys on every broker."""

import asyncio
import random
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.component.sdk.conformance import Open, another, broker, counts, jobs, take
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool.broker import Broker, DeadJobs, DeadLetter, DeathReason, NewJob, Priority, Retry, Taken, TenantLimit
from workerpool.broker._redis import RedisBroker, blocking
from workerpool.broker._sqlite import SqliteBroker

pytestmark = [pytest.mark.component, pytest.mark.needs("ordering", "priority", "fair")]
HIGH, NORMAL, LOW = Priority.HIGH, Priority.NORMAL, Priority.LOW

__all__ = ["another", "broker"]  # fixtures


def new(
    name: object,
    *,
    tenant: str = "",
    priority: Priority = NORMAL,
    key: str = "",
    delay: float = 0.0,
    type_: str = "t",
) -> NewJob:
    payload = str(name).encode()
    return NewJob(type=type_, payload=payload, tenant=tenant, priority=priority, ordering_key=key, delay=delay)


async def one(broker: Broker) -> str:
    """Take the next one and be done with it."""
    [job] = await take(broker, 1)
    await broker.ack([job])
    return job.payload.decode()


async def put_in_order(broker: Broker) -> None:
    """From now on this consumer knows that there is an order."""
    await broker.put([new("first", tenant="first")])
    await one(broker)


async def nothing(broker: Broker) -> bool:
    await broker.maintain()
    return await broker.take(limit=9, wait=0.05) == []


async def test_what_was_asked_for_comes_with_the_job(broker: Broker) -> None:
    await broker.put([new(1, tenant="a", priority=HIGH, key="k"), new(2)])
    first, second = await take(broker, 2)
    assert (first.tenant, first.priority, first.ordering_key) == ("a", "high", "k")
    assert (second.tenant, second.priority, second.ordering_key) == ("", "normal", "")
    assert first.job_id
    assert first.waited < 60


async def test_higher_priorities_run_first(broker: Broker) -> None:
    await broker.put([new("first", priority=LOW)])  # runs at once: nobody knows yet of those that follow
    await broker.put([new(f"{one}{n}", priority=one) for n in range(3) for one in (LOW, NORMAL, HIGH)])
    order = [await one(broker) for _ in range(10)]
    rest = [name for name in order if name != "first"]
    assert rest == [f"{one}{n}" for one in (HIGH, NORMAL, LOW) for n in range(3)]


@pytest.fixture
def age(broker: Broker, redis_server: RedisServer, redis_stream: str, tmp_path: Path) -> Callable[[int], None]:
    """Makes what waits older by so many seconds."""

    def in_redis(seconds: int) -> None:
        client = redis_server.client()
        for key in [f"{{{redis_stream}}}:due:{priority}" for priority in Priority]:
            for member in client.zrange(key, 0, -1):
                client.zincrby(key, -1000 * seconds, member)

    def in_sqlite(seconds: int) -> None:
        with closing(sqlite3.connect(tmp_path / "jobs.db", timeout=20)) as database, database:
            database.execute("UPDATE jobs SET due = due - ? WHERE owner IS NULL", (seconds,))

    if isinstance(broker, RedisBroker):
        return in_redis
    if isinstance(broker, SqliteBroker):
        return in_sqlite
    pytest.skip("its clock is that of FairQueue, whose bound is tested without a broker")


@pytest.mark.parametrize(("priority", "bound"), [(NORMAL, 60), (LOW, 600)])
async def test_a_low_one_runs_within_its_bound_under_a_constant_load_of_high_ones(
    broker: Broker, age: Callable[[int], None], priority: Priority, bound: int
) -> None:
    """The clock is scripted: what waits is made older by ten seconds for each job that runs."""
    await broker.put([new("high", priority=HIGH), new("high", priority=HIGH), new("low", priority=priority)])
    started_after, step = 0, 10
    while await one(broker) != "low":
        started_after += step
        age(step)
        await broker.put([new("high", priority=HIGH)])
    assert bound - step <= started_after <= bound + 3 * step


async def test_a_flood_of_one_tenant_raises_the_p95_wait_of_the_others_by_less_than_a_fifth(another: Open) -> None:
    """Against the same tenant using just its share. Counted in turns: in each turn four jobs run, of eight tenants."""
    calm, flooded = [await _waits(another(lease=60), standing=jobs) for jobs in (8, 2_000)]
    p95 = [statistics.quantiles(waits, n=20)[18] for waits in (calm, flooded)]
    assert p95[0] >= 2, "nobody waits at all: the test proves nothing"
    assert p95[1] < 1.2 * p95[0], p95


async def _waits(broker: Broker, *, standing: int) -> list[int]:
    """How many turns each job of the other seven waited, while one tenant always has so many jobs waiting.

    Each of the seven brings nine tenths of its share on average; in the order of arrival they would wait behind all
    those of the one, which is 500 turns.
    """
    chance, waits, mine = random.Random(2), [], 0
    for turn in range(200):
        arrivals = [new(turn, tenant=f"t{n}") for n in range(7) for _ in range(4) if chance.random() < 0.9 / 8]
        await broker.put([new(turn, tenant="flood")] * (standing - mine) + arrivals)
        taken = await broker.take(limit=4, wait=0.0)
        await broker.ack(taken)
        others = [turn - int(job.payload) for job in taken if job.tenant != "flood"]
        mine = standing - (len(taken) - len(others))
        waits += others
    while taken := await broker.take(limit=500, wait=0.0):
        await broker.ack(taken)
    assert await counts(broker) == (0, 0, 0)
    return waits


async def test_a_key_runs_one_job_at_a_time_in_the_order_of_enqueueing(another: Open) -> None:
    broker, other = another(lease=60), another(lease=60)
    await broker.put([new(n, key="k") for n in range(3)] + [new("x", key="other"), new("free")])
    taken = await take(broker, 3)
    assert [job.payload for job in taken] == [b"0", b"x", b"free"]
    assert await nothing(other)
    assert await counts(broker) == (2, 3, 0)
    await broker.ack(taken)
    [second] = await take(other, 1)
    assert second.payload == b"1"
    assert await nothing(broker)
    await other.ack([second])
    assert await one(broker) == "2"
    assert await counts(broker) == (0, 0, 0)


async def test_a_key_stays_busy_over_retries_hand_backs_and_lost_leases_until_its_job_is_dead(
    broker: Broker, another: Open
) -> None:
    await broker.put([new(0, key="k", priority=LOW), new(1, key="k", priority=HIGH)])
    [job] = await take(broker, 1)
    assert job.payload == b"0"
    began = time.monotonic()
    await broker.retry_later([Retry(job, 0.3)])
    [job] = await take(broker, 1)
    assert time.monotonic() - began > 0.28, "the retry's time has not come"
    assert (job.payload, job.attempt) == (b"0", 2)
    await broker.hand_back([job])
    [job] = await take(broker, 1)
    assert (job.payload, job.attempt) == (b"0", 2)
    other = another()
    [job] = await take(other, 1)
    assert (job.payload, job.attempt, job.redelivered) == (b"0", 3, True)
    await other.retry_later([Retry(job, 0.0)])
    [job] = await take(other, 1)
    await other.dead_letter([DeadLetter(job, DeathReason.REJECTED)])
    [job] = await take(other, 1)
    assert job.payload == b"1"


async def test_a_delayed_job_takes_its_place_when_it_is_due(broker: Broker) -> None:
    await broker.put([new("late", key="k", delay=3.0), new("now", key="k")])
    [job] = await take(broker, 1)
    assert job.payload == b"now"
    await until(lambda: _is(broker, (1, 1, 0)), what="the delayed job among the waiting")
    assert await nothing(broker)
    await broker.ack([job])
    assert await one(broker) == "late"
    assert (await broker.depth()).arrivals_total == 2


async def test_jobs_of_one_key_that_are_due_at_once_run_in_the_order_in_which_they_were_put(broker: Broker) -> None:
    order = ["c", "a", "b", *"zyx", *range(20, 0, -1)]
    await broker.put([new(name, key="k", delay=1.0) for name in order])
    await until(lambda: _is(broker, (len(order), 0, 0)), what="all of them due")
    assert [await one(broker) for _ in order] == [str(name) for name in order]


async def test_redriven_jobs_keep_their_order(broker: Broker) -> None:
    await broker.put([new(n, key="k", tenant="a") for n in range(5)])
    for _ in range(5):
        [job] = await take(broker, 1)
        await broker.dead_letter([DeadLetter(job, DeathReason.REJECTED)])
    assert [(dead.tenant, dead.ordering_key) for dead in await broker.dead_letters(limit=9)] == [("a", "k")] * 5
    assert await broker.redrive(DeadJobs()) == 5
    assert await counts(broker) == (5, 0, 0)
    assert [await one(broker) for _ in range(5)] == ["0", "1", "2", "3", "4"]
    assert (await broker.depth()).arrivals_total == 5


async def test_plain_jobs_are_ordered_too_once_the_queue_has_seen_another(broker: Broker) -> None:
    await broker.put([new("x", tenant="a")])
    assert await one(broker) == "x"
    await broker.put(jobs(50))
    await broker.put([new("urgent", priority=HIGH)])
    order = [await one(broker) for _ in range(51)]
    assert order.index("urgent") <= 1
    assert [name for name in order if name != "urgent"] == [str(n) for n in range(50)]


async def test_depth_age_and_room_are_those_of_all_that_waits(broker: Broker) -> None:
    assert await broker.put([new(n, key="k") for n in range(3)], max_depth=5) == 3
    assert await broker.put([new(n, tenant="a") for n in range(4)], max_depth=5) == 2
    assert await broker.put(jobs(1), max_depth=5) == 0
    assert await counts(broker) == (5, 0, 0)
    assert (await broker.depth()).blocked == 2, "behind the first of their key"
    await asyncio.sleep(0.15)
    taken = await take(broker, 3)
    assert await broker.put(jobs(4), max_depth=4) == 2
    depth = await broker.depth()
    assert (depth.waiting, depth.in_flight, depth.arrivals_total) == (4, 3, 7)
    assert depth.oldest_age_seconds is not None
    assert depth.oldest_age_seconds >= 0.1, "that of the jobs that wait for their key"
    await broker.ack(taken)
    assert (await broker.depth()).blocked == 1


async def test_consumers_that_wait_are_all_woken(another: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by a job of the backlog, although only one at a time is fed to those who wait."""
    monkeypatch.setattr(blocking, "_SECONDS", 60.0)
    consumers = [another(lease=240) for _ in range(5)]
    waiting = [asyncio.create_task(consumer.take(limit=1, wait=60)) for consumer in consumers]
    producer = another(lease=60)
    await producer.depth()
    await asyncio.sleep(0.05)
    await producer.put([new(n, tenant="a") for n in range(5)])
    async with asyncio.timeout(25):  # less than a blocking read of theirs
        found = [await one for one in waiting]
    assert sorted(job.payload for one in found for job in one) == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("waits_for", [{"priority": HIGH}, {"tenant": "a"}, {"key": "k"}])
async def test_jobs_that_nobody_has_room_for_are_passed_by_all_others(
    broker: Broker, waits_for: dict[str, Any]
) -> None:
    """And keep their place: whoever has room for them gets them first, in their order."""
    await put_in_order(broker)
    slow = [new(f"slow {n}", type_="slow", **waits_for) for n in range(30)]
    await broker.put([*slow, *(new(f"quick {n}") for n in range(6)), new("low", priority=LOW)])
    begun = await broker.take(limit=4, wait=0.5)
    await broker.hand_back(begun)
    found: list[Taken] = []

    async def passed() -> bool:
        found.extend(await broker.take(limit=3, wait=0.02, without=frozenset({"slow"})))
        return len(found) == 7

    await until(passed, what="the others")
    assert {job.payload for job in found[:-1]} == {b"quick %d" % n for n in range(6)}
    assert found[-1].payload == b"low"
    await broker.ack(found)
    assert await broker.take(limit=3, wait=0.02, without=frozenset({"slow"})) == []
    assert await counts(broker) == (30, 0, 0)
    assert await one(broker) == "slow 0"
    assert [await one(broker) for _ in range(29)] == [f"slow {n}" for n in range(1, 30)]


async def test_a_tenant_at_its_limit_has_its_other_jobs_run_where_there_is_no_room_for_the_first(
    broker: Broker,
) -> None:
    broker.limit_tenants({"a": TenantLimit(max_in_flight=2)})
    await put_in_order(broker)
    await broker.put([new(f"slow {n}", type_="slow", tenant="a") for n in range(9)])
    await broker.put([new(f"quick {n}", tenant="a") for n in range(3)])
    found: list[Taken] = []

    async def passed() -> bool:
        for job in await broker.take(limit=3, wait=0.02, without=frozenset({"slow"})):
            found.append(job)
            await broker.ack([job])
        return len(found) == 3

    await until(passed, what="the others")
    assert [job.payload for job in found] == [b"quick 0", b"quick 1", b"quick 2"]
    assert len(await broker.take(limit=9, wait=0.5)) <= 2


async def test_nothing_is_lost_and_keys_keep_their_order_although_consumers_die(another: Open) -> None:
    chance, producer, done = random.Random(5), another(), []
    running: dict[str, bytes] = {}
    total = 150
    await producer.put(
        [new(n, tenant=chance.choice("abc"), key=chance.choice(["", "x", "y", "z"])) for n in range(total)]
    )
    broker = another()

    async def step() -> bool:
        nonlocal broker
        await broker.maintain()
        for job in await broker.take(limit=5, wait=0.02):
            assert running.setdefault(job.ordering_key or job.token, job.payload) == job.payload
            fate = chance.random()
            if fate < 0.06:
                broker = another()  # the one before dies with this job
                break
            if fate < 0.2:
                await broker.retry_later([Retry(job, 0.0)])
            elif fate < 0.3:
                await broker.hand_back([job])
            elif not await broker.ack([job]):
                done.append(job)
                running.pop(job.ordering_key or job.token)
        return len(done) == total

    await until(step, what="all jobs done", seconds=60)
    assert sorted(int(job.payload) for job in done) == list(range(total))
    for key in "xyz":
        serials = [int(job.payload) for job in done if job.ordering_key == key]
        assert serials == sorted(serials)
    assert await counts(producer) == (0, 0, 0)


async def _is(broker: Broker, expected: tuple[int, int, int]) -> bool:
    return await counts(broker) == expected

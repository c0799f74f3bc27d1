"""Jobs that are not to be run any more, on every broker: dead-lettered as somebody takes, without an attempt."""

import asyncio
import time
from dataclasses import replace

import pytest

from tests.component.sdk.conformance import LEASE, Open, another, broker, counts, jobs, take
from tests.component.sdk.test_order import new, one
from tests.support.waiting import until
from workerpool import Job, Queue, Worker
from workerpool.broker import Broker, DeadJobs, DeathReason, NewJob, Priority, Retry, Taken, TenantLimit

pytestmark = pytest.mark.component

__all__ = ["another", "broker"]  # fixtures


def mortal(name: object, *, expires_in: float = 0.05, tenant: str = "", key: str = "", delay: float = 0.0) -> NewJob:
    payload = str(name).encode()
    return NewJob("t", payload, tenant=tenant, ordering_key=key, delay=delay, expires_in=expires_in)


async def drained(broker: Broker) -> list[Taken]:
    """All that can be had; every one of them acknowledged."""
    found: list[Taken] = []

    async def empty() -> bool:
        await broker.maintain()
        taken = await broker.take(limit=10, wait=0.02)
        await broker.ack(taken)
        found.extend(taken)
        return await counts(broker) == (0, 0, 0)

    await until(empty, what="nothing left")
    return found


async def letters(broker: Broker) -> list[tuple[str, int, bytes]]:
    return [(dead.reason, dead.attempts, dead.payload) for dead in await broker.dead_letters(limit=10_000)]


@pytest.mark.parametrize("tenant", ["", "a"])
async def test_an_expired_job_is_not_given_out_and_one_in_time_is(broker: Broker, tenant: str) -> None:
    await broker.put([mortal(0, tenant=tenant), mortal(1, tenant=tenant, expires_in=3600), new(2, tenant=tenant)])
    await broker.put([mortal(3, tenant=tenant)])
    await asyncio.sleep(0.06)
    assert [job.payload for job in await drained(broker)] == [b"1", b"2"]
    assert sorted(await letters(broker)) == [("expired", 0, b"0"), ("expired", 0, b"3")]
    assert broker.dropped() == {DeathReason.EXPIRED: 2}
    assert not broker.dropped(), "told once"
    [letter, _] = await broker.dead_letters(limit=9)
    assert letter.error
    assert (letter.tenant, letter.type) == (tenant, "t")


@pytest.mark.needs("in_flight", "delay")
@pytest.mark.parametrize("tenant", ["", "a"])
async def test_the_time_counts_from_enqueueing_over_a_retry_and_a_delay(broker: Broker, tenant: str) -> None:
    await broker.put([mortal(0, tenant=tenant, expires_in=4.0), mortal(1, tenant=tenant, expires_in=0.3, delay=0.2)])
    [job] = await take(broker, 1)
    await broker.retry_later([Retry(job, 4.1)])
    await asyncio.sleep(0.35)  # the delayed one became due, and nobody looked
    assert await drained(broker) == []
    assert sorted(await letters(broker)) == [("expired", 0, b"1"), ("expired", 1, b"0")]


@pytest.mark.needs("extend")
async def test_one_that_its_consumer_left_behind_expires_too(another: Open) -> None:
    dead, alive = another(lease=LEASE), another(lease=LEASE)
    await dead.put([mortal(0, expires_in=4.0), mortal(1, expires_in=3600)])
    assert len(await take(dead, 2)) == 2
    await asyncio.sleep(4.1)
    taken = await drained(alive)
    assert [(job.payload, job.redelivered) for job in taken] == [(b"1", True)]
    assert [(reason, payload) for reason, _, payload in await letters(alive)] == [("expired", b"0")]


@pytest.mark.needs("fair")
@pytest.mark.parametrize("ordered", [False, True])
async def test_thousands_go_without_taking_the_time_of_jobs(broker: Broker, ordered: bool) -> None:  # noqa: FBT001
    """By a consumer that takes one job at a time: in hardly more takes than there are jobs to run."""
    tenant = "a" if ordered else ""
    dead = [mortal("late", tenant=tenant)] * 3000
    await broker.put([*dead, new("first", tenant=tenant), *dead, new("second", tenant=tenant)])
    await asyncio.sleep(0.06)
    takes, found = 0, list[bytes]()
    began = time.monotonic()
    while len(found) < 2:
        takes += 1
        taken = await broker.take(limit=1, wait=0.02)
        await broker.ack(taken)
        found += [job.payload for job in taken]
    assert found == [b"first", b"second"]
    assert takes <= 60, time.monotonic() - began
    assert await counts(broker) == (0, 0, 0)
    depth = await broker.depth()
    assert (depth.dead_letters, sum(broker.dropped().values())) == (6000, 6000)


@pytest.mark.needs("ordering")
async def test_the_key_of_an_expired_job_is_let_go(broker: Broker) -> None:
    await broker.put([mortal(0, key="k"), mortal(1, key="k"), new(2, key="k")])
    await asyncio.sleep(0.06)
    assert [job.payload for job in await drained(broker)] == [b"2"]


@pytest.mark.needs("tenant_limits")
async def test_an_expired_job_costs_nothing_of_its_tenants_limit(broker: Broker) -> None:
    broker.limit_tenants({"a": TenantLimit(rate_per_second=0.001, max_in_flight=1)})
    await broker.put([mortal(n, tenant="a") for n in range(5)] + [new("alive", tenant="a")])
    await asyncio.sleep(0.06)
    assert await one(broker) == "alive"
    assert await counts(broker) == (0, 0, 0)


@pytest.mark.needs("priority")
async def test_those_that_waited_too_long_for_their_class_are_shed(broker: Broker) -> None:
    broker.shed_after({"low": 0.1, "normal": 3600.0})
    late = [new(f"{one}{n}", priority=one) for one in Priority for n in range(3)]
    await broker.put(late)
    await broker.put([new("delayed", priority=Priority.LOW, delay=0.2)])
    await asyncio.sleep(0.12)
    before = await take(broker, 1)
    await asyncio.sleep(0.1)
    await broker.hand_back(before)
    found = {job.payload for job in await drained(broker)}
    assert found - {b"delayed"} == {f"{one}{n}".encode() for one in ("high", "normal") for n in range(3)}
    assert {reason for reason, _, _ in await letters(broker)} == {"shed"}
    assert broker.dropped()[DeathReason.SHED] == len(late) - len(found - {b"delayed"}) + (b"delayed" not in found)


@pytest.mark.parametrize("tenant", ["", "a"])
async def test_one_that_had_begun_before_it_was_handed_back_is_not_shed(broker: Broker, tenant: str) -> None:
    """But it may be, as any other, when it failed and waits for its next attempt."""
    await broker.put([new("begun", tenant=tenant)])
    [job] = await take(broker, 1)
    await broker.put([new("refused", tenant=tenant)])
    [refused] = await take(broker, 1)
    broker.shed_after({"normal": 0.2})  # not before: a busy machine may take longer for a take
    await broker.hand_back([replace(job, begun=True), refused])
    await asyncio.sleep(0.25)
    [again] = await take(broker, 1)
    assert (again.payload, again.begun, again.attempt) == (b"begun", True, 1)
    await broker.retry_later([Retry(again, 0.0)])
    await asyncio.sleep(0.01)
    await broker.maintain()
    await asyncio.sleep(0.25)
    assert await drained(broker) == []
    assert sorted(await letters(broker)) == [("shed", 0, b"refused"), ("shed", 1, b"begun")]


async def test_a_job_that_a_drain_interrupted_is_run_on_by_the_next_worker() -> None:
    queue, begun, go_on = Queue.connect("memory://"), list[int](), asyncio.Event()
    env = {"DRAIN_TIMEOUT": "0.05", "SHED_AFTER_SECONDS": '{"normal": 4}'}  # what a start may take

    def worker() -> Worker:
        worker = Worker(queue, health_port=0, metrics_port=0, env=env)

        @worker.job("long", timeout=60)
        async def long(job: Job) -> None:
            begun.append(job.attempt)
            await go_on.wait()

        return worker

    await queue.enqueue("long")
    first = worker()
    serving = asyncio.create_task(first.serve())
    await until(lambda: begun, what="it runs")
    await asyncio.sleep(4.1)
    first.stop()
    await serving
    go_on.set()
    second = worker()
    serving = asyncio.create_task(second.serve())
    await until(lambda: begun == [1, 1], what="it runs again")
    second.stop()
    await serving
    assert (await queue.depth()).dead_letters == 0


@pytest.mark.needs("priority")
async def test_plain_jobs_are_of_class_normal(another: Open) -> None:
    other, shedding = another(lease=60), another(lease=60)
    shedding.shed_after({"normal": 0.05})
    await other.put(jobs(30))
    [kept] = await take(other, 1)
    await asyncio.sleep(0.06)
    assert await drained_but(shedding, in_flight=1) == []
    assert (await shedding.depth()).dead_letters == 29
    await other.ack([kept])
    assert not other.dropped()


async def drained_but(broker: Broker, *, in_flight: int) -> list[Taken]:
    found: list[Taken] = []

    async def empty() -> bool:
        found.extend(await broker.take(limit=10, wait=0.02))
        return await counts(broker) == (0, in_flight, 0)

    await until(empty, what="nothing left but what others hold")
    return found


@pytest.mark.needs("extend")
async def test_one_that_is_taken_over_is_not_shed(another: Open) -> None:
    dead, alive = another(lease=LEASE), another(lease=LEASE)
    await dead.put(jobs(2))
    assert len(await take(dead, 2)) == 2
    alive.shed_after({"normal": 0.01})
    assert [job.redelivered for job in await drained(alive)] == [True, True]


@pytest.mark.needs("extend")
@pytest.mark.parametrize("tenant", ["", "a"])
async def test_one_that_was_taken_over_and_went_back_is_not_shed_either(another: Open, tenant: str) -> None:
    dead, alive = another(lease=LEASE), another(lease=LEASE)
    await dead.put([new(number, tenant=tenant) for number in range(2)])
    assert len(await take(dead, 2)) == 2
    await alive.hand_back(await take(alive, 2))
    alive.shed_after({"normal": 0.01})
    assert [job.redelivered for job in await drained(alive)] == [True, True]


@pytest.mark.needs("priority")
async def test_redrive_gives_a_new_life(broker: Broker) -> None:
    broker.shed_after({"low": 4.0})  # of which no more than a moment is over when it is taken after the redrive
    await broker.put([mortal("mortal"), new("low", priority=Priority.LOW)])
    await asyncio.sleep(4.1)
    assert await drained(broker) == []
    assert len(await letters(broker)) == 2
    await asyncio.sleep(0.05)
    assert await broker.redrive(DeadJobs()) == 2
    assert {(job.payload, job.attempt) for job in await drained(broker)} == {(b"mortal", 1), (b"low", 1)}

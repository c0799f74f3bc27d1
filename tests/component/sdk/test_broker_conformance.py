"""What every broker must do, run by what each says that it can do, against real ones."""

import asyncio
import secrets
from dataclasses import fields

import pytest

from tests.component.sdk.conformance import (
    PATIENT,
    Open,
    another,
    assert_arrived,
    broker,
    counts,
    jobs,
    shows,
    take,
    told,
)
from tests.support.waiting import until
from workerpool.broker import Broker, DeadLetter, DeathReason, NewJob, Retry, Taken

pytestmark = pytest.mark.component
needs = pytest.mark.needs

__all__ = ["another", "broker"]  # fixtures


async def test_depth_of_an_unused_queue_is_zero(broker: Broker) -> None:
    depth = await broker.depth()
    assert not any(getattr(depth, field.name) for field in fields(depth) if field.name not in {"partitions", "lag"})
    assert not any((depth.lag or {}).values())
    can = broker.capabilities
    assert (depth.in_flight is None, depth.oldest_age_seconds is None) == (not can.in_flight, not can.oldest_age)
    assert (depth.delayed is None, depth.arrivals_total is None) == (not can.in_flight, not can.arrivals)


async def test_a_queue_has_one_identity_for_all_its_users(another: Open) -> None:
    one, two = another(), another()
    await one.take(limit=1, wait=0.0)
    await two.take(limit=1, wait=0.0)
    assert one.identity == two.identity != ""


async def test_a_job_is_waiting_then_in_flight_then_gone(broker: Broker) -> None:
    assert await broker.put(jobs(3)) == 3
    assert await counts(broker) == told(broker, 3, 0, 0)
    taken = await take(broker, 2)
    assert await counts(broker) == told(broker, 1, 2, 0)
    assert await broker.ack(taken) == frozenset()
    assert await counts(broker) == told(broker, 1, 0, 0)
    await assert_arrived(broker, 3)


async def test_jobs_come_in_order_with_what_was_put(broker: Broker) -> None:
    await broker.put([NewJob(type="resize", payload=b'{"a": 1}', job_id="x-1"), *jobs(2)])
    first, *rest = await take(broker, 3)
    assert (first.type, first.payload, first.job_id, first.attempt, first.redelivered, first.malformed) == (
        "resize",
        b'{"a": 1}',
        "x-1",
        1,
        False,
        "",
    )
    assert [job.payload for job in rest] == [b"0", b"1"]
    assert all(job.job_id for job in rest)


async def test_take_gives_no_more_than_the_limit_and_waits_no_longer_than_told(broker: Broker) -> None:
    left = 0

    async def as_many() -> bool:
        """One that is held up may give fewer: RabbitMQ's queue seems empty then, Kafka has fetched a part."""
        nonlocal left
        left += await broker.put(jobs(5))
        found = len(await broker.take(limit=3, wait=30))
        assert found <= 3
        left -= found
        return found == 3

    await until(as_many, what="as many as the limit")
    await take(broker, left)
    assert await asyncio.wait_for(broker.take(limit=9, wait=0.05), 30) == []
    assert await asyncio.wait_for(broker.take(limit=9, wait=0.0), 30) == []


async def test_a_waiting_take_is_woken_by_a_put(another: Open) -> None:
    """One that has ended before, as a broker's may, is begun anew."""
    producer, consumer = another(), another(lease=60)

    async def one() -> list[Taken]:
        while not (found := await consumer.take(limit=1, wait=100)):
            pass
        return found

    waiting = asyncio.create_task(one())
    await consumer.depth()
    await producer.put(jobs(1))
    await until(waiting.done, what="the job, long before the wait is over")
    assert len(waiting.result()) == 1


async def test_interrupt_ends_a_take_at_once(another: Open) -> None:
    consumer = another(lease=60)
    await consumer.take(limit=1, wait=0)
    for _ in range(20):
        waiting = asyncio.create_task(consumer.take(limit=1, wait=30))
        await asyncio.sleep(0.002)
        async with asyncio.timeout(15):
            await consumer.interrupt()
            assert await waiting == []


async def test_interrupt_without_a_take_does_nothing(broker: Broker) -> None:
    await broker.interrupt()
    await broker.put(jobs(1))
    assert len(await broker.take(limit=1, wait=30)) == 1


@needs("extend")
async def test_an_expired_lease_gives_the_job_to_another_as_a_second_attempt(broker: Broker, another: Open) -> None:
    await broker.put(jobs(1))
    [mine] = await take(broker, 1)
    assert await counts(broker) == told(broker, 0, 1, 0)
    [theirs] = await take(another(), 1)
    assert (theirs.payload, theirs.attempt, theirs.redelivered) == (mine.payload, 2, True)
    assert await counts(broker) == told(broker, 0, 1, 0)


@needs("extend")
async def test_only_the_owner_of_a_job_can_move_it(broker: Broker, another: Open) -> None:
    await broker.put(jobs(1))
    [mine] = await take(broker, 1)
    thief = another()
    [theirs] = await take(thief, 1)
    lost = frozenset({mine.token})
    assert await broker.extend([mine]) == lost
    assert await broker.ack([mine]) == lost
    assert await broker.retry_later([Retry(mine, 0.0)]) == lost
    assert await broker.hand_back([mine]) == lost
    assert await broker.dead_letter([DeadLetter(mine, DeathReason.REJECTED)]) == lost
    assert await counts(broker) == told(broker, 0, 1, 0)
    assert await thief.ack([theirs]) == frozenset()
    assert await counts(broker) == told(broker, 0, 0, 0)


@needs("extend")
async def test_extending_keeps_a_job_beyond_its_lease(another: Open) -> None:
    broker, thief = another(lease=PATIENT), another()
    await broker.put(jobs(3))
    mine = await take(broker, 3)
    loop = asyncio.get_running_loop()
    end = loop.time() + 1.5 * PATIENT
    while loop.time() < end:
        assert await broker.extend(mine) == frozenset()
        assert await thief.take(limit=3, wait=0.3) == []
    assert await broker.ack(mine) == frozenset()


@needs("extend")
async def test_a_short_lease_does_not_rob_a_long_one(another: Open) -> None:
    patient, hasty = another(lease=60.0), another(lease=0.2)
    await patient.put(jobs(1))
    await patient.maintain()
    mine = await take(patient, 1)
    await patient.extend(mine)
    for _ in range(8):
        assert await hasty.take(limit=1, wait=0.1) == []
    assert await patient.ack(mine) == frozenset()


@needs("extend")
async def test_a_changed_lease_is_in_force_from_the_next_extend(another: Open) -> None:
    broker, thief = another(lease=PATIENT), another()
    await broker.put(jobs(1))
    mine = await take(broker, 1)
    broker.set_lease(60.0)
    assert broker.lease_seconds == 60.0
    assert await broker.extend(mine) == frozenset()
    loop = asyncio.get_running_loop()
    end = loop.time() + 1.2 * PATIENT
    while loop.time() < end:
        assert await thief.take(limit=1, wait=0.3) == []


async def test_a_retried_job_comes_back_later_with_the_next_attempt(broker: Broker) -> None:
    await broker.put([NewJob(type="t", payload=b"1", job_id=name) for name in ("r-1", "much later")])
    first, other = await take(broker, 2)
    assert await broker.retry_later([Retry(other, 600.0)]) == frozenset()
    assert await counts(broker) == told(broker, 0, 1, 1)
    assert await broker.take(limit=1, wait=0) == []
    assert await broker.retry_later([Retry(first, 0.3)]) == frozenset()
    [second] = await take(broker, 1)
    assert (second.job_id, second.attempt, second.redelivered) == ("r-1", 2, False)
    assert second.waited < 30
    await assert_arrived(broker, 2)


async def test_a_job_keeps_its_id_over_retries(broker: Broker) -> None:
    await broker.put(jobs(1))
    [first] = await take(broker, 1)
    await broker.retry_later([Retry(first, 0.0)])
    [second] = await take(broker, 1)
    await broker.hand_back([second])
    [third] = await take(broker, 1)
    assert first.job_id == second.job_id == third.job_id


async def test_a_job_handed_back_keeps_its_attempt_number(broker: Broker, another: Open) -> None:
    await broker.put(jobs(1))
    [first] = await take(broker, 1)
    await broker.retry_later([Retry(first, 0.0)])
    [second] = await take(broker, 1)
    assert await broker.hand_back([second]) == frozenset()
    assert await counts(broker) == told(broker, 1, 0, 0)
    [again] = await take(another() if broker.capabilities.competing else broker, 1)
    assert (again.attempt, again.redelivered, again.payload) == (2, False, first.payload)
    await assert_arrived(broker, 1)


@pytest.mark.parametrize("tenant", ["", "acme"])
async def test_that_its_consumer_left_a_job_behind_is_known_until_an_attempt_has_an_outcome(
    another: Open, tenant: str
) -> None:
    """Also to whom it is given after it was handed back, which is no outcome."""
    gone, alive = another(), another()
    await gone.put([NewJob(type="t", payload=b"1", tenant=tenant)])
    await take(gone, 1)
    await gone.close()
    [job] = await take(alive, 1)
    assert (job.attempt, job.redelivered) == (2, True)
    await alive.hand_back([job])
    [job] = await take(alive, 1)
    assert (job.attempt, job.redelivered) == (2, True)
    await alive.retry_later([Retry(job, 0.0)])
    [job] = await take(alive, 1)
    assert (job.attempt, job.redelivered) == (3, False)


async def test_a_dead_letter_is_counted_and_gone(broker: Broker) -> None:
    await broker.put(jobs(2))
    taken = await take(broker, 2)
    letters = [DeadLetter(job, DeathReason.MAX_ATTEMPTS, error="boom", version="v1", worker="w") for job in taken]
    assert await broker.dead_letter(letters) == frozenset()
    assert await counts(broker) == told(broker, 0, 0, 0)
    assert (await broker.depth()).dead_letters == 2


@needs("delay")
async def test_a_delayed_job_counts_as_waiting_once_it_is_due(broker: Broker) -> None:
    await broker.put([NewJob(type="t", payload=b"much later", delay=600.0)])
    assert await counts(broker) == told(broker, 0, 0, 1)
    await assert_arrived(broker, 0)
    await broker.put([NewJob(type="t", payload=b"1", delay=0.3)])
    # Without anyone's maintain: the depth must show the work that waits while no worker runs.
    await until(lambda: shows(broker, (1, 0, 1)), what="the delayed job among the waiting")
    [job] = await take(broker, 1)
    assert (job.payload, job.waited < 30) == (b"1", True)
    await broker.ack([job])
    assert await counts(broker) == told(broker, 0, 0, 1)
    await assert_arrived(broker, 1)


@needs("deduplicate")
async def test_the_same_job_id_is_put_once(broker: Broker) -> None:
    job = NewJob(type="t", payload=b"1", job_id="only-once")
    assert await broker.put([job, job]) == 2
    assert await broker.put([job]) == 1
    assert await counts(broker) == told(broker, 1, 0, 0)


async def test_a_full_queue_takes_what_fits(broker: Broker) -> None:
    assert await broker.put(jobs(3), max_depth=5) == 3
    assert await broker.put(jobs(4), max_depth=5) == 2
    assert await broker.put(jobs(1), max_depth=5) == 0
    await take(broker, 1)
    assert await broker.put(jobs(4), max_depth=5) == 1
    assert (await counts(broker))[0] == 5


@needs("deduplicate")
async def test_a_duplicate_needs_no_room(broker: Broker) -> None:
    job = NewJob(type="t", payload=b"1", job_id="a")
    assert await broker.put([job], max_depth=1) == 1
    assert await broker.put([job], max_depth=1) == 1


@needs("oldest_age")
async def test_the_oldest_age_is_of_the_oldest_waiting_job(broker: Broker) -> None:
    await broker.put(jobs(1))
    await asyncio.sleep(0.15)
    await broker.put(jobs(1))
    age = (await broker.depth()).oldest_age_seconds
    assert age is not None
    assert 0.1 <= age < 30
    await take(broker, 2)
    assert (await broker.depth()).oldest_age_seconds == 0.0


async def test_wait_is_measured_from_when_the_job_became_due(broker: Broker) -> None:
    await broker.maintain()
    await broker.put(jobs(1))
    await asyncio.sleep(0.2)
    [job] = await take(broker, 1)
    assert 0.1 <= job.waited < 30


async def test_large_batches_go_through_whole(another: Open) -> None:
    broker = another(lease=60)
    count = 1234
    assert await broker.put(jobs(count)) == count
    taken = await take(broker, count)
    assert {job.payload for job in taken} == {str(number).encode() for number in range(count)}
    assert await broker.extend(taken) == frozenset()
    assert await broker.ack(taken[:700]) == frozenset()
    assert await broker.hand_back(taken[700:]) == frozenset()
    assert await counts(broker) == told(broker, count - 700, 0, 0)


@needs("competing")
async def test_jobs_are_shared_out_without_loss_or_duplicates_among_consumers(another: Open) -> None:
    """Depth is exact at every moment: the unfinished jobs are those that were not acknowledged."""
    producer = another(lease=60)
    await producer.depth()  # RabbitMQ makes the queue, and refuses others until that is done
    done: list[bytes] = []
    total = 600

    async def consume() -> None:
        consumer = another(lease=60)
        while len(done) < total:
            batch = await consumer.take(limit=7, wait=0.05)
            assert await consumer.ack(batch) == frozenset()
            done.extend(job.payload for job in batch)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(consume())
        for part in range(0, total, 60):
            await producer.put([NewJob(type="t", payload=str(part + n).encode()) for n in range(60)])
            before = len(done)
            if not producer.capabilities.in_flight:
                continue
            unfinished = (await producer.depth()).unfinished
            # Acknowledged ones are gone from the depth a moment before they are in `done`.
            assert part + 60 - len(done) - 4 * 7 <= unfinished <= part + 60 - before
    assert sorted(done) == sorted(str(number).encode() for number in range(total))
    assert await counts(producer) == told(producer, 0, 0, 0)


async def test_a_wait_for_an_arrival_ends_with_it_or_with_its_time(broker: Broker, another: Open) -> None:
    producer = another()
    await producer.put(jobs(1))
    await broker.depth()
    assert not await asyncio.wait_for(broker.wait_for_arrival(0.05), 30)
    if not broker.capabilities.notifies:
        return
    waiting = asyncio.create_task(broker.wait_for_arrival(60.0))
    await asyncio.sleep(0.02)  # in the wait, or about to be: both have to do
    await producer.put(jobs(1))
    assert await asyncio.wait_for(waiting, 30)
    assert await asyncio.wait_for(broker.wait_for_arrival(60.0), 30), "nobody has read the queue since"
    assert (await broker.depth()).waiting == 2
    assert not await broker.wait_for_arrival(0.05)


async def test_a_wait_for_an_arrival_may_be_cancelled(broker: Broker) -> None:
    waiting = asyncio.create_task(broker.wait_for_arrival(60.0))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.wait([waiting], timeout=30)
    assert waiting.cancelled()
    assert await asyncio.wait_for(counts(broker), 30) == told(broker, 0, 0, 0)


async def test_closing_twice_is_fine(another: Open) -> None:
    one = another()
    await one.put([NewJob(type=secrets.token_hex(2), payload=b"1")])
    await one.close()

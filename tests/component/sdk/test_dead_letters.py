"""Dead letters on every broker: listed, redriven and purged."""

import asyncio

import pytest

from tests.component.sdk.conformance import Open, another, assert_arrived, broker, counts, jobs, take, told
from workerpool import Queue
from workerpool.broker import Broker, DeadJob, DeadJobs, DeadLetter, DeathReason, NewJob, Retry

pytestmark = pytest.mark.component
ALL = DeadJobs()

__all__ = ["another", "broker"]  # fixtures


async def bury(
    broker: Broker, count: int, reason: DeathReason = DeathReason.REJECTED, first: int = 0, version: str = "v1"
) -> None:
    numbers = range(first, first + count)
    await broker.put([NewJob(type="t", payload=str(n).encode(), job_id=f"job-{n}") for n in numbers])
    letters = [
        DeadLetter(job, reason, error=f"E{job.payload.decode()}", traceback="tb", version=version, worker="w")
        for job in await take(broker, count)
    ]
    assert await broker.dead_letter(letters) == frozenset()


async def listed(broker: Broker) -> list[bytes]:
    return [job.payload for job in await broker.dead_letters(limit=10_000)]


async def test_a_dead_letter_is_listed_with_all_that_is_known_of_its_end(broker: Broker) -> None:
    await bury(broker, 1)
    [dead] = await broker.dead_letters(limit=10)
    assert dead == DeadJob(
        token=dead.token,
        job_id="job-0",
        type="t",
        payload=b"0",
        attempts=1,
        reason="rejected",
        error="E0",
        traceback="tb",
        version="v1",
        worker="w",
        died_at=dead.died_at,
    )
    assert dead.died_at > 1_600_000_000


async def test_pages_follow_each_other_without_gap_or_overlap(broker: Broker) -> None:
    await bury(broker, 7)
    pages, after = [], ""
    while page := await broker.dead_letters(limit=3, after=after):
        pages.append([job.payload for job in page])
        after = page[-1].token
    assert pages == [[b"0", b"1", b"2"], [b"3", b"4", b"5"], [b"6"]]


async def test_redriven_jobs_wait_again_in_their_order_as_if_never_tried(broker: Broker) -> None:
    await broker.put([NewJob(type="t", payload=b"tried", job_id="tried")])
    [job] = await take(broker, 1)
    await broker.retry_later([Retry(job, 0.0)])
    [job] = await take(broker, 1)
    await broker.dead_letter([DeadLetter(job, DeathReason.MAX_ATTEMPTS)])
    await bury(broker, 3)
    assert await broker.redrive(ALL) == 4
    assert await counts(broker) == told(broker, 4, 0, 0)
    await assert_arrived(broker, 4)
    assert (await broker.depth()).dead_letters == 0
    again = await take(broker, 4)
    assert [(job.payload, job.attempt, job.redelivered) for job in again] == [
        (payload, 1, False) for payload in (b"tried", b"0", b"1", b"2")
    ]
    assert [job.job_id for job in again] == ["tried", "job-0", "job-1", "job-2"]
    assert all(job.waited < 30 for job in again)


@pytest.mark.parametrize("verb", ["redrive", "purge"])
async def test_a_move_says_on_its_way_how_many_were_moved(broker: Broker, verb: str) -> None:
    """Chunk by chunk, so that who is ended in its midst knows; together they are what it returns."""
    await bury(broker, 3)
    heard: list[int] = []
    moved = await getattr(broker, verb)(DeadJobs(version="v1", moved=heard.append))
    assert (moved, sum(heard)) == (3, 3)
    heard.clear()
    await bury(broker, 2, first=3)
    assert await getattr(broker, verb)(DeadJobs(moved=heard.append)) == sum(heard) == 2


async def test_a_job_without_an_id_of_its_own_keeps_the_one_it_was_given(broker: Broker) -> None:
    await broker.put(jobs(1))
    [first] = await take(broker, 1)
    await broker.dead_letter([DeadLetter(first, DeathReason.REJECTED)])
    [dead] = await broker.dead_letters(limit=1)
    await broker.redrive(DeadJobs(job_id=first.job_id))
    [again] = await take(broker, 1)
    assert first.job_id == dead.job_id == again.job_id


@pytest.mark.parametrize("redrive", [True, False])
async def test_only_the_chosen_ones_leave(broker: Broker, redrive: bool) -> None:  # noqa: FBT001
    await bury(broker, 2, DeathReason.REJECTED)
    await bury(broker, 2, DeathReason.OVERSIZE, first=2)
    act = broker.redrive if redrive else broker.purge
    assert await act(DeadJobs(reason="oversize", job_id="job-0")) == 0
    assert await act(DeadJobs(reason="oversize")) == 2
    assert await listed(broker) == [b"0", b"1"]
    assert await act(DeadJobs(job_id="job-1")) == 1
    assert await listed(broker) == [b"0"]
    assert await act(ALL) == 1
    assert await act(ALL) == 0
    assert await counts(broker) == (4 if redrive else 0, 0, 0)


@pytest.mark.parametrize("redrive", [True, False])
async def test_what_one_version_gave_up_leaves_without_the_others(broker: Broker, redrive: bool) -> None:  # noqa: FBT001
    """A canary that was rejected leaves its dead letters; the stable version can do these jobs."""
    await bury(broker, 2, version="stable")
    await bury(broker, 3, DeathReason.MAX_ATTEMPTS, first=2, version="canary")
    assert [job.version for job in await broker.dead_letters(limit=9)] == ["stable"] * 2 + ["canary"] * 3
    act = broker.redrive if redrive else broker.purge
    assert await act(DeadJobs(version="canar")) == 0
    assert await act(DeadJobs(version="canary", reason="rejected")) == 0
    assert await act(DeadJobs(version="canary", job_id="job-3")) == 1
    assert await act(DeadJobs(version="canary")) == 2
    assert [job.version for job in await broker.dead_letters(limit=9)] == ["stable"] * 2
    if redrive:
        again = await take(broker, 3)
        assert sorted((job.job_id, job.attempt) for job in again) == [("job-2", 1), ("job-3", 1), ("job-4", 1)]
    else:
        assert await counts(broker) == (0, 0, 0)


async def test_many_are_moved_in_chunks_and_keep_their_order(another: Open) -> None:
    broker = another(lease=60)
    await bury(broker, 1_203)
    assert await broker.redrive(ALL) == 1_203
    assert [job.payload for job in await take(broker, 1_203)] == [str(n).encode() for n in range(1_203)]


@pytest.mark.needs("competing")
async def test_a_redrive_ends_although_the_jobs_die_again_at_once(another: Open) -> None:
    broker, consumer = another(lease=60), another(lease=60)
    await bury(broker, 1_500)

    async def kill() -> None:
        while not over.is_set():
            taken = await consumer.take(limit=500, wait=0.05)
            await consumer.dead_letter([DeadLetter(job, DeathReason.REJECTED) for job in taken])

    over = asyncio.Event()
    killing = asyncio.create_task(kill())
    try:
        assert await asyncio.wait_for(broker.redrive(ALL), 90) == 1_500
    finally:
        over.set()
        await killing


@pytest.mark.needs("competing")
async def test_two_redrives_at_once_double_no_job(another: Open) -> None:
    """As one that is repeated while its first call, thought dead, still runs."""
    one, two = another(lease=60), another(lease=60)
    await bury(one, 1_200)
    moved = await asyncio.gather(one.redrive(ALL), two.redrive(ALL))
    assert sum(moved) == 1_200
    assert await counts(one) == (1_200, 0, 0)


async def test_the_producers_queue_has_it_all() -> None:
    async with Queue.connect("memory://") as queue:
        broker = queue.source.connect()
        await bury(broker, 3)
        assert [dead.job_id for dead in await queue.dead_letters(limit=2)] == ["job-0", "job-1"]
        assert await queue.redrive(job_id="job-0") == 1
        assert await queue.purge(reason=DeathReason.REJECTED) == 2
        assert (await queue.depth()).dead_letters == 0

"""A worker that is held to a pace of its own, by virtual time (looptime)."""

import asyncio
from typing import Any, cast

import pytest

from workerpool.broker import BrokerUnavailable
from workerpool.guards.pace import LONGEST_PAUSE_SECONDS, Pace
from workerpool.guards.rate import RateLimiter

pytestmark = pytest.mark.looptime


class Pool:
    """The pool's limiter, which grants so many at a time."""

    def __init__(self, grants: int = 1, *, away: bool = False) -> None:
        self.grants, self.away, self.contended = grants, away, False
        self.asked: list[int] = []
        self.told: list[tuple[int, int]] = []

    async def draw(self, queue: str, most: int) -> int:
        self.asked.append(most)
        if self.away:
            raise BrokerUnavailable("away")
        return min(most, self.grants)

    async def spent(self, queue: str, *, drawn: int, used: int) -> None:
        self.told.append((drawn, used))


class Worker:
    """Its pace, and how many jobs it began."""

    def __init__(self, rate: float | None = 10.0, pool: Pool | None = None) -> None:
        self.rate, self.pool, self.begun, self.changes = rate, pool, 0, 0
        self.pace = Pace(
            rate=lambda: self.rate,
            pool=lambda: cast("RateLimiter | None", self.pool),
            changed=self._changed,
            clock=asyncio.get_running_loop().time,
        )

    def _changed(self) -> None:
        self.changes += 1

    async def take(self, *, jobs: int = 100, slots: int = 20, queue: str = "main") -> int:
        """One take from a queue in which so many wait."""
        drawn = await self.pace.draw(queue, slots)
        assert 1 <= drawn <= slots
        used = min(drawn, jobs)
        await self.pace.spent(queue, drawn=drawn, used=used)
        self.begun += used
        return used

    async def work(self, seconds: float, **more: Any) -> None:
        """On a queue in which jobs always wait."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.take(**more)
                    await asyncio.sleep(0.001)
        except TimeoutError:
            pass


@pytest.mark.parametrize("rate", [0.5, 3.0, 40.0])
async def test_it_begins_as_many_as_its_pace_says(rate: float) -> None:
    worker = Worker(rate)
    await worker.work(60)
    assert 60 * rate - 1 <= worker.begun <= 61 * rate + 1


async def test_two_queues_share_one_pace() -> None:
    worker = Worker(10.0)
    await asyncio.gather(worker.work(30), worker.work(30, queue="other"))
    assert 299 <= worker.begun <= 311


async def test_what_was_not_used_is_made_up_for_by_one_second_at_most() -> None:
    worker = Worker(10.0)
    await worker.work(1)
    await asyncio.sleep(600)
    before = worker.begun
    await worker.work(5)
    assert worker.begun - before <= 61


async def test_jobs_that_were_not_there_cost_nothing_and_who_found_none_asks_for_one() -> None:
    worker = Worker(1.0)
    for _ in range(5):
        assert await worker.take(jobs=0) == 0
    assert asyncio.get_running_loop().time() == 0.0
    assert await worker.take() == 1


async def test_it_says_that_it_waits_and_sees_a_pace_that_is_gone() -> None:
    worker = Worker(0.01)
    await worker.take()
    waiting = asyncio.create_task(worker.take())
    await asyncio.sleep(0)
    assert (worker.pace.waiting, worker.pace.contended) == (True, True)
    worker.rate = None
    await asyncio.sleep(LONGEST_PAUSE_SECONDS + 0.01)
    assert waiting.done()
    assert waiting.result() == 20
    assert (worker.pace.waiting, worker.pace.contended) == (False, False)
    assert worker.changes == 2


async def test_the_limit_of_the_pool_holds_as_well_and_hears_what_was_used() -> None:
    pool = Pool()
    worker = Worker(100.0, pool)
    await asyncio.sleep(1)
    assert await worker.take() == 1
    await worker.take()
    assert (pool.asked, pool.told) == ([1, 2], [(1, 1), (1, 1)])
    pool.contended = True
    assert worker.pace.contended


async def test_a_pool_whose_limit_cannot_be_asked_costs_no_time_of_the_pace() -> None:
    worker = Worker(0.1, Pool(away=True))
    for _ in range(3):
        with pytest.raises(BrokerUnavailable):
            await worker.take()
    assert asyncio.get_running_loop().time() == 0.0

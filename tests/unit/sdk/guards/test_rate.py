"""The rate limiter, with a bucket that lives by virtual time (looptime)."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from workerpool.broker import Broker, BrokerUnavailable, Tokens
from workerpool.broker._bucket import Level, burst, draw
from workerpool.guards.rate import LONGEST_PAUSE_SECONDS, RateLimiter
from workerpool.telemetry.metrics import Metrics

pytestmark = pytest.mark.looptime


@dataclass
class Bucket:
    """A broker that keeps one bucket."""

    level: Level | None = None
    away: bool = False
    asked: list[int] = field(default_factory=list)

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        if self.away:
            raise BrokerUnavailable("away")
        self.asked.append(count)
        now = asyncio.get_running_loop().time()
        self.level, tokens = draw(self.level, now=now, count=count, rate=rate, burst=burst)
        await asyncio.sleep(0)
        return tokens


@dataclass
class Worker:
    """Its limiter, and how many jobs it began."""

    bucket: Bucket
    rate: float | None = 10.0
    changes: int = 0
    begun: int = 0

    def __post_init__(self) -> None:
        self.metrics = Metrics(pool="p", version="v", slots={})
        self.limiter = RateLimiter(
            cast("Broker", self.bucket), "b", rate=lambda: self.rate, metrics=self.metrics, changed=self._changed
        )

    def _changed(self) -> None:
        self.changes += 1

    async def take(self, *, jobs: int, slots: int = 20, queue: str = "main") -> int:
        """One take from a queue in which so many wait; how many began."""
        drawn = await self.limiter.draw(queue, slots)
        assert 1 <= drawn <= slots
        used = min(drawn, jobs)
        await self.limiter.spent(queue, drawn=drawn, used=used)
        self.begun += used
        return used

    async def flood(self) -> None:
        """Works on a queue that never ends."""
        while True:
            await self.take(jobs=10**6)
            await asyncio.sleep(0.01)


async def within(seconds: float, *work: Any) -> None:
    tasks = [asyncio.create_task(one) for one in work]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("workers", [1, 10])
@pytest.mark.parametrize("rate", [0.5, 4.0, 100.0])
async def test_the_rate_holds_for_all_workers_together(workers: int, rate: float) -> None:
    bucket = Bucket()
    crowd = [Worker(bucket, rate) for _ in range(workers)]
    seconds = max(4.0, 40 / rate)
    await within(seconds, *(one.flood() for one in crowd))
    begun = sum(one.begun for one in crowd)
    assert 0.95 * rate * seconds - 1 <= begun <= rate * seconds + burst(rate)


@pytest.mark.parametrize("rate", [0.5, 10.0, 100.0])
async def test_a_flood_after_a_rest_brings_no_more_than_the_burst_and_one_job_for_each_idle_worker(rate: float) -> None:
    bucket = Bucket()
    crowd = [Worker(bucket, rate) for _ in range(10)]

    async def rest(one: Worker) -> None:
        while True:
            drawn = await one.limiter.draw("main", 20)
            await asyncio.sleep(2.0)  # as long as a take of nothing
            if flooded:
                one.begun += drawn
            await one.limiter.spent("main", drawn=drawn, used=drawn if flooded else 0)
            if flooded:
                await one.flood()

    flooded = False
    resting = [asyncio.create_task(rest(one)) for one in crowd]
    await asyncio.sleep(60)
    flooded = True
    await asyncio.sleep(10)
    for task in resting:
        task.cancel()
    assert 0.8 * rate * 10 - 3 <= sum(one.begun for one in crowd) <= rate * 10 + burst(rate) + len(crowd)


async def test_a_busy_worker_asks_for_several_at_once() -> None:
    worker = Worker(Bucket(), 1000.0)
    assert [await worker.take(jobs=99) for _ in range(6)] == [1, 2, 4, 8, 16, 20]
    assert worker.bucket.asked == [1, 2, 4, 8, 16, 20]


async def test_what_is_left_over_is_used_for_the_next_take_and_goes_back_when_there_is_none() -> None:
    worker = Worker(Bucket(), 1000.0)
    for _ in range(4):
        await worker.take(jobs=99)
    assert (await worker.take(jobs=3), worker.bucket.asked[-1]) == (3, 16)
    asked = len(worker.bucket.asked)
    assert await worker.take(jobs=6) == 6
    assert await worker.take(jobs=0) == 0
    assert worker.bucket.asked[asked:] == [5, -12], "13 were left, and 6 of them spent; then 12 were wanted"


async def test_who_waits_says_so_and_is_counted_once_for_each_wait() -> None:
    worker = Worker(Bucket(), 0.1)
    await worker.take(jobs=1)
    assert (worker.limiter.waiting, worker.metrics.rate_limited, worker.changes) == (False, 0, 0)
    began = asyncio.get_running_loop().time()
    taking = asyncio.create_task(worker.take(jobs=1))
    await asyncio.sleep(5)
    assert (worker.limiter.waiting, worker.metrics.rate_limited, worker.changes) == (True, 1, 1)
    assert await taking == 1
    assert (worker.limiter.waiting, worker.metrics.rate_limited, worker.changes) == (False, 1, 2)
    assert 9 < asyncio.get_running_loop().time() - began < 12


async def test_a_lifted_limit_holds_nobody_up() -> None:
    worker = Worker(Bucket(), 0.001)
    await worker.take(jobs=1)
    taking = asyncio.create_task(worker.take(jobs=99))
    await asyncio.sleep(5)
    assert not taking.done()
    worker.rate = None
    began = asyncio.get_running_loop().time()
    assert await taking == 20
    assert asyncio.get_running_loop().time() - began <= LONGEST_PAUSE_SECONDS + 0.1


async def test_a_raised_limit_acts_within_a_second() -> None:
    worker = Worker(Bucket(), 0.001)
    await worker.take(jobs=1)
    taking = asyncio.create_task(worker.take(jobs=1))
    await asyncio.sleep(5)
    worker.rate = 100.0
    began = asyncio.get_running_loop().time()
    await taking
    assert asyncio.get_running_loop().time() - began <= LONGEST_PAUSE_SECONDS + 0.2


async def test_without_the_broker_there_are_no_tokens() -> None:
    worker = Worker(Bucket(away=True))
    with pytest.raises(BrokerUnavailable):
        await worker.take(jobs=1)
    assert not worker.limiter.waiting
    worker.bucket.away = False
    assert await worker.take(jobs=1) == 1


async def test_what_cannot_be_given_back_is_lost_and_hurts_nobody() -> None:
    worker = Worker(Bucket())
    drawn = await worker.limiter.draw("main", 1)
    worker.bucket.away = True
    await worker.limiter.spent("main", drawn=drawn, used=0)
    worker.bucket.away = False
    asked = len(worker.bucket.asked)
    assert await worker.take(jobs=1) == 1
    assert worker.bucket.asked[asked:] == [1]


async def test_a_queue_that_waits_gets_the_token_that_another_one_could_not_use() -> None:
    """Else an idle queue's intake would draw it anew each time, and the other one starve."""
    worker, worked = Worker(Bucket(), 0.01), 0

    async def idle() -> None:
        while True:
            drawn = await worker.limiter.draw("idle", 20)
            await asyncio.sleep(0.25)
            await worker.limiter.spent("idle", drawn=drawn, used=0)

    idling = asyncio.create_task(idle())
    await asyncio.sleep(1.1)
    async with asyncio.timeout(0.3):  # the other one holds it for 0.25 s
        worked += await worker.take(jobs=9, queue="busy")
    idling.cancel()
    assert worked == 1

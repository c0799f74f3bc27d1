"""Which limit a worker goes by: its brokers' bucket, its share of the pool's rate, or that of a version on trial."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from workerpool.guards.pace import LONGEST_PAUSE_SECONDS, Pace
from workerpool.guards.rate import RateLimiter
from workerpool.runtime.contract import Contract
from workerpool.runtime.limits import Limits
from workerpool.runtime.live import LiveSettings, Orders, Policy, Share

pytestmark = pytest.mark.looptime

LIMITED = Policy(
    max_attempts=5, backoff_seconds=1, backoff_max_seconds=60, lease_seconds=60, rate_limit_per_second=10.0
)


class Worker:
    """Its limits, and what they were told."""

    def __init__(self, *, collector: str = "collector:8090", counted: bool = False, policy: Policy = LIMITED) -> None:
        self.live = LiveSettings(policy)
        self.changes = 0
        self.metrics = SimpleNamespace(rate_limited=0)
        contract = Contract.from_env(
            {"WORKERPOOL_COLLECTOR": collector, "QUEUE_MAIN_URL": "amqp://r/v", "QUEUE_MAIN_QUEUE": "jobs"}
        )
        self.limits = Limits(
            contract,
            self.live,
            beside=lambda: cast("Any", None),
            counted=lambda: counted,
            metrics=cast("Any", self.metrics),
            changed=self._changed,
        )

    def _changed(self) -> None:
        self.changes += 1

    async def begun(self, seconds: float) -> int:
        """Jobs that it began in that time, of a queue in which many wait."""
        count = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    limiter = self.limits.now()
                    assert limiter is not None
                    drawn = await limiter.draw("main", 20)
                    await limiter.spent("main", drawn=drawn, used=drawn)
                    count += drawn
                    await asyncio.sleep(0.001)
        except TimeoutError:
            return count


async def test_where_brokers_keep_count_they_do_whatever_share_is_told() -> None:
    worker = Worker(counted=True)
    worker.live.apply(Orders(share=Share("1.1", 3.0)))
    assert isinstance(worker.limits.now(), RateLimiter)
    assert worker.limits.waiting == ""


async def test_without_a_limit_nothing_holds_it_back() -> None:
    worker = Worker(policy=replace(LIMITED, rate_limit_per_second=None))
    assert worker.limits.now() is None


async def test_a_worker_alone_has_the_whole_limit() -> None:
    assert 98 <= await Worker(collector="").begun(10) <= 101


async def test_one_that_was_told_no_share_yet_takes_nothing_and_says_so() -> None:
    worker = Worker()
    assert await worker.begun(600) == 0
    waits = asyncio.create_task(worker.begun(5))
    await asyncio.sleep(0.01)
    assert (worker.limits.waiting, worker.metrics.rate_limited, worker.changes) == ("rate limit", 2, 3)
    await waits
    worker.live.apply(Orders(policy=LIMITED, share=Share("1.1", 3.0)))
    assert 28 <= await worker.begun(10) <= 32


async def test_a_share_of_nothing_lets_not_even_what_was_saved_begin() -> None:
    worker = Worker()
    worker.live.apply(Orders(policy=LIMITED, share=Share("1.1", 5.0)))
    assert await worker.begun(10) > 40
    await asyncio.sleep(60)
    worker.live.apply(Orders(policy=LIMITED, share=Share("1.2", 0.0)))
    assert await worker.begun(600) == 0


async def test_the_last_share_holds_while_the_collector_is_away_and_never_more_than_the_limit() -> None:
    worker = Worker()
    worker.live.apply(Orders(policy=LIMITED, share=Share("1.1", 5.0), ttl_seconds=0))
    assert 48 <= await worker.begun(10) <= 51
    worker.live.apply(Orders(policy=replace(LIMITED, rate_limit_per_second=2.0), ttl_seconds=0))
    assert 18 <= await worker.begun(10) <= 22


async def test_the_lower_one_of_its_share_and_its_versions_rate_holds() -> None:
    worker = Worker()
    for share, take_rate, said in ((5.0, 2.0, "take rate"), (2.0, 5.0, "rate limit")):
        policy = replace(LIMITED, take_rate=take_rate)
        worker.live.apply(Orders(policy=policy, share=Share("1.1", share), ttl_seconds=9999))
        await worker.begun(LONGEST_PAUSE_SECONDS)
        waits = asyncio.create_task(worker.begun(10))
        await asyncio.sleep(0.01)
        assert worker.limits.waiting == said
        assert 18 <= await waits <= 23
    assert isinstance(worker.limits.now(), Pace)

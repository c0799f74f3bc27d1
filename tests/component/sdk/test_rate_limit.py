"""The pool's rate limit on a real Redis: one limit for all workers, and nothing lost under it."""

import contextlib
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue
from workerpool.broker._bucket import burst
from workerpool.protocol import Delivery, Settings

pytestmark = [pytest.mark.component, pytest.mark.redis]

RATE = 100.0
JOBS = 300
"""Begun within 3 s under the limit."""
LOOKS = 12
"""At so many jobs each: a stall of this machine may spoil some of them."""


@contextlib.asynccontextmanager
async def pool(size: int, server: RedisServer, stream: str, begun: list[float]) -> AsyncIterator[None]:
    """So many workers under the limit that their environment names; each job that begins leaves its moment."""
    async with contextlib.AsyncExitStack() as stack:
        for number in range(size):
            env = environment(server, stream, RATE_LIMIT_PER_SECOND=f"{RATE:g}", WORKERPOOL_POD=f"pod-{number}")
            worker = make_worker(env)

            @worker.job("work")
            async def work(job: Job) -> None:
                begun.append(time.monotonic())

            await stack.enter_async_context(serving(worker))
        yield


def _longer(begun: list[float], than: int) -> bool:
    return len(begun) > than


def _too_early(begun: list[float], since: float, *, rate: float = RATE) -> list[tuple[int, float]]:
    """Which jobs began, and when, before the bucket that was full `since` then can have had a token for them."""
    moments = ((number, moment - since) for number, moment in enumerate(begun, start=1))
    return [(number, after) for number, after in moments if number > burst(rate) + rate * after]


@pytest.mark.parametrize("workers", [1, 10])
async def test_the_limit_holds_within_a_tenth_however_many_workers_there_are(
    queue: Queue, redis_server: RedisServer, redis_stream: str, workers: int
) -> None:
    """Not one job comes before its token; and the rate is a tenth below the limit at most, as soon as nothing stalls.

    What was put off by a stall is made up for at once, as far as the bucket holds it: the rate of a while that begins
    with that is above the limit, and rightly.
    """
    begun: list[float] = []
    rates: list[float] = []
    since = time.monotonic()
    async with pool(workers, redis_server, redis_stream, begun):
        await queue.enqueue_many([JobSpec("work", None)] * (LOOKS + 1) * JOBS)
        await until(lambda: len(begun) > RATE / 2, what="the burst over")
        while len(rates) < LOOKS and not any(rate >= 0.9 * RATE for rate in rates):
            first = len(begun)
            enough = first + JOBS
            await until(partial(_longer, begun, enough), what="jobs under the limit")
            rates.append(JOBS / (begun[enough] - begun[first]))
    assert _too_early(begun, since) == []
    assert rates[-1] >= 0.9 * RATE, rates


async def test_a_limit_that_comes_and_goes_loses_nothing_and_costs_no_attempt(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    """While the worker waits it says so, and can be drained."""
    attempts: list[int] = []
    policy = Delivery(max_attempts=9, backoff_seconds=1, backoff_max_seconds=1, lease_seconds=30)
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream), collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            attempts.append(job.attempt)

        async with serving(worker):
            await collector.report_where(lambda report: True, seconds=60)
            await collector.send(Settings(delivery=policy.model_copy(update={"rate_limit_per_second": 0.001})))
            await queue.enqueue_many([JobSpec("work", None)] * 50)
            report = await collector.report_where(lambda report: report.paused == "rate limit")
            held = len(attempts)
            assert (await queue.depth()).waiting == 50 - held
            await collector.send(Settings(delivery=policy))
            await until(lambda: len(attempts) == 50, what="the others done without a limit")
            report = await collector.report_where(lambda report: report.counters.processed == 50)
            assert report.paused == ""
            await collector.send(Settings(delivery=policy.model_copy(update={"rate_limit_per_second": 0.001})))
            await queue.enqueue_many([JobSpec("work", None)] * 50)
            await collector.report_where(lambda report: report.paused == "rate limit")
    assert set(attempts) == {1}
    depth = await queue.depth()
    assert (depth.waiting, depth.in_flight) == (100 - len(attempts), 0)

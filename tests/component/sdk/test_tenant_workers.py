"""Limits of tenants and shedding in whole workers: processes that are killed, and live settings."""

import json
import time
from functools import partial

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.component.sdk.test_rate_limit import _longer, _too_early
from tests.component.sdk.test_worker_process import Pool, make_pool, pool
from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue
from workerpool.protocol import Delivery, Settings, TenantLimit

pytestmark = [pytest.mark.component, pytest.mark.redis]

__all__ = ["make_pool", "pool"]  # fixtures
PROMISED_SECONDS = 5.0
STALL_SECONDS = 15.0
"""That this machine may stand still meanwhile."""
POLICY = Delivery(max_attempts=9, backoff_seconds=1, backoff_max_seconds=1, lease_seconds=30)


async def test_the_limit_of_a_pool_holds_also_when_one_of_its_workers_is_killed(pool: Pool) -> None:
    """Of each tenant two at a time in two processes; the jobs of the dead one count until they are done elsewhere."""
    limits = json.dumps({"*": {"maxInFlight": 2}})
    victim, survivor = [pool.start(TENANT_LIMITS=limits) for _ in range(2)]
    for worker in (victim, survivor):
        worker.wait_ready()
    specs = [JobSpec("work", {"seconds": 0.25}, f"{tenant}{n}", tenant=tenant) for n in range(12) for tenant in "ab"]
    await pool.queue.enqueue_many([*specs, JobSpec("work", {"seconds": 0}, "late", tenant="a", expires_in=0.5)])
    await until(lambda: len(pool.recorded("done")) >= 4, what="some done")
    victim.kill()
    await until(pool.finished, what="all done", seconds=60)
    client = pool.server.client()
    for tenant in "ab":
        at_a_time = [int(count) for count in client.lrange(f"{pool.stream}:at-a-time:{tenant}", 0, -1)]
        assert max(at_a_time) == 2, at_a_time
    assert set(pool.recorded("done")) == {spec.job_id for spec in specs}
    assert [(letter["dead.reason"], letter["id"]) for letter in pool.dead()] == [("expired", "late")]
    survivor.kill()


@pytest.mark.parametrize("workers", [1, 10])
async def test_the_rate_holds_within_a_tenth_however_many_workers_there_are(
    queue: Queue, redis_server: RedisServer, redis_stream: str, workers: int
) -> None:
    """Never above it; below it by no more than a tenth, which a stall of this machine may spoil, but not every time."""
    rate, begun, rates = 50.0, list[float](), list[float]()
    running = []
    for number in range(workers):
        limits = json.dumps({"a": {"ratePerSecond": rate}})
        worker = make_worker(
            environment(redis_server, redis_stream, TENANT_LIMITS=limits, WORKERPOOL_POD=f"pod-{number}")
        )
        worker.job("work")(partial(_record, begun))
        running.append(serving(worker))
    for one in running:
        await one.__aenter__()
    since = time.monotonic()
    try:
        await queue.enqueue_many([JobSpec("work", tenant="a")] * 2000)
        await until(lambda: len(begun) > rate / 2, what="the burst over")
        while len(rates) < 10 and not any(one >= 0.9 * rate for one in rates):
            first, count = len(begun), int(3 * rate)
            await until(partial(_longer, begun, first + count), what="jobs under the limit")
            rates.append(count / (begun[first + count] - begun[first]))
    finally:
        for one in running:
            await one.__aexit__(None, None, None)
    assert _too_early(begun, since, rate=rate) == []
    assert rates[-1] >= 0.9 * rate, rates


async def _record(begun: list[float], job: Job) -> None:
    begun.append(time.monotonic())


async def test_a_limit_comes_and_goes_with_live_settings_and_nobody_looks_stuck(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    """While all that waits is held back, the queue reads as empty for those who size pools or look for the stuck."""
    done: list[str] = []
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream), collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            done.append(job.tenant)

        async with serving(worker):
            await collector.report_where(lambda report: True, seconds=60)
            await collector.send(Settings(delivery=_with(tenant_limits={"a": TenantLimit(rate_per_second=0.001)})))
            await until(partial(_limited, redis_server, redis_stream), what="the limit announced")
            await queue.enqueue_many([JobSpec("work", tenant="a")] * 40)
            await queue.enqueue_many([JobSpec("work", tenant="b")] * 5)
            await until(lambda: done.count("b") == 5, what="the other tenant's done")
            assert done.count("a") <= 1

            async def held() -> bool:
                depth = await queue.depth()
                return depth.waiting == depth.blocked == 40 - done.count("a") and depth.in_flight == 0

            await until(held, what="all that waits held back")
            began = time.monotonic()
            await collector.send(Settings(delivery=POLICY))
            await until(lambda: done.count("a") == 40, what="the others done without a limit")
            assert time.monotonic() - began < PROMISED_SECONDS + STALL_SECONDS
            await collector.report_where(lambda report: report.counters.processed == 45)


async def test_what_waits_too_long_is_shed_by_live_settings_and_counted(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    done: list[str] = []
    async with FakeCollector() as collector:
        env = environment(redis_server, redis_stream, SHED_AFTER_SECONDS='{"low": 0.2}')
        worker = make_worker(env, collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            done.append(job.priority)

        await queue.enqueue_many([JobSpec("work", priority=one) for one in ("low", "normal") for _ in range(20)])
        await until(partial(_older, queue, 0.3), what="jobs that have waited")
        async with serving(worker):
            report = await collector.report_where(lambda report: report.counters.processed >= 20, seconds=60)
            await until(partial(_older, queue, 0.0, dead=20), what="the low ones dead")
            await collector.report_where(lambda report: report.counters.dead_lettered == 20)
            assert (report.counters.failed, report.counters.first_failures) == (0, 0)
            await collector.send(Settings(delivery=_with(slow_after_seconds=7.0)))
            await collector.report_where(lambda report: report.slow_after_seconds == 7.0)
            await queue.enqueue_many([JobSpec("work", priority="low")] * 3)
            await until(lambda: done.count("low") == 3, what="low ones done again")
    assert done.count("normal") == 20


def _with(**fields: object) -> Delivery:
    return POLICY.model_copy(update=fields)


def _limited(server: RedisServer, stream: str) -> bool:
    return bool(server.client().hlen(f"{{{stream}}}:limits"))


async def _older(queue: Queue, seconds: float, *, dead: int = 0) -> bool:
    depth = await queue.depth()
    return (depth.oldest_age_seconds or 0.0) >= seconds and (depth.dead_letters or 0) >= dead

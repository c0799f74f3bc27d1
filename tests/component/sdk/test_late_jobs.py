"""Jobs that are late, or slow, by what their pool says, as the collector tells the workers."""

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from workerpool import Job, JobSpec, Queue
from workerpool.protocol import Delivery, Settings

pytestmark = [pytest.mark.component, pytest.mark.redis]


async def test_a_first_attempt_is_late_by_its_wait_and_its_work_together(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    """Nothing is counted before something is promised, and later attempts never are."""
    tries: list[int] = []
    policy = Delivery(max_attempts=3, backoff_seconds=0, backoff_max_seconds=0, lease_seconds=30)
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream), collector)

        @worker.job("work")
        async def work(job: Job) -> None:
            tries.append(job.attempt)
            if job.attempt == 1:
                raise ValueError

        await queue.enqueue_many([JobSpec("work", None)] * 3)
        async with serving(worker):
            report = await collector.report_where(lambda report: report.counters.processed == 3)
            assert report.counters.first_late is None
            await collector.send(Settings(delivery=policy.model_copy(update={"late_after_seconds": 60.0})))
            await queue.enqueue("work")
            report = await collector.report_where(lambda report: report.counters.processed == 4)
            assert report.counters.first_late == 0
            await collector.send(Settings(delivery=policy.model_copy(update={"late_after_seconds": 1e-9})))
            await queue.enqueue("work")
            report = await collector.report_where(lambda report: report.counters.processed == 5)
            assert report.counters.first_late == 1
    assert sorted(tries) == [1] * 5 + [2] * 5


async def test_a_job_is_slow_by_what_the_pool_says_unless_its_handler_says_so(
    queue: Queue, redis_server: RedisServer, redis_stream: str
) -> None:
    policy = Delivery(max_attempts=3, backoff_seconds=0, backoff_max_seconds=0, lease_seconds=30)
    async with FakeCollector() as collector:
        worker = make_worker(environment(redis_server, redis_stream, SLOW_JOB_SECONDS="60"), collector)

        @worker.job("work")
        async def work(_: Job) -> None: ...

        @worker.job("may", slow=30)
        async def may(_: Job) -> None: ...

        await queue.enqueue_many([JobSpec("work"), JobSpec("may")])
        async with serving(worker):
            report = await collector.report_where(lambda report: report.counters.processed == 2)
            assert (report.counters.first_slow, report.slow_after_seconds) == (0, 60)
            await collector.send(Settings(delivery=policy.model_copy(update={"slow_after_seconds": 1e-9})))
            await queue.enqueue_many([JobSpec("work"), JobSpec("may")])
            report = await collector.report_where(lambda report: report.counters.processed == 4)
            assert report.counters.first_slow == 1
            await collector.send(Settings(delivery=policy))
            await queue.enqueue("work")
            report = await collector.report_where(lambda report: report.counters.processed == 5)
            assert report.counters.first_slow == 1

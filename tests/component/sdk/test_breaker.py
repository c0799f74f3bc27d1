"""An outage of what jobs call, on a real Redis: jobs go back with their attempts, and others are not held up."""

import pytest

from tests.component.sdk.running import environment, serving
from tests.support.collector import FakeCollector
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Breaker, Job, JobSpec, Queue, Worker

pytestmark = [pytest.mark.component, pytest.mark.redis]

CALLS = 10
SLOTS = 20


@pytest.mark.parametrize("mixed", [False, True])
async def test_an_outage_costs_attempts_of_one_window_and_no_job(
    queue: Queue, redis_server: RedisServer, redis_stream: str, *, mixed: bool
) -> None:
    """`mixed`: jobs of another handler stand between those that cannot run."""
    down, calls, attempts, others = True, 0, dict[str, int](), set[str]()
    async with FakeCollector() as collector:
        env = environment(redis_server, redis_stream, MAX_WORKERS=str(SLOTS), MAX_ATTEMPTS="3", BACKOFF_SECONDS="0.1")
        worker = Worker(
            health_port=0, metrics_port=0, env=env | {"WORKERPOOL_COLLECTOR": collector.address, "STUCK_AFTER": "1"}
        )
        breaker = Breaker(name="shop", calls=CALLS, pause=0.2, longest_pause=0.4)

        @worker.job("order", timeout=10, breaker=breaker)
        async def order(job: Job) -> None:
            nonlocal calls
            calls += 1
            attempts[job.id] = job.attempt
            if down:
                raise ConnectionError("down")

        if mixed:

            @worker.job("other", timeout=10)
            async def other(job: Job) -> None:
                others.add(job.id)

        specs = [JobSpec("order"), JobSpec("other")] if mixed else [JobSpec("order")]
        await queue.enqueue_many(specs * 200)
        async with serving(worker):
            if mixed:
                await until(lambda: len(others) == 200, what="the other jobs done")
            else:
                await collector.report_where(lambda report: report.paused == "circuit open: shop")
                enough = calls + 5
                await until(lambda: calls >= enough, what="some probes")
            down = False
            await until(lambda: len(attempts) == 200, what="all tried")
            total = len(specs) * 200
            report = await collector.report_where(lambda report: report.counters.processed == total)
            assert report.paused == ""
            assert report.counters.dead_lettered == 0
        depth = await queue.depth()
        assert (depth.waiting, depth.in_flight, depth.delayed) == (0, 0, 0)
    assert sum(attempts.values()) - 200 <= CALLS

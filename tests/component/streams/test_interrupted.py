"""Jobs that a worker could not end before it had to go: from real workers through the real collector to Prometheus."""

import asyncio
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.component.sdk.running import environment, make_worker, serving
from tests.component.streams.ends import NAMESPACE, Ends, both_ends
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, JobSpec, Queue
from workerpool.protocol import Counters, LastWords
from workerpool_operator.protocol import PoolConfig

pytestmark = [pytest.mark.component, pytest.mark.redis]

JOBS = 3


async def interrupted(ends: Ends) -> float:
    """As Prometheus reads it, of the only pool."""
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{ends.open_port}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
    samples = [sample for family in families for sample in family.samples]
    [found] = [one for one in samples if one.name == "workerpool_jobs_interrupted_total"]
    assert found.labels == {"pool": "pool"}
    return found.value


def pool(redis_server: RedisServer, stream: str) -> PoolConfig:
    redis = {"url": redis_server.url, "stream": stream, "group": stream}
    return PoolConfig(name="pool", uid="u", queues=({"name": "main", "redisStream": redis},))


@pytest.mark.parametrize(("drain_seconds", "counted"), [("0", JOBS), ("30", 0)], ids=["no time", "time enough"])
async def test_what_a_drain_had_no_time_for_is_counted_and_what_it_waited_for_is_not(
    tmp_path: Path, redis_server: RedisServer, redis_stream: str, drain_seconds: str, counted: int
) -> None:
    """Three jobs run when the worker is told to go; they would end a moment later."""
    release, began = asyncio.Event(), asyncio.Semaphore(0)
    async with both_ends(tmp_path / "ends") as ends, Queue.connect(redis_server.url, stream=redis_stream) as queue:
        ends.api.add_pod("pod-1", pool="pool")
        ends.lead(pool(redis_server, redis_stream))
        token = tmp_path / "worker-token"
        token.write_text(ends.api.token("pod-1"))
        env = environment(redis_server, redis_stream, token=token, DRAIN_TIMEOUT=drain_seconds)
        worker = make_worker(env | {"WORKERPOOL_COLLECTOR": f"127.0.0.1:{ends.workers_port}"})

        @worker.job("work")
        async def work(_: Job) -> None:
            began.release()
            await release.wait()

        def heard(*, draining: bool, in_flight: int) -> bool:
            said = ends.state.view(NAMESPACE, "pool").workers
            return [(one.draining, one.in_flight) for one in said] == [(draining, in_flight)]

        async with serving(worker) as served:
            await queue.enqueue_many([JobSpec("work")] * JOBS)
            for _ in range(JOBS):
                await began.acquire()
            await until(lambda: heard(draining=False, in_flight=JOBS), what="jobs that run")
            assert await interrupted(ends) == 0
            worker.stop()
            if not counted:
                await until(lambda: heard(draining=True, in_flight=JOBS), what="a worker that waits for its jobs")
                release.set()
            drained = await served
        assert drained.interrupted == counted
        await until(lambda: heard(draining=True, in_flight=0), what="its last words")
        assert await interrupted(ends) == counted
        assert (await queue.depth()).waiting == counted


async def test_a_worker_that_dies_with_jobs_says_nothing_of_them(tmp_path: Path, redis_server: RedisServer) -> None:
    """Whether they were interrupted nobody knows: it may have ended them, and only its stream be torn."""
    async with both_ends(tmp_path / "ends") as ends:
        ends.api.add_pod("pod-1", pool="pool")
        ends.lead(pool(redis_server, "jobs"))
        async with ends.worker("pod-1", ends.api.token("pod-1")) as worker:
            await worker.hello(pool="pool")
            await worker.report(2)
            await until(lambda: [one.in_flight for one in ends.state.view(NAMESPACE, "pool").workers] == [2], what="it")
        ends.api.remove_pod("pod-1")
        await until(lambda: not ends.state.view(NAMESPACE, "pool").workers, what="its end")
        assert await interrupted(ends) == 0


@pytest.mark.parametrize(
    ("said", "counted"), [([2, 2], 2), ([-5], 0), ([10**30], 10_000)], ids=["twice", "less", "all"]
)
async def test_what_one_worker_says_spoils_no_count(
    tmp_path: Path, redis_server: RedisServer, said: list[int], counted: int
) -> None:
    """Last words are the last, and no number of jobs is below zero or beyond what a worker has."""
    async with both_ends(tmp_path / "ends") as ends:
        ends.api.add_pod("pod-1", pool="pool")
        ends.lead(pool(redis_server, "jobs"))
        async with ends.worker("pod-1", ends.api.token("pod-1")) as worker:
            await worker.hello(pool="pool")
            await worker.report(2)
            for jobs in said:
                await worker.stream.send_str(LastWords(counters=Counters(), interrupted=jobs).model_dump_json())
            await worker.report(1)  # that it was heard tells that all before it was
            await until(lambda: [one.in_flight for one in ends.state.view(NAMESPACE, "pool").workers] == [1], what="it")
            assert await interrupted(ends) == counted

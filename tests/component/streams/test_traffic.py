"""How fast jobs come and how long they take, from a real worker through the real collector to the operator."""

import asyncio
from pathlib import Path

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.component.streams.ends import NAMESPACE, both_ends
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, Queue
from workerpool_operator.domain.scaling import Traffic
from workerpool_operator.protocol import PoolConfig

pytestmark = [pytest.mark.component, pytest.mark.redis]

EACH_SECONDS = 0.1


async def test_the_operator_learns_how_fast_jobs_come_and_how_long_they_take(
    tmp_path: Path, redis_server: RedisServer, redis_stream: str
) -> None:
    redis = {"url": redis_server.url, "stream": redis_stream, "group": redis_stream}
    config = PoolConfig(name="pool", uid="u", queues=({"name": "main", "redisStream": redis},))
    async with both_ends(tmp_path / "ends") as ends, Queue.connect(redis_server.url, stream=redis_stream) as queue:
        ends.api.add_pod("pod-1", pool="pool")
        ends.lead(config)
        token = tmp_path / "worker-token"
        token.write_text(ends.api.token("pod-1"))
        env = environment(redis_server, redis_stream, token=token)
        worker = make_worker(env | {"WORKERPOOL_COLLECTOR": f"127.0.0.1:{ends.workers_port}"})

        @worker.job("rests")
        async def rests(_: Job) -> None:
            await asyncio.sleep(EACH_SECONDS)

        def traffic() -> Traffic:
            return ends.state.view(NAMESPACE, "pool").traffic

        async def both_known() -> bool:
            await queue.enqueue("rests", {})
            return traffic().arrivals is not None and traffic().service_seconds is not None

        async with serving(worker):
            await until(both_known, what="both figures")
            found = traffic()
            assert found.arrivals is not None
            assert found.arrivals > 1
            assert found.service_seconds is not None
            # The mean of all, some of which ran while this machine stood still.
            assert EACH_SECONDS <= found.service_seconds < 60 * EACH_SECONDS
            [told] = ends.state.view(NAMESPACE, "pool").workers
            assert told.most_slots == told.slots

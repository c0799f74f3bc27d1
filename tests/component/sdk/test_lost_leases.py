"""A job whose lease was lost, or of whose end the broker knows nothing, is run again, by the same worker too."""

from collections.abc import Sequence

import pytest

from tests.component.sdk.running import environment, make_worker, serving
from tests.support.redis import RedisServer
from tests.support.waiting import until
from workerpool import Job, Queue
from workerpool.broker import BadAnswer, Taken
from workerpool.broker._redis import RedisBroker

pytestmark = [pytest.mark.component, pytest.mark.redis]


async def test_a_job_that_was_taken_over_by_one_who_died_runs_again(
    redis_server: RedisServer, redis_stream: str, queue: Queue
) -> None:
    client, attempts = redis_server.client(), []
    worker = make_worker(environment(redis_server, redis_stream, LEASE_SECONDS="0.6", MAX_ATTEMPTS="99"))

    @worker.job("long")
    async def long(job: Job) -> None:
        attempts.append(job.attempt)
        if len(attempts) == 1:
            group = f"{redis_stream}"
            [entry] = client.xpending_range(redis_stream, group, "-", "+", 9)
            client.xclaim(redis_stream, group, "somebody", 0, [entry["message_id"]])
            await job.checkpoint({})

    await queue.enqueue("long", {})
    async with serving(worker):
        await until(lambda: len(attempts) == 2, what="the job again")
        await until(lambda: client.xpending(redis_stream, redis_stream)["pending"] == 0, what="the job done")


async def test_a_job_whose_end_the_broker_did_not_understand_runs_again(
    redis_server: RedisServer, redis_stream: str, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy said that it has no Redis behind it, again and again."""
    client, attempts, acks = redis_server.client(), [], []
    real = RedisBroker.ack

    async def ack(broker: RedisBroker, done: Sequence[Taken]) -> frozenset[str]:
        acks.append(len(done))
        if len(acks) <= 3:
            raise BadAnswer("no upstream host")
        return await real(broker, done)

    monkeypatch.setattr(RedisBroker, "ack", ack)
    worker = make_worker(environment(redis_server, redis_stream, LEASE_SECONDS="0.6", MAX_ATTEMPTS="99"))

    @worker.job("short")
    async def short(job: Job) -> None:
        attempts.append(job.attempt)

    await queue.enqueue("short", {})
    async with serving(worker):
        await until(lambda: len(attempts) == 2, what="the job again")
        await until(lambda: client.xpending(redis_stream, redis_stream)["pending"] == 0, what="the job done")

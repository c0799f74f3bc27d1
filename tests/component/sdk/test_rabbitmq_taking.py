"""Each job belongs to something at RabbitMQ's queue that lives until the job is settled, and is never given another."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from pamqp import base, commands

from tests.component.sdk.test_rabbitmq_failures import Open, jobs, one, open_broker, raw
from tests.support.rabbitmq import RabbitServer
from tests.support.waiting import until
from workerpool.broker import Retry, Taken
from workerpool.broker._rabbitmq import RabbitBroker
from workerpool.broker._rabbitmq.amqp import AmqpConnection
from workerpool.broker._rabbitmq.queues import count

pytestmark = [pytest.mark.component, pytest.mark.rabbitmq]

__all__ = ["open_broker"]  # a fixture


async def by_waiting(broker: RabbitBroker, others: RabbitBroker, *, put: int = 1) -> Taken:
    """A job that comes to a consumer, because none was ready when it was asked for."""
    connection = await raw(others)
    taking = asyncio.create_task(broker.take(limit=9, wait=60))

    async def waits() -> bool:
        return (await count(connection, broker.stream))[1] > 0

    await until(waits, what="a consumer")
    await others.put(jobs(put))
    [job] = await taking
    return job


def reading(broker: RabbitBroker) -> AmqpConnection:
    connection = broker._reads.current
    assert connection is not None
    return connection


async def let_go(broker: RabbitBroker, job: Taken) -> frozenset[str]:
    broker.let_go([job])
    return frozenset()


ENDS: dict[str, Callable[[RabbitBroker, Taken], Any]] = {
    "ack": lambda broker, job: broker.ack([job]),
    "retry": lambda broker, job: broker.retry_later([Retry(job, 60.0)]),
    "hand back": lambda broker, job: broker.hand_back([job]),
    "let go": let_go,
}


@pytest.mark.parametrize("end", ENDS)
async def test_the_end_of_a_job_that_was_waited_for_draws_no_other(end: str, open_broker: Open) -> None:
    """Its consumer could be given one from then on, and is ended before."""
    broker, others = open_broker(), open_broker()
    job = await by_waiting(broker, others, put=3)
    assert await ENDS[end](broker, job) == frozenset()
    ids = {job.job_id} if end in {"hand back", "let go"} else set()
    found = [await one(others) for _ in range(2 + len(ids))]
    assert {again.job_id for again in found} >= ids
    assert sorted(again.attempt for again in found) == ([1, 1, 2] if end == "let go" else [1] * len(found))
    assert (await others.depth()).waiting == 0


async def test_many_are_taken_in_their_order(open_broker: Open) -> None:
    broker = open_broker()
    await broker.put(jobs(50))
    found: list[Taken] = []
    while len(found) < 40:
        found += await broker.take(limit=40 - len(found), wait=5)
    assert [job.payload for job in found] == [job.payload for job in jobs(40)]
    assert (await broker.depth()).waiting == 10


async def test_a_job_that_comes_in_the_last_moment_of_a_wait_keeps_its_consumer(
    open_broker: Open, rabbitmq_server: RabbitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For it was about to be ended, and a job of an ended one stays where it is when its node is lost."""
    broker, others = open_broker(), open_broker()
    assert await broker.take(limit=1, wait=0) == []
    call = reading(broker).call

    async def late(method: base.Frame, kind: type[base.Frame]) -> base.Frame:
        if isinstance(method, commands.Basic.Cancel):
            await others.put(jobs(2))
            await until(lambda: bool(broker._taking._came), what="a job")
        return await call(method, kind)

    monkeypatch.setattr(reading(broker), "call", late)
    [job] = await broker.take(limit=1, wait=0)
    said = await asyncio.to_thread(rabbitmq_server.ctl, "list_consumers", "--no-table-headers", "queue_name")
    assert said.split().count(broker.stream) == 1
    assert (await others.depth()).waiting == 1
    assert await broker.ack([job]) == frozenset()
    assert [(found.payload, found.attempt) for found in [await one(others)]] == [(b"1", 1)]


async def test_a_consumer_that_is_given_a_second_job_has_lost_its_first(open_broker: Open) -> None:
    """As when the queue lost sight of its node for a while; here it is told that the first one is done."""
    broker, others = open_broker(), open_broker()
    job = await by_waiting(broker, others)
    reading(broker).send(commands.Basic.Ack(broker._held[job.token].tag))
    await others.put(jobs(2)[1:])

    async def lost() -> bool:
        return bool(await broker.extend([job]))

    await until(lost, what="a second job")
    again = await one(others)
    assert (again.payload, again.attempt) == (b"1", 2)
    assert await broker.ack([job]) == {job.token}
    assert (await others.depth()).waiting == 0

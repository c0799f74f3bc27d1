"""A RabbitMQ of several nodes, of which one dies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.dying import Cast, a_server_dies
from tests.support.proxy import Proxy
from tests.support.rabbitmq import cluster_of
from tests.support.waiting import until
from workerpool import broker as brokers
from workerpool.broker import NewJob, Taken
from workerpool.broker._rabbitmq import RabbitBroker
from workerpool.broker._rabbitmq.queues import count
from workerpool.errors import BrokerError

pytestmark = [pytest.mark.component, pytest.mark.rabbitmq]

Open = Callable[[int], RabbitBroker]


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Open]:
    """Opens a view of the queue at a port."""
    views: list[RabbitBroker] = []

    def open_one(port: int) -> RabbitBroker:
        one = brokers.connect(f"amqp://127.0.0.1:{port}", stream="jobs", timeout=10.0, lease_seconds=60.0)
        assert isinstance(one, RabbitBroker)
        views.append(one)
        return one

    yield open_one
    for view in views:
        await view.close()


async def by_waiting(broker: RabbitBroker, *, before: int) -> Taken:
    """One job that came to a consumer, because none was ready when it was asked for; so many wait `before` it."""
    connection = broker._writes.current
    assert connection is not None
    taking = asyncio.create_task(broker.take(limit=1, wait=60))

    async def waits() -> bool:
        return (await count(connection, broker.stream))[1] > before

    await until(waits, what="a consumer")
    await broker.put([NewJob(type="t", payload=b"1", job_id=f"waited-for-{before}")])
    [job] = await taking
    return job


@pytest.mark.timeout(600)
async def test_a_node_that_dies_costs_no_job_and_keeps_none_when_it_is_back(opened: Open, tmp_path: Path) -> None:
    """It leads the queue and has the connections of a producer and of a consumer, but not those of a bystander."""
    with cluster_of(tmp_path, 3) as nodes:
        async with Proxy(nodes[0].port) as service:
            producer, consumer, bystander = opened(service.port), opened(service.port), opened(nodes[1].port)
            for one in (producer, consumer, bystander):
                await one.depth()  # the first one makes the queue, where it is connected
            leader = await asyncio.to_thread(nodes[1].ctl, "list_queues", "--no-table-headers", "name", "leader")
            assert sorted(leader.split()) == sorted(["jobs", "jobs.dead", nodes[0].node, nodes[0].node])
            mine, others = await by_waiting(consumer, before=0), await by_waiting(bystander, before=1)
            cast = Cast(producer, consumer)
            cast.put.add(mine.job_id)

            async def kill() -> None:
                await asyncio.to_thread(nodes[0].kill)
                service.lead_to(nodes[2].port)

            await a_server_dies(cast, kill)
            assert await bystander.ack([others]) == frozenset(), "its node lives"
            await asyncio.to_thread(nodes[0].start)

            async def nothing_is_left() -> bool:
                """Neither ready nor unacknowledged."""
                with contextlib.suppress(BrokerError):  # the node that comes back may move the queue
                    await cast.settles(await consumer.take(limit=10, wait=0.1))
                said = await asyncio.to_thread(nodes[1].ctl, "list_queues", "--no-table-headers", "name", "messages")
                return sorted(line.split() for line in said.splitlines()) == [["jobs", "0"], ["jobs.dead", "0"]]

            await until(nothing_is_left, what="a queue without any job")
            assert cast.done.total() - len(cast.put) <= cast.put_again

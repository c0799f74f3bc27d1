"""Which answer of RabbitMQ belongs to which call, without a RabbitMQ."""

import asyncio
from typing import cast

import pytest
from pamqp import base, commands, frame

from workerpool.broker._rabbitmq.amqp import AmqpConnection
from workerpool.broker._rabbitmq.messages import CHANNEL, NotAmqpError


class Wire(asyncio.Transport):
    """Where the connection writes to."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""

    def write(self, data: object) -> None:
        self.sent += cast("bytes", data)

    def abort(self) -> None:
        """Nothing is left to be done."""


def begun() -> tuple[AmqpConnection, Wire]:
    connection, wire = AmqpConnection(), Wire()
    connection.connection_made(wire)
    return connection, wire


def says(connection: AmqpConnection, *answers: base.Frame) -> None:
    connection.data_received(b"".join(frame.marshal(answer, CHANNEL) for answer in answers))


async def test_an_acknowledgement_that_overtakes_the_begin_of_a_consumer_confuses_nobody() -> None:
    """A channel answers a Qos itself, and passes on what a quorum queue says to a Consume when it comes to that."""
    connection, _ = begun()
    taking = asyncio.create_task(connection.consume("q", "tag", prefetch=4))
    settling = asyncio.create_task(connection.call(commands.Basic.Qos(prefetch_count=1), commands.Basic.QosOk))
    await asyncio.sleep(0)
    says(connection, commands.Basic.QosOk(), commands.Basic.QosOk())
    await settling
    assert not taking.done()
    says(connection, commands.Basic.ConsumeOk("tag"))
    await taking
    assert connection.usable


async def test_answers_of_one_kind_come_in_the_order_of_the_calls_also_to_those_given_up() -> None:
    connection, _ = begun()
    declare = commands.Queue.Declare(queue="q")
    calls = [asyncio.create_task(connection.call(declare, commands.Queue.DeclareOk)) for _ in range(3)]
    await asyncio.sleep(0)
    calls[1].cancel()
    says(connection, *(commands.Queue.DeclareOk("q", number, 0) for number in range(3)))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [getattr(one, "message_count", None) for one in found] == [0, None, 2]


async def test_nobodys_call_comes_between_the_prefetch_of_a_consumer_and_its_begin() -> None:
    connection, wire = begun()
    taking = asyncio.create_task(connection.consume("q", "tag", prefetch=4))
    other = asyncio.create_task(connection.call(commands.Basic.Qos(prefetch_count=1), commands.Basic.QosOk))
    await asyncio.sleep(0)
    sent, found = wire.sent, []
    while sent:
        size, _, method = frame.unmarshal(sent)
        found.append(type(method))
        sent = sent[size:]
    assert found == [commands.Basic.Qos, commands.Basic.Consume, commands.Basic.Qos]
    for task in (taking, other):
        task.cancel()


async def test_an_answer_that_nobody_waits_for_ends_the_connection() -> None:
    connection, _ = begun()
    call = asyncio.create_task(connection.call(commands.Basic.Cancel("tag"), commands.Basic.CancelOk))
    await asyncio.sleep(0)
    says(connection, commands.Basic.QosOk())
    with pytest.raises(NotAmqpError, match=r"Basic\.QosOk, which nobody asked for"):
        await call
    assert not connection.usable

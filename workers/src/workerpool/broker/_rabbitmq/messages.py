"""What goes over an AMQP connection, and what can go wrong with one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pamqp import body, commands, frame, header

FRAME_MAX: Final = 131_072
"""Bytes in a frame: what RabbitMQ proposes."""
CHANNEL: Final = 1
_FRAME_OVERHEAD: Final = 8


class RefusedError(Exception):
    """RabbitMQ closed the channel or the connection, and said why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class ConnectionLostError(Exception):
    """The connection ended."""


class HungUpError(Exception):
    """The connection ended before a word was said, as soon as TLS was set up."""


class NotAmqpError(Exception):
    """What came is not AMQP 0-9-1."""


class UnroutableError(Exception):
    """There is no queue to put a message into."""


class RejectedError(Exception):
    """RabbitMQ did not take a message: it could not write it to the queue's members."""


@dataclass(frozen=True, slots=True)
class Login:
    """What a connection begins with."""

    vhost: str
    username: str
    password: str
    by_certificate: bool
    """Be who the client certificate says, where RabbitMQ offers that (EXTERNAL); else use the two above."""
    name: str
    """Shown to people who look at RabbitMQ's connections."""
    heartbeat_seconds: int
    """RabbitMQ, and we, take the other for dead after about twice this time without a byte."""


class Delivery(NamedTuple):
    """A message that was given to a consumer, or by a get."""

    consumer: str
    """Empty: by a get."""
    tag: int
    redelivered: bool
    properties: commands.Basic.Properties
    body: bytes


class Message(NamedTuple):
    """A message to be put into a queue."""

    queue: str
    properties: commands.Basic.Properties
    body: bytes


def parts_of(messages: Sequence[Message]) -> list[bytes]:
    """The frames of messages that are published."""
    data: list[bytes] = []
    for message in messages:
        # Mandatory: where no queue is there, it comes back before it is confirmed, and is not taken for stored.
        method = commands.Basic.Publish(routing_key=message.queue, mandatory=True)
        head = header.ContentHeader(body_size=len(message.body), properties=message.properties)
        data += [frame.marshal(method, CHANNEL), frame.marshal(head, CHANNEL)]
        size = FRAME_MAX - _FRAME_OVERHEAD
        for start in range(0, len(message.body), size):
            data.append(frame.marshal(body.ContentBody(message.body[start : start + size]), CHANNEL))
    return data


class Unconfirmed:
    """Messages that were sent, until RabbitMQ has confirmed each of them. They are counted from 1."""

    def __init__(self) -> None:
        self._batches: dict[int, _Batch] = {}
        self._sent = 0

    def add(self, count: int) -> "asyncio.Future[None]":
        """So many are sent together; done when the last of them is confirmed."""
        batch = _Batch(count)
        for _ in range(count):
            self._sent += 1
            self._batches[self._sent] = batch
        return batch.answer

    def confirm(self, tag: int, *, multiple: bool, problem: Exception | None = None) -> bool:
        """One is, or all up to it; False: that was never sent."""
        tags = [each for each in self._batches if each <= tag] if multiple else [tag]
        for each in tags:
            batch = self._batches.pop(each, None)
            if batch is None:
                return False
            batch.problem = batch.problem or problem
            batch.confirmed()
        return True

    def returned(self, problem: Exception) -> None:
        """One found no queue. Which one is not told: all are taken for such."""
        for batch in self._batches.values():
            batch.problem = problem

    def end(self, why: Exception) -> None:
        """Nothing will be confirmed any more."""
        for batch in self._batches.values():
            if not batch.answer.done():
                batch.answer.set_exception(why)
        self._batches.clear()


class _Batch:
    """Messages that were sent together and are to be confirmed."""

    __slots__ = ("answer", "missing", "problem")

    def __init__(self, count: int) -> None:
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.missing = count
        self.problem: Exception | None = None

    def confirmed(self) -> None:
        self.missing -= 1
        if not self.missing and not self.answer.done():
            if self.problem is None:
                self.answer.set_result(None)
            else:
                self.answer.set_exception(self.problem)

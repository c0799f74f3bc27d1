"""Putting messages into queues, on a connection of its own.

RabbitMQ reads nothing from a connection that publishes while it is short of memory or disk, and what was done must be
acknowledged all the same.
"""

from collections.abc import Sequence
from typing import Final

from workerpool.broker._rabbitmq.link import RabbitLink, declaring
from workerpool.broker._rabbitmq.messages import Message
from workerpool.broker._rabbitmq.queues import Queues
from workerpool.broker._rabbitmq.wire import Parts, message_of

_CHUNK: Final = 500
"""Messages that are confirmed together, within one timeout."""


class Post:
    """Of one view of a queue."""

    def __init__(self, writes: RabbitLink, queues: Queues) -> None:
        self._writes = writes
        self._queues = queues

    async def put(self, messages: Sequence[Message]) -> None:
        """Put all of them; in what order they lie in one queue is theirs.

        Raises:
            BrokerError: one of its kinds; some may have been put.
        """
        for start in range(0, len(messages), _CHUNK):
            chunk = messages[start : start + _CHUNK]
            places = {message.queue for message in chunk} - {self._queues.main, self._queues.dead}
            async with self._writes.calling():
                while self._queues.missing(places):
                    with declaring():
                        await self._queues.declare_delays(await self._writes.connected(), places)
                await (await self._writes.connected()).publish(chunk)


def delayed(parts: Parts, queues: Queues, delay: float) -> Message:
    """The message of a job that is due in so many seconds."""
    if delay <= 0:
        return message_of(parts, queues.main)
    queue, wait = queues.delayed_by(delay)
    return message_of(parts, queue, expiration_ms=wait)

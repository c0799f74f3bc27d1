"""Taking jobs: a consumer for as long as one `take` lasts, that may be given as many jobs as are wanted.

A consumer that stays gets the next job the moment one is acknowledged, whether anybody wants it or not; then a worker
that pauses holds jobs that others could do, and a kill counts as an attempt at jobs that nobody began. So none stays.

RabbitMQ gives back what is on its way to a consumer that is being cancelled, and counts that as an attempt, too. To
keep this rare, nobody asks for more than there is: for as many as are ready, or for one, where none is; a consumer that
got what it asked for can be cancelled without such a race.
"""

import asyncio
from collections import deque
from typing import Final

from pamqp import commands

from workerpool.broker._rabbitmq.amqp import AmqpConnection
from workerpool.broker._rabbitmq.held import Held
from workerpool.broker._rabbitmq.link import RabbitLink
from workerpool.broker._rabbitmq.messages import Delivery
from workerpool.broker._rabbitmq.queues import Queues, count

_MOST: Final = 1000
"""Jobs per take: larger ones would take longer than other calls may wait."""
_BUFFERED: Final = 32
"""Commands to a quorum queue that may be under way before RabbitMQ's channel keeps the next ones to itself: its
`quorum_commands_soft_limit`."""
_STRAGGLERS_SECONDS: Final = 0.02
"""Others take the same jobs: how long to wait for the next one of those that were ready."""


class Taking:
    """Of one consumer."""

    def __init__(self, reads: RabbitLink, queues: Queues, held: Held) -> None:
        self._reads = reads
        self._queues = queues
        self._held = held
        self._came: deque[tuple[str, Delivery]] = deque()
        self._news = asyncio.Event()
        self._taking = False
        self._interrupted = False
        self._consumers = 0

    async def opened(self, connection: AmqpConnection) -> None:
        """There is a new connection."""
        self._lost()
        connection.listen(self._deliver, self._lost)
        await self._queues.declare(connection)

    def interrupt(self) -> None:
        """End the wait of a take in progress."""
        self._interrupted = self._taking
        self._news.set()

    async def take(self, limit: int, wait: float) -> list[tuple[str, Delivery]]:
        """Up to `limit` jobs with their tokens; waits up to `wait` seconds for the first one.

        Raises:
            BrokerError: one of its kinds. What was given to us is back in the queue, or will be.
        """
        self._taking, self._interrupted = True, False
        try:
            async with self._reads.calling(wait=wait) as connection:
                try:
                    return await self._take(connection, min(limit, _MOST), wait)
                except BaseException:
                    # Nobody would ever settle what came meanwhile, and a consumer would get more.
                    self._reads.drop()
                    raise
        finally:
            self._taking = False

    async def finish(self) -> list[tuple[str, Delivery]]:
        """Before the end of the connection: have every acknowledgement reach the queue; returns what was given to us.

        A channel sends a quorum queue 32 acknowledgements and keeps those after them until the queue has written the
        first ones; when the channel ends, what it kept is lost, and those jobs come again. To begin and to cancel
        consuming are each answered by the queue itself, in its turn.
        """
        if self._reads.current is None or self._held.told <= _BUFFERED:
            return []
        return await self.take(1, 0.0)

    async def _take(self, connection: AmqpConnection, limit: int, wait: float) -> list[tuple[str, Delivery]]:
        ready, _ = await count(connection, self._queues.main)
        wanted = min(limit, ready) or 1
        told = self._held.told
        self._consumers += 1
        consumer = f"take-{self._consumers}"
        await connection.consume(self._queues.main, consumer, prefetch=wanted)
        await self._gather(connection, wanted, max(wait, _STRAGGLERS_SECONDS) if ready else wait)
        await connection.call(commands.Basic.Cancel(consumer), commands.Basic.CancelOk)
        self._held.told = max(0, self._held.told - told)
        taken = list(self._came)
        self._came.clear()
        return taken

    async def _gather(self, connection: AmqpConnection, wanted: int, wait: float) -> None:
        """Until so many have come, or no more do."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while len(self._came) < wanted and not self._interrupted:
            self._news.clear()
            seen = len(self._came)
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                return
            connection.check()
            if len(self._came) > seen:
                until = loop.time() + _STRAGGLERS_SECONDS

    def _deliver(self, delivery: Delivery) -> None:
        self._came.append((self._held.add(delivery), delivery))
        self._news.set()

    def _lost(self) -> None:
        self._held.begin()
        self._came.clear()
        self._news.set()

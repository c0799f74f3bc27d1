"""Taking jobs: those that are ready by `basic.get`; where none is, a consumer waits for one.

So each job belongs to something at the queue that lives until it is settled and holds nothing else: what a get makes
there (`{once, 1, simple_prefetch}` in `rabbit_fifo.erl`), or that consumer. When a node of a cluster is lost, the
queue gives back the jobs of consumers there that are *up*; what a cancelled one had stays with it (`{down, _,
noconnection}` there, the same from 3.10 to 4.2). Hence none is cancelled before its job is settled. The price:
RabbitMQ answers one get of a channel after the other, each when a majority has written it.

Rejected: a consumer of many that stays. It gets the next job the moment one is acknowledged, whether anybody wants it
or not; then a worker that pauses holds jobs that others could do, and a kill counts as an attempt at jobs that nobody
began. One that ends with each take leaves its jobs where they are when a node is lost, as said. Credit given by hand
(`basic.credit`) would do it all with one consumer, and RabbitMQ 4 has it no more.
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

_AT_ONCE: Final = 16
"""Gets that are sent together: an acknowledgement that is sent meanwhile waits for all of them."""
_GETTING_SECONDS: Final = 0.1
"""After which those that came are to begin; the others are taken next."""
_BUFFERED: Final = 32
"""Commands to a quorum queue that may be under way before RabbitMQ's channel keeps the next ones to itself: its
`quorum_commands_soft_limit`."""


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
        self._awaiting = ""
        """The consumer that may be given a job; empty: none may."""

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
                    ready, _ = await count(connection, self._queues.main)
                    await self._get(connection, min(limit, ready))
                    if not self._came and not self._interrupted:
                        await self._wait(connection, wait)
                except BaseException:
                    # Nobody would ever settle what came meanwhile, and a consumer would get more.
                    self._reads.drop()
                    raise
                return self._taken()
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
        async with self._reads.calling() as connection:
            await self._wait(connection, 0.0)
            return self._taken()

    def _taken(self) -> list[tuple[str, Delivery]]:
        taken = list(self._came)
        self._came.clear()
        return taken

    async def _get(self, connection: AmqpConnection, wanted: int) -> None:
        """So many, or fewer where others take the same jobs, or where it takes long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _GETTING_SECONDS
        while wanted > 0 and not self._interrupted and loop.time() < until:
            asked = min(wanted, _AT_ONCE)
            if await connection.get(self._queues.main, asked) < asked:
                return
            wanted -= asked

    async def _wait(self, connection: AmqpConnection, wait: float) -> None:
        """For one job. Its consumer stays until that is settled: see `Held`."""
        self._consumers += 1
        self._awaiting = consumer = f"take-{self._consumers}"
        await connection.consume(self._queues.main, consumer, prefetch=1)
        await self._first(connection, wait)
        if self._came:
            return
        await connection.call(commands.Basic.Cancel(consumer), commands.Basic.CancelOk)
        if self._came:
            # In the last moment. The queue keeps the consumer with its job, and this makes it what it was.
            await connection.consume(self._queues.main, consumer, prefetch=1)
        self._awaiting = ""

    async def _first(self, connection: AmqpConnection, wait: float) -> None:
        """Until one has come, or nobody waits any more."""
        try:
            async with asyncio.timeout(wait):
                while not self._came and not self._interrupted:
                    self._news.clear()
                    await self._news.wait()
                    connection.check()
        except TimeoutError:
            return

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.consumer and delivery.consumer != self._awaiting:
            self._refuse(delivery)
            return
        self._awaiting = ""
        self._came.append((self._held.add(delivery), delivery))
        self._news.set()

    def _refuse(self, delivery: Delivery) -> None:
        """A consumer's second job: the queue lost sight of our node for a while, and gave the first one to others."""
        connection = self._reads.current
        if connection is not None:
            frames = self._held.give_back_of(delivery.consumer)
            connection.send(*frames, commands.Basic.Nack(delivery.tag, requeue=True))

    def _lost(self) -> None:
        self._held.begin()
        self._awaiting = ""
        self._came.clear()
        self._news.set()

"""Dead letters. RabbitMQ can only hand messages out: whoever looks at them has them in flight until the look is over.

So each look has a connection of its own, whose end puts back, in their old order, those that were not settled.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from pamqp import commands

from workerpool.broker._rabbitmq.link import RabbitLink
from workerpool.broker._rabbitmq.messages import Delivery
from workerpool.broker._rabbitmq.post import Post
from workerpool.broker._rabbitmq.queues import Queues, count, sure_count
from workerpool.broker._rabbitmq.wire import dead_from, message_of, redriven
from workerpool.broker._types import DeadJob, DeadJobs

_CHUNK: Final = 200
_MOST: Final = 65_535
"""Messages that one look can hold: what AMQP can say."""
_CONSUMER: Final = "look"
_LOOK_SECONDS: Final = 0.005
_LOOKS: Final = 200
_SILENCE_SECONDS: Final = 0.5
"""After which no more will come, because somebody else looks at them."""


class DeadLetters:
    """Of one queue."""

    def __init__(self, link: Callable[[], RabbitLink], post: Post, queues: Queues) -> None:
        """`link`: makes one that is used by nobody else."""
        self._link = link
        self._post = post
        self._queues = queues

    async def page(self, *, limit: int, after: str) -> list[DeadJob]:
        """At most `limit`, after the one with this token; those that come before it are read, too."""
        found: list[DeadJob] = []
        begun = not after
        async with self._looking(_MOST if after else limit) as look:
            while len(found) < limit and (delivery := await look.next()) is not None:
                letter = dead_from(delivery)
                if begun:
                    found.append(letter)
                begun = begun or letter.token == after
        return found

    async def remove(self, which: DeadJobs, *, redrive: bool) -> int:
        """Delete those, or let them wait again first; returns how many."""
        removed, chunk = 0, list[Delivery]()
        async with self._looking(_MOST) as look:
            while (delivery := await look.next()) is not None:
                if which.match(dead_from(delivery)):
                    chunk.append(delivery)
                if len(chunk) == _CHUNK:
                    removed += await self._settle(look, chunk, redrive=redrive)
                    which.moved(len(chunk))
                    chunk = []
            removed += await self._settle(look, chunk, redrive=redrive)
            which.moved(len(chunk))
        return removed

    async def _settle(self, look: "_Look", chunk: Sequence[Delivery], *, redrive: bool) -> int:
        if redrive:
            now = time.time()
            await self._post.put([message_of(redriven(one, now=now), self._queues.main) for one in chunk])
        await look.remove(chunk)
        return len(chunk)

    @asynccontextmanager
    async def _looking(self, most: int) -> AsyncIterator["_Look"]:
        link = self._link()
        try:
            look = _Look(link, self._queues.dead)
            await look.begin(most)
            yield look
            await look.give_back()
        finally:
            await link.close()


class _Look:
    """Gets the messages of a queue, in their order, without settling them."""

    def __init__(self, link: RabbitLink, queue: str) -> None:
        self._link = link
        self._queue = queue
        self._came: deque[Delivery] = deque()
        self._news = asyncio.Event()
        self._begun = False
        self._coming = 0
        self._here = 0

    async def begin(self, most: int) -> None:
        """Look at those that are there now, at most so many."""
        async with self._link.calling() as connection:
            connection.listen(self._deliver, self._news.set)
            ready = await sure_count(connection, self._queue)
            self._coming = min(ready, most)
            if self._coming:
                self._begun = True
                await connection.consume(self._queue, _CONSUMER, prefetch=self._coming)

    async def next(self) -> Delivery | None:
        """None: no more come."""
        if not self._coming:
            return None
        async with self._link.calling() as connection:
            while not self._came:
                connection.check()
                self._news.clear()
                try:
                    async with asyncio.timeout(_SILENCE_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    if not self._came:  # a loop that stood still finds both in one turn
                        self._coming = 0
                        return None
        self._coming -= 1
        return self._came.popleft()

    async def remove(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge these."""
        if deliveries:
            async with self._link.calling() as connection:
                connection.send(*(commands.Basic.Ack(one.tag) for one in deliveries))
                await connection.call(commands.Basic.Qos(prefetch_count=1), commands.Basic.QosOk)
            self._here -= len(deliveries)

    async def give_back(self) -> None:
        """The others. They are back when this returns, for whoever looks next; the removed ones stay removed."""
        if not self._begun:
            return
        async with self._link.calling() as connection:
            # Before it has answered this, RabbitMQ may keep acknowledgements to itself: see `Taking.finish`.
            await connection.call(commands.Basic.Cancel(_CONSUMER), commands.Basic.CancelOk)
            if self._here:
                connection.send(commands.Basic.Nack(0, multiple=True, requeue=True))
                for _ in range(_LOOKS):
                    ready, _ = await count(connection, self._queue)
                    if ready >= self._here:
                        break
                    await asyncio.sleep(_LOOK_SECONDS)

    def _deliver(self, delivery: Delivery) -> None:
        self._here += 1
        self._came.append(delivery)
        self._news.set()

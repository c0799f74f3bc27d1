"""What a queue tells while nobody asks: LISTEN and NOTIFY, on a channel for each queue."""

import asyncio
import contextlib
import hashlib

from workerpool.broker._postgres.link import PostgresLink


def channel_of(queue: str) -> str:
    """The name of a queue's channel: the queue's own may be too long for one."""
    return f"workerpool_{hashlib.sha256(queue.encode()).hexdigest()[:32]}"


class Waker:
    """Hears of one queue.

    Attributes:
        channel: Where it is told of.
        arrived: A job has come since this was last set to False.
    """

    def __init__(self, link: PostgresLink, queue: str) -> None:
        self.channel = channel_of(queue)
        self.arrived = False
        self._link = link
        self._changed = asyncio.Event()
        self._heard_by = 0

    async def listen(self) -> bool:
        """Hear from now on; return whether something may have been missed before. Raises BrokerError."""
        if self._heard_by and self._heard_by == self._link.generation:
            return False
        self._heard_by = await self._link.listen(self.channel, self._hear, lost=self._changed.set)
        return True

    def clear(self) -> None:
        """What was heard until now has been heeded."""
        self._changed.clear()

    def wake(self) -> None:
        """End the `wait` in progress, or the next one."""
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """At most so long, until something is heard, or nothing can be any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    def _hear(self, word: str) -> None:
        if word == "job":
            self.arrived = True
        self._changed.set()

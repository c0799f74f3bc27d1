"""Telling RabbitMQ how jobs ended.

It has no move from one queue to another, so what is to wait again, or is dead, is put where it belongs, and once that
is confirmed the delivery is acknowledged. Who dies in between has doubled the job, and not lost it.
"""

import time
from collections.abc import Mapping, Sequence

from pamqp import commands

from workerpool.broker._rabbitmq.held import Held
from workerpool.broker._rabbitmq.link import RabbitLink
from workerpool.broker._rabbitmq.messages import Message
from workerpool.broker._rabbitmq.post import Post, delayed
from workerpool.broker._rabbitmq.queues import Queues
from workerpool.broker._rabbitmq.wire import message_of, parts_again, parts_of_dead
from workerpool.broker._types import DeadLetter, Retry, Taken


class Settling:
    """Of one consumer."""

    def __init__(self, reads: RabbitLink, post: Post, queues: Queues, held: Held) -> None:
        self._reads = reads
        self._post = post
        self._queues = queues
        self._held = held

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Acknowledge those that are still ours; returns when RabbitMQ has read it, for it confirms nothing."""
        tokens = frozenset(job.token for job in jobs)
        lost = frozenset(token for token in tokens if token not in self._held)
        if tokens > lost:
            async with self._reads.calling() as connection:
                connection.send(*self._held.forget(tokens - lost))
                # Any call does: it is answered after what was sent before. This one changes nothing and is cheap.
                await connection.call(commands.Basic.Qos(prefetch_count=1), commands.Basic.QosOk)
        return lost

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Put them where delayed jobs wait."""
        now = time.time()
        moved = {one.job.token: self._again(one.job, one.delay, now) for one in retries if one.job.token in self._held}
        return await self._move([retry.job for retry in retries], moved)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Put them into the queue anew: a message that is only given back would count as tried once more."""
        moved = {}
        for job in self._held.ours(jobs):
            kept = self._held[job.token]
            parts = parts_again(
                job,
                kept.headers,
                attempts=job.attempt - 1,
                checkpoint=kept.checkpoint or job.checkpoint,
                handed_back=True,
            )
            moved[job.token] = message_of(parts, self._queues.main)
        return await self._move(jobs, moved)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Put them into the queue of the dead."""
        now, moved = time.time(), {}
        for letter in letters:
            token = letter.job.token
            if token in self._held:
                parts = parts_of_dead(letter, self._held[token].headers, now=now)
                moved[token] = message_of(parts, self._queues.dead)
        return await self._move([letter.job for letter in letters], moved)

    def _again(self, job: Taken, delay: float, now: float) -> Message:
        kept = self._held[job.token]
        parts = parts_again(
            job, kept.headers, attempts=job.attempt, due=now + delay, checkpoint=kept.checkpoint or job.checkpoint
        )
        return delayed(parts, self._queues, delay)

    async def _move(self, jobs: Sequence[Taken], messages: Mapping[str, Message]) -> frozenset[str]:
        await self._post.put(list(messages.values()))
        return await self.ack(jobs)

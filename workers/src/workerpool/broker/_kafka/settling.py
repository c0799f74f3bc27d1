"""Telling Kafka how jobs ended.

It has no move from one topic to another but in transactions, whose markers take up offsets and whose commits of offsets
no lost partition refuses. So what is to wait again, or is dead, is put where it belongs, and then it is done here. Who
dies in between has doubled the job, and not lost it.
"""

import time
from collections.abc import Mapping, Sequence

from workerpool.broker._kafka.group import SHARING_SECONDS, Group
from workerpool.broker._kafka.held import Held
from workerpool.broker._kafka.link import KafkaLink
from workerpool.broker._kafka.names import Names
from workerpool.broker._kafka.post import Post
from workerpool.broker._kafka.wire import Headers, Outgoing, headers_again, headers_of, headers_of_dead
from workerpool.broker._types import DeadLetter, Retry, Taken


class Settling:
    """Of one consumer."""

    def __init__(self, link: KafkaLink, names: Names, group: Group, post: Post, held: Held) -> None:
        self._link = link
        self._names = names
        self._group = group
        self._post = post
        self._held = held

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Say that those that are still ours are done; Kafka refuses it of whom has lost them."""
        ours = [job.token for job in self._held.ours(jobs)]
        if ours:
            for token in ours:
                holding = self._held[token]
                holding.part.ledger.finish(holding.record.offset)
            async with self._link.calling(wait=SHARING_SECONDS):
                await self._group.commit({self._held[token].part for token in ours})
        lost = frozenset(job.token for job in jobs if job.token not in self._held)
        self._held.forget(ours)
        return lost

    async def check(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Which of them are not ours any more, by Kafka's word."""
        parts = {self._held[job.token].part for job in self._held.ours(jobs)}
        if parts:
            async with self._link.calling(wait=SHARING_SECONDS):
                await self._group.commit(parts)
        return frozenset(job.token for job in jobs if job.token not in self._held)

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Put them among those that wait for their time."""
        now = time.time()
        moved = {
            retry.job.token: Outgoing(
                self._names.retry, retry.job.payload, self._again(retry.job, retry.job.attempt, due=now + retry.delay)
            )
            for retry in retries
            if retry.job.token in self._held
        }
        return await self._move([retry.job for retry in retries], moved)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Put them there as well, due as they were, without this attempt."""
        moved = {}
        for job in self._held.ours(jobs):
            headers = self._again(job, job.attempt - 1, due=time.time() - job.waited)
            marks = {"begun": job.begun, "redelivered": job.redelivered}
            headers |= {name: "1" for name, is_so in marks.items() if is_so}
            moved[job.token] = Outgoing(self._names.retry, job.payload, headers)
        return await self._move(jobs, moved)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Put them among the dead."""
        now, moved = time.time(), {}
        for letter in letters:
            token = letter.job.token
            if token in self._held:
                headers = headers_of_dead(letter, headers_of(self._held[token].record), now=now)
                moved[token] = Outgoing(self._names.dead, letter.job.payload, headers)
        return await self._move([letter.job for letter in letters], moved)

    def _again(self, job: Taken, attempts: int, *, due: float) -> Headers:
        holding = self._held[job.token]
        said = headers_of(holding.record)
        return headers_again(job, said, attempts=attempts, due=due, checkpoint=holding.checkpoint)

    async def _move(self, jobs: Sequence[Taken], outgoing: Mapping[str, Outgoing]) -> frozenset[str]:
        """Whoever repeats a move that failed half-way does not put it twice."""
        lost = await self.check(jobs)
        missing = {token: one for token, one in outgoing.items() if token in self._held and not self._held[token].moved}
        await self._post.put(list(missing.values()))
        for token in missing:
            if token in self._held:
                self._held[token].moved = True
        return lost | await self.ack(jobs)

"""Dead letters: records of a topic of their own. Which of them are gone again is kept as for jobs: see `ledger`.

Who removes some is no member of a group, so Kafka does not keep two from removing at once: the docs say so.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from workerpool.broker._kafka.ending import ended
from workerpool.broker._kafka.ledger import WINDOW, Committed, Ledger
from workerpool.broker._kafka.link import EARLIEST, LATEST, KafkaLink, Topic
from workerpool.broker._kafka.names import Names
from workerpool.broker._kafka.post import Post
from workerpool.broker._kafka.wire import Outgoing, dead_from, headers_redriven
from workerpool.broker._types import DeadJob, DeadJobs

_CHUNK: Final = 200
_GOODBYE_SECONDS: Final = 1.0
_READ_MS: Final = 1_000


class DeadLetters:
    """Of one queue."""

    def __init__(self, link: KafkaLink, names: Names, post: Post) -> None:
        self._link = link
        self._names = names
        self._post = post
        self._partition = TopicPartition(names.dead, 0)

    async def page(self, *, limit: int, after: str) -> list[DeadJob]:
        """At most `limit`, after the one with this token."""
        found: list[DeadJob] = []
        async with self._link.calling():
            ledger, end, _ = await self._ledger()
            first = max(ledger.base, int(after) + 1 if after.isdecimal() else 0)
            async with self._reading(first, end) as records:
                async for record in records:
                    if len(found) == limit:
                        break
                    if not ledger.is_done(record.offset):
                        found.append(dead_from(record))
        return found

    async def remove(self, which: DeadJobs, *, redrive: bool) -> int:
        """Mark those as gone, or let them wait again first; returns how many."""
        async with self._link.calling():
            ledger, end, topic = await self._ledger()
            found = await self._matching(ledger, end, which)
        for start in range(0, len(found), _CHUNK):
            chunk = found[start : start + _CHUNK]
            if redrive:
                now = time.time()
                await self._post.put(
                    [Outgoing(self._names.retry, one.value or b"", headers_redriven(one, now=now)) for one in chunk]
                )
            for one in chunk:
                ledger.finish(one.offset)
            async with self._link.calling():
                committed = Committed(ledger.base, ledger.text("dead"))
                await self._link.commit(self._names.dead_group, self._partition, committed)
            which.moved(len(chunk))
        if found:
            async with self._link.calling():
                await self._link.delete_before(topic, {self._partition: ledger.base})
        return len(found)

    async def _matching(self, ledger: Ledger, end: int, which: DeadJobs) -> list[Any]:
        """Those that can be marked, see `WINDOW`: of very many, the oldest ones."""
        found, gone = [], ledger.base  # all before it will be
        async with self._reading(ledger.base, end) as records:
            async for record in records:
                offset, letter = record.offset, dead_from(record)
                wanted = which.match(letter)
                if offset - gone >= WINDOW:
                    break
                if wanted and not ledger.is_done(offset):
                    found.append(record)
                if offset == gone and (wanted or ledger.is_done(offset)):
                    gone += 1
        return found

    async def _ledger(self) -> tuple[Ledger, int, Topic]:
        topic = await self._link.topic(self._names.dead)
        topics = {self._names.dead: topic}
        beginning = (await self._link.offsets(topics, EARLIEST))[self._partition]
        committed = await self._link.committed(self._names.dead_group, [self._partition])
        ledger = committed.get(self._partition, Committed(0)).ledger(beginning=beginning)
        return ledger, (await self._link.offsets(topics, LATEST))[self._partition], topic

    @asynccontextmanager
    async def _reading(self, first: int, end: int) -> AsyncIterator[AsyncIterator[Any]]:
        """The records from `first` to before `end`."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._link.bootstrap, isolation_level="read_committed", **self._link.options()
        )
        try:
            await consumer.start()
            consumer.assign([self._partition])
            consumer.seek(self._partition, first)
            yield _records(consumer, self._partition, first, end)
        finally:
            await ended(consumer.stop(), seconds=_GOODBYE_SECONDS)


async def _records(consumer: Any, partition: TopicPartition, first: int, end: int) -> AsyncIterator[Any]:
    at = first
    while at < end:
        came = await consumer.getmany(partition, timeout_ms=_READ_MS)
        for record in came.get(partition, ()):
            if record.offset >= end:
                return
            yield record
        # Markers of transactions are passed without a record.
        at = await consumer.position(partition)

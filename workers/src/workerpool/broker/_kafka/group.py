"""Membership in the consumer group: which partitions are ours, and commits, which Kafka takes of none but their owner.

Kafka shares partitions out anew whenever a consumer comes, goes or is not heard of for the lease. aiokafka does that in
the background, by heartbeats that go on while jobs run. All members then give up all partitions for a moment; those
that one gets back are taken up where they were, with the jobs that run: nobody can have had them in between unless the
text beside the committed offset says so, since the first thing that an owner does is to commit what it gives out.

How they are shared out: see `sharing`. Static membership is not used: it makes a partition wait for the lease when a
pod goes for good, which is what pods do here.
"""

import asyncio
import os
from collections.abc import Collection, Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition, errors
from aiokafka.abc import ConsumerRebalanceListener

from workerpool.broker._kafka.ending import ended
from workerpool.broker._kafka.held import Held
from workerpool.broker._kafka.ledger import Committed
from workerpool.broker._kafka.link import EARLIEST, KafkaLink
from workerpool.broker._kafka.names import Names
from workerpool.broker._kafka.part import Part
from workerpool.broker._kafka.sharing import Sharing

_SHORTEST_LEASE_SECONDS: Final = 6.0
_LONGEST_LEASE_SECONDS: Final = 1_800.0
"""What Kafka allows as session timeouts unless it is told otherwise."""
_BEAT_SECONDS: Final = 1.0
"""By heartbeats a member learns that partitions are shared out anew."""
SHARING_SECONDS: Final = 5.0
"""How long Kafka waits for the members when partitions are shared out anew, while nobody has any. Who is silent for so
long is left out: when a pod was killed and another one comes, all the others wait for no more than this."""
_NEVER_MS: Final = 2**31 - 1
_AGAIN_SECONDS: Final = 0.02
_GOODBYE_SECONDS: Final = 3.0
_REQUEST_MARGIN_SECONDS: Final = 10.0
_NOT_OURS: Final = (errors.CommitFailedError, errors.IllegalStateError)


class Group(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One member, or none as long as nothing was taken."""

    def __init__(self, link: KafkaLink, names: Names, held: Held) -> None:
        self._link = link
        self._names = names
        self._held = held
        self._writer = os.urandom(6).hex()
        self._consumer: Any = None
        self._lock = asyncio.Lock()  # one commit, or one change of what is ours, at a time
        self._assigned: frozenset[TopicPartition] | None = None
        self._known = False
        self._reading: asyncio.Task[Any] | None = None
        self.changed = asyncio.Event()
        self.parts: dict[TopicPartition, Part] = {}

    @property
    def member(self) -> bool:
        """Whether there is a consumer."""
        return self._consumer is not None

    async def join(self, *, lease_seconds: float) -> None:
        """Become a member; returns before partitions are ours.

        Raises:
            errors.KafkaError, OSError: it cannot be had.
        """
        lease = min(_LONGEST_LEASE_SECONDS, max(_SHORTEST_LEASE_SECONDS, lease_seconds))
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._link.bootstrap,
            client_id=f"workerpool-{self._writer}",
            group_id=self._names.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=(Sharing(self._names, self._running),),
            session_timeout_ms=round(lease * 1000),
            heartbeat_interval_ms=round(min(_BEAT_SECONDS, lease / 4) * 1000),
            max_poll_interval_ms=_NEVER_MS,  # who takes nothing for an hour may be busy for an hour
            # An answer to who joins comes when all have, or their time is over.
            request_timeout_ms=round((SHARING_SECONDS + _REQUEST_MARGIN_SECONDS) * 1000),
            rebalance_timeout_ms=round(SHARING_SECONDS * 1000),
            **self._link.options(),
        )
        try:
            await consumer.start()
            consumer.subscribe([self._names.topic, self._names.retry], listener=self)
        except BaseException:
            await _stopped(consumer)
            raise
        self._consumer = consumer

    async def settled(self) -> None:
        """Returns when it is known which partitions are ours and what their ledgers say.

        Raises:
            errors.KafkaError: what keeps us from being a member.
        """
        while not self._known:
            if self._assigned is None:
                await self.news(self.read(()))
                self._raise_reading()
                continue
            async with self._lock:
                if self._assigned is not None and not self._known:
                    await self._take_up(self._assigned)

    def read(self, partitions: Collection[TopicPartition], *, most: int = 1) -> "asyncio.Task[Any]":
        """The read in progress; begins one of so many records if there is none. It goes on until something comes."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._consumer.getmany(*partitions, timeout_ms=1000, max_records=most))
        return self._reading

    async def news(self, reading: "asyncio.Task[Any]", *, seconds: float | None = None) -> None:
        """Until the read is done, what is ours changes, or so many seconds are over."""
        changed = asyncio.ensure_future(self.changed.wait())
        try:
            await asyncio.wait({reading, changed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        self.changed.clear()

    async def came(self) -> None:
        """Put what was read where it belongs."""
        reading = self._reading
        if reading is None or not reading.done() or not self._known:
            return
        self._reading = None
        for partition, records in reading.result().items():
            part = self.parts.get(partition)
            if part is not None:
                for record in records:
                    part.read(record)
        if passed := {part for part in self.parts.values() if part.hungry and await self._pass_markers(part)}:
            await self.commit(passed)

    def caught_up(self) -> bool:
        """Whether all that Kafka was known to have has been read."""
        marks = [(self._consumer.highwater(part.partition), part) for part in self.parts.values() if part.hungry]
        return all(mark is not None and part.next >= mark for mark, part in marks)

    async def commit(self, parts: Iterable[Part]) -> None:
        """Let Kafka keep what these parts' ledgers say. Those that are not ours any more are left out: see `parts`.

        Raises:
            errors.KafkaError: it is not known whether it has.
        """
        wanted = set(parts)
        while True:
            await self.settled()
            async with self._lock:
                if not self._known:
                    continue
                offsets = {
                    part.partition: (part.ledger.base, part.ledger.text(self._writer))
                    for part in wanted
                    if self.parts.get(part.partition) is part
                }
                try:
                    if offsets:
                        await self._consumer.commit(offsets)
                except _NOT_OURS:
                    pass  # they are about to be shared out anew: then it is known which ones are ours
                else:
                    return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def leave(self) -> None:
        """Give all partitions back. Never raises."""
        consumer, self._consumer = self._consumer, None
        await self._stop_reading()
        if consumer is not None:
            await _stopped(consumer)
        for part in self.parts.values():
            self._held.lose(part)
        self.parts = {}
        self._assigned, self._known = None, False

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Called by aiokafka, before partitions are shared out anew."""
        del revoked
        async with self._lock:  # a commit under way is one of the former share
            self._assigned, self._known = None, False
            await self._stop_reading()
        self.changed.set()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Called by aiokafka, whenever they were."""
        self._assigned, self._known = frozenset(assigned), False
        self.changed.set()

    async def _take_up(self, assigned: frozenset[TopicPartition]) -> None:
        """Keep the parts that nobody else has had, begin the others where their ledgers say."""
        topics = await self._link.topics({one.topic for one in assigned})
        committed = await self._link.committed(self._names.group, assigned)
        beginnings = await self._link.offsets(topics, EARLIEST)
        await self._stop_reading()  # what it may have got is read once more
        parts = {}
        for one in assigned:
            state = committed.get(one, Committed(0))
            part = self.parts.get(one)
            if part is None or state.writer != self._writer:
                ledger = state.ledger(beginning=beginnings.get(one, 0))
                part = Part(one, ledger, timed=one.topic == self._names.retry, next=ledger.base)
            parts[one] = part
        for one, part in self.parts.items():
            if parts.get(one) is not part:
                self._held.lose(part)
        try:
            for one, part in parts.items():
                self._consumer.seek(one, part.next)
        except errors.IllegalStateError:  # they are being shared out anew
            self._assigned = None
            return
        self.parts, self._known = parts, True

    async def _pass_markers(self, part: Part) -> bool:
        """What Kafka was past when nothing was being read holds no job: transactions end with such."""
        try:
            position = await self._consumer.position(part.partition)
        except errors.IllegalStateError:  # it is being shared out anew
            return False
        if self._reading is not None or not self._known or self.parts.get(part.partition) is not part:
            return False
        return part.skip_to(position)

    def _running(self) -> dict[int, int]:
        """The jobs that run in each partition, for who shares them out."""
        running = {part.partition.partition: 0 for part in self.parts.values() if not part.timed}
        for part in self._held.parts():
            running[part.partition.partition] = running.get(part.partition.partition, 0) + 1
        return running

    def _raise_reading(self) -> None:
        """What has ended the read, if something has; what it read before all was known is read once more."""
        reading = self._reading
        if reading is not None and reading.done() and not self._known:
            self._reading = None
            reading.result()

    async def _stop_reading(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.exception()  # looked at: what it is of is over


async def _stopped(consumer: Any) -> None:
    """Leave, and let go of everything, also where aiokafka gives up half-way because Kafka is gone."""
    if not await ended(consumer.stop(), seconds=_GOODBYE_SECONDS):
        await ended(consumer._client.close(), seconds=_GOODBYE_SECONDS)  # noqa: SLF001  nobody else closes it

"""The broker on Kafka; see the package's text for how a queue lies there."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from workerpool.broker._credentials import Credentials
from workerpool.broker._kafka import listening, reading
from workerpool.broker._kafka.address import KafkaAddress
from workerpool.broker._kafka.capabilities import CAPABILITIES
from workerpool.broker._kafka.dead import DeadLetters
from workerpool.broker._kafka.group import Group
from workerpool.broker._kafka.held import Held
from workerpool.broker._kafka.link import KafkaLink
from workerpool.broker._kafka.names import Names
from workerpool.broker._kafka.post import Post
from workerpool.broker._kafka.settling import Settling
from workerpool.broker._kafka.taking import Taking
from workerpool.broker._kafka.wire import Outgoing, headers_of_new, size
from workerpool.broker._shed import TEXTS, spoiled
from workerpool.broker._types import (
    Capabilities,
    DeadJob,
    DeadJobs,
    DeadLetter,
    DeathReason,
    Depth,
    NewJob,
    Priority,
    Retry,
    Taken,
    TenantLimit,
    Tokens,
)
from workerpool.errors import BrokerError, BrokerUnavailable, ConfigurationError, PayloadInvalid

_TIDY_SECONDS: Final = 300.0
_LARGEST_JOB: Final = 983_040
"""Bytes: a record has 1 MiB at most, and what becomes of a job is written into its headers."""
_LARGEST_CHECKPOINT: Final = 65_536


class KafkaBroker:
    """See `Broker`. A job is ours for as long as its partition is."""

    def __init__(
        self,
        address: KafkaAddress,
        *,
        topic: str,
        group: str,
        credentials: Credentials,
        timeout: float,
        consumer: str,
        lease_seconds: float,
    ) -> None:
        self._names = Names(topic, group)
        self._consumer = consumer or f"{os.getpid()}-{os.urandom(6).hex()}"
        self._lease = lease_seconds
        self._link = KafkaLink(address, credentials, timeout=timeout, name=f"workerpool-{self._consumer}")
        self._held = Held()
        self._group = Group(self._link, self._names, self._held)
        self._post = Post(self._link, name=f"workerpool-put-{self._consumer}")
        self._taking = Taking(self._link, self._names, self._group, self._held)
        self._settling = Settling(self._link, self._names, self._group, self._post, self._held)
        self._dead = DeadLetters(self._link, self._names, self._post)
        self._making = asyncio.Lock()
        self._made = False
        self._seen: reading.Reading | None = None
        self._shed_after: Mapping[str, float] = {}
        self._dropped: Counter[DeathReason] = Counter()

    @property
    def capabilities(self) -> Capabilities:
        """What Kafka can do."""
        return CAPABILITIES

    @property
    def stream(self) -> str:
        """The topic's name."""
        return self._names.topic

    @property
    def identity(self) -> str:
        """Where it is: a topic that was deleted and made anew has it too."""
        return f"{self._link.cluster}/{self._names.topic}/{self._names.group}" if self._link.cluster else ""

    @property
    def connected(self) -> bool:
        """Whether its latest answer was one."""
        return self._link.connected

    @property
    def lease_seconds(self) -> float:
        """Until Kafka takes a consumer for dead of which it hears nothing; who leaves is noticed at once."""
        return self._lease

    def set_lease(self, seconds: float) -> None:
        """For the next time that it joins the group."""
        self._lease = seconds

    def limit_tenants(self, limits: Mapping[str, TenantLimit]) -> None:
        """Kafka counts nothing by tenant.

        Raises:
            ConfigurationError: there are limits.
        """
        if limits:
            raise ConfigurationError("Kafka keeps no limits of tenants: leave them out, or use Redis")

    def shed_after(self, seconds: Mapping[str, float]) -> None:
        """For our own takes."""
        self._shed_after = seconds

    def dropped(self) -> Mapping[DeathReason, int]:
        """Counted by us."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Kept by all replicas. Producers that put at the same time may pass `max_depth`."""
        for job in jobs:
            _require_simple(job)
        await self._prepare()
        if max_depth is not None:
            jobs = jobs[: max(0, max_depth - (await self.depth()).waiting)]
        now = time.time()
        outgoing = [Outgoing(self._names.topic, job.payload, headers_of_new(job, now=now)) for job in jobs]
        if any(size(one) > _LARGEST_JOB for one in outgoing):
            raise PayloadInvalid(f"on Kafka a job has {_LARGEST_JOB} bytes at most, with its headers")
        await self._post.put(outgoing)
        return len(jobs)

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:
        """Of the partitions that are ours; see `Broker`. The first one joins the group. Kafka passes over no types."""
        del without
        try:
            await self._prepare()
            if not self._group.member:
                async with self._link.calling():
                    await self._group.join(lease_seconds=self._lease)
            found = await self._taking.take(limit, wait)
        except BrokerUnavailable:
            raise
        except BrokerError:
            await self._group.leave()  # it joins anew, with the credentials of then
            self._made = False
            raise
        return await self._weed(found)

    async def interrupt(self) -> None:
        """End the wait."""
        self._taking.interrupt()
        await asyncio.sleep(0)

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Commit that they are done."""
        return await self._settling.ack(jobs)

    async def extend(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Nothing is to be extended; a commit tells which ones are not ours any more."""
        return await self._settling.check(jobs)

    def let_go(self, jobs: Sequence[Taken]) -> None:
        """Give them out anew ourselves: nobody else can, as long as the partition is ours."""
        for job in self._held.ours(jobs):
            holding = self._held[job.token]
            if holding.moved:  # what is missing is only that it is said: the next commit does
                holding.part.ledger.finish(holding.record.offset)
            elif not holding.part.ledger.is_done(holding.record.offset):
                holding.part.put_back(holding.record)
        self._held.forget(job.token for job in jobs)

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """Kept here until the job waits again, and lost with this process: Kafka changes no record."""
        if len(state) > _LARGEST_CHECKPOINT:
            raise PayloadInvalid(
                f"on Kafka a checkpoint has {_LARGEST_CHECKPOINT} bytes at most, this one {len(state)}"
            )
        if job.token in self._held:
            self._held[job.token].checkpoint = state
        return job.token in self._held

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Put them among those that wait for their time, then commit that they are done here."""
        return await self._settling.retry_later(retries)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """The same, due already."""
        return await self._settling.hand_back(jobs)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Put them among the dead, then commit that they are done."""
        return await self._settling.dead_letter(letters)

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        """Records of their topic."""
        await self._prepare()
        return await self._dead.page(limit=limit, after=after)

    async def redrive(self, which: DeadJobs) -> int:
        """Let them wait as if handed back, then mark them, chunk by chunk; a crash in between doubles a chunk."""
        await self._prepare()
        return await self._dead.remove(which, redrive=True)

    async def purge(self, which: DeadJobs) -> int:
        """Mark them as gone."""
        await self._prepare()
        return await self._dead.remove(which, redrive=False)

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        """Kafka has nowhere to count.

        Raises:
            ConfigurationError: always.
        """
        del bucket, count, rate, burst
        raise ConfigurationError("Kafka keeps no token buckets: leave the rate limit out, or use Redis")

    async def maintain(self) -> float:
        """Let Kafka delete what was tried again: the topic of those has no end by age."""
        async with self._link.calling():
            topics = await self._link.topics([self._names.retry])
            if self._names.retry in topics:
                topic = topics[self._names.retry]
                committed = await self._link.committed(self._names.group, self._names.partitions(topic.leaders))
                await self._link.delete_before(topic, {one: state.offset for one, state in committed.items()})
        return _TIDY_SECONDS

    async def depth(self) -> Depth:
        """By offsets, and what is kept with them."""
        async with self._link.calling():
            self._seen = await reading.read(self._link, self._names)
        return self._seen.depth

    async def wait_for_arrival(self, seconds: float) -> bool:
        """A fetch from where the latest `depth` has counted to. It needs the right to read the topic."""
        if self._seen is None:
            await self.depth()
        assert self._seen is not None
        return await listening.arrival(self._link, self._seen.topics, self._seen.ends, seconds=seconds)

    async def close(self) -> None:
        """Leave the group, by which others have our partitions at once."""
        await self._group.leave()
        await self._post.close()
        await self._link.drop()

    async def _prepare(self) -> None:
        """Make the topics that stand beside the queue's own, if they are not there."""
        async with self._making:
            if self._made:
                return
            names = self._names
            async with self._link.calling():
                topics = await self._link.topics([names.topic, names.retry, names.dead])
                topic = topics.get(names.topic) or await self._link.topic(names.topic)
                wanted = {names.retry: len(topic.leaders), names.dead: 1}
                missing = {name: count for name, count in wanted.items() if name not in topics}
                if missing:
                    await self._link.create(missing, replicas=topic.replicas)
            self._made = True

    async def _weed(self, jobs: list[Taken]) -> list[Taken]:
        """Without those that are not to be run: they are dead-lettered, and this attempt does not count."""
        letters = [
            DeadLetter(replace(job, attempt=job.attempt - 1), reason, TEXTS[reason], worker=self._consumer)
            for job in jobs
            if (reason := spoiled(job, self._shed_after)) is not None
        ]
        if not letters:
            return jobs
        try:
            lost = await self.dead_letter(letters)
        except BrokerError:
            self.let_go(jobs)  # nobody knows of them: they come again
            raise
        self._dropped.update(letter.reason for letter in letters if letter.job.token not in lost)
        gone = {letter.job.token for letter in letters}
        return [job for job in jobs if job.token not in gone]


def _require_simple(job: NewJob) -> None:
    """Refuse what nobody would heed."""
    if job.ordering_key:
        raise ConfigurationError("Kafka's jobs of a key run beside each other here: leave ordering_key out")
    if job.priority is not Priority.NORMAL:
        raise ConfigurationError("Kafka keeps no priorities: leave priority out, or use Redis")
    if job.delay > 0:
        raise ConfigurationError("Kafka holds nothing back: leave delay out, or use Redis")

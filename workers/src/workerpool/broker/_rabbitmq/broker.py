"""The broker on RabbitMQ's quorum queues: a connection that takes and acknowledges, and one that puts."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from workerpool.broker._credentials import Credentials
from workerpool.broker._rabbitmq.address import RabbitAddress
from workerpool.broker._rabbitmq.amqp import AmqpConnection
from workerpool.broker._rabbitmq.capabilities import CAPABILITIES
from workerpool.broker._rabbitmq.dead import DeadLetters
from workerpool.broker._rabbitmq.held import Held
from workerpool.broker._rabbitmq.link import RabbitLink
from workerpool.broker._rabbitmq.post import Post, delayed
from workerpool.broker._rabbitmq.queues import Queues, sure_count
from workerpool.broker._rabbitmq.settling import Settling
from workerpool.broker._rabbitmq.taking import Taking
from workerpool.broker._rabbitmq.wire import LONGEST_HEADER, parts_of_new, taken_from
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
from workerpool.errors import BrokerError, ConfigurationError, PayloadInvalid

_NOTHING_TO_DO_SECONDS: Final = 60.0
_LONGEST_NAME: Final = 255
_SHORTEST_BEAT_SECONDS: Final = 1.0
_LONGEST_BEAT_SECONDS: Final = 60.0


class RabbitBroker:
    """See `Broker`. A job is ours for as long as the connection on which it came."""

    def __init__(
        self,
        address: RabbitAddress,
        *,
        queue: str,
        credentials: Credentials,
        timeout: float,
        consumer: str,
        lease_seconds: float,
    ) -> None:
        if not queue or len(queue) > _LONGEST_NAME - len(".delay.4294967295"):
            raise ConfigurationError("a RabbitMQ queue has a name of 1 to 238 characters")
        self._queue = queue
        self._address = address
        self._credentials = credentials
        self._timeout = timeout
        self._consumer = consumer
        self._lease = lease_seconds
        self._queues = Queues(queue)
        self._held = Held()
        self._writes = self._link("put", self._put_opened)
        self._post = Post(self._writes, self._queues)
        self._reads = self._link("take", self._take_opened)
        self._taking = Taking(self._reads, self._queues, self._held)
        self._settling = Settling(self._reads, self._post, self._queues, self._held)
        self._dead = DeadLetters(lambda: self._link("look", self._queues.declare), self._post, self._queues)
        self._shed_after: Mapping[str, float] = {}
        self._dropped: Counter[DeathReason] = Counter()
        self._identity = ""

    @property
    def capabilities(self) -> Capabilities:
        """What quorum queues can do."""
        return CAPABILITIES

    @property
    def stream(self) -> str:
        """The queue's name."""
        return self._queue

    @property
    def identity(self) -> str:
        """Where it is: RabbitMQ keeps nothing beside messages, so a queue that was deleted and made anew has it too."""
        return self._identity

    @property
    def connected(self) -> bool:
        """One of the two."""
        return self._reads.current is not None or self._writes.current is not None

    @property
    def lease_seconds(self) -> float:
        """Until RabbitMQ takes a consumer for dead of which it hears nothing; one that ends is noticed at once."""
        return self._lease

    def set_lease(self, seconds: float) -> None:
        """For the next connection: heartbeats are agreed on when one begins."""
        self._lease = seconds

    def limit_tenants(self, limits: Mapping[str, TenantLimit]) -> None:
        """RabbitMQ counts nothing by tenant.

        Raises:
            ConfigurationError: there are limits.
        """
        if limits:
            raise ConfigurationError("RabbitMQ keeps no limits of tenants: leave them out, or use Redis")

    def shed_after(self, seconds: Mapping[str, float]) -> None:
        """For our own takes."""
        self._shed_after = seconds

    def dropped(self) -> Mapping[DeathReason, int]:
        """Counted by us."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Confirmed by a majority of the queue's members. Producers that put at the same time may pass `max_depth`."""
        for job in jobs:
            _require_simple(job)
        if max_depth is not None:
            async with self._writes.calling() as connection:
                ready = await sure_count(connection, self._queue)
            jobs = jobs[: max(0, max_depth - ready)]
        now = time.time()
        await self._post.put([delayed(parts_of_new(job, now=now), self._queues, job.delay) for job in jobs])
        return len(jobs)

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:
        """What is ready, or a consumer of one job; see `Broker`. RabbitMQ cannot pass over any types."""
        del without
        came = await self._taking.take(limit, wait)
        now = time.time()
        return await self._weed([taken_from(delivery, token=token, now=now) for token, delivery in came])

    async def interrupt(self) -> None:
        """End the wait."""
        self._taking.interrupt()
        await asyncio.sleep(0)

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Acknowledge."""
        return await self._settling.ack(jobs)

    async def extend(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Nothing is to be extended; which ones are not ours any more is known here."""
        return frozenset(job.token for job in jobs if job.token not in self._held)

    def let_go(self, jobs: Sequence[Taken]) -> None:
        """Give them back: on a connection that stands they would be ours for ever."""
        connection = self._reads.current
        for job in self._held.ours(jobs):
            frames = self._held.give_back(job.token)
            if connection is not None:
                connection.send(*frames)

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """Kept here until the job waits again, and lost with this process: RabbitMQ changes no message."""
        if len(state) > LONGEST_HEADER:
            raise PayloadInvalid(f"on RabbitMQ a checkpoint has {LONGEST_HEADER} bytes at most, this one {len(state)}")
        if job.token in self._held:
            self._held.keep_checkpoint(job.token, state)
        return job.token in self._held

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Put them among the delayed ones, then acknowledge."""
        return await self._settling.retry_later(retries)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Put them into the queue, behind all others, then acknowledge."""
        return await self._settling.hand_back(jobs)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Put them among the dead, then acknowledge."""
        return await self._settling.dead_letter(letters)

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        """Messages of the queue of the dead, which nobody else sees meanwhile."""
        return await self._dead.page(limit=limit, after=after)

    async def redrive(self, which: DeadJobs) -> int:
        """Put them into the queue, then acknowledge, chunk by chunk; a crash in between doubles a chunk."""
        return await self._dead.remove(which, redrive=True)

    async def purge(self, which: DeadJobs) -> int:
        """Acknowledge them."""
        return await self._dead.remove(which, redrive=False)

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        """RabbitMQ has nowhere to count.

        Raises:
            ConfigurationError: always.
        """
        del bucket, count, rate, burst
        raise ConfigurationError("RabbitMQ keeps no token buckets: leave the rate limit out, or use Redis")

    async def maintain(self) -> float:
        """RabbitMQ does it all."""
        return _NOTHING_TO_DO_SECONDS

    async def depth(self) -> Depth:
        """What is ready, by the queues' own count."""
        async with self._writes.calling() as connection:
            waiting = await sure_count(connection, self._queue)
            dead = await sure_count(connection, self._queues.dead)
        return Depth(
            waiting=waiting,
            in_flight=None,
            delayed=None,
            oldest_age_seconds=None,
            arrivals_total=None,
            dead_letters=dead,
        )

    async def wait_for_arrival(self, seconds: float) -> bool:
        """Lets the time pass: who is told of a job in RabbitMQ has taken it."""
        await asyncio.sleep(seconds)
        return False

    async def close(self) -> None:
        """End the connections: what is still ours is given back by that."""
        with contextlib.suppress(BrokerError):
            now = time.time()
            came = await self._taking.finish()
            await self.hand_back([taken_from(delivery, token=token, now=now) for token, delivery in came])
        await self._reads.close()
        await self._writes.close()

    def _link(self, what: str, opened: Callable[[AmqpConnection], Awaitable[None]]) -> RabbitLink:
        return RabbitLink(
            self._address,
            self._credentials,
            timeout=self._timeout,
            name=f"workerpool {what} {self._consumer}".rstrip(),
            heartbeat=lambda: min(_LONGEST_BEAT_SECONDS, max(_SHORTEST_BEAT_SECONDS, self._lease / 2)),
            opened=opened,
        )

    async def _take_opened(self, connection: AmqpConnection) -> None:
        self._identity = f"{connection.cluster}/{self._address.vhost}/{self._queue}"
        await self._taking.opened(connection)

    async def _put_opened(self, connection: AmqpConnection) -> None:
        self._queues.forget()
        await self._queues.declare(connection)

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
            await self.dead_letter(letters)
        except BrokerError:
            self._reads.drop()  # nobody knows of these jobs: let them come back
            raise
        self._dropped.update(letter.reason for letter in letters)
        gone = {letter.job.token for letter in letters}
        return [job for job in jobs if job.token not in gone]


def _require_simple(job: NewJob) -> None:
    """Refuse what nobody would heed, and what does not fit into a message's properties."""
    if job.ordering_key:
        raise ConfigurationError("RabbitMQ keeps no order by key: leave ordering_key out, or use Redis")
    if job.priority is not Priority.NORMAL:
        raise ConfigurationError("RabbitMQ's quorum queues keep no priorities: leave priority out, or use Redis")
    if max(len(job.type.encode()), len(job.job_id.encode())) > _LONGEST_NAME:
        raise ConfigurationError("on RabbitMQ a job's type and id have 255 bytes at most each")

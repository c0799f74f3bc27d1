"""The broker on NATS JetStream; see the package's text for how a queue lies there."""

import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from workerpool.broker._bucket import Level, check, draw
from workerpool.broker._credentials import Credentials
from workerpool.broker._nats import dead, putting, reading
from workerpool.broker._nats.address import NatsAddress
from workerpool.broker._nats.answers import NoRespondersError
from workerpool.broker._nats.bucket import Bucket
from workerpool.broker._nats.capabilities import CAPABILITIES
from workerpool.broker._nats.held import Held, is_late
from workerpool.broker._nats.leases import Leases
from workerpool.broker._nats.link import NatsLink
from workerpool.broker._nats.names import Names
from workerpool.broker._nats.settling import Settling
from workerpool.broker._nats.taking import Taking
from workerpool.broker._nats.topology import Topology
from workerpool.broker._shed import TEXTS, spoiled
from workerpool.broker._types import (
    Capabilities,
    DeadJob,
    DeadJobs,
    DeadLetter,
    DeathReason,
    Depth,
    NewJob,
    Retry,
    Taken,
    TenantLimit,
    Tokens,
)
from workerpool.errors import BrokerError, BrokerUnavailable

_IN_PROGRESS: Final = b"+WPI"
_MAINTAIN_SECONDS: Final = 30.0
_DRAWS: Final = 20
"""Attempts to draw from a bucket that others draw from at the same time."""


class NatsBroker:
    """See `Broker`. `consumer` must be unique among all processes, dead ones included."""

    def __init__(
        self,
        address: NatsAddress,
        *,
        stream: str,
        group: str,
        credentials: Credentials,
        timeout: float,
        consumer: str,
        lease_seconds: float,
    ) -> None:
        self._names = Names(stream, group)
        self._lease = lease_seconds
        self._consumer = consumer or f"{os.getpid()}-{os.urandom(6).hex()}"
        self._link = NatsLink(address, credentials, timeout=timeout)
        self._topology = Topology(self._link, self._names)
        self._bucket = Bucket(self._link, self._names)
        self._leases = Leases(self._link, self._bucket, self._topology)
        self._held = Held()
        self._settling = Settling(self._link, self._names, self._bucket, self._held, consumer=self._consumer)
        self._taking = Taking(self._link, self._names, self._bucket, self._held, self._settling)
        self._identity = ""
        self._identified_for = -1
        self._takes = 0
        self._interrupted = 0
        self._shed_after: Mapping[str, float] = {}
        self._dropped: Counter[DeathReason] = Counter()
        self._last_seen = 0
        self.set_lease(lease_seconds)

    @property
    def capabilities(self) -> Capabilities:
        """What JetStream can do."""
        return CAPABILITIES

    @property
    def stream(self) -> str:
        """The stream's name."""
        return self._names.stream

    @property
    def identity(self) -> str:
        """A key beside the stream."""
        return self._identity

    @property
    def connected(self) -> bool:
        """There is one."""
        return self._link.connected

    @property
    def lease_seconds(self) -> float:
        """How long a job stays ours without an `extend`."""
        return self._lease

    def set_lease(self, seconds: float) -> None:
        """Change the lease. The next `take` or `extend` announces it; the former one lapses by itself."""
        self._lease = seconds
        self._settling.margin = min(1.0, seconds / 10)

    def limit_tenants(self, limits: Mapping[str, TenantLimit]) -> None:
        """A stream knows of no tenants."""

    def shed_after(self, seconds: Mapping[str, float]) -> None:
        """For our own takes."""
        self._shed_after = seconds

    def dropped(self) -> Mapping[DeathReason, int]:
        """Counted by us."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Put jobs. The depth is looked at before: two that put at the same time may pass it, each by its own jobs."""
        await self._prepare()
        room = len(jobs)
        if max_depth is not None:
            room = min(room, max(0, max_depth - (await self.depth()).waiting))
        try:
            await putting.put(self._link, self._names, jobs[:room])
        except NoRespondersError:  # somebody has deleted the stream
            self._topology.doubt()
            await self._prepare()
            await putting.put(self._link, self._names, jobs[:room])
        while room < len(jobs) and await putting.is_duplicate(self._link, self._names, jobs[room]):
            room += 1
        return room

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:  # noqa: ARG002
        """Jobs that were taken over first, then the others as they stand in the stream, whatever their types."""
        self._takes += 1
        until = time.monotonic() + wait
        try:
            await self._prepare()
            await self._leases.announce(self._lease)
            if self._identified_for != self._link.generation:
                await self._identify()
            while self._interrupted != self._takes:
                left = until - time.monotonic()
                found = await self._taking.look(limit, seconds=max(0.0, left), lease=self._lease)
                if found or left <= 0:
                    return await self._weed(found)
        except BrokerUnavailable:
            self._topology.doubt()
            raise
        return []

    async def interrupt(self) -> None:
        """A take in progress ends with the pull that is open."""
        self._interrupted = self._takes

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Acknowledge those that are still ours."""
        await self._heed()
        return await self._settling.ack(jobs)

    async def extend(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Say that they are in progress. Of those that are late it is looked up whether they are somebody else's."""
        await self._heed()
        await self._leases.announce(self._lease)
        gone, sent, lost = self._held.gone(jobs), time.monotonic(), set[str]()
        ours = [job for job in jobs if job.token not in gone]
        await self._link.tell([job.token for job in ours], _IN_PROGRESS)
        for job in ours:
            holding = self._held.of(job)
            if is_late(holding, margin=self._settling.margin):
                holding.doubtful = True
                if not await self._settling.is_there(holding):
                    lost.add(job.token)
                    continue
            holding.deadline = sent + self._lease
        gone |= self._held.gone(jobs)  # by what was waited for since
        self._held.forget(job for job in jobs if job.token in lost - gone)
        return gone | lost

    def let_go(self, jobs: Sequence[Taken]) -> None:
        """Take them for new ones when they come back."""
        self._held.forget(jobs)

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """Beside the stream, under the number of the job's first message."""
        await self._heed()
        holding = self._held.of(job)
        if self._held.gone([job]):
            return False
        if is_late(holding, margin=self._settling.margin) and not await self._settling.is_there(holding):
            return False
        await self._bucket.put(f"checkpoint.{holding.origin}", state)
        holding.checkpointed = True
        return True

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """A new message that the server holds back."""
        await self._heed()
        return await self._settling.retry_later(retries)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """A new message behind all others."""
        await self._heed()
        return await self._settling.hand_back(jobs)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """A new message under the subject of the dead letters."""
        await self._heed()
        return await self._settling.dead_letter(letters)

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        """Messages under that subject."""
        await self._prepare()
        return await dead.page(self._link, self._names, limit=limit, after=after)

    async def redrive(self, which: DeadJobs) -> int:
        """New messages, one by one."""
        await self._prepare()
        return await dead.remove(self._link, self._names, which, redrive=True)

    async def purge(self, which: DeadJobs) -> int:
        """Delete messages."""
        await self._prepare()
        return await dead.remove(self._link, self._names, which, redrive=False)

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        """A key that is replaced unless somebody else has done so since it was read."""
        check(rate=rate, burst=burst)
        await self._prepare()
        key = f"tokens.{hashlib.sha256(bucket.encode()).hexdigest()[:32]}"
        for _ in range(_DRAWS):
            entry = await self._bucket.get(key)
            level = None if entry is None else Level(*json.loads(entry.value))
            left, tokens = draw(level, now=self._link.now(), count=count, rate=rate, burst=burst)
            revision = 0 if entry is None else entry.revision
            if await self._bucket.replace(key, json.dumps(left).encode(), revision=revision):
                return tokens
        return Tokens(0, 1.0 / rate)

    async def maintain(self) -> float:
        """Let a lease lapse that nobody goes by any more, and see whether the stream is still the one that it was.

        Delayed jobs need no help: the server has them.
        """
        await self._topology.look_again()
        await self._prepare()
        await self._leases.announce(self._lease)
        await self._leases.relax()
        return _MAINTAIN_SECONDS

    async def depth(self) -> Depth:
        """Three answers in a row; see `reading`."""
        depth, self._last_seen = await reading.read(self._link, self._names)
        return depth

    async def wait_for_arrival(self, seconds: float) -> bool:
        """Subscribe to the stream's subject, outside of any consumer."""
        return await reading.arrival(self._link, self._names, after=self._last_seen, seconds=seconds)

    async def close(self) -> None:
        """Let go of the connection. No pull is open then, and none was lost."""
        await self._link.close()

    async def _prepare(self) -> None:
        if not self._link.connected:
            self._topology.doubt()
        await self._topology.ensure(self._lease)
        await self._leave_behind()

    async def _heed(self) -> None:
        """Before JetStream is told of jobs: less than to prepare, for a job that is done can be told with less."""
        if not self._topology.is_heard:
            await self._topology.look_again()
        await self._leave_behind()

    async def _leave_behind(self) -> None:
        if self._topology.made_anew:
            try:
                await self._settling.look_at_all()
            except BrokerError:
                self._topology.doubt()
                raise
            self._topology.made_anew = False

    async def _identify(self) -> None:
        candidate = self._identity or os.urandom(16).hex()
        await self._bucket.replace("identity", candidate.encode(), revision=0)
        entry = await self._bucket.get("identity")
        self._identity = entry.value.decode() if entry is not None else candidate
        self._identified_for = self._link.generation

    async def _weed(self, found: list[Taken]) -> list[Taken]:
        """Without those that are not to be run: they go to the dead letters, without this attempt."""
        if not self._shed_after and not any(job.expired for job in found):
            return found
        reasons = {job.token: reason for job in found if (reason := spoiled(job, self._shed_after)) is not None}
        if not reasons:
            return found
        spoilt = [job for job in found if job.token in reasons]
        letters = []
        for job in spoilt:
            reason = reasons[job.token]
            letters.append(
                DeadLetter(replace(job, attempt=job.attempt - 1), reason, TEXTS[reason], worker=self._consumer)
            )
        try:
            lost = await self.dead_letter(letters)
            self._dropped += Counter(reasons[job.token] for job in spoilt if job.token not in lost)
        except BrokerError:  # the others may run; these come again when their leases are over
            self._held.forget(spoilt)
        return [job for job in found if job.token not in reasons]

"""The broker in a PostgreSQL database: rows that are taken with SKIP LOCKED, and tables of what orders them.

What takes several statements is a function in the database (`sql/`), so that each call is one round trip. Leases,
delays and limits go by the server's clock. A consumer that finds nothing sleeps until the server tells of a job
(LISTEN), looks again when a delayed job is due, and now and then for leases that ran out.
"""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from workerpool.broker._bucket import check
from workerpool.broker._credentials import Credentials
from workerpool.broker._postgres import dead, statements
from workerpool.broker._postgres.address import PostgresAddress
from workerpool.broker._postgres.failures import is_missing
from workerpool.broker._postgres.home import Home
from workerpool.broker._postgres.link import PostgresLink
from workerpool.broker._postgres.rows import arrays_of, chunks_of, number_of, taken_from, text_of
from workerpool.broker._postgres.waking import Waker
from workerpool.broker._tenants import encode
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
from workerpool.errors import BrokerError, BrokerUnavailable, ConfigurationError, QueueNotFound

CAPABILITIES: Final = Capabilities(
    lease=True,
    extend=True,
    delay=True,
    deduplicate=True,
    oldest_age=True,
    in_flight=True,
    arrivals=True,
    notifies=True,
    priority=True,
    fair=True,
    ordering=True,
    tokens=True,
    tenant_limits=True,
    expiry=True,
    competing=True,
    shared=True,
)
DEDUPLICATION_SECONDS: Final = 600.0
_MAINTAIN_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.25
"""Where a job may become free without anybody telling: behind its key, its tenant's limit, or a lane with no room."""
_LOOK_SECONDS: Final = 1.0
"""Where only a lease can run out, or a message be lost."""
_SOONEST_SECONDS: Final = 0.002
"""Not before this: a job that is due in no time is not due yet."""


class PostgresBroker:
    """See `Broker`. The tables are made by the first who puts or takes, see `schema`."""

    def __init__(
        self,
        address: PostgresAddress,
        *,
        queue: str,
        credentials: Credentials,
        timeout: float,
        consumer: str,
        lease_seconds: float,
    ) -> None:
        if not queue:
            raise ConfigurationError("a queue in PostgreSQL needs a name")
        self._stream = queue
        self._consumer = consumer or os.urandom(16).hex()
        self._lease = lease_seconds
        self._timeout = timeout
        self._link = PostgresLink(address, credentials, timeout=timeout, name=f"workerpool {self._consumer}"[:63])
        self._home = Home(self._link, queue)
        self._waker = Waker(self._link, queue)
        self._one_take = asyncio.Lock()
        self._interrupted = False
        self._held: dict[int, int] = {}  # serial -> attempt of what this process works on
        self._doubt_until = 0.0  # monotonic: an answer was lost, and with it maybe jobs
        self._next_look = 0.0  # for leases that ran out; monotonic
        self._ordered = False
        self._limits = self._limits_said = ""  # of tenants, as they are announced
        self._shed_after: Mapping[str, float] = {}
        self._dropped: Counter[DeathReason] = Counter()
        self._arrivals: int | None = 0  # at the latest reading

    @property
    def capabilities(self) -> Capabilities:
        """What PostgreSQL can do. Behind a pooler that cannot LISTEN, the broker asks now and then instead."""
        return CAPABILITIES

    @property
    def stream(self) -> str:
        """The queue's name."""
        return self._stream

    @property
    def identity(self) -> str:
        """A column of the queue's row."""
        return self._home.identity

    @property
    def connected(self) -> bool:
        """There is one connection for everything."""
        return self._link.generation > 0

    @property
    def lease_seconds(self) -> float:
        """How long a job stays ours without an `extend`."""
        return self._lease

    def set_lease(self, seconds: float) -> None:
        """Change the lease for what is taken or extended from now on."""
        self._lease = seconds

    def limit_tenants(self, limits: Mapping[str, TenantLimit]) -> None:
        """Kept in the database."""
        self._limits = encode(limits)

    def shed_after(self, seconds: Mapping[str, float]) -> None:
        """For our own takes."""
        self._shed_after = seconds

    def dropped(self) -> Mapping[DeathReason, int]:
        """Counted by us."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Put jobs in chunks, each of them a transaction; see `Broker`."""
        put = 0
        for chunk in chunks_of(jobs):
            head = (self._stream, self._waker.channel, max_depth, DEDUPLICATION_SECONDS)
            [row] = await self._rows(statements.PUT, *head, *arrays_of(chunk))
            put += row["put"]
            if row["put"] < len(chunk):
                break
        return put

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:
        """Sleeps until it is told of a job; see `Broker`."""
        deadline = time.monotonic() + wait
        async with self._one_take:
            while True:
                if wait > 0:
                    await self._waker.listen()
                if self._limits != self._limits_said:
                    await self.maintain()
                self._waker.clear()
                found, dropped, again = await self._take(limit, without)
                left = deadline - time.monotonic()
                if found or self._interrupted or left <= 0:
                    return found
                if not dropped:
                    await self._waker.wait(min(left, again))

    async def interrupt(self) -> None:
        """End our own `take`, be it asleep or at work."""
        self._interrupted = True
        self._waker.wake()
        async with self._one_take:
            self._interrupted = False

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Delete those that are still ours."""
        return await self._settle(statements.ACK, jobs, self._consumer, free=True)

    async def extend(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Renew the leases of those that are still ours."""
        kept = await self._rows(statements.EXTEND, *_numbers(jobs), self._consumer, self._lease, at_home=False)
        lost = _without(jobs, kept)
        self._forget(job for job in jobs if job.token in lost)
        return lost

    def let_go(self, jobs: Sequence[Taken]) -> None:
        """What is not held is taken anew when its lease runs out."""
        self._forget(jobs)

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """A column of the job's row."""
        numbers = number_of(job)
        return bool(await self._rows(statements.CHECKPOINT, *numbers, self._consumer, state, at_home=False))

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Make those that are still ours due later."""
        delays = [retry.delay for retry in retries]
        jobs = [retry.job for retry in retries]
        return await self._settle(statements.RETRY, jobs, self._consumer, self._waker.channel, delays)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Let those that are still ours wait again."""
        begun = [job.begun for job in jobs]
        head = (await self._home.queue(), self._waker.channel)
        return await self._settle(statements.HAND_BACK, jobs, self._consumer, *head, begun)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Move those that are still ours to the dead letters."""
        texts = [
            [letter.reason.value for letter in letters],
            *([text_of(getattr(letter, name)) for letter in letters] for name in statements.LETTER_TEXTS),
        ]
        jobs = [letter.job for letter in letters]
        return await self._settle(
            statements.DEAD_LETTER, jobs, self._consumer, await self._home.queue(), *texts, free=True
        )

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        """Rows of the dead letters."""
        return await dead.page(self._link, await self._home.queue(), limit=limit, after=int(after or 0))

    async def redrive(self, which: DeadJobs) -> int:
        """Move them back, chunk by chunk."""
        return await dead.remove(self._link, await self._home.queue(), self._waker.channel, which, redrive=True)

    async def purge(self, which: DeadJobs) -> int:
        """Delete them, chunk by chunk."""
        return await dead.remove(self._link, await self._home.queue(), self._waker.channel, which, redrive=False)

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        """A row per bucket."""
        check(rate=rate, burst=burst)
        [row] = await self._rows(statements.DRAW, bucket, count, rate, burst)
        return Tokens(row["granted"], row["retry_after"])

    async def maintain(self) -> float:
        """Forget old job ids, announce the limits of tenants. Delayed jobs need no help: `take` looks at the clock."""
        limits = self._limits
        await self._rows(statements.MAINTAIN, limits)
        self._limits_said = limits
        return _MAINTAIN_SECONDS

    async def depth(self) -> Depth:
        """One statement, so all figures are of one moment. It makes nothing, and needs no more than SELECT."""
        self._waker.arrived = False
        try:
            [row] = await self._link.rows(statements.DEPTH, self._stream)
            depth = Depth(*row)
        except QueueNotFound as error:
            if error.__cause__ is None or not is_missing(error.__cause__):
                raise
            await self._home.check_absent()
            depth = Depth(0, 0, 0, 0.0, 0, 0)  # nobody has used any queue here
        self._arrivals = depth.arrivals_total
        return depth

    async def wait_for_arrival(self, seconds: float) -> bool:
        """LISTEN; see `Broker`."""
        deadline = time.monotonic() + seconds
        before = self._arrivals
        while True:
            missed = await self._waker.listen()
            if missed or not self._link.notifies:
                self._waker.arrived = (await self.depth()).arrivals_total != before
                self._arrivals = before
            left = deadline - time.monotonic()
            if self._waker.arrived or left <= 0:
                return self._waker.arrived
            self._waker.clear()
            await self._waker.wait(left if self._link.notifies else min(left, _POLL_SECONDS))
            if not self.connected:
                raise BrokerUnavailable(f"{self._link.where}: the connection was lost")

    async def close(self) -> None:
        """Hand back what a lost answer left with us, and close the connection."""
        with contextlib.suppress(BrokerError):
            if time.monotonic() < self._doubt_until:
                await self._rows(statements.STRAYS, self._consumer, list(self._held), at_home=False)
        await self._link.close()

    async def _take(self, limit: int, without: frozenset[str]) -> tuple[list[Taken], bool, float]:
        """Jobs; whether any were dropped; and in how many seconds to look again if there was nothing."""
        now = time.monotonic()
        doubt = now < self._doubt_until
        look = doubt or now >= self._next_look
        arguments = (self._stream, self._consumer, self._lease, limit, list(self._held), list(without), look, doubt)
        self._doubt_until = now + 2 * self._timeout + 1.0  # until the answer is here
        rows = await self._rows(statements.TAKE, *arguments, list(self._shed_after), list(self._shed_after.values()))
        self._doubt_until = now + 2 * self._timeout + 1.0 if doubt else 0.0
        found = [taken_from(row) for row in rows if row["what"] == "job"]
        for job in found:
            serial, attempt = number_of(job)
            self._held[serial] = attempt
        if look and len(found) < limit:
            self._next_look = now + min(_LOOK_SECONDS, self._lease / 4)
        dropped = Counter({DeathReason(row["type"]): row["attempts"] for row in rows if row["what"] == "dropped"})
        self._dropped += dropped
        state = rows[-1]
        self._ordered = state["begun"]
        polled = self._ordered or without or not self._link.notifies
        again = min(_POLL_SECONDS if polled else _LOOK_SECONDS, self._lease / 4)
        if state["waited"] is not None:
            again = min(again, max(_SOONEST_SECONDS, state["waited"]))
        return found, bool(dropped), again

    async def _settle(self, statement: str, jobs: Sequence[Taken], *more: Any, free: bool = False) -> frozenset[str]:
        """Run it on those that are ours; `free`: others may be able to run now."""
        kept = await self._rows(statement, *_numbers(jobs), *more, at_home=False)
        self._forget(jobs)
        if free and self._ordered:
            self._waker.wake()
        return _without(jobs, kept)

    def _forget(self, jobs: Any) -> None:
        for job in jobs:
            serial, attempt = number_of(job)
            if self._held.get(serial) == attempt:
                del self._held[serial]

    async def _rows(self, query: str, *arguments: Any, at_home: bool = True) -> list[Any]:
        """`at_home`: the queue's number comes first."""
        if at_home:
            arguments = (await self._home.queue(), *arguments)
        try:
            return await self._link.rows(query, *arguments)
        except QueueNotFound:
            self._home.leave()
            raise


def _numbers(jobs: Sequence[Taken]) -> tuple[list[int], list[int]]:
    numbers = [number_of(job) for job in jobs]
    return [serial for serial, _ in numbers], [attempt for _, attempt in numbers]


def _without(jobs: Sequence[Taken], kept: Sequence[Any]) -> frozenset[str]:
    """Tokens of those whose serials did not come back."""
    serials = {row[0] for row in kept}
    return frozenset(job.token for job in jobs if number_of(job)[0] not in serials)

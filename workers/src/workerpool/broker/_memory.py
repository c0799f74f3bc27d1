"""The broker in memory: for tests and for trying things out. Everything is gone with the process."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from workerpool.broker import _clock, _memory_dead
from workerpool.broker._bucket import draw
from workerpool.broker._memory_store import Entry, Lease, MemoryStore
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
    shared=False,
)
_DEDUPLICATION_SECONDS: Final = 600.0


class MemoryBroker:
    """See `Broker`."""

    def __init__(self, store: MemoryStore, *, lease_seconds: float) -> None:
        self._store = store
        self._lease = lease_seconds
        self._changed = asyncio.Event()
        self._interrupted = False
        self._one_take = asyncio.Lock()
        self._seen = 0  # arrivals at the latest reading
        self._limits: Mapping[str, TenantLimit] = {}
        self._limits_said: Mapping[str, TenantLimit] = {}
        self._shed_after: Mapping[str, float] = {}
        self._dropped: Counter[DeathReason] = Counter()

    @property
    def capabilities(self) -> Capabilities:
        """Everything but being reachable from other machines."""
        return CAPABILITIES

    @property
    def stream(self) -> str:
        """The same for all: a memory ends with its process."""
        return "memory"

    @property
    def identity(self) -> str:
        """Of the store."""
        return self._store.identity

    @property
    def connected(self) -> bool:
        """There is nothing to lose."""
        return True

    @property
    def lease_seconds(self) -> float:
        """How long a job stays ours without an `extend`."""
        return self._lease

    def set_lease(self, seconds: float) -> None:
        """Change the lease for what is taken or extended from now on."""
        self._lease = seconds

    def limit_tenants(self, limits: Mapping[str, TenantLimit]) -> None:
        """Kept in the store."""
        self._limits = limits

    def shed_after(self, seconds: Mapping[str, float]) -> None:
        """For our own takes."""
        self._shed_after = seconds

    def dropped(self) -> Mapping[DeathReason, int]:
        """Counted by us."""
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Put jobs while there is room; see `Broker`."""
        store, now, put = self._store, _clock.now(), 0
        store.make_due(now)
        for job in jobs:
            known = job.job_id and store.seen.get(job.job_id, 0.0) > now
            if not known:
                if max_depth is not None and len(store.waiting) >= max_depth:
                    break
                self._put_one(job, now)
            put += 1
        return put

    def _put_one(self, job: NewJob, now: float) -> None:
        store, serial = self._store, next(self._store.serial)
        entry = Entry(
            job.job_id or f"m{serial}",
            job.type,
            job.payload,
            due=now + job.delay,
            serial=serial,
            tenant=job.tenant,
            priority=job.priority,
            ordering_key=job.ordering_key,
            trace=job.trace,
            expires=None if job.expires_in is None else now + job.expires_in,
        )
        if job.job_id:
            store.seen[job.job_id] = now + _DEDUPLICATION_SECONDS
        if job.delay > 0:
            store.delay(entry)
        else:
            store.arrivals += 1
            store.waiting.add(entry)
            store.wake()

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:
        """Expired leases first, then waiting jobs in order; see `Broker`."""
        deadline = _clock.now() + wait
        if self._limits != self._limits_said:
            await self.maintain()
        async with self._one_take:
            self._store.waiters[self._changed] = None
            try:
                while True:
                    self._changed.clear()
                    now = _clock.now()
                    found = self._find(limit, now, without)
                    if found or self._interrupted or now >= deadline:
                        return found
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(min(deadline, self._next_event()) - now):
                            await self._changed.wait()
            finally:
                del self._store.waiters[self._changed]

    async def interrupt(self) -> None:
        """Wake our own `take`."""
        self._interrupted = True
        self._changed.set()
        async with self._one_take:
            self._interrupted = False

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Forget those that are still ours."""
        ours, lost = self._release(jobs)
        self._ended(ours.values())
        return lost

    async def extend(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Renew the leases of those that are still ours."""
        until, lost = _clock.now() + self._lease, set[str]()
        for job in jobs:
            lease = self._store.in_flight.get(job.token)
            if lease is None or lease.owner is not self:
                lost.add(job.token)
            else:
                lease.until = until
        return frozenset(lost)

    def let_go(self, jobs: Sequence[Taken]) -> None:
        """Whose lease expires is taken anew, whoever had it."""

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """Keep it with the entry."""
        lease = self._store.in_flight.get(job.token)
        if lease is None or lease.owner is not self:
            return False
        lease.entry.checkpoint = state
        return True

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Delay those that are still ours."""
        now, delays = _clock.now(), {retry.job.token: retry.delay for retry in retries}
        ours, lost = self._release([retry.job for retry in retries])
        for token, entry in ours.items():
            entry.due = now + delays[token]
            entry.begun = entry.redelivered = False
            self._store.waiting.interrupted(entry, now)
            self._store.delay(entry)
        return lost

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Let those that are still ours wait again."""
        ours, lost = self._release(jobs)
        begun = {job.token for job in jobs if job.begun}
        for token, entry in ours.items():
            entry.attempts -= 1
            entry.begun = token in begun
            self._store.waiting.add_first(entry, _clock.now())
        self._store.wake()
        return lost

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Move those that are still ours to the dead letters."""
        ours, lost = self._release([letter.job for letter in letters])
        for letter in letters:
            if letter.job.token in ours:
                _memory_dead.bury(self._store, letter)
        self._ended(ours.values())
        return lost

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        """A page of them."""
        return _memory_dead.page(self._store, limit=limit, after=after)

    async def redrive(self, which: DeadJobs) -> int:
        """Let them wait again."""
        return _memory_dead.redrive(self._store, which, now=_clock.now())

    async def purge(self, which: DeadJobs) -> int:
        """Forget them."""
        return len(_memory_dead.dig_up(self._store, which))

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        """A level per bucket."""
        levels, now = self._store.buckets, _clock.now()
        levels[bucket], tokens = draw(levels.get(bucket), now=now, count=count, rate=rate, burst=burst)
        return tokens

    async def maintain(self) -> float:
        """Make delayed jobs due."""
        now = _clock.now()
        self._store.waiting.tenants.announce(self._limits, now=now)
        self._limits_said = self._limits
        self._store.make_due(now)
        self._store.seen = {job_id: until for job_id, until in self._store.seen.items() if until > now}
        self._store.wake()
        return min(1.0, max(0.005, self._next_event() - now))

    async def depth(self) -> Depth:
        """Count."""
        store, now = self._store, _clock.now()
        store.make_due(now)
        self._seen, oldest = store.arrivals, store.waiting.oldest()
        return Depth(
            waiting=len(store.waiting),
            in_flight=len(store.in_flight),
            delayed=len(store.delayed),
            oldest_age_seconds=0.0 if oldest is None else now - oldest,
            arrivals_total=store.arrivals,
            dead_letters=len(store.dead),
            blocked=store.waiting.blocked(now),
        )

    async def wait_for_arrival(self, seconds: float) -> bool:
        """Sleep until the store's arrivals go beyond the latest reading."""
        changed = asyncio.Event()
        self._store.waiters[changed] = None
        try:
            async with asyncio.timeout(seconds):
                while self._store.arrivals <= self._seen:
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            del self._store.waiters[changed]
        return True

    async def close(self) -> None:
        """Nothing to let go of: what we hold comes back when its lease expires."""

    def _find(self, limit: int, now: float, without: frozenset[str]) -> list[Taken]:
        store = self._store
        store.make_due(now)
        expired = [token for token, lease in store.in_flight.items() if lease.until <= now and lease.owner is not self]
        found: list[Taken] = []
        for token in expired[:limit]:
            self._give(store.in_flight.pop(token).entry, found, now, redelivered=True)
        while len(found) < limit and (entry := store.waiting.pop(now, without=without)) is not None:
            self._give(entry, found, now, redelivered=False)
        return found

    def _give(self, entry: Entry, found: list[Taken], now: float, *, redelivered: bool) -> None:
        """Add it to what was found, unless it must not be run."""
        job = self._lease_out(entry, now, redelivered=redelivered)
        reason = spoiled(job, self._shed_after)
        if reason is None:
            found.append(job)
            return
        del self._store.in_flight[job.token]
        self._dropped[reason] += 1
        _memory_dead.bury(self._store, DeadLetter(replace(job, attempt=job.attempt - 1), reason, TEXTS[reason]))
        self._store.waiting.ended(entry, now, unused=not redelivered)

    def _lease_out(self, entry: Entry, now: float, *, redelivered: bool) -> Taken:
        entry.attempts += 1
        entry.redelivered = entry.redelivered or redelivered
        token = str(next(self._store.serial))
        self._store.in_flight[token] = Lease(entry, self, now + self._lease)
        return Taken(
            token=token,
            job_id=entry.job_id,
            type=entry.type,
            payload=entry.payload,
            attempt=entry.attempts,
            waited=now - entry.due,
            redelivered=entry.redelivered,
            checkpoint=entry.checkpoint,
            tenant=entry.tenant,
            priority=entry.priority,
            ordering_key=entry.ordering_key,
            trace=entry.trace,
            expired=entry.expires is not None and entry.expires <= now,
            begun=entry.begun,
        )

    def _ended(self, entries: Iterable[Entry]) -> None:
        """Done or dead: others of their keys may run."""
        for entry in entries:
            self._store.waiting.ended(entry, _clock.now())
        if self._store.waiting:
            self._store.wake()

    def _release(self, jobs: Iterable[Taken]) -> tuple[dict[str, Entry], frozenset[str]]:
        ours: dict[str, Entry] = {}
        lost = set()
        for job in jobs:
            lease = self._store.in_flight.get(job.token)
            if lease is None or lease.owner is not self:
                lost.add(job.token)
            else:
                ours[job.token] = self._store.in_flight.pop(job.token).entry
        return ours, frozenset(lost)

    def _next_event(self) -> float:
        """When a delayed job becomes due, a lease of someone else expires or a tenant has room, monotonic seconds."""
        store = self._store
        times = [lease.until for lease in store.in_flight.values() if lease.owner is not self]
        if store.delayed:
            times.append(store.delayed[0][0])
        if (look_at := store.waiting.look_at) is not None:
            times.append(look_at)
        return min(times, default=float("inf"))

"""The broker on Redis Streams: two connections, one that blocks when it takes and one for everything else.

An observer has the second one only, and blocks it between its readings.
"""

import asyncio
import contextlib
import math
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from workerpool.broker._bucket import check
from workerpool.broker._credentials import Credentials
from workerpool.broker._redis import dead, reading, scripts
from workerpool.broker._redis.blocking import Blocking
from workerpool.broker._redis.capabilities import CAPABILITIES
from workerpool.broker._redis.chunks import chunks, put_chunks
from workerpool.broker._redis.clock import ServerClock
from workerpool.broker._redis.held import Held
from workerpool.broker._redis.keys import Keys
from workerpool.broker._redis.link import RedisAddress, RedisLink
from workerpool.broker._redis.settling import Settling
from workerpool.broker._redis.weeding import Weeding
from workerpool.broker._redis.wire import extras_of, taken_from
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
from workerpool.errors import BadAnswer, BrokerError, BrokerUnavailable

DEDUPLICATION_SECONDS: Final = 600.0
"""How long a job id is remembered: longer than any producer's retries, short enough to cost little memory."""
MAINTAIN_SECONDS: Final = 1.0
FORGET_SECONDS: Final = 900.0
"""A consumer without pending entries that was not heard for so long is dead."""
_SHORTEST_BLOCK_SECONDS: Final = 0.1
"""How often all who wait for a tenant's next token look for it: shorter than a bucket's burst, so none is lost."""


class RedisBroker:
    """See `Broker`. `consumer` must be unique among all processes, dead ones included."""

    def __init__(
        self,
        address: RedisAddress,
        *,
        stream: str,
        group: str,
        credentials: Credentials,
        timeout: float,
        consumer: str,
        lease_seconds: float,
    ) -> None:
        self._stream = stream
        self._group = group
        self._consumer = consumer or f"{os.getpid()}-{os.urandom(6).hex()}"
        self._lease = lease_seconds
        self._keys = Keys(stream, group)
        self._commands = RedisLink(address, credentials, timeout=timeout, name="workerpool")
        self._reads = RedisLink(address, credentials, timeout=timeout, name="workerpool-read")
        self._held = Held()
        self._weeding = Weeding(self._commands, self._keys, stream=stream, group=group, consumer=self._consumer)
        self._settling = Settling(
            self._commands,
            self._keys,
            stream=stream,
            who=(group, self._consumer),
            held=self._held,
            lease=lambda: self._lease,
        )
        self._blocking = Blocking(self._commands, self._reads)
        self._identity = ""
        self._identified = False
        self._taking = False
        self._takes = 0
        self._interrupted = 0  # number of the last take that was to end early
        self._uncertain = False
        self._doubt_until = 0.0
        self._clock = ServerClock()
        self._next_reclaim = 0.0
        self._ordered = 0  # 1: jobs wait in a fair order beside the stream
        self._limits = ""  # of tenants, as they are announced
        self._limits_said = ""
        self._last_seen = b"0-0"  # the stream's last entry at the latest reading

    @property
    def capabilities(self) -> Capabilities:
        """What Redis Streams can do."""
        return CAPABILITIES

    @property
    def stream(self) -> str:
        """The stream's key."""
        return self._stream

    @property
    def identity(self) -> str:
        """A field beside the stream."""
        return self._identity

    @property
    def connected(self) -> bool:
        """One of the two."""
        return self._reads.generation > 0 or self._commands.generation > 0

    @property
    def lease_seconds(self) -> float:
        """How long a job stays ours without an `extend`."""
        return self._lease

    def set_lease(self, seconds: float) -> None:
        """Change the lease. The next `extend` or `maintain` announces it; the former one lapses by itself."""
        self._lease = seconds

    def shed_after(self, seconds: Mapping[str, float]) -> None:
        """For our own takes."""
        self._weeding.after = seconds

    def dropped(self) -> Mapping[DeathReason, int]:
        """Counted by us."""
        dropped, self._weeding.dropped = self._weeding.dropped, Counter()
        return dropped

    def limit_tenants(self, limits: Mapping[str, TenantLimit]) -> None:
        """Kept beside the stream, for all who feed it."""
        self._limits = encode(limits)

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Put jobs in chunks, each chunk atomically; see `Broker`."""
        keys = (self._stream, self._keys.delayed, self._keys.stats, self._keys.job_prefix)
        head = (self._group, -1 if max_depth is None else max_depth, _ms(DEDUPLICATION_SECONDS))
        put = 0
        for chunk in put_chunks(jobs):
            fields: list[Any] = []
            for job in chunk:
                fields += (job.job_id, _ms(job.delay), job.type, job.payload, extras_of(job))
            accepted = int(await self._commands.run(scripts.PUT, keys, *head, *fields))
            put += accepted
            if accepted < len(chunk):
                break
        return put

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:
        """Jobs of dead consumers first, then new ones, for which a blocking read waits; see `Broker`."""
        self._takes += 1
        self._taking = True
        try:
            if self._limits != self._limits_said:
                await self.maintain()
            if not self._identified:
                await self._identify()
            found = await self._recover(limit) if self._uncertain else []
            found = found or await self._reclaim(limit)
            return await self._weed(found or await self._next(limit, wait, without))
        except BrokerUnavailable:
            self._identified = False  # a replica that took over may not have it
            # Those who run jobs could not extend their leases either: let them come first.
            self._next_reclaim = time.monotonic() + self._lease / 2
            raise
        finally:
            self._taking = False

    async def interrupt(self) -> None:
        """End a blocking read by CLIENT UNBLOCK: Redis then answers it with nothing, or has answered already.

        The read may not have reached Redis yet when the first UNBLOCK does, so it is repeated until the read is over.
        """
        number = self._interrupted = self._takes
        pause = 0.001
        while self._taking and self._takes == number:
            await self._blocking.end()
            await asyncio.sleep(pause)
            pause = min(0.1, pause * 2)

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """XACK of those that are still ours."""
        return await self._settling.ack(jobs)

    async def extend(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Reset the idle time of those that are still ours, and announce the lease."""
        lost: set[str] = set()
        for chunk in chunks(jobs):
            tokens = [job.token for job in chunk]
            head = (self._group, self._consumer, _ms(self._lease))
            reply = await self._commands.run(scripts.EXTEND, (self._stream, self._keys.leases), *head, *tokens)
            lost.update(token.decode() for token in reply)
        self._held.forget(lost)
        return frozenset(lost)

    def let_go(self, jobs: Sequence[Taken]) -> None:
        """Take them for new ones when they come back."""
        self._held.let_go(jobs)

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """Beside the stream while the job is in flight; written with it when it waits again."""
        keys = (self._stream, self._keys.checkpoints)
        return bool(await self._commands.run(scripts.CHECKPOINT, keys, self._group, self._consumer, job.token, state))

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Move to the delayed set."""
        return await self._settling.retry_later(retries)

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Append anew."""
        return await self._settling.hand_back(jobs)

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Move to the dead-letter stream."""
        return await self._settling.dead_letter(letters)

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        """Entries of the dead-letter stream."""
        return await dead.page(self._commands, self._keys.dead, limit=limit, after=after)

    async def redrive(self, which: DeadJobs) -> int:
        """Append to the stream and delete from the dead letters, chunk by chunk."""
        return await dead.remove(self._commands, self._keys.of_redrive, self._group, which, redrive=True)

    async def purge(self, which: DeadJobs) -> int:
        """Delete from the dead letters, chunk by chunk."""
        return await dead.remove(self._commands, self._keys.of_redrive, self._group, which, redrive=False)

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        """A string that expires when the bucket is full again."""
        check(rate=rate, burst=burst)
        keys = (self._keys.tokens_prefix + bucket,)
        granted, wait = await self._commands.run(scripts.TOKENS, keys, count, rate, burst)
        return Tokens(int(granted), float(wait))

    async def maintain(self) -> float:
        """Make delayed jobs due, trim, announce our lease, forget dead consumers."""
        limits = self._limits
        reply = await self._commands.run(
            scripts.MAINTAIN,
            (self._stream, self._keys.delayed, self._keys.dead, self._keys.stats, self._keys.leases),
            *(self._group, _ms(self._lease), _ms(max(FORGET_SECONDS, 10 * self._lease)), limits),
            *self._clock.expected(self._lease),
        )
        self._limits_said = limits
        now, due, self._ordered = int(reply[0]), int(reply[1]), reply[2]
        self._clock.heard(now, self._lease)
        return MAINTAIN_SECONDS if due < 0 else min(MAINTAIN_SECONDS, max(0.005, (due - now) / 1000.0))

    async def depth(self) -> Depth:
        """One script, so all figures are of one moment."""
        depth, self._last_seen = await reading.depth(self._commands, self._stream, self._keys, self._group)
        return depth

    async def wait_for_arrival(self, seconds: float) -> bool:
        """A blocking read beyond the entry that was the last one at the latest reading, outside of any group."""
        return await reading.arrival(self._commands, self._stream, after=self._last_seen, seconds=seconds)

    async def close(self) -> None:
        """Hand back what a lost answer left with us, then leave the group if nothing of ours is in it."""
        try:
            with contextlib.suppress(BrokerError):
                if self._uncertain:
                    await self.hand_back(self._hold(await self._strays()))
                if self._blocking.used:
                    await self._commands.run(scripts.LEAVE, (self._stream,), self._group, self._consumer)
        finally:
            await self._reads.close()
            await self._commands.close()

    async def _recover(self, limit: int) -> list[Taken]:
        """What Redis gave us in an answer that never arrived: it is ours, and nobody works on it.

        Redis may not have noticed yet that the reader is gone, and give it more until its BLOCK is over.
        """
        strays = await self._strays()
        self._uncertain = len(strays) > limit or time.monotonic() < self._doubt_until
        return self._hold(strays[:limit])

    async def _strays(self) -> list[Any]:
        mine = await self._commands.run(
            scripts.MINE, (self._stream, self._keys.checkpoints, self._keys.stats), self._group, self._consumer
        )
        return [entry for entry in mine if entry[0].decode() not in self._held]

    async def _reclaim(self, limit: int) -> list[Taken]:
        now = time.monotonic()
        if now < self._next_reclaim:
            return []
        self._next_reclaim = now + min(1.0, self._lease / 4)
        self._uncertain = True  # until the answer is here
        now_ms, entries, _vanished, self._ordered = await self._commands.run(
            scripts.RECLAIM,
            (self._stream, self._keys.stats, self._keys.leases, self._keys.checkpoints),
            *(self._group, self._consumer, limit, _ms(self._lease), _ms(min(0.25, self._lease / 8))),
            *self._clock.expected(self._lease),
        )
        self._uncertain = False
        self._clock.heard(now_ms, self._lease)
        if len(entries) >= limit:  # there may be more
            self._next_reclaim = 0.0
        held = [entry for entry in entries if entry[0].decode() in self._held]
        fresh = self._hold(entries)  # before anything is waited for: what is settled meanwhile is not held any more
        await self._uncount(held)
        return fresh

    async def _uncount(self, held: Sequence[Any]) -> None:
        """We were late to extend these, and went on: that is no further attempt."""
        for entry_id, _fields, deliveries in held:
            count = ("RETRYCOUNT", int(deliveries) - 1, "JUSTID")
            with contextlib.suppress(BrokerError):
                await self._commands.call("XCLAIM", self._stream, self._group, self._consumer, 0, entry_id, *count)

    async def _weed(self, found: list[Taken]) -> list[Taken]:
        """Without those that are not to be run. Where some were found, many more may stand behind them."""
        letters = self._weeding.letters(found)
        if not letters:
            return found
        tokens = {letter.job.token for letter in letters}
        try:
            lost = await self.dead_letter(letters)
            self._weeding.dropped += Counter(letter.reason for letter in letters if letter.job.token not in lost)
            await self._weeding.sweep()
        except BrokerError:  # the others may run; these, and what an answer told that never came, are asked for again
            self._held.forget(tokens)
            self._uncertain = True
        return [job for job in found if job.token not in tokens]

    async def _next(self, limit: int, wait: float, without: frozenset[str]) -> list[Taken]:
        if self._ordered and self._interrupted != self._takes:
            chosen, again = await self._feed(limit, without)
            if chosen:
                return chosen
            wait = min(wait, again)
        found = await self._read(limit, wait)
        if found and (self._ordered or not found[0].plain):
            self._ordered = 1
            with contextlib.suppress(BrokerError):  # others wait in vain for a moment, until somebody's `maintain`
                await self._feed(0)
        return found

    async def _feed(self, limit: int, without: frozenset[str] = frozenset()) -> tuple[list[Taken], float]:
        """The next jobs in the fair order, if there are any. With 0: only wake somebody for the one after ours.

        Also in how many seconds more of them may run although nobody told of it: inf when there are none.
        """
        self._uncertain = True  # until the answer is here
        keys = (self._stream, self._keys.stats)
        head = (self._group, self._consumer, limit)
        more = (*self._weeding.arguments, *without)
        now_ms, entries, again, dropped = await self._commands.run(scripts.TAKE, keys, *head, *more)
        self._uncertain = False
        self._weeding.count(*dropped)
        self._clock.heard(now_ms, self._lease)
        seconds = math.inf if again < 0 else again and max(_SHORTEST_BLOCK_SECONDS, again / 1000.0)
        return self._hold([(entry_id, fields, 1) for entry_id, fields in entries]), seconds

    async def _read(self, limit: int, wait: float) -> list[Taken]:
        await self._blocking.prepare()
        if self._interrupted == self._takes:
            return []
        # Not longer than this, so that expired leases are looked for on an idle stream too.
        seconds = min(wait, self._blocking.seconds, max(0.05, self._lease / 4))
        block = ("BLOCK", max(1, _ms(seconds))) if seconds > 0 else ()
        command = ("XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", limit, *block)
        self._uncertain = True  # until the answer is here
        self._doubt_until = time.monotonic() + seconds + 1.0
        try:
            reply = await self._reads.call(*command, "STREAMS", self._stream, ">", wait=seconds)
        except BadAnswer as error:
            # Nothing was given: the group is not there yet, or the stream was deleted under us.
            self._uncertain = False
            if "NOGROUP" not in str(error) and "UNBLOCKED" not in str(error):
                raise
            await self._commands.run(scripts.GROUP, (self._stream,), self._group)
            return await self._read(limit, wait)
        self._uncertain = False
        return self._hold([(entry_id, fields, 1) for entry_id, fields in reply[0][1]]) if reply else []

    async def _identify(self) -> None:
        candidate = self._identity or os.urandom(16).hex()
        self._identity = (await self._commands.run(scripts.IDENTITY, (self._keys.stats,), candidate)).decode()
        self._identified = True

    def _hold(self, entries: Iterable[Sequence[Any]]) -> list[Taken]:
        """Jobs of entries `(id, fields, deliveries)`, but for those that we hold already."""
        now_ms = self._clock.now_ms()
        jobs = [taken_from(entry[0], entry[1], deliveries=int(entry[2]), now_ms=now_ms) for entry in entries]
        return self._held.add(jobs)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

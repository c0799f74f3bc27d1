"""The one seam to brokers: the Protocol that each of them implements.

A job is at any moment in exactly one of these places, and every method moves it atomically from one to another:

```
put ─► waiting ──take──► in flight ──ack──────────► gone
  └► delayed ─┘ ▲  ▲         ├──────retry_later───► delayed
     (maintain) ┘  └─────────┼──────hand_back
                   └─────────┴──────(lease expires)
                             └──────dead_letter───► dead letters ──redrive──► waiting
                                                                   ──purge────► gone
```

Methods take batches because a round trip costs more than the work in it. Those that act on jobs in flight check
first that this consumer still owns them, and return the tokens that it does not: such a job's lease expired and it
is someone else's, or nobody's, now.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

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


class Broker(Protocol):
    """One queue, seen by one producer, consumer or observer. Methods raise `BrokerError` and never hang."""

    @property
    def capabilities(self) -> Capabilities:
        """What this broker can do."""
        ...

    @property
    def stream(self) -> str:
        """What people call this queue: Redis' stream, SQLite's path as it was given."""
        ...

    @property
    def identity(self) -> str:
        """What tells this queue from every other one anywhere, by whatever address it is reached.

        Drawn at random and kept in the queue, so it is gone with it. Known after the first `take`, empty before.
        """
        ...

    @property
    def connected(self) -> bool:
        """Whether a connection stands, of those that there are: then the broker was not gone."""
        ...

    @property
    def lease_seconds(self) -> float:
        """How long a job stays ours without an `extend`."""
        ...

    def set_lease(self, seconds: float) -> None:
        """Change the lease for what is taken or extended from now on."""
        ...

    def limit_tenants(self, limits: Mapping[str, TenantLimit]) -> None:
        """What holds for tenants, by their names and `EACH_TENANT`. The next `take` or `maintain` announces it.

        It holds for all consumers of the queue, and stays when they are gone; while they were told different limits,
        the strictest of those holds.
        """
        ...

    def shed_after(self, seconds: Mapping[str, float]) -> None:
        """How long jobs may wait, by class of priority, to be given out by our `take`; longer ones are shed."""
        ...

    def dropped(self) -> Mapping[DeathReason, int]:
        """How many jobs `take` has moved to the dead letters since this was last asked, by why."""
        ...

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Put as many of these, from the first, as keep the waiting jobs within `max_depth`; return how many.

        A job dropped as a duplicate counts as put. One with an ordering key and a delay takes its place among those of
        its key when it is due.
        """
        ...

    async def take(self, *, limit: int, wait: float, without: frozenset[str] = frozenset()) -> list[Taken]:
        """Up to `limit` jobs; waits up to `wait` seconds for the first one. Jobs with expired leases come first.

        Those of the types `without` keep their place for whoever has room for them, and the others pass them. Some of
        them may come nevertheless: those with expired leases, and on Redis all where no order was ever asked for, since
        a stream is read from its beginning. Hand them back.

        Those that expired or waited too long are moved to the dead letters on the way, see `workerpool.broker._shed`
        and `dropped`; after that it may return with nothing before the time is up.

        Only one call at a time. Do not cancel it: a broker may hand out jobs that then nobody holds until their
        lease expires. `interrupt` ends it early without that.
        """
        ...

    async def interrupt(self) -> None:
        """Make a `take` in progress return soon with what it has; nothing to do when none is."""
        ...

    async def ack(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """These are done. Returns the tokens that were not ours any more."""
        ...

    async def extend(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Renew the leases of these. Returns the tokens that were not ours any more."""
        ...

    def let_go(self, jobs: Sequence[Taken]) -> None:
        """Nobody here works on these any more, untold how they ended: what comes back of them is a new delivery."""
        ...

    async def checkpoint(self, job: Taken, state: bytes) -> bool:
        """Keep this JSON text with the job, for its next attempt; False: the job is not ours any more.

        The last one counts. It goes where the job goes, and is gone when that is done or dead.
        """
        ...

    async def retry_later(self, retries: Sequence[Retry]) -> frozenset[str]:
        """Let these be tried again later, with the next attempt number. Returns tokens that were not ours."""
        ...

    async def hand_back(self, jobs: Sequence[Taken]) -> frozenset[str]:
        """Let someone else take these at once, with the same attempt number. Returns tokens that were not ours.

        What was `redelivered` is so for the next one, too.

        They wait before those of their class again; on Redis, where no order was ever asked for, behind all others.
        """
        ...

    async def dead_letter(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """Move these to the dead letters. Returns the tokens that were not ours any more."""
        ...

    async def dead_letters(self, *, limit: int, after: str = "") -> list[DeadJob]:
        """A page of the dead letters, oldest first: at most `limit`, after the one with the token `after`."""
        ...

    async def redrive(self, which: DeadJobs) -> int:
        """Let dead jobs wait again, in their order, as if never tried; return how many.

        Done in chunks, each of them one atomic move: repeated after a crash, it goes on. Jobs that die meanwhile stay.
        They are no arrivals, and `max_depth` does not hold them back.
        """
        ...

    async def purge(self, which: DeadJobs) -> int:
        """Delete dead letters, in chunks as `redrive`; return how many."""
        ...

    async def take_tokens(self, bucket: str, *, count: int, rate: float, burst: float) -> Tokens:
        """Draw up to `count` tokens from the bucket of this name, in one step, by the broker's clock.

        A `count` below 0 gives back as many that were not spent, as far as the bucket has room for them.

        A bucket holds at most `burst` (1 or more) and gains `rate` per second; one that nobody has used is full. All
        views of the queue share it. The rate and burst of each call hold from then on. Ask for several at once and
        spend them here: a call costs a round trip. ConfigurationError: the bucket could never give anything.
        """
        ...

    async def maintain(self) -> float:
        """Do what the queue needs now and then (make delayed jobs due, trim); return seconds until the next time."""
        ...

    async def depth(self) -> Depth:
        """Read the queue, in one moment."""
        ...

    async def wait_for_arrival(self, seconds: float) -> bool:
        """Wait at most so long until a job has come that the latest `depth` did not see; return whether one has.

        Where jobs waited already at that reading, one more need not end it.

        For observers: other calls of this object may have to wait until it ends. It takes nothing from anyone, may be
        cancelled at any time, and may also end for a job that came back. It does not end when a queue was deleted and
        made anew, or when a delayed job has become due and nobody has called `maintain`: look now and then. A broker
        that does not notify lets the time pass.
        """
        ...

    async def close(self) -> None:
        """Hand back what is still ours and is not held by anyone, and let go of the broker. Never raises."""
        ...

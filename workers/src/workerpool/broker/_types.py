"""The one seam to brokers: what flows through it, and the Protocol that each broker implements.

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
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a broker can do. The conformance suite runs by these."""

    lease: bool
    """A job whose consumer dies comes back by itself."""
    extend: bool
    """The lease of a running job can be renewed."""
    delay: bool
    """A job can wait for a moment in the future."""
    deduplicate: bool
    """A second job with the same id is dropped, for a time."""
    oldest_age: bool
    """Depth tells how long the oldest job waits."""
    in_flight: bool
    """Depth tells how many jobs are taken and unfinished."""
    arrivals: bool
    """Depth counts the jobs ever put."""
    notifies: bool
    """`wait_for_arrival` ends when a job comes: an observer need not poll."""
    priority: bool
    """High and low priorities are heeded, with ageing."""
    fair: bool
    """Tenants share: one's flood does not hold up another."""
    ordering: bool
    """Jobs with the same ordering key run one after the other, in their order."""
    tokens: bool
    """Keeps token buckets that all its users draw from."""
    tenant_limits: bool
    """Holds limits of single tenants, for all consumers together."""
    expiry: bool
    """Jobs that expired or waited too long are dead-lettered instead of being given to anyone."""
    shared: bool
    """Reachable from other machines: without it the broker is refused in a pool."""


@dataclass(frozen=True, slots=True)
class Depth:
    """One reading of a queue, of one moment. Counts are jobs; waiting + in_flight = due and not finished.

    A queue that nobody has used yet reads as zeros. A figure that the broker does not have is None.
    """

    waiting: int
    """Ready to be taken, delayed jobs that have become due included."""
    in_flight: int
    """Taken and not finished, also those whose lease has expired and that nobody has taken again."""
    delayed: int
    """Not due yet."""
    oldest_age_seconds: float | None
    """How long the oldest waiting job has been due; 0 when none waits. Deliberate delay does not count."""
    arrivals_total: int | None
    """Jobs that ever became due for the first time; retries do not count. Falls only when the queue is deleted."""
    dead_letters: int | None
    blocked: int = 0
    """Of those waiting, the ones that no free worker could take: they wait for an earlier job of their ordering key, or
    their tenant is at its limit."""


class Priority(StrEnum):
    """Classes of jobs; see `workerpool.broker._fair` for how they age."""

    HIGH = "high"
    """Runs before all others, but those that have waited for their time."""
    NORMAL = "normal"
    """Runs before a high one that became due a minute after it."""
    LOW = "low"
    """Runs before a high one that became due ten minutes after it."""


class TraceContext(NamedTuple):
    """Which span caused a job, as W3C Trace Context writes it. It goes where the job goes, over all of its attempts."""

    traceparent: str
    tracestate: str = ""


EACH_TENANT: Final = "*"
"""Among the limits of tenants: what holds for each that is not named."""


@dataclass(frozen=True, slots=True)
class TenantLimit:
    """How much of a queue one tenant may use; see `workerpool.broker._tenants`."""

    rate_per_second: float | None = None
    """Jobs of it that begin per second, repeated attempts included; above 0; None: any number."""
    max_in_flight: int | None = None
    """Jobs of it that are in flight at a time; 1 or more; None: any number."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be put. `payload` is JSON text."""

    type: str
    payload: bytes
    job_id: str = ""
    """Chosen by the producer: a second job with this id is dropped for a time. Empty: the broker chooses one."""
    delay: float = 0.0
    """Seconds until it may be taken."""
    tenant: str = ""
    """Whose share of the queue it uses."""
    priority: Priority = Priority.NORMAL
    ordering_key: str = ""
    """Runs beside no other job of this key, and after those that were put before; empty: beside any."""
    trace: TraceContext | None = None
    """None: nobody traces it."""
    expires_in: float | None = None
    """Seconds from now after which no attempt begins any more; None: never."""

    @property
    def plain(self) -> bool:
        """Whether any order will do."""
        return not self.tenant and not self.ordering_key and self.priority is Priority.NORMAL


@dataclass(frozen=True, slots=True)
class Taken:
    """A job in flight, owned by the consumer that took it."""

    token: str
    """The broker's handle of this delivery."""
    job_id: str
    type: str
    payload: bytes
    attempt: int
    """Counts from 1. An attempt that ended with its worker's death counts."""
    waited: float
    """Seconds from when it became due until it was taken, by the broker's clock."""
    redelivered: bool = False
    """An earlier consumer took it and let the lease expire."""
    checkpoint: bytes = b""
    """What an earlier attempt left for this one: JSON text; empty when there is none."""
    tenant: str = ""
    priority: str = Priority.NORMAL
    ordering_key: str = ""
    trace: TraceContext | None = None
    expired: bool = False
    """It must not begin any more."""
    begun: bool = False
    """This attempt had begun before it was handed back: whoever hands a job back says so. It is not shed then."""
    malformed: str = ""
    """Why this is no job; then type and payload are whatever was found."""

    @property
    def plain(self) -> bool:
        """Whether any order does for it."""
        return not self.tenant and not self.ordering_key and self.priority == Priority.NORMAL


class DeathReason(StrEnum):
    """Why a job ended in the dead letters."""

    MAX_ATTEMPTS = "max_attempts"
    """It failed, or killed its worker, as often as is allowed."""
    REJECTED = "rejected"
    """Its handler said that no attempt can succeed."""
    UNKNOWN_TYPE = "unknown_type"
    """No handler of that name in this version."""
    MALFORMED = "malformed"
    """Not a job: no type, a payload that is not JSON, an attempt that is not a number."""
    OVERSIZE = "oversize"
    """Its payload is larger than workers accept."""
    EXPIRED = "expired"
    """It had not begun in the time that its producer gave it."""
    SHED = "shed"
    """It waited longer than jobs of its priority may."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job to be moved to the dead letters, and what is kept with it."""

    job: Taken
    reason: DeathReason
    error: str = ""
    traceback: str = ""
    version: str = ""
    worker: str = ""


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job among the dead letters, as it is listed."""

    token: str
    """Its place: a page ends with it and the next one begins after it."""
    job_id: str
    type: str
    payload: bytes
    attempts: int
    reason: str
    """A `DeathReason`, or what another client wrote."""
    error: str
    traceback: str
    version: str
    worker: str
    died_at: float
    """Unix seconds by the broker's clock."""
    tenant: str = ""
    priority: str = Priority.NORMAL
    ordering_key: str = ""
    trace: TraceContext | None = None


@dataclass(frozen=True, slots=True)
class DeadJobs:
    """Which of the dead letters: those that match every field that is set; all by default."""

    reason: str = ""
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """A job to be tried again `delay` seconds from now."""

    job: Taken
    delay: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token bucket gave."""

    granted: int
    """Below 0: so many were given back."""
    retry_after: float
    """Seconds until those that were missing will be there, if nobody else asks; 0 when none was missing."""


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

"""What flows between brokers and who uses them: jobs in each of their places, limits, readings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple


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
    competing: bool
    """Whoever has room takes any job that waits; without it each consumer has a part of the queue of its own."""
    shared: bool
    """Reachable from other machines: without it the broker is refused in a pool."""


@dataclass(frozen=True, slots=True)
class Depth:
    """One reading of a queue, of one moment. Counts are jobs; waiting + in_flight = due and not finished.

    A queue that nobody has used yet reads as zeros. A figure that the broker does not have is None.
    """

    waiting: int
    """Ready to be taken, delayed jobs that have become due included."""
    in_flight: int | None
    """Taken and not finished, also those whose lease has expired and that nobody has taken again."""
    delayed: int | None
    """Not due yet."""
    oldest_age_seconds: float | None
    """How long the oldest waiting job has been due; 0 when none waits. Deliberate delay does not count."""
    arrivals_total: int | None
    """Jobs that ever became due for the first time; retries do not count. Falls only when the queue is deleted."""
    dead_letters: int | None
    blocked: int = 0
    """Of those waiting, the ones that no free worker could take: they wait for an earlier job of their ordering key, or
    their tenant is at its limit."""
    partitions: int | None = None
    """Where each part of the queue is one worker's: how many there are, so how many workers have something to do."""
    lag: Mapping[int, int] | None = None
    """By such a part: entries from its first job without an outcome to its end, jobs done in between included."""

    @property
    def unfinished(self) -> int:
        """Waiting, in flight and delayed, as far as the broker tells."""
        return self.waiting + (self.in_flight or 0) + (self.delayed or 0)


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
    """The attempt before ended without an outcome: its consumer let the lease expire. Also after a hand-back."""
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
    version: str = ""
    """Of the worker that gave them up."""
    moved: Callable[[int], None] = field(default=lambda _: None, compare=False, repr=False)
    """Hears of each chunk, when it was let loose or deleted, how many it were."""

    def match(self, letter: DeadJob) -> bool:
        """Whether this one is among them."""
        return (
            self.reason in {"", letter.reason}
            and self.job_id in {"", letter.job_id}
            and self.version in {"", letter.version}
        )


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

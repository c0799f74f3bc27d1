"""The message models; see the package docstring for who sends what, and when."""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from workerpool.protocol import Counters, Delivery, Share
from workerpool_operator.protocol._arrivals import Arrivals, PastArrivals, Predictive
from workerpool_operator.protocol._base import CONFIG, Message, Name, Shared, Short

PROTOCOL_VERSION: Final = 2
"""1: a collector repeats what has not changed. 2: an operator understands `Holds`."""
HOLDS_PROTOCOL: Final = 2
STREAM_PATH: Final = "/v1/collectors"
TOKEN_AUDIENCE: Final = "workerpool-operator"  # noqa: S105  an audience, not a secret
ORDER_TTL_SECONDS: Final = 30.0
MESSAGE_MAX_LENGTH: Final = 512
LEAVING_FENCE: Final = "leaving"
"""Id of the collector's own fence, around a worker whose pod is being deleted. It is never one of the operator's, which
are `<epoch>.<sequence>`: a worker that reports it has answered no order of the operator."""
CIRCUIT_OPEN: Final = "circuit open"
"""A worker's `paused` begins with this while none of its handlers may run, because what they call is down."""
MOST_JOBS: Final = 10**15
"""More than any queue holds. What says more is no broker's word; no status could hold it either."""
_Jobs = Annotated[int, Field(ge=0, le=MOST_JOBS)]


class SampleError(StrEnum):
    """Why a queue could not be read. Each maps to a condition reason of its own."""

    UNREACHABLE = "Unreachable"
    """Name does not resolve, connection refused, or no answer in time."""
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    """The broker refused the credentials, or wants some and none are given."""
    CREDENTIALS_MISSING = "CredentialsMissing"
    """The pool names a Secret key that is not there."""
    TLS_FAILED = "TLSFailed"
    """The broker's certificate could not be verified, or TLS could not be set up."""
    QUEUE_NOT_FOUND = "QueueNotFound"
    """The broker answers but has no such queue, and none can be made."""
    SCHEMA_MISMATCH = "SchemaMismatch"
    """The tables of the queue in PostgreSQL are of another version than the collector can read."""
    BAD_ANSWER = "BadAnswer"
    """The broker answered something that makes no sense as a depth."""


@dataclass(frozen=True, slots=True, kw_only=True, config=CONFIG)
class QueueSample:
    """One reading of one queue. Counts are jobs."""

    queue: Name
    age_seconds: float = Field(ge=0)
    waiting: _Jobs | None = Field(default=None, description="Ready to be taken, due delayed jobs included.")
    blocked: _Jobs = Field(default=0, description="Behind an earlier job of their ordering key; not in `waiting`.")
    in_flight: _Jobs | None = None
    oldest_age_seconds: float | None = Field(default=None, ge=0)
    arrivals_total: int | None = Field(
        default=None, ge=0, lt=2**63, description="Jobs ever enqueued, if the broker counts."
    )
    dead_letters: _Jobs | None = None
    partitions: int | None = Field(
        default=None, ge=1, le=MOST_JOBS, description="Parts of the queue, each of them one worker's."
    )
    poll_seconds: float = Field(default=1.0, gt=0, description="How often this queue is read at the moment.")
    held: bool = Field(default=False, description="`Holds` speaks of it, until another reading is told.")
    error: SampleError | None = Field(default=None, description="Set: the counts are None.")
    message: str = Field(default="", max_length=MESSAGE_MAX_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True, config=CONFIG)
class WorkerReport:
    """One worker pod as its collector knows it."""

    pod: Name
    uid: Short
    node: Shared = ""
    deployment: Shared = Field(default="", description="That its pod is of; empty where the collector does not say.")
    version: Annotated[Shared, Field(max_length=64)] = ""
    source: Literal["stream", "scrape"] = "stream"
    connected: bool = Field(default=True, description="Its stream is up, or its last scrape worked.")
    age_seconds: float = Field(ge=0, description="Since the worker was last heard.")
    held: bool = Field(default=False, description="`Holds` speaks of it, until another word of it is told.")
    in_flight: int = Field(default=0, ge=0)
    slots: int = Field(default=1, ge=1)
    most_slots: int | None = Field(default=None, ge=1, description="Without limits that the worker found itself.")
    cpu_cores: float | None = Field(default=None, ge=0, description="Cores that it uses; None: not known.")
    fence: Short = Field(default="", description="Id of the fence that the worker says is in force.")
    draining: bool = False
    paused: Name = Field(default="", description="Why it takes nothing, if it has a reason of its own.")
    troubles: dict[Name, Name] = Field(
        default_factory=dict, max_length=64, description="By queue: why it can take nothing from that one."
    )
    remaining_seconds: float | None = 0.0
    boot_id: Short = ""
    share: Share | None = Field(default=None, description="The newest that it says it was told.")
    slow_after_seconds: float | None = Field(
        default=None, description="It counts an attempt as slow that takes so long; None: it does not say."
    )
    counters: Counters = Counters()


class PodReport(Message):
    """What Kubernetes says of one worker pod that is not plainly well, or whose worker this collector never heard."""

    uid: Short
    version: Short = ""
    placed: bool = Field(default=True, description="It has a node.")
    ready: bool = True
    crashes: int = Field(default=0, ge=0, description="Deaths of its containers, whatever they died of.")
    evicted: bool = Field(default=False, description="It is taken off its node (DisruptionTarget).")
    terminating: bool = Field(default=False, description="It is being deleted.")
    node: Name = ""
    deployment: Name = Field(default="", description="That it is of; empty where the collector does not say.")
    unheard_seconds: float | None = Field(
        default=None, ge=0, description="For how long this collector has known it without hearing its worker once."
    )


class Samples(Message):
    """Readings of a pool's queues, all of them that are due."""

    type: Literal["samples"] = "samples"
    pool: Name
    samples: tuple[QueueSample, ...] = Field(max_length=64)


class Workers(Message):
    """All workers of a pool that the collector knows, whole: who is not in it is gone."""

    type: Literal["workers"] = "workers"
    pool: Name
    workers: tuple[WorkerReport, ...]
    pods: tuple[PodReport, ...] = Field(default=(), description="Those that are not ready, have crashed, or must go.")
    read_id: Short = Field(default="", description="Id of the ReadNow that this answers, if any.")


class Holds(Message):
    """No news: what this connection has said of all that is `held` was still so `age_seconds` ago.

    Each of these queues has been read since then, each of these workers heard, and they say what was told last.
    """

    type: Literal["holds"] = "holds"
    clock: float = Field(description="The collector's monotonic clock, in seconds: shows what the way here took.")
    age_seconds: float = Field(ge=0)


class Unheld(Message):
    """What this connection has said of a pool is held no more: the pool is gone, or that of it cannot be told."""

    type: Literal["unheld"] = "unheld"
    pool: Name
    what: Literal["all", "samples", "workers"] = "all"


class Role(Message):
    """Sent on connect and whenever it changes: whether this replica leads, and in which epoch."""

    type: Literal["role"] = "role"
    protocol: int = PROTOCOL_VERSION
    leader: bool
    epoch: int = Field(ge=0)


class PoolConfig(Message):
    """What a collector must know of one pool."""

    name: str
    uid: str
    max_workers: int = Field(default=1, ge=1)
    queues: tuple[dict[str, Any], ...] = Field(description="Entries of spec.queues, as in the resource.")
    predictive: Predictive | None = Field(default=None, description="Set: forecasts are wanted.")


class Config(Message):
    """All pools of the namespace. Replaces what was known: a pool that is not in it is gone."""

    type: Literal["config"] = "config"
    epoch: int
    pools: tuple[PoolConfig, ...]


class ReadNow(Message):
    """Read this pool's queues and workers at once and answer with `Samples` and `Workers`."""

    type: Literal["read_now"] = "read_now"
    epoch: int
    pool: str
    read_id: str


class Fence(Message):
    """The pods (by uid) of a pool that must take no new job. Replaces the former set; lapses after the TTL."""

    type: Literal["fence"] = "fence"
    epoch: int
    pool: str
    fence_id: str
    pods: tuple[str, ...]
    ttl_seconds: float = Field(default=ORDER_TTL_SECONDS, gt=0)


class PoolSettings(Message):
    """Live settings of a pool's workers; the collector repeats them to its workers while it has them."""

    type: Literal["settings"] = "settings"
    epoch: int
    pool: str
    delivery: Delivery
    shares: dict[str, Share] = Field(default={}, description="By pod uid; one not named goes on by its last.")


Up = Samples | Workers | Arrivals | Holds | Unheld
Down = Role | Config | ReadNow | Fence | PoolSettings | PastArrivals

_UP: Final[TypeAdapter[Up]] = TypeAdapter(Annotated[Up, Field(discriminator="type")], config=CONFIG)
_DOWN: Final[TypeAdapter[Down]] = TypeAdapter(Annotated[Down, Field(discriminator="type")], config=CONFIG)


def decode_up(text: str | bytes) -> Up | None:
    """The message in a frame from a collector, or None when this version does not know it.

    What it knows and cannot read is something new all the same: what was said before is held no more.
    """
    try:
        return _UP.validate_json(text)
    except ValidationError:
        return _unread(text)


class _Head(Message):
    type: Literal["samples", "workers"]
    pool: Name


def _unread(text: str | bytes) -> Unheld | None:
    try:
        head = _Head.model_validate_json(text)
    except ValidationError:
        return None
    return Unheld(pool=head.pool, what=head.type)


def decode_down(text: str | bytes) -> Down | None:
    """The message in a frame from the operator, or None when this version does not know it."""
    try:
        return _DOWN.validate_json(text)
    except ValidationError:
        return None

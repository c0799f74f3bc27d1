"""The message models; see the package docstring for who sends what, and when."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

PROTOCOL_VERSION: Final = 1
STREAM_PATH: Final = "/v1/workers"
TOKEN_AUDIENCE: Final = "workerpool-collector"  # noqa: S105  an audience, not a secret
TOKEN_FILE: Final = "/var/run/secrets/workerpool.dev/token"  # noqa: S105  a path, not a secret
REPORT_MIN_SECONDS: Final = 0.05
REPORT_MAX_SECONDS: Final = 10.0
"""An idle worker that has said nothing for longer may be taken for one of which nothing is known."""


_CONFIG: Final = ConfigDict(extra="ignore", cache_strings="keys")
"""No value is kept for the next message: pydantic would keep 16,384 of them, 1.5 MB, in each worker."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, **_CONFIG)


# Not a model, as thousands are kept: without a dictionary and a set for each it takes a fifth of the memory.
@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Counters:
    """Totals since this worker process started. They only grow."""

    started: int = 0
    processed: int = 0
    failed: int = 0
    first_attempts: int = 0
    first_failures: int = 0
    dead_lettered: int = 0
    handed_back: int = 0
    """Jobs given back to their queue: by a drain, or because their lane was full."""
    first_slow: int | None = None
    """First attempts that took longer than such a job should; None: not counted."""
    first_late: int | None = None
    """First attempts that ended later than the pool promises, since their job was due; None: not counted."""
    run_seconds: float | None = None
    """Time that attempts have spent in handlers, all added up; None: not measured."""


class Share(_Message):
    """What one worker may begin of the pool's rate limit, where its broker cannot keep count for all of them."""

    id: str = Field(max_length=64, description="Of the order; a worker reports that which it obeys.")
    per_second: float = Field(ge=0, le=1_000_000, allow_inf_nan=False, description="Jobs; 0: none.")


class Hello(_Message):
    """First message of a connection: who speaks. Identity is proven by the token, not by this."""

    type: Literal["hello"] = "hello"
    protocol: int = PROTOCOL_VERSION
    pool: str
    pod: str
    version: str
    slots: int = Field(ge=1)
    boot_id: str = Field(description="Random per process: counters restart from zero when it changes.")


class Report(_Message):
    """What the worker does right now."""

    type: Literal["report"] = "report"
    in_flight: int = Field(ge=0, description="Jobs taken and not yet acknowledged or handed back.")
    slots: int = Field(ge=1)
    most_slots: int | None = Field(
        default=None, ge=1, description="What `slots` would be without limits that the worker found itself."
    )
    cpu_cores: float | None = Field(
        default=None, ge=0, description="Cores in use between the last two heartbeats; None before there were two."
    )
    fence: str = Field(default="", description="Id of the fence in force; while set, nothing more is taken.")
    draining: bool = False
    paused: str = Field(
        default="",
        description="Why nothing is being taken, other than fence and drain: also where what waits is not for this "
        "worker now. One that has room and says nothing while others take what waits is taken for stuck.",
    )
    troubles: dict[str, str] = Field(
        default={}, description="By queue: why nothing can be taken from that one, while others may be well."
    )
    remaining_seconds: float | None = Field(
        default=0.0,
        description="Longest declared timeout minus age over all jobs in flight; 0 when idle; None when any job "
        "in flight declares no timeout.",
    )
    share: Share | None = Field(default=None, description="The newest that it was told; None: none, or no limit.")
    slow_after_seconds: float | None = Field(
        default=None, gt=0, description="It counts an attempt as slow that takes so long, where no handler says so."
    )
    counters: Counters = Counters()


class LastWords(_Message):
    """Final counters, sent when the drain is over and nothing is in flight any more."""

    type: Literal["last_words"] = "last_words"
    counters: Counters
    interrupted: int = Field(default=0, description="Jobs that were cancelled and handed back by the drain.")


class TenantLimit(_Message):
    """How much of each queue of the pool one tenant may use."""

    rate_per_second: float | None = Field(default=None, gt=0)
    max_in_flight: int | None = Field(default=None, ge=1)


class Delivery(_Message):
    """What holds for jobs that are taken from now on (`spec.delivery`)."""

    max_attempts: int = Field(ge=1)
    backoff_seconds: float = Field(ge=0)
    backoff_max_seconds: float = Field(ge=0)
    lease_seconds: float = Field(gt=0)
    rate_limit_per_second: float | None = Field(
        default=None, gt=0, description="Jobs that all workers of the pool together begin per second; None: no limit."
    )
    concurrency_per_worker: int | None = Field(
        default=None, ge=1, description="Jobs that one worker runs at a time; None: as many as it has slots."
    )
    tenant_limits: dict[str, TenantLimit] = Field(
        default={}, description="By tenant; * is each that is not named. Holds for all workers of the pool together."
    )
    take_rates: dict[str, float] = Field(
        default={}, description="By version: jobs that each worker of it begins per second; one not named: no limit."
    )
    shed_after_seconds: dict[str, float] = Field(
        default={}, description="By class of priority: jobs that have waited for longer are dead-lettered, not run."
    )
    late_after_seconds: float | None = Field(
        default=None, gt=0, description="A job that ends so long after it was due is late; None: nothing is promised."
    )
    slow_after_seconds: float | None = Field(
        default=None, gt=0, description="A job whose attempt takes so long is slow; None: as the worker knows it."
    )


class Settings(_Message):
    """Live settings, whole. Lapse `ttl_seconds` after arrival."""

    type: Literal["settings"] = "settings"
    ttl_seconds: float = Field(default=30.0, gt=0)
    fence: str = Field(default="", description="Non-empty: take nothing more, report this id back at once.")
    delivery: Delivery | None = None
    share: Share | None = Field(
        default=None, description="Of this worker. Outlasts the settings, as the limit does; None: the one before."
    )


Up = Annotated[Hello | Report | LastWords, Field(discriminator="type")]
Down = Settings

_UP: Final[TypeAdapter[Hello | Report | LastWords]] = TypeAdapter(Up, config=_CONFIG)
_DOWN: Final[TypeAdapter[Settings]] = TypeAdapter(Down)


def decode_up(text: str | bytes) -> Hello | Report | LastWords | None:
    """The message in a frame from a worker, or None when this version does not know it."""
    try:
        return _UP.validate_json(text)
    except ValidationError:
        return None


def decode_down(text: str | bytes) -> Settings | None:
    """The message in a frame from the collector, or None when this version does not know it."""
    try:
        return _DOWN.validate_json(text)
    except ValidationError:
        return None


class _Fence(_Message):
    type: Literal["settings"]
    ttl_seconds: object = None
    fence: str


def decode_fence(text: str | bytes) -> Settings | None:
    """Of settings that this version cannot read as a whole, the fence: it is obeyed, whatever stands beside it."""
    try:
        said = _Fence.model_validate_json(text)
        try:
            return Settings(ttl_seconds=said.ttl_seconds, fence=said.fence)
        except ValidationError:
            return Settings(fence=said.fence)
    except ValidationError:
        return None

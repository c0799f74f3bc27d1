"""What a size follows from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from workerpool_operator.api import PredictiveMode, Targets
from workerpool_operator.domain.scaling.fleet import Fleet
from workerpool_operator.domain.scaling.history import History
from workerpool_operator.domain.scaling.overrides import Overrides
from workerpool_operator.domain.scaling.predictive import Forecast
from workerpool_operator.domain.scaling.schedules import Schedule
from workerpool_operator.domain.scaling.traffic import Traffic

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
STALE_POLLS: Final = 3
STALE_FLOOR_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One queue's latest reading; counts are jobs, None when the reading failed."""

    queue: str
    waiting: int | None
    in_flight: int | None
    age: float
    poll_seconds: float
    oldest_age: float | None = None
    """How long the oldest waiting job has waited, seconds. Shown, not decided by."""
    arrivals: int | None = None
    """Jobs that ever came, where the broker counts them."""
    partitions: int | None = None
    """Parts of the queue, each of them one worker's; None: any number of workers may take from it."""

    @property
    def usable(self) -> bool:
        """Whether a size may follow from it: it was read, and recently."""
        return self.waiting is not None and self.in_flight is not None and self.age <= self.stale_after

    @property
    def stale_after(self) -> float:
        """Seconds until this reading counts as none."""
        return stale_after(self.poll_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How readily a pool follows what is wanted, in one direction."""

    stabilization_seconds: float = 0.0
    pods: int | None = None
    """At most so many within a minute; None: any number."""
    percent: int | None = None
    """At most so large a share of the size within a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The pool's own wishes, from `spec.scaling` and `spec.worker`."""

    manual_replicas: int | None
    """Set in mode manual, where nothing else counts."""
    min_replicas: int
    max_replicas: int
    cooldown_seconds: float
    slots: int
    """Jobs that one worker runs at a time."""
    targets: Targets
    up: Pace = field(default_factory=Pace)
    down: Pace = field(default_factory=Pace)
    downstream_concurrency: int = 0
    """Jobs that what they call bears at a time; 0: any number."""
    rate_limit: float | None = None
    """Jobs that may begin per second at this moment, in the whole pool."""
    warm_replicas: int = 0
    """Workers without a job that are always there."""
    schedules: tuple[Schedule, ...] = ()
    fallback_after: float = math.inf
    """Seconds without any reading, after which there are at least `fallback_replicas`."""
    fallback_replicas: int = 0
    overrides: Overrides = field(default_factory=Overrides)
    suspended: bool = False
    """Whether the pool is to have no workers at all."""
    cpu_request: float | None = None
    """Cores that a pod asks for; None: it does not."""
    predictive: PredictiveMode = PredictiveMode.DISABLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a budget that is shared with other pools lets the pool have."""

    granted: int | None
    """Worker pods; None: not known, so no more than there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All that a size follows from."""

    rules: Rules
    queues: Sequence[str]
    samples: Sequence[Sample]
    current: int
    history: History
    now: float
    """Monotonic seconds."""
    wall: datetime = _EPOCH
    """What clocks show, for schedules and ends that people wrote: it may jump."""
    pod_start_seconds: float = 0.0
    traffic: Traffic = field(default_factory=Traffic)
    fleet: Fleet = field(default_factory=Fleet)
    allowance: Allowance | None = None
    """None: the pool shares no budget."""
    forecast: Forecast | None = None
    """None: nobody has told one."""

    @property
    def slots(self) -> int:
        """Jobs that one worker could run at a time, had it not found itself a limit.

        A limit that it found says how much what its jobs call can take. More workers would only share that.
        """
        return max(1, self.fleet.slots or self.rules.slots)


def stale_after(poll_seconds: float) -> float:
    """Age in seconds from which a reading of a queue that is read so often counts as none."""
    return max(STALE_POLLS * poll_seconds, STALE_FLOOR_SECONDS)

"""The worker's metrics: plain numbers that the loop changes. `workerpool.telemetry.exposition` renders them.

The counters of prometheus-client take a lock per change and there are several per job, so they are not used on the way
of a job; its exposition is.
"""

import contextvars
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from workerpool.broker import DeathReason, Priority
from workerpool.telemetry import process

PROCESSING_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
BATCH_JOBS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
WAIT_SECONDS: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)


class FailureReason(StrEnum):
    """Why an attempt failed."""

    ERROR = "error"
    """The handler raised."""
    TIMEOUT = "timeout"
    """The handler took longer than it declares."""
    REJECTED = "rejected"
    """The handler said that no attempt can succeed."""
    UNKNOWN_TYPE = "unknown_type"
    """There is no such handler."""
    MALFORMED = "malformed"
    """It is no job."""
    OVERSIZE = "oversize"
    """Its payload is too large."""
    MAX_ATTEMPTS = "max_attempts"
    """Earlier attempts, which killed their workers, were all that is allowed."""
    CRASHED = "crashed"
    """Its process in the cpu lane died under it."""
    LEASE_LOST = "lease_lost"
    """Its lease expired while it ran, so someone else has it now."""


class Histogram:
    """Counts per bucket and a sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        """Not cumulative; the last one is of what is beyond all bounds."""
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value; a bucket holds what is at most its bound."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Totals since this process started: the protocol's `Counters`."""

    started: int
    processed: int
    failed: int
    first_attempts: int
    first_failures: int
    first_slow: int
    first_late: int | None
    dead_lettered: int
    handed_back: int
    run_seconds: float


class Threads(NamedTuple):
    """A lane's threads, or processes, by what they do."""

    busy: int = 0
    idle: int = 0
    wedged: int = 0
    """Given up: their job was cancelled and they still run its handler."""


class Waits(dict[str, Histogram]):
    """How long jobs waited, by class of priority. One that has none we know counts as normal, as it runs."""

    def __init__(self) -> None:
        super().__init__({priority.value: Histogram(WAIT_SECONDS) for priority in Priority})

    def __missing__(self, priority: str) -> Histogram:
        return self[Priority.NORMAL.value]


class LockMetrics:
    """Of something in this worker that few jobs may use at a time."""

    def __init__(self) -> None:
        self.wait = Histogram(WAIT_SECONDS)
        self.waited = 0
        """How often somebody had to wait."""


class LaneMetrics:
    """The figures of one lane's jobs."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.slots_hint = 0
        """Jobs at a time that would keep its cores busy; 0: not known."""
        self.started = self.processed = self.first_attempts = self.first_failures = 0
        self.first_slow = self.duplicates_skipped = 0
        self.first_late: int | None = None
        """None: no time is promised."""
        self.retried = self.put_off = self.dead_lettered = self.redelivered = self.refused = 0
        self.failed = dict.fromkeys(FailureReason, 0)
        self.processing, self.waits = Histogram(PROCESSING_SECONDS), Waits()
        self.batches: Histogram | None = None
        """Jobs of each call that does batches; None where none does."""
        self.in_progress = 0
        self.threads: Callable[[], Threads] = Threads


class Metrics:
    """All of a worker's figures. `slots`: of each lane in use."""

    def __init__(self, *, pool: str, version: str, slots: Mapping[str, int]) -> None:
        self.pool, self.version = pool, version
        self.lanes = {lane: LaneMetrics(count) for lane, count in slots.items()}
        self.handed_back = 0
        self.rate_limited = 0
        self.circuits: dict[str, bool] = {}
        """Breaker -> whether its circuit is open."""
        self.locks: dict[str, LockMetrics] = {}
        """By the names of endpoints."""
        self.caches: dict[str, Histogram] = {}
        """By the names of caches: how long who wanted a value waited for the lock of who filled it."""
        self.shed = {DeathReason.EXPIRED: 0, DeathReason.SHED: 0}
        self.queue_depth: dict[str, int] = {}
        """Waiting jobs by queue; stays empty in a pool, where the collector exports it."""
        self.start_seconds = self.drain_seconds = 0.0
        self.last_progress = self.last_heartbeat = time.time()
        self.cpu_cores: float | None = None
        """Cores in use between the last two heartbeats, those of the cpu lane's processes included."""
        self.memory_bytes = 0
        self.loop_lag = 0.0
        self.context_switches = 0
        self._cpu_at = (0.0, 0.0)  # CPU and clock, in seconds, at the heartbeat before
        self._children_cpu: dict[int, float] = {}  # the same of other processes, by pid

    def ready(self) -> None:
        """The worker can take jobs now."""
        self.start_seconds = process.age_seconds()
        self._measure()
        self.memory_bytes = process.resident_bytes()

    def heartbeat(self, *, children: Sequence[int] = (), loop_lag: float = 0.0) -> None:
        """The worker is alive; CPU is measured from one heartbeat to the next.

        `children`: pids of the cpu lane's processes, which are part of the worker's CPU and memory. `loop_lag`: the
        longest since the heartbeat before, in seconds.
        """
        self.last_heartbeat = time.time()
        cpu, clock = self._cpu_at
        self._measure()
        before, self._children_cpu = self._children_cpu, {pid: process.cpu_seconds(pid) for pid in children}
        cpu -= sum(max(0.0, used - before.get(pid, 0.0)) for pid, used in self._children_cpu.items())
        self.memory_bytes = process.resident_bytes() + sum(process.resident_bytes(pid) for pid in children)
        self.loop_lag, self.context_switches = loop_lag, process.context_switches()
        self.cpu_cores = (self._cpu_at[0] - cpu) / (self._cpu_at[1] - clock)

    @property
    def cpu_percent(self) -> float:
        """The same in percent of a core; 0 before the first heartbeat."""
        return 100.0 * (self.cpu_cores or 0.0)

    def _measure(self) -> None:
        self._cpu_at = (time.process_time(), time.monotonic())

    def first_attempts(self) -> int:
        """Of all lanes."""
        return sum(lane.first_attempts for lane in self.lanes.values())

    def totals(self) -> "Totals":
        """The totals as the collector gets them."""
        lanes = list(self.lanes.values())
        return Totals(
            started=sum(lane.started for lane in lanes),
            processed=sum(lane.processed for lane in lanes),
            failed=sum(sum(lane.failed.values()) for lane in lanes),
            first_attempts=sum(lane.first_attempts for lane in lanes),
            first_failures=sum(lane.first_failures for lane in lanes),
            first_slow=sum(lane.first_slow for lane in lanes),
            first_late=sum(late) if (late := [n for lane in lanes if (n := lane.first_late) is not None]) else None,
            dead_lettered=sum(lane.dead_lettered for lane in lanes) + sum(self.shed.values()),
            # A worker whose intake only brings jobs of a full lane takes jobs, too: it is not stuck.
            handed_back=self.handed_back + sum(lane.refused for lane in lanes),
            run_seconds=sum(lane.processing.sum for lane in lanes),
        )

    def cache(self, name: str) -> Histogram:
        """The waits for the locks of the cache of this name."""
        return self.caches.setdefault(name, Histogram(WAIT_SECONDS))


_CURRENT: Final[contextvars.ContextVar[Metrics | None]] = contextvars.ContextVar("workerpool_metrics", default=None)


def current() -> Metrics | None:
    """Those of the worker in which this runs: its lifespan and its handlers, but for those in the cpu lane."""
    return _CURRENT.get()


def set_current(metrics: Metrics) -> None:
    """For this task, and the tasks that it starts."""
    _CURRENT.set(metrics)

"""The jobs that a library holds, and the figures made of them."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum, auto

from workerpool.broker import DeathReason
from workerpool.telemetry.metrics import FailureReason, LaneMetrics, Metrics


class Outcome(Enum):
    """What became of a job."""

    DONE = auto()
    """It succeeded."""
    RETRIED = auto()
    """Its attempt failed, and the library will make another one."""
    FAILED = auto()
    """Its attempt failed, and there will be no other one."""
    DEAD_LETTERED = auto()
    """The same, and the library keeps it among its failed jobs."""
    HANDED_BACK = auto()
    """It goes back to its queue, without an attempt or without a fault of its own."""
    DISCARDED = auto()
    """The library threw it away without an attempt: it had expired, or was revoked."""


@dataclass(slots=True)
class _Held:
    """A job that the library has taken. Times are of the ledger's clock."""

    taken_at: float
    later: bool = False
    began_at: float | None = None
    job_type: str = ""
    timeout: float | None = None
    first: bool = False


class Ledger:
    """For any thread: a library's hooks may be called from many.

    Attributes:
        hurried: The library was told to end what runs: what goes back from now on was interrupted.
        interrupted: Jobs of which that is so.
    """

    def __init__(
        self,
        metrics: Metrics,
        lane: LaneMetrics,
        *,
        slow_after: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._lane = lane
        self._slow_after = slow_after
        self._clock = clock
        self.hurried = False
        self.interrupted = 0
        self._held: dict[Hashable, _Held] = {}
        self._lock = threading.RLock()  # a signal handler may find its own thread in here

    def __len__(self) -> int:
        return len(self._held)

    def taken(self, key: Hashable, *, later: bool = False) -> None:
        """See `Bridge.taken`."""
        with self._lock:
            self._held.setdefault(key, _Held(self._clock())).later = later
            self._lane.in_progress = len(self._held)

    def begins(self, key: Hashable, job_type: str, *, attempt: int, timeout: float | None) -> None:
        """See `Bridge.begins`."""
        with self._lock:
            now = self._clock()
            held = self._held.setdefault(key, _Held(now))
            held.began_at, held.job_type, held.timeout, held.first = now, job_type, timeout, attempt <= 1
            self._lane.started += 1
            self._lane.first_attempts += held.first
            self._lane.in_progress = len(self._held)

    def ended(self, key: Hashable, outcome: Outcome, *, reason: FailureReason) -> None:
        """See `Bridge.ended`."""
        with self._lock:
            held = self._held.pop(key, None)
            if held is None:
                return
            self._lane.in_progress = len(self._held)
            self._metrics.last_progress = time.time()
            if held.began_at is not None:
                seconds = self._clock() - held.began_at
                self._lane.processing.observe(seconds)
                self._lane.first_slow += held.first and seconds >= self._slow_after()
            self._count(held, outcome, reason)

    def forget_unstarted(self) -> None:
        """See `Bridge.forget_unstarted`."""
        with self._lock:
            for key in [key for key, held in self._held.items() if held.began_at is None]:
                self.ended(key, Outcome.HANDED_BACK, reason=FailureReason.ERROR)

    def _count(self, held: _Held, outcome: Outcome, reason: FailureReason) -> None:
        match outcome:
            case Outcome.DONE:
                self._lane.processed += 1
            case Outcome.HANDED_BACK:
                self._metrics.handed_back += 1
                self.interrupted += self.hurried and held.began_at is not None
            case Outcome.DISCARDED:
                self._metrics.shed[DeathReason.EXPIRED] += 1
            case Outcome.RETRIED | Outcome.FAILED | Outcome.DEAD_LETTERED:
                self._lane.failed[reason] += 1
                self._lane.first_failures += held.first
                self._lane.retried += outcome is Outcome.RETRIED
                self._lane.dead_lettered += outcome is Outcome.DEAD_LETTERED

    def running(self) -> list[str]:
        """The types of the jobs whose attempt has begun."""
        with self._lock:
            return [held.job_type for held in self._held.values() if held.began_at is not None]

    def unstarted_since(self) -> float | None:
        """When the oldest job came that could run now, while none runs; None where nothing is wrong.

        A prefetched job that waits for those before it is no evidence against the worker, nor is one that the library
        keeps until it is due.
        """
        with self._lock:
            if any(held.began_at is not None for held in self._held.values()):
                return None
            return min((held.taken_at for held in self._held.values() if not held.later), default=None)

    def remaining_seconds(self) -> float | None:
        """Longest declared timeout minus age; 0 when idle; None when any job declares none, or has not begun."""
        with self._lock:
            now, longest = self._clock(), 0.0
            for held in self._held.values():
                if held.began_at is None or held.timeout is None:
                    return None
                longest = max(longest, held.timeout - (now - held.began_at))
            return longest

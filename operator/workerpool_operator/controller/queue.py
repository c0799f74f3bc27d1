"""The work queue: keys that are due, each handled by one task at a time.

Marking a key that is already due changes nothing; marking one that is being handled makes it due again afterwards,
so no change is missed and no two handlers meet. A failing key comes back with a growing, jittered delay and hurts no
other; news brings it back sooner, but a busy queue's four readings a second do not make four refused writes a second.
Rejected: kopf's own per-object queues, which serialise by uid of the object that changed, not by the pool it belongs
to, and cannot be gated by a lease.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import structlog

BACKOFF_FIRST_SECONDS: Final = 0.2
BACKOFF_MAX_SECONDS: Final = 60.0
FAILED_PAUSE_SECONDS: Final = 2.0
"""News of a key that has failed is acted upon after at most this pause: someone may just have mended it."""
_SPARE_TIMERS: Final = 64

_log = structlog.get_logger(__name__)

Key: TypeAlias = Hashable


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a handler leaves: look again after so many seconds, if at all. `failed` adds a look after a backoff."""

    look_again: float | None = None
    failed: bool = False


class QueueMetrics(Protocol):
    """Where the queue tells how it is doing."""

    def queue_depth(self, depth: int) -> None:
        """Keys due and not being handled."""

    def queue_waited(self, seconds: float) -> None:
        """How long a key was due before it was taken up."""


class WorkQueue:
    """Due keys and their timers. Everything runs on one event loop.

    `handle` is called for one key at a time by each of `workers` tasks; `gate` is awaited before every key is taken,
    so that nothing starts while this replica does not lead.
    """

    def __init__(
        self,
        handle: Callable[[Key], Awaitable[Outcome]],
        *,
        gate: Callable[[], Awaitable[None]],
        metrics: QueueMetrics,
        workers: int = 8,
        random_source: random.Random | None = None,
    ) -> None:
        self._handle = handle
        self._gate = gate
        self._metrics = metrics
        self._workers = workers
        self._random = random_source or random.Random()  # noqa: S311  jitter, not a secret
        self._due: dict[Key, float] = {}
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: list[tuple[float, int, Key]] = []
        self._timer_at: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._paused_until: dict[Key, float] = {}
        self._sequence = itertools.count()
        self._wake = asyncio.Event()
        self._timer_changed = asyncio.Event()

    def mark(self, key: Key) -> None:
        """This key needs a look, now, or as soon as the pause after its last failure is over."""
        if key in self._running:
            self._again.add(key)
        elif (pause := self._paused_until.get(key, 0.0) - self._now()) > 0:
            self.mark_after(key, seconds=pause)
        elif key not in self._due:
            self._due[key] = self._now()
            self._metrics.queue_depth(len(self._due))
            self._wake.set()

    def begin(self) -> None:
        """This replica leads from now on: what was due until now did not wait for it."""
        self._due = dict.fromkeys(self._due, self._now())

    def mark_after(self, key: Key, *, seconds: float) -> None:
        """This key needs a look in `seconds`, unless it gets one before. The nearest time counts."""
        at = self._now() + seconds
        if self._timer_at.get(key, at + 1) <= at:
            return
        self._timer_at[key] = at
        heapq.heappush(self._timers, (at, next(self._sequence), key))
        if len(self._timers) > 2 * len(self._timer_at) + _SPARE_TIMERS:
            self._drop_void_timers()
        self._timer_changed.set()

    def _drop_void_timers(self) -> None:
        """A look makes the timer before it void; a busy key would leave hundreds behind until they ran out."""
        self._timers = [timer for timer in self._timers if self._timer_at.get(timer[2]) == timer[0]]
        heapq.heapify(self._timers)

    async def run(self) -> None:
        """Handle keys until cancelled. A handler that is running then is cancelled too."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_timers(), name="queue-timers")
            for index in range(self._workers):
                group.create_task(self._run_worker(), name=f"queue-worker-{index}")

    async def _run_worker(self) -> None:
        while True:
            while not self._due:
                self._wake.clear()
                await self._wake.wait()
            await self._gate()
            if not self._due:
                continue
            await self._run_one(next(iter(self._due)))
            # A look that asks for nothing never suspends: thousands in a row would leave the Lease unrenewed.
            await asyncio.sleep(0)

    async def _run_one(self, key: Key) -> None:
        since = self._due.pop(key)
        self._metrics.queue_depth(len(self._due))
        self._metrics.queue_waited(self._now() - since)
        self._timer_at.pop(key, None)
        self._running.add(key)
        try:
            outcome = await self._handle(key)
        except Exception:  # noqa: BLE001  one key's fault must not stop the others
            _log.exception("reconcile_crashed", key=str(key))
            outcome = Outcome(failed=True)
        finally:
            self._running.discard(key)
        self._settle(key, outcome)

    def _settle(self, key: Key, outcome: Outcome) -> None:
        if outcome.failed:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** min(failures - 1, 16))
            delay *= self._random.uniform(0.5, 1.0)
            self._paused_until[key] = self._now() + min(delay, FAILED_PAUSE_SECONDS)
            self.mark_after(key, seconds=delay)
        else:
            self._failures.pop(key, None)
            self._paused_until.pop(key, None)
        if outcome.look_again is not None:
            self.mark_after(key, seconds=outcome.look_again)
        if key in self._again:
            self._again.discard(key)
            self.mark(key)

    async def _run_timers(self) -> None:
        while True:
            self._timer_changed.clear()
            now = self._now()
            while self._timers and self._timers[0][0] <= now:
                at, _, key = heapq.heappop(self._timers)
                if self._timer_at.get(key) == at:
                    del self._timer_at[key]
                    self.mark(key)
            pause = self._timers[0][0] - now if self._timers else None
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._timer_changed.wait()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

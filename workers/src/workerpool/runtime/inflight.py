"""The jobs in flight: taken, and not yet acknowledged, retried, dead-lettered or handed back."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from workerpool.broker import Broker, Taken
from workerpool.errors import ConfigurationError, LeaseLost
from workerpool.runtime.stations import Station
from workerpool.runtime.verdict import Verdict
from workerpool.telemetry.tracing import JobTrace

if TYPE_CHECKING:
    from workerpool.guards.breaker import Circuit
    from workerpool.runtime.batches import Gathered


class Cancelled(StrEnum):
    """Why a running handler was cancelled by us."""

    DRAIN = "drain"
    """Its time is over: hand it back."""
    LEASE_LOST = "lease_lost"
    """It is someone else's job now."""


@dataclass(slots=True, eq=False)
class Running:
    """A job in flight. Mutable: it is this worker's own record of it."""

    job: Taken
    queue: str
    taken_at: float
    broker: Broker
    started_at: float | None = None
    timeout: float | None = None
    task: "asyncio.Task[None] | None" = None
    cancelled: Cancelled | None = None
    cancelled_at: float | None = None
    settling: bool = False
    circuit: "Circuit | None" = None
    """That admitted it, and is told how it ended."""
    fallback: bool = False
    """Its handler's fallback runs it."""
    duplicate: bool = False
    """Its handler found that it was done before."""
    verdict: Verdict = Verdict.NONE
    """What its attempt says about what its handler calls."""
    began_at: float | None = None
    """When its handler began, where that is later than its attempt."""
    took: float = 0.0
    """Seconds in its handler."""
    station: Station | None = None
    """Its lane; None: no slot of a lane is taken, it goes back to its queue."""
    trace: JobTrace | None = None
    """None: it is not traced."""
    batch: "Gathered | None" = None
    """Whose call does it, and whose task is its own; None: it is done alone."""
    failure: Exception | str | None = None
    """What its handler said of it alone, in a batch."""
    kept: bytes = b""
    """Its last checkpoint of this attempt."""
    alone: bool = False
    """Runs beside no other job, and may wait for that: see `workerpool.runtime.solitude`."""

    def cancel(self, why: Cancelled) -> None:
        """Cancel its handler, if it runs: once, for what is cancelled again does not get to clean up.

        That of a batch is cancelled when no other job is left in it.
        """
        if self.cancelled is not None:
            return
        if self.batch is not None:
            self.cancelled = why
            self.batch.cancel()
        elif self.task is not None:
            self.cancelled, self.cancelled_at = why, self._loop.time()
            self.task.cancel()

    def late(self, now: float) -> float:
        """Seconds since its handler should have ended: it was cancelled, or its time was up; -inf: neither."""
        ends = math.inf if self.cancelled_at is None else self.cancelled_at
        if self.started_at is not None and self.timeout:
            ends = min(ends, self.started_at + self.timeout)
        return now - ends

    async def checkpoint(self, state: bytes) -> None:
        """See `Hold`."""
        keeping = self._keep(state)
        if self._loop is asyncio.get_running_loop():
            await keeping
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(keeping, self._loop))

    def checkpoint_sync(self, state: bytes) -> None:
        """See `Hold`."""
        if self._loop is asyncio._get_running_loop():  # noqa: SLF001  the public one raises when there is none
            raise ConfigurationError("in an `async def` it is `await job.checkpoint(...)`")
        asyncio.run_coroutine_threadsafe(self._keep(state), self._loop).result()

    def skip(self) -> None:
        """See `Hold`."""
        self.duplicate = True

    def fail(self, error: Exception | str) -> None:
        """See `Hold`."""
        if self.batch is None:
            raise ConfigurationError("`job.fail` is for handlers that do batches: raise the error")
        self.failure = error

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        assert self.task is not None, "its handler runs"
        return self.task.get_loop()

    async def _keep(self, state: bytes) -> None:
        # A handler may go on after its job was settled; the broker might take that for the job's next attempt by us.
        ours = not self.settling and self.cancelled is not Cancelled.LEASE_LOST
        if not ours or not await self.broker.checkpoint(self.job, state):
            raise LeaseLost("this job is not ours any more")
        self.kept = state

    def begins(self) -> None:
        """See `Hold`."""
        self.began_at = self._loop.time()

    def told_to_stop(self) -> bool:
        """Whether the job was cancelled."""
        return self.cancelled is not None


class InFlight:
    """The jobs in flight, by identity: the same broker token may come twice when a lease was lost in between."""

    def __init__(self) -> None:
        self._running: dict[Running, None] = {}  # in the order in which they came: a played run repeats itself
        self._empty = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(tuple(self._running))

    def add(self, running: Running) -> None:
        """Count it from now on."""
        self._running[running] = None
        self._empty.clear()

    def discard(self, running: Running) -> None:
        """It is settled."""
        self._running.pop(running, None)
        if not self._running:
            self._empty.set()

    def of(self, task: "asyncio.Task[Any]") -> Running | None:
        """The one that runs in this task. For any thread."""
        return next((one for one in self if one.task is task), None)

    async def wait_empty(self) -> None:
        """Return when nothing is in flight."""
        await self._empty.wait()

    def unstarted_since(self) -> float | None:
        """When the oldest job that is yet to start was taken; None when there is none.

        What goes back without a start waits for the broker: that is no evidence against this worker. Nor is a batch
        that is gathered, or a job that is to run alone.
        """
        waiting = (
            one.taken_at
            for one in self._running
            if one.started_at is None and not one.settling and one.batch is None and not one.alone
        )
        return min(waiting, default=None)

    def remaining_seconds(self, now: float) -> float | None:
        """Longest declared timeout minus age; 0 when idle; None when any job declares no timeout."""
        longest = 0.0
        for one in self._running:
            if one.settling:
                continue
            if one.timeout is None:
                return None
            longest = max(longest, one.timeout - (now - (one.started_at or now)))
        return longest

"""What all views of a queue in memory share."""

import asyncio
import heapq
import itertools
import os
from dataclasses import dataclass, field

from workerpool.broker._bucket import Level
from workerpool.broker._fair import FairQueue
from workerpool.broker._types import DeadJob, Priority, TraceContext


@dataclass(slots=True)
class Entry:
    job_id: str
    type: str
    payload: bytes
    due: float
    serial: int
    tenant: str = ""
    priority: Priority = Priority.NORMAL
    ordering_key: str = ""
    trace: TraceContext | None = None
    expires: float | None = None
    attempts: int = 0  # started so far
    checkpoint: bytes = b""
    begun: bool = False
    redelivered: bool = False  # the attempt before had no outcome


@dataclass(slots=True)
class Lease:
    entry: Entry
    owner: object
    until: float


@dataclass(slots=True)
class MemoryStore:
    """A queue that several `MemoryBroker`s of one process and one event loop share."""

    waiting: FairQueue[Entry] = field(default_factory=FairQueue)
    delayed: list[tuple[float, int, Entry]] = field(default_factory=list)
    in_flight: dict[str, Lease] = field(default_factory=dict)
    dead: dict[int, DeadJob] = field(default_factory=dict)  # by serial, so in the order of their deaths
    seen: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, Level] = field(default_factory=dict)
    arrivals: int = 0
    identity: str = field(default_factory=lambda: os.urandom(16).hex())
    serial: "itertools.count[int]" = field(default_factory=itertools.count)
    waiters: dict[asyncio.Event, None] = field(default_factory=dict)  # in the order in which they came

    def delay(self, entry: Entry) -> None:
        """Keep for later; those who wait for jobs look again how long they may sleep."""
        heapq.heappush(self.delayed, (entry.due, next(self.serial), entry))
        self.wake()

    def make_due(self, now: float) -> None:
        """Move what has become due to the waiting jobs."""
        while self.delayed and self.delayed[0][0] <= now:
            entry = heapq.heappop(self.delayed)[2]
            self.arrivals += entry.attempts == 0
            self.waiting.add(entry)

    def wake(self) -> None:
        """Tell everyone who waits that something changed."""
        for waiter in self.waiters:
            waiter.set()

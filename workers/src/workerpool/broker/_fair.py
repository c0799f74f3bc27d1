"""In which order waiting jobs run: priorities that age, tenants that share, one job at a time per ordering key. Pure.

**Tenants** share by start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996): a job that
begins to wait gets the start tag S = max(V, F of its tenant), and the tenant's F becomes S + 1; the job with the lowest
tag runs next, and V becomes its tag. So a tenant with many jobs has tags far ahead of V, and a job of one with few has
V: it passes the flood. When nothing waits, tags begin anew.

**Priorities** are head starts in time. Of the classes in which jobs wait, the one runs whose oldest job became due
first, its `AGEING_SECONDS` added. So a class is late against a higher one by at most the difference, whatever comes in.

**Ordering keys**: only one job of a key can run, so only one has a tag. It holds the key from then until it is done or
dead, over retries and lost leases; the others of the key stand in line, in the order in which they were enqueued.

Memory runs on `FairQueue`; SQLite (`_sqlite/fair.py`) and Redis (`_redis/lua/order.lua`) make the same decisions where
their jobs are, and are tested against it.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from workerpool.broker._types import Priority

AGEING_SECONDS: Final = {Priority.HIGH: 0.0, Priority.NORMAL: 60.0, Priority.LOW: 600.0}
"""A job runs before those of class high that became due more than so many seconds after it."""
_PRUNE_TENANTS: Final = 1000


class Waiting(Protocol):
    """A job that waits."""

    @property
    def serial(self) -> int:
        """Its number in the order of enqueueing, the same over all attempts."""
        ...

    @property
    def due(self) -> float:
        """Since when it waits, in seconds of one clock."""
        ...

    @property
    def tenant(self) -> str:
        """Whose it is."""
        ...

    @property
    def priority(self) -> Priority:
        """Its class."""
        ...

    @property
    def ordering_key(self) -> str:
        """Empty when it may run beside any other."""
        ...


def start_tag(virtual: float, last_finish: float | None) -> float:
    """The tag of a tenant's next job; the tenant's finish is then one more."""
    return virtual if last_finish is None else max(virtual, last_finish)


def next_class(oldest: Mapping[Priority, float]) -> Priority:
    """Which class runs, given since when the oldest job of each has waited. At a tie the higher one."""
    return min(oldest, key=lambda priority: (oldest[priority] + AGEING_SECONDS[priority], AGEING_SECONDS[priority]))


J = TypeVar("J", bound=Waiting)


@dataclass(slots=True)
class _Class(Generic[J]):
    virtual: float = 0.0
    finish: dict[str, float] = field(default_factory=dict)
    by_tag: list[tuple[float, int, J]] = field(default_factory=list)
    by_due: list[tuple[float, int]] = field(default_factory=list)
    serials: set[int] = field(default_factory=set)

    def add(self, job: J, tag: float) -> None:
        heapq.heappush(self.by_tag, (tag, job.serial, job))
        heapq.heappush(self.by_due, (job.due, job.serial))
        self.serials.add(job.serial)

    def next_tag(self, tenant: str) -> float:
        tag = start_tag(self.virtual, self.finish.get(tenant))
        self.finish[tenant] = tag + 1
        if len(self.finish) > _PRUNE_TENANTS:  # who is behind V might as well never have been here
            self.finish = {tenant: finish for tenant, finish in self.finish.items() if finish > self.virtual}
        return tag

    def oldest(self) -> float:
        while self.by_due[0][1] not in self.serials:
            heapq.heappop(self.by_due)
        return self.by_due[0][0]

    def pop(self) -> J:
        self.virtual, _, job = heapq.heappop(self.by_tag)
        self.serials.discard(job.serial)
        return job


class FairQueue(Generic[J]):
    """Jobs that wait, in one process."""

    def __init__(self) -> None:
        self._classes: dict[Priority, _Class[J]] = {}
        self._holders: dict[str, int] = {}  # ordering key -> serial of the job that holds it
        self._lines: dict[str, list[tuple[int, J]]] = {}
        self._in_line: dict[int, J] = {}

    def __len__(self) -> int:
        return len(self._in_line) + sum(len(one.serials) for one in self._classes.values())

    @property
    def blocked(self) -> int:
        """How many wait for an earlier one of their key."""
        return len(self._in_line)

    def add(self, job: J) -> None:
        """It waits from now on, for the first time or again."""
        if job.ordering_key and self._holders.setdefault(job.ordering_key, job.serial) != job.serial:
            heapq.heappush(self._lines.setdefault(job.ordering_key, []), (job.serial, job))
            self._in_line[job.serial] = job
            return
        one = self._classes.setdefault(job.priority, _Class())
        one.add(job, one.next_tag(job.tenant))

    def add_first(self, job: J) -> None:
        """It was popped and has not run: it goes before those of its class, at nobody's expense."""
        one = self._classes.setdefault(job.priority, _Class())
        one.add(job, one.virtual)

    def pop(self) -> J | None:
        """The next one; None when none can run."""
        if not self._classes:
            return None
        priority = next_class({priority: one.oldest() for priority, one in self._classes.items()})
        job = self._classes[priority].pop()
        if not self._classes[priority].serials:
            del self._classes[priority]
        return job

    def ended(self, job: J) -> None:
        """It is done or dead: the next one of its key may run."""
        key = job.ordering_key
        if not key or self._holders.get(key) != job.serial:
            return
        line = self._lines.get(key)
        if not line:
            del self._holders[key]
            return
        serial, following = heapq.heappop(line)
        if not line:
            del self._lines[key]
        del self._in_line[serial]
        self._holders[key] = serial
        self.add(following)

    def oldest(self) -> float | None:
        """Since when the oldest one waits, those in line included."""
        dues = [one.oldest() for one in self._classes.values()]
        return min((*dues, *(job.due for job in self._in_line.values())), default=None)

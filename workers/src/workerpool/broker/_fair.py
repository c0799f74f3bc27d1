"""In which order waiting jobs run: priorities that age, tenants that share, one job at a time per ordering key. Pure.

**Tenants** share by start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queuing", SIGCOMM 1996): a job that
begins to wait gets the start tag S = max(V, F of its tenant), and the tenant's F becomes S + 1; the job with the lowest
tag runs next, and V becomes its tag. So a tenant with many jobs has tags far ahead of V, and a job of one with few has
V: it passes the flood. When nothing waits, tags begin anew.

**Priorities** are head starts in time. Of the classes in which jobs wait, the one runs whose oldest job became due
first, its `AGEING_SECONDS` added. So a class is late against a higher one by at most the difference, whatever comes in.

**Ordering keys**: only one job of a key can run, so only one has a tag. It holds the key from then until it is done or
dead, over retries and lost leases; the others of the key stand in line, in the order in which they were enqueued.

**Tenants with a limit** (`_tenants.py`) have lines of their own, one per class. The first of a line has a tag as soon
as the tenant has room for another job: which is the tag that it would have had from the beginning, or V if that is
beyond. So a tenant that is at its limit holds up nobody, and has no claim to what it could not use.

**Types without room.** Who takes names the types of jobs that it has no room for. Those keep their tags, their classes
and their keys, and are passed: the order is that of the others. So a kind of job that nobody can run now holds up no
other kind, and has lost nothing when somebody can.

Memory runs on `FairQueue`; SQLite (`_sqlite/fair.py`) and Redis (`_redis/lua/order.lua`) make the same decisions where
their jobs are, and are tested against it.
"""

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from workerpool.broker._tenants import LOOK_AGAIN_SECONDS, Tenants
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
    def type(self) -> str:
        """Who takes may have no room for those of some types."""
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
    by_tag: dict[str, list[tuple[float, int, J]]] = field(default_factory=dict)  # by type
    by_due: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    serials: set[int] = field(default_factory=set)

    def add(self, job: J, tag: float) -> None:
        heapq.heappush(self.by_tag.setdefault(job.type, []), (tag, job.serial, job))
        heapq.heappush(self.by_due.setdefault(job.type, []), (job.due, job.serial))
        self.serials.add(job.serial)

    def next_tag(self, tenant: str) -> float:
        tag = start_tag(self.virtual, self.finish.get(tenant))
        self.finish[tenant] = tag + 1
        if len(self.finish) > _PRUNE_TENANTS:  # who is behind V might as well never have been here
            self.finish = {tenant: finish for tenant, finish in self.finish.items() if finish > self.virtual}
        return tag

    def first_tag(self) -> float:
        return min((self.virtual, *(jobs[0][0] for jobs in self.by_tag.values())))

    def oldest(self, without: frozenset[str]) -> float | None:
        return min((self._oldest_of(type_) for type_ in self.by_tag if type_ not in without), default=None)

    def pop(self, without: frozenset[str]) -> J:
        first = min((*jobs[0][:2], type_) for type_, jobs in self.by_tag.items() if type_ not in without)
        tag, _, job = heapq.heappop(self.by_tag[first[2]])
        if not self.by_tag[job.type]:
            del self.by_tag[job.type], self.by_due[job.type]
        self.virtual = max(self.virtual, tag)  # those that were passed have tags behind it
        self.serials.discard(job.serial)
        return job

    def _oldest_of(self, type_: str) -> float:
        dues = self.by_due[type_]
        while dues[0][1] not in self.serials:
            heapq.heappop(dues)
        return dues[0][0]


_Place = tuple[Priority, str]


class FairQueue(Generic[J]):
    """Jobs that wait, in one process. Times are seconds of one clock.

    Attributes:
        tenants: The limits of tenants, and what counts against them.
    """

    def __init__(self) -> None:
        self.tenants = Tenants()
        self._classes: dict[Priority, _Class[J]] = {}
        self._holders: dict[str, int] = {}  # ordering key -> serial of the job that holds it
        self._lines: dict[str, list[tuple[int, J]]] = {}
        self._in_line: dict[int, J] = {}
        self._held: dict[_Place, list[tuple[float, int, J]]] = {}  # of tenants with a limit
        self._look_at: dict[_Place, float] = {}  # when one of them may have room

    def __len__(self) -> int:
        held = sum(len(jobs) for jobs in self._held.values())
        return len(self._in_line) + held + sum(len(one.serials) for one in self._classes.values())

    def blocked(self, now: float) -> int:
        """How many wait for an earlier one of their key, or for room within the limit of their tenant."""
        held: dict[str, int] = {}
        for (_, tenant), jobs in self._held.items():
            held[tenant] = held.get(tenant, 0) + len(jobs)
        rooms = {tenant: self.tenants.room(tenant, now=now)[0] for tenant in held}
        return len(self._in_line) + sum(int(max(0, count - rooms[tenant])) for tenant, count in held.items())

    @property
    def look_at(self) -> float | None:
        """When a tenant that was at its limit may have room again."""
        return min(self._look_at.values(), default=None)

    def add(self, job: J) -> None:
        """It waits from now on, for the first time or again."""
        if job.ordering_key and self._holders.setdefault(job.ordering_key, job.serial) != job.serial:
            heapq.heappush(self._lines.setdefault(job.ordering_key, []), (job.serial, job))
            self._in_line[job.serial] = job
        elif self.tenants.limited(job.tenant) or (job.priority, job.tenant) in self._held:
            self._hold(job, look_at=0.0)
        else:
            self._rank(job)

    def add_first(self, job: J, now: float = 0.0) -> None:
        """It was popped and has not run: it goes before those of its class, at nobody's expense."""
        self.tenants.ended(job.tenant, now=now, unused=True)
        one = self._classes.setdefault(job.priority, _Class())
        one.add(job, one.first_tag())

    def pop(self, now: float = 0.0, *, without: frozenset[str] = frozenset()) -> J | None:
        """The next one of other types than these, in flight from now on; None when none can run."""
        while True:
            self._let_go(now, without)
            dues = {priority: one.oldest(without) for priority, one in self._classes.items()}
            oldest = {priority: due for priority, due in dues.items() if due is not None}
            if not oldest:
                return None
            priority = next_class(oldest)
            chosen = self._classes[priority]
            virtual, job = chosen.virtual, chosen.pop(without)
            if not chosen.serials:
                del self._classes[priority]
            free, again = self.tenants.room(job.tenant, now=now)
            if free:
                self.tenants.began(job.tenant, now=now)
                self._look_soon(job.tenant)
                return job
            chosen.virtual = virtual
            self._hold(job, look_at=again)

    def interrupted(self, job: J, now: float = 0.0, *, unused: bool = False) -> None:
        """It is not in flight any more, and will come back. `unused`: it has not begun."""
        self.tenants.ended(job.tenant, now=now, unused=unused)
        self._look_soon(job.tenant)

    def ended(self, job: J, now: float = 0.0, *, unused: bool = False) -> None:
        """It is done or dead: the next one of its key may run, and another one of its tenant."""
        self.interrupted(job, now, unused=unused)
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
        dues = [due for one in self._classes.values() if (due := one.oldest(frozenset())) is not None]
        held = [jobs[0][0] for jobs in self._held.values()]
        return min((*dues, *held, *(job.due for job in self._in_line.values())), default=None)

    def _rank(self, job: J) -> None:
        one = self._classes.setdefault(job.priority, _Class())
        one.add(job, one.next_tag(job.tenant))

    def _hold(self, job: J, *, look_at: float) -> None:
        place = (job.priority, job.tenant)
        heapq.heappush(self._held.setdefault(place, []), (job.due, job.serial, job))
        self._look_at[place] = look_at or self._look_at.get(place, 0.0)

    def _look_soon(self, tenant: str) -> None:
        for priority in Priority if tenant and self._held else ():
            if (priority, tenant) in self._held:
                self._look_at[priority, tenant] = 0.0

    def _let_go(self, now: float, without: frozenset[str]) -> None:
        """The first of each line whose tenant has room may run; those before it of the types `without` as well."""
        for place in [place for place, at in self._look_at.items() if at <= now]:
            free, self._look_at[place] = self.tenants.room(place[1], now=now)
            if free:
                # Looked at again when this one is chosen, and all of the line when the limit is gone.
                self._look_at[place] = now if free == math.inf else now + LOOK_AGAIN_SECONDS
                jobs = self._held[place]
                while jobs:
                    job = heapq.heappop(jobs)[2]
                    self._rank(job)
                    if job.type not in without:
                        break
                if not jobs:
                    del self._held[place], self._look_at[place]

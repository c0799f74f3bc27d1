"""What workers and queues have said over time, boiled down as it arrives: no look is needed at every moment.

Only what was said counts. Times are those at which something was true, by the clock of whoever gathers (monotonic
seconds): a report that is 8 s old proves nothing about the 8 s since. A gap longer than a report holds ends whatever
was going on, so a collector that restarts, or a stream that breaks, costs evidence and never makes any. A collector
that vouches for what it said last (`held`, `unchanged`) leaves no gap.
"""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from workerpool_operator.domain.scaling.workers import REPORT_FRESH_SECONDS

REST_SECONDS: Final = 5.0
"""A healthy worker takes what it can within a moment. One that has had room for so long, and took nothing, rested."""


class Word(NamedTuple):
    """One report of a worker, as far as it concerns its intake. A tuple: made and compared for each report."""

    boot_id: str
    """Another one is another process, whose counters begin anew."""
    taken: int
    """Grows with each job that it takes: begun, failed (some do unbegun, malformed or tried too often), or handed back
    because its lane was full."""
    full: bool
    """Whether all its slots were taken."""
    fenced: bool = False
    """Whether it obeys a fence of the operator."""
    paused: bool = False
    """Whether it takes nothing for a reason of its own: it says which (the broker is away, it drains, a limit)."""
    barred: frozenset[str] = frozenset()
    """Queues from which it can take nothing, as it says, while it may take from others."""

    @property
    def able(self) -> bool:
        """Whether it could take a job: it has room, and nothing keeps it from that."""
        return not (self.full or self.paused or self.fenced)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """What one process of a worker has done of late."""

    since: float
    """When it was first heard."""
    heard_at: float
    last: Word
    idle: float = 0.0
    """Seconds for which it has had room for a job, was free to take one, and began none. A fence holds the count."""
    moved_at: float | None = None
    """When it was last seen to have begun a job."""
    full_at: float | None = None
    """When it last had no room."""
    rested_at: float | None = None
    """When it was last idle for at least `REST_SECONDS`."""

    def fresh(self, now: float) -> bool:
        """Whether it says anything about now."""
        return now - self.heard_at <= REPORT_FRESH_SECONDS


def heard(before: Conduct | None, word: Word, *, at: float) -> Conduct:
    """What is known after this word, which was true at `at`."""
    if before is None or _another_process(before.last, word):
        return Conduct(since=at, heard_at=at, last=word, full_at=at if word.full else None)
    at = max(at, before.heard_at)
    return _after(before, word, at=at, idle=_idle_until(before, word, at=at))


def held(before: Conduct, *, at: float) -> Conduct:
    """What is known when its collector vouches that the last word was so all the time, up to `at`."""
    if at <= before.heard_at:
        return before
    idle = before.idle + (at - before.heard_at if before.last.able else 0.0)
    return _after(before, before.last, at=at, idle=idle)


def _after(before: Conduct, word: Word, *, at: float, idle: float) -> Conduct:
    moved = word.taken > before.last.taken
    regained = before.last.barred - word.barred  # it has its time anew for what waits there
    return Conduct(  # not by `replace`, which takes twice as long: this is done for each report of each worker
        since=before.since,
        heard_at=at,
        last=word,
        idle=0.0 if moved or word.paused or regained else idle,
        moved_at=at if moved else before.moved_at,
        full_at=at if word.full else before.full_at,
        rested_at=at if idle >= REST_SECONDS and not word.fenced else before.rested_at,
    )


def _another_process(last: Word, word: Word) -> bool:
    return word.boot_id != last.boot_id or word.taken < last.taken


def _idle_until(before: Conduct, word: Word, *, at: float) -> float:
    """Up to this word. A change is told at once: what a worker says of itself held until it says something else."""
    gap, last = at - before.heard_at, before.last
    if gap > REPORT_FRESH_SECONDS:
        return 0.0
    return before.idle + gap if last.able and not word.fenced else before.idle


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of a queue that succeeded."""

    waiting: int
    """Jobs that could be taken: not those whose time has not come."""
    arrivals: int | None
    """Jobs that ever could be taken, where the broker counts them."""
    holds_seconds: float
    """For how long this says something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How long jobs have been waiting in one queue, without a moment that is known to be without one."""

    read_at: float
    last: Reading
    since: float | None
    """Since when; None while none waits."""
    drawn_at: float | None = None
    """When it was last seen that somebody took a job. Stays None where the broker does not count what comes."""

    def seconds(self, now: float) -> float:
        """For how long jobs are known to have waited; 0 when the last reading says nothing about now."""
        if self.since is None or now - self.read_at > self.last.holds_seconds:
            return 0.0
        return self.read_at - self.since


def read(before: Waiting | None, reading: Reading, *, at: float) -> Waiting:
    """What is known of the queue after this reading, which was true at `at`.

    Readings that failed are none. One that is older than the last, by another collector, changes nothing.
    """
    if before is not None and at <= before.read_at:
        return before
    since = at if reading.waiting else None
    if before is None or at - before.read_at > before.last.holds_seconds:
        return Waiting(read_at=at, last=reading, since=since)
    if reading.waiting and before.since is not None:
        since = before.since
    drawn_at = at if _drawn(before.last, reading) else before.drawn_at
    return Waiting(read_at=at, last=reading, since=since, drawn_at=drawn_at)


def unchanged(before: Waiting, *, at: float) -> Waiting:
    """What is known when its collector vouches that the last reading was so all the time, up to `at`."""
    return replace(before, read_at=max(at, before.read_at))


def _drawn(last: Reading, reading: Reading) -> bool:
    """Whether jobs left the queue: more came than wait more. Retries come without being counted: so it may say no."""
    if last.arrivals is None or reading.arrivals is None or reading.arrivals < last.arrivals:
        return False
    return reading.arrivals - last.arrivals > reading.waiting - last.waiting

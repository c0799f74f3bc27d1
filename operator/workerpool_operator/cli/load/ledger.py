"""What became of each job, added up from the records that workers write.

A worker of job type `sleep` writes a record when it starts a job and when it ends it, before the acknowledgement: see
`records` and `results` for where. So a job that was cut off shows as a start without an end, followed by another start;
one that was done twice, as two ends.

The time of a record is by a clock that is known to the feeder (that of Redis), or by the worker's own. Of that one only
this is known: when it was told, it was not later than when the record came here. So the smallest difference of the two,
over all records of a worker, sets its clock: too late by what its quickest record took to come, which is why times by
it are never too early.
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self


class Event(StrEnum):
    """What a worker tells of a job."""

    START = "start"
    """The handler begins."""
    FINISH = "finish"
    """The handler is done; the acknowledgement follows."""
    FAIL = "fail"
    """The handler gives up this attempt."""


_EVENTS: Final = {event.value.encode(): event for event in Event}


@dataclass(frozen=True, slots=True)
class Record:
    """One word of a worker about one job."""

    event: Event
    job: str
    at_ms: float
    """Unix milliseconds by the clock of Redis, or by the worker's where `came_ms` says when it came."""
    pod: str = ""
    node: str = ""
    came_ms: float | None = None
    """By the feeder's monotonic clock; None where `at_ms` is by a known clock."""

    @classmethod
    def parse(cls, entry_id: bytes, fields: Mapping[bytes, bytes]) -> Self | None:
        """From an entry of the stream; None for one that is no record, since anyone may write there."""
        event, job = _EVENTS.get(fields.get(b"event", b"")), fields.get(b"job")
        milliseconds = entry_id.partition(b"-")[0]
        if event is None or not job or not milliseconds.isdigit():
            return None
        pod, node = (fields.get(name, b"").decode(errors="replace") for name in (b"pod", b"node"))
        return cls(event, job.decode(errors="replace"), int(milliseconds), pod=pod, node=node)


@dataclass(slots=True)
class _Job:
    due_ms: float
    burst: int
    starts: int = 0
    fails: int = 0
    finishes: int = 0
    dead: bool = False
    first_start_ms: float = 0.0
    first_pod: str = ""
    last_start_ms: float = 0.0
    last_pod: str = ""
    done_ms: float = 0.0
    done_pod: str = ""
    run_ms: float | None = None

    @property
    def ends(self) -> int:
        return self.fails + self.finishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The jobs of a run, counted, and their times in seconds."""

    enqueued: int
    recorded: bool
    """Whether any worker wrote records; without them only `enqueued` means something."""
    done: int
    dead: int
    """Ended in the dead letters."""
    unfinished: int
    duplicated: int
    """Done more than once."""
    interrupted: int
    """Started again although no end of an earlier start was told: a worker died, or gave the job back."""
    waits: tuple[float, ...]
    """From when a job was due to its first start, for each job that started; ascending."""
    first_starts: tuple[float, ...]
    """From when a burst was due to the first start of any of its jobs; ascending."""
    work_seconds: float
    """From when the first job was due to when the last one was done."""
    waits_of: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """The waits by burst."""
    runs: tuple[float, ...] = ()
    """From the start of the attempt that was the first to be done until its end, by the worker's clock; ascending."""


@dataclass(slots=True)
class Ledger:
    """Takes in records, gives counts.

    `offset_ms` is the unix time of the known clock minus the feeder's monotonic time, in ms; 0 where none is known.
    """

    offset_ms: float
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _nodes: set[str] = field(default_factory=set)
    _pods: set[str] = field(default_factory=set)
    _clocks: dict[str, float] = field(default_factory=dict)
    """What to add to the times of each pod, by the quickest record of it."""
    _done: int = 0
    _dead: int = 0
    _records: int = 0

    def sent(self, job_id: str, *, due: float, burst: int) -> None:
        """A job was sent that was due at the monotonic time `due`."""
        self._jobs[job_id] = _Job(due_ms=due * 1000.0 + self.offset_ms, burst=burst)

    def withdraw(self, job_id: str) -> None:
        """Nobody knows whether this job was sent: the broker did not confirm it before the load ended."""
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self._done -= job.finishes > 0
            self._dead -= job.dead

    def told_of(self, job_id: str) -> bool:
        """Whether a worker, or a dead letter, has told of this job."""
        job = self._jobs.get(job_id)
        return job is not None and bool(job.starts or job.ends or job.dead)

    def add(self, records: Iterable[Record]) -> None:
        """Take in records; those of other runs are passed over."""
        for record in records:
            job = self._jobs.get(record.job)
            if job is None:
                continue
            self._records += 1
            self._pods.add(record.pod)
            self._nodes.add(record.node)
            if record.came_ms is not None:
                slow = record.came_ms - record.at_ms
                self._clocks[record.pod] = min(slow, self._clocks.get(record.pod, slow))
            match record.event:
                case Event.START:
                    _begun(job, record)
                case Event.FAIL:
                    job.fails += 1
                case Event.FINISH:
                    self._done += job.finishes == 0
                    _finished(job, record)

    def add_dead(self, job_ids: Iterable[str]) -> None:
        """These jobs are in the dead letters."""
        for job_id in job_ids:
            job = self._jobs.get(job_id)
            if job is not None and not job.dead:
                job.dead = True
                self._dead += 1

    @property
    def enqueued(self) -> int:
        """Jobs sent so far."""
        return len(self._jobs)

    @property
    def done(self) -> int:
        """Jobs that were done at least once, so far."""
        return self._done

    @property
    def records(self) -> int:
        """Records taken in so far."""
        return self._records

    @property
    def pods(self) -> frozenset[str]:
        """Names of the pods that worked on these jobs."""
        return frozenset(self._pods)

    @property
    def nodes(self) -> frozenset[str]:
        """Names of the nodes whose pods worked on these jobs."""
        return frozenset(self._nodes)

    @property
    def settled(self) -> bool:
        """Whether each job sent so far is done or dead."""
        return self._done + self._dead >= len(self._jobs)

    def outcome(self) -> Outcome:
        """Count."""
        jobs = list(self._jobs.values())
        started = [job for job in jobs if job.starts]
        unfinished = [job for job in jobs if not job.finishes and not job.dead]
        waits: dict[int, list[float]] = {}
        for job in started:
            began = job.first_start_ms + self._clocks.get(job.first_pod, 0.0)
            waits.setdefault(job.burst, []).append(_not_negative((began - job.due_ms) / 1000.0))
        last_done = max((job.done_ms + self._clocks.get(job.done_pod, 0.0) for job in jobs if job.finishes), default=0)
        return Outcome(
            enqueued=len(jobs),
            recorded=self._records > 0,
            done=self._done,
            dead=sum(job.dead for job in jobs),
            unfinished=len(unfinished),
            duplicated=sum(job.finishes > 1 for job in jobs),
            interrupted=sum(_was_interrupted(job) for job in jobs),
            waits=tuple(sorted(itertools.chain.from_iterable(waits.values()))),
            first_starts=tuple(sorted(min(each) for each in waits.values())),
            work_seconds=max(0.0, (last_done - min(job.due_ms for job in jobs)) / 1000.0) if last_done else 0.0,
            waits_of={burst: tuple(sorted(each)) for burst, each in sorted(waits.items())},
            runs=tuple(sorted(_not_negative(job.run_ms / 1000.0) for job in jobs if job.run_ms is not None)),
        )


def _begun(job: _Job, record: Record) -> None:
    job.starts += 1
    if job.starts == 1:
        job.first_start_ms, job.first_pod = record.at_ms, record.pod
    job.last_start_ms, job.last_pod = record.at_ms, record.pod


def _finished(job: _Job, record: Record) -> None:
    job.finishes += 1
    if job.finishes > 1:
        return
    job.done_ms, job.done_pod = record.at_ms, record.pod
    if job.starts and job.last_pod == record.pod:  # else two clocks, or a start that has not come yet
        job.run_ms = record.at_ms - job.last_start_ms


def _was_interrupted(job: _Job) -> bool:
    """A job that is not done may be running right now: one open start is then no interruption."""
    may_run = 0 if job.finishes or job.dead else 1
    return job.starts - job.ends > may_run


def _not_negative(seconds: float) -> float:
    """The two clocks are known to each other within half a round trip only."""
    return max(0.0, seconds)

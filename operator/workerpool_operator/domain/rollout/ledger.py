"""From counters that begin anew with each process to what happened between two looks, by version.

| Rule | Why |
|---|---|
| counters are compared per pod and start | they begin at 0 with each process; one that fell is another start |
| the first reading of a pod is a baseline | what it did before cannot be laid to any stretch of time |
| a process that is warming up is not counted, on either side | caches are cold, connections are made |
| an attempt is a trial when it is over: those begun less those in flight | long jobs cannot have failed yet |
| what a process began and never ended is lost, and failed, once its lease is over | who is killed reports nothing |
| deaths are those of the pod's containers, as Kubernetes counts them | what dies at its start never reports |
| jobs and crashes of evicted pods are not laid to their version | a node was drained |
| a look at which nothing could be read changes nothing | errors of measurement are no errors of the canary |

All of it lives in memory and is bounded by the pods there are, and those that died within a lease.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf
from typing import Final

from workerpool_operator.domain.rollout.evidence import Signal
from workerpool_operator.domain.rollout.mixture import Interval
from workerpool_operator.domain.rollout.spread import Spread, cell

INCIDENT_SECONDS: Final = 60.0
"""Failures of one pod within so long may have one cause."""
_MINUTE: Final = 60.0


class Side(StrEnum):
    """Which of the two versions that are compared."""

    CANARY = "canary"
    """The one that is judged."""
    STABLE = "stable"
    """The one that it is judged against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One worker at a look. Totals are since its process started."""

    uid: str
    start: str
    """Another one is another process."""
    version: str = ""
    """Hash of the version that it runs, as it says."""
    side: Side = Side.STABLE
    """Whose part that version plays."""
    age_seconds: float
    """Of that process."""
    heard_at: float
    """When these counters were true, by the caller's monotonic clock."""
    started: int
    """Attempts begun."""
    finished: int
    """Attempts that ended in whatever way, those handed back included."""
    in_flight: int
    first_attempts: int
    first_failures: int
    first_slow: int | None = None
    """None: the worker does not count them."""
    first_late: int | None = None
    """None: no time is promised, or the worker does not count them."""
    paused: bool = False
    """Whether it takes nothing for a reason that it tells, or because it was told so."""
    evicted: bool = False
    """It is taken off its node (`DisruptionTarget`): what it leaves undone is not its version's fault."""
    last_words: bool = False
    """It has drained, and these are its last totals."""

    @property
    def over(self) -> int:
        """First attempts that are over, if all that is in flight are such."""
        return max(0, self.first_attempts - self.in_flight)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """What Kubernetes says of one worker pod at a look, whether or not its worker was ever heard."""

    uid: str
    version: str = ""
    side: Side = Side.STABLE
    placed: bool = True
    """Whether it has a node."""
    ready: bool = True
    crashes: int = 0
    """Deaths of its containers that nobody asked for, since the pod was made."""
    evicted: bool = False
    """Whether it is taken off its node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pod:
    """A pod between two looks."""

    state: PodState
    seen_at: float
    minutes: float = 0.0
    """Since it is watched."""
    deaths: int = 0
    incident_at: float = -inf
    """When the last incident began."""

    @property
    def cell(self) -> Spread:
        return cell(self.minutes, self.deaths)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """What of a worker's process has been counted."""

    over: int = 0
    """First attempts that were over, counted or left out."""
    warm: int = 0
    """First attempts that it had begun when it was first counted."""
    open: int = 0
    """Attempts that it began, no longer has, and has not told the end of."""
    open_since: float = 0.0
    lost: int = 0
    """Of those, counted as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """A pod between two looks."""

    reading: Reading
    process: _Process
    cells: Mapping[Signal, tuple[float, int]] = field(default_factory=dict)
    """Trials and failures since it is watched."""
    incidents: Mapping[Signal, float] = field(default_factory=dict)
    """When the last one began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """A process that is gone with jobs; theirs is the time until their lease is over."""

    uid: str
    start: str
    side: Side
    due: float
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The baselines."""

    watched: Mapping[str, _Watched] = field(default_factory=dict)
    pods: Mapping[str, _Pod] = field(default_factory=dict)
    ended: tuple[_Ended, ...] = ()

    def cells(self, signal: Signal, side: Side) -> Spread:
        """How the failures of the pods that are watched now are spread over them."""
        spread = Spread()
        if signal is Signal.CRASHES:
            for pod in self.pods.values():
                spread = spread.plus(pod.cell) if pod.state.side is side else spread
            return spread
        for one in self.watched.values():
            if one.reading.side is side and signal in one.cells:
                spread = spread.plus(cell(*one.cells[signal]))
        return spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What happened since the look before."""

    intervals: Mapping[Signal, Interval] = field(default_factory=dict)
    incidents: Mapping[Signal, int] = field(default_factory=dict)
    """Of the canary."""
    closed: Mapping[tuple[Signal, Side], Spread] = field(default_factory=dict)
    """Cells of pods that are gone."""


@dataclass(slots=True)
class _Sums:
    """Of one look, as they are added up."""

    intervals: dict[Signal, Interval] = field(default_factory=dict)
    incidents: dict[Signal, int] = field(default_factory=dict)
    closed: dict[tuple[Signal, Side], Spread] = field(default_factory=dict)

    def add(self, signal: Signal, side: Side, trials: float, failures: int) -> None:
        canary = side is Side.CANARY
        interval = Interval(trials, failures) if canary else Interval(0.0, 0, trials, failures)
        self.intervals[signal] = self.intervals.get(signal, Interval()).plus(interval)


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Of one pod and look, as it is added up."""

    sums: _Sums
    side: Side
    now: float
    cells: dict[Signal, tuple[float, int]]
    incidents: dict[Signal, float]

    def add(self, signal: Signal, trials: float, failures: int) -> None:
        self.sums.add(signal, self.side, trials, failures)
        had_trials, had_failures = self.cells.get(signal, (0.0, 0))
        self.cells[signal] = (had_trials + trials, had_failures + failures)
        if failures and self.now - self.incidents.get(signal, -INCIDENT_SECONDS) >= INCIDENT_SECONDS:
            self.incidents[signal] = self.now
            if self.side is Side.CANARY:
                self.sums.incidents[signal] = self.sums.incidents.get(signal, 0) + 1


def observe(
    ledger: Ledger,
    readings: Iterable[Reading],
    pods: Iterable[PodState] = (),
    *,
    now: float,
    warmup_seconds: float,
    lease_seconds: float,
) -> tuple[Ledger, Happened]:
    """The next baselines, and what happened since the last. Whoever is not among the readings is gone.

    Only for a look at which the pods could be read: else nothing is known of who is gone.
    """
    sums, watched, ended = _Sums(), dict[str, _Watched](), list(ledger.ended)
    for reading in readings:
        before = ledger.watched.get(reading.uid)
        if before is None:
            ended = [one for one in ended if (one.uid, one.start) != (reading.uid, reading.start)]
            watched[reading.uid] = _Watched(
                reading=reading, process=_Process(over=reading.over, warm=reading.first_attempts)
            )
            continue
        if _restarted(before.reading, reading):
            ended += _left_behind(before, evicted=reading.evicted, lease_seconds=lease_seconds)
        watched[reading.uid] = _counted(
            before, reading, sums, now=now, warmup_seconds=warmup_seconds, lease_seconds=lease_seconds
        )
    for uid in ledger.watched.keys() - watched.keys():
        gone = ledger.watched[uid]
        ended += _left_behind(gone, evicted=gone.reading.evicted, lease_seconds=lease_seconds)
        for signal, (trials, failures) in gone.cells.items():
            key = (signal, gone.reading.side)
            sums.closed[key] = sums.closed.get(key, Spread()).plus(cell(trials, failures))
    for one in ended:
        if one.due <= now:
            sums.add(Signal.FAILURES, one.side, one.jobs, one.jobs)
            if one.side is Side.CANARY:
                sums.incidents[Signal.FAILURES] = sums.incidents.get(Signal.FAILURES, 0) + 1
    states = _died(ledger.pods, pods, sums, now=now)
    happened = Happened(intervals=sums.intervals, incidents=sums.incidents, closed=sums.closed)
    return Ledger(watched=watched, pods=states, ended=tuple(one for one in ended if one.due > now)), happened


def _died(known: Mapping[str, _Pod], pods: Iterable[PodState], sums: _Sums, *, now: float) -> dict[str, _Pod]:
    """The pods after this look. Also those whose worker was never heard: what dies at its start says nothing."""
    states: dict[str, _Pod] = {}
    for state in pods:
        before = known.get(state.uid)
        if before is None:
            states[state.uid] = _Pod(state=state, seen_at=now)
            continue
        died = 0 if state.evicted else max(0, state.crashes - before.state.crashes)
        minutes = (now - before.seen_at) / _MINUTE
        sums.add(Signal.CRASHES, state.side, minutes, died)
        another = bool(died) and now - before.incident_at >= INCIDENT_SECONDS
        if another and state.side is Side.CANARY:
            sums.incidents[Signal.CRASHES] = sums.incidents.get(Signal.CRASHES, 0) + 1
        states[state.uid] = _Pod(
            state=state,
            seen_at=now,
            minutes=before.minutes + minutes,
            deaths=before.deaths + died,
            incident_at=now if another else before.incident_at,
        )
    for uid in known.keys() - states.keys():
        if known[uid].minutes:
            key = (Signal.CRASHES, known[uid].state.side)
            sums.closed[key] = sums.closed.get(key, Spread()).plus(known[uid].cell)
    return states


def _restarted(before: Reading, after: Reading) -> bool:
    fell = after.started < before.started or after.first_attempts < before.first_attempts
    return after.start != before.start or fell


def _left_behind(gone: _Watched, *, evicted: bool, lease_seconds: float) -> list[_Ended]:
    """What a process left undone, as far as it was begun under watch."""
    last = gone.reading
    jobs = min(last.started - last.finished - gone.process.lost, last.first_attempts - gone.process.warm)
    if jobs <= 0 or evicted or last.last_words:
        return []
    due = last.heard_at + lease_seconds
    return [_Ended(uid=last.uid, start=last.start, side=last.side, due=due, jobs=jobs)]


def _counted(
    before: _Watched, reading: Reading, sums: _Sums, *, now: float, warmup_seconds: float, lease_seconds: float
) -> _Watched:
    """The pod after this reading; what it did since the last one is added to the sums."""
    last = before.reading
    if reading.heard_at <= last.heard_at:
        return before
    tally = _Tally(sums=sums, side=reading.side, now=now, cells=dict(before.cells), incidents=dict(before.incidents))
    process = before.process
    failures, slow, late = last.first_failures, last.first_slow, last.first_late
    if _restarted(last, reading):
        process, failures, slow, late = _Process(), 0, reading.first_slow and 0, reading.first_late and 0
    if reading.age_seconds < warmup_seconds:
        process = replace(process, over=reading.over, warm=reading.first_attempts)
    else:
        process, lost = _missed(process, reading, now=now, lease_seconds=lease_seconds)
        attempts = max(0, reading.over - process.over)
        process = replace(process, over=process.over + attempts)
        tally.add(Signal.FAILURES, attempts, max(0, reading.first_failures - failures) + lost)
        if reading.first_slow is not None and slow is not None:
            tally.add(Signal.SLOW, attempts, max(0, reading.first_slow - slow))
        if reading.first_late is not None and late is not None:
            tally.add(Signal.LATE, attempts, max(0, reading.first_late - late))
    return _Watched(reading=reading, process=process, cells=tally.cells, incidents=tally.incidents)


def _missed(process: _Process, reading: Reading, *, now: float, lease_seconds: float) -> tuple[_Process, int]:
    """Jobs that the process began, does not have and never ended; lost, if that stays so for a lease."""
    missing = max(0, reading.started - reading.finished - reading.in_flight - process.lost)
    if not missing and not process.open:
        return process, 0
    if not missing or not process.open:
        return replace(process, open=missing, open_since=now), 0
    missing = min(missing, process.open)
    if now - process.open_since < lease_seconds:
        return replace(process, open=missing), 0
    return replace(process, open=0, lost=process.lost + missing), min(missing, reading.first_attempts - process.warm)

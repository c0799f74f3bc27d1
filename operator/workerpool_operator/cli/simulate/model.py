"""A pool of workers in played time: `decide`, as the operator asks it, and a model of what becomes of its answers.

Jobs are a fluid: what runs ends at a rate of 1 / service time, and whoever came first begins first. A pod takes
`start_seconds` until it can take jobs. Only pods without a job are taken away, those that still start first, as the
operator does it. The estimates of arrivals and service time are the operator's own, too.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from workerpool_operator.api import PredictiveMode, WorkerPool
from workerpool_operator.domain.rules import rules_of
from workerpool_operator.domain.scaling import (
    Decision,
    Fleet,
    Forecast,
    History,
    Inputs,
    Meter,
    Progress,
    Rules,
    Sample,
    Service,
    Silence,
    Traffic,
    decide,
    metered,
    served,
)
from workerpool_operator.forecast import Course, lead_bins, predict, width_of

TICK_SECONDS: Final = 1.0
MONDAY: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""When a simulation begins, for schedules."""
_NOTHING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """What the model takes for given."""

    job_seconds: float
    start_seconds: float
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One tick. Jobs and pods at its end."""

    at: float
    arrivals: float
    """Jobs that came in it."""
    waiting: float
    running: float
    desired: int
    pods: int
    """Those that start included."""
    ready: int
    wait: float
    """Seconds for which the oldest waiting job has waited."""
    limited_by: tuple[str, ...]


@dataclass(slots=True)
class _Line:
    """Jobs that wait, in the order in which they came: (time, how many)."""

    waiting: deque[tuple[float, float]] = field(default_factory=deque)
    begun: list[tuple[float, float]] = field(default_factory=list)
    """(seconds that they waited, how many)."""
    total: float = 0.0

    def come(self, count: float, *, at: float) -> None:
        if count > 0:
            self.waiting.append((at, count))
            self.total += count

    def begin(self, count: float, *, at: float) -> None:
        """So many of those that wait begin."""
        left = min(count, self.total)
        self.total -= left
        while left > _NOTHING and self.waiting:
            came, some = self.waiting[0]
            taken = min(some, left)
            left -= taken
            self.begun.append((max(0.0, at - came), taken))
            if some - taken > _NOTHING:
                self.waiting[0] = (came, some - taken)
            else:
                self.waiting.popleft()

    def oldest(self, *, at: float) -> float:
        return max(0.0, at - self.waiting[0][0]) if self.waiting else 0.0


@dataclass(slots=True)
class _Estimates:
    """As the operator makes them."""

    came: Meter | None = None
    service: Service = field(default_factory=Service)
    word: Progress = field(default_factory=lambda: Progress("", 0.0, 0.0, 0.0))

    def look(self, *, came: float, ended: float, seconds: float, at: float) -> Traffic:
        self.came = metered(self.came, came, at=at)
        now = Progress("", ended, ended, seconds)
        self.service, self.word = served(self.service, self.word, now, at=at), now
        return Traffic(arrivals=self.came.rate_at(at), service_seconds=self.service.mean)


@dataclass(slots=True)
class _Foresight:
    """The collector's part: counts what comes, and forecasts from it at the end of each bin."""

    course: Course
    lead: int
    forecast: Forecast | None = None
    _jobs: float = 0.0
    _ticks: int = 0

    @classmethod
    def of(cls, pool: WorkerPool) -> "_Foresight | None":
        wanted = pool.spec.scaling.predictive
        if wanted.mode is PredictiveMode.DISABLED:
            return None
        width = width_of(wanted.season_seconds)
        return cls(Course(width=width), lead_bins(wanted.horizon_seconds, width=width))

    def count(self, jobs: float, *, at: float) -> bool:
        """So many came in the tick that ends `at` seconds from the begin; whether a bin has ended with it."""
        self._jobs, self._ticks = self._jobs + jobs, self._ticks + 1
        ended = int((MONDAY.timestamp() + at) / self.course.width)
        if ended <= int((MONDAY.timestamp() + at - TICK_SECONDS) / self.course.width):
            return False
        self.course = self.course.with_bin(ended - 1, self._jobs / (self._ticks * TICK_SECONDS))
        self._jobs, self._ticks = 0.0, 0
        return True

    def look(self, *, at: float) -> None:
        """Forecast from what was counted."""
        outlook = predict(self.course, at=int((MONDAY.timestamp() + at) / self.course.width), lead=self.lead)
        self.forecast = Forecast(rate=outlook.rate, error=outlook.error, why=outlook.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of a pool."""

    name: str
    points: tuple[Point, ...]
    waits: tuple[tuple[float, float], ...]
    """(seconds, jobs that waited so long), of those that began."""
    done: float
    pods: Pods
    silent: tuple[str, ...]
    """Targets that could not say anything at the end, and why."""


def simulate(pool: WorkerPool, arrivals: Sequence[float], *, pods: Pods, name: str, learned: int = 0) -> Run:
    """Play the pool: `arrivals` are the jobs of each tick. Of the first `learned` ticks only the forecast knows."""
    foresight = _Foresight.of(pool)
    for tick, jobs in enumerate(arrivals[:learned], 1):
        if foresight is not None:
            foresight.count(jobs, at=tick * TICK_SECONDS)
    rules = rules_of(pool, slots=pods.slots, wall=MONDAY)
    stage = _Stage(rules=rules, pods=pods, now=learned * TICK_SECONDS, foresight=foresight)
    if foresight is not None:
        foresight.look(at=stage.now)
    points = tuple(stage.tick(jobs) for jobs in arrivals[learned:])
    silent = tuple(f"{one.name}: {one.why}" for one in stage.silent)
    return Run(name=name, points=points, waits=tuple(stage.line.begun), done=stage.done, pods=pods, silent=silent)


@dataclass(slots=True, kw_only=True)
class _Stage:
    rules: Rules
    pods: Pods
    now: float = 0.0
    starting: list[float] = field(default_factory=list)
    """When each pod that starts is ready, ascending."""
    ready: int = 0
    running: float = 0.0
    done: float = 0.0
    came: float = 0.0
    line: _Line = field(default_factory=_Line)
    estimates: _Estimates = field(default_factory=_Estimates)
    history: History = field(default_factory=lambda: History(since=-math.inf, active_at=-math.inf))
    silent: tuple[Silence, ...] = ()
    foresight: _Foresight | None = None

    def tick(self, jobs: float) -> Point:
        self.now += TICK_SECONDS
        self.came += jobs
        self.line.come(jobs, at=self.now)
        if self.foresight is not None and self.foresight.count(jobs, at=self.now):
            self.foresight.look(at=self.now)
        self._start()
        self._work()
        decision = self._decide()
        self._follow(decision.desired)
        return Point(
            at=self.now,
            arrivals=jobs,
            waiting=self.line.total,
            running=self.running,
            desired=decision.desired,
            pods=self.ready + len(self.starting),
            ready=self.ready,
            wait=self.line.oldest(at=self.now),
            limited_by=tuple(str(limiter) for limiter in decision.limited_by),
        )

    def _start(self) -> None:
        up = sum(1 for at in self.starting if at <= self.now)
        self.ready += up
        del self.starting[:up]

    def _work(self) -> None:
        """What runs ends, and others take its place: with jobs shorter than a tick, several times within it."""
        slots, there = self.ready * self.pods.slots, self.running + self.line.total
        ends = min(there, min(there, slots) * TICK_SECONDS / self.pods.job_seconds)
        runs = min(slots, there - ends)
        self.line.begin(runs + ends - self.running, at=self.now)
        self.done += ends
        self.running = runs

    def _decide(self) -> Decision:
        waiting, running = math.ceil(self.line.total - _NOTHING), math.ceil(self.running - _NOTHING)
        current = self.ready + len(self.starting)
        traffic = self.estimates.look(
            came=math.floor(self.came + _NOTHING),
            ended=math.floor(self.done),
            seconds=math.floor(self.done) * self.pods.job_seconds,
            at=self.now,
        )
        sample = Sample(queue="queue", waiting=waiting, in_flight=running, age=0.0, poll_seconds=TICK_SECONDS)
        decision = decide(
            Inputs(
                rules=self.rules,
                queues=("queue",),
                samples=(sample,),
                current=current,
                history=self.history,
                now=self.now,
                wall=MONDAY + timedelta(seconds=self.now),
                pod_start_seconds=self.pods.start_seconds,
                traffic=traffic,
                fleet=Fleet(heard=self.ready, busy=running, slots=self.pods.slots),
                forecast=self.foresight.forecast if self.foresight is not None else None,
            )
        )
        self.history, self.silent = decision.history, decision.silent
        return decision

    def _follow(self, desired: int) -> None:
        surplus = self.ready + len(self.starting) - desired
        if surplus < 0:
            self.starting += [self.now + self.pods.start_seconds] * -surplus
            return
        spared = min(surplus, len(self.starting))
        del self.starting[len(self.starting) - spared :]
        idle = self.ready - math.ceil(self.running / self.pods.slots - _NOTHING)
        self.ready -= max(0, min(surplus - spared, idle))


def quantile(waits: Sequence[tuple[float, float]], share: float) -> float:
    """Seconds that this share of the jobs waited at most; 0 without any."""
    wanted = share * sum(count for _, count in waits)
    seconds = 0.0
    for seconds, count in sorted(waits):  # noqa: B007  the last one is the answer
        wanted -= count
        if wanted <= _NOTHING:
            break
    return seconds


def changes(points: Sequence[Point]) -> Iterator[int]:
    """By how much the wanted size changed, each time that it did."""
    before = 0
    for point in points:
        if point.desired != before:
            yield point.desired - before
        before = point.desired

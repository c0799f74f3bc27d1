"""Who decides on a size in played time: the operator's own function, with what it would know at each moment."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias

from workerpool_operator.api import PredictiveMode, ScalingMode, WorkerPool
from workerpool_operator.domain.rules import rules_of
from workerpool_operator.domain.scaling import (
    Allowance,
    Fleet,
    Forecast,
    History,
    Inputs,
    Meter,
    Outcome,
    Progress,
    Rules,
    Sample,
    Service,
    Traffic,
    decide,
    metered,
    served,
)
from workerpool_operator.forecast import Course, lead_bins, predict, width_of

TICK_SECONDS: Final = 1.0
MONDAY: Final = datetime(2026, 1, 5, tzinfo=UTC)
"""When a simulation begins, for schedules."""
NOTHING: Final = 1e-9
Arrivals: TypeAlias = Sequence[float | None]
"""Jobs of each tick; None: nobody knows, and no job is made up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """What the model takes for given."""

    job_seconds: float
    start_seconds: float
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is to decide by, at the end of a tick. Jobs are counted since the begin."""

    now: float
    waiting: int
    running: int
    known: bool
    """Whether the queue could be read."""
    came: int
    done: int
    pods: int
    ready: int
    granted: int | None = None
    """What a budget gives; None: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A size."""

    desired: int
    wanted: int
    """What it would be without a budget."""
    limited_by: tuple[str, ...] = ()


class Decider(Protocol):
    """Decides once in each tick."""

    @property
    def silent(self) -> tuple[str, ...]:
        """What could not say anything the last time, and why."""

    def learn(self, arrivals: Arrivals) -> None:
        """So many came in each of the ticks before the first."""

    def arrived(self, jobs: float | None, *, at: float) -> None:
        """So many came in the tick that ends at this moment; None: nobody knows."""

    def decide(self, seen: Seen) -> Verdict:
        """The size to have now."""


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

    def count(self, jobs: float | None, *, at: float) -> bool:
        """So many came in the tick that ends `at` seconds from the begin; whether a bin has ended with it.

        None: nobody knows. A bin of which less than half is known is a hole.
        """
        if jobs is not None:
            self._jobs, self._ticks = self._jobs + jobs, self._ticks + 1
        ended = int((MONDAY.timestamp() + at) / self.course.width)
        if ended <= int((MONDAY.timestamp() + at - TICK_SECONDS) / self.course.width):
            return False
        if 2 * self._ticks * TICK_SECONDS >= self.course.width:
            self.course = self.course.with_bin(ended - 1, self._jobs / (self._ticks * TICK_SECONDS))
        self._jobs, self._ticks = 0.0, 0
        return True

    def look(self, *, at: float) -> None:
        """Forecast from what was counted."""
        outlook = predict(self.course, at=int((MONDAY.timestamp() + at) / self.course.width), lead=self.lead)
        self.forecast = Forecast(rate=outlook.rate, error=outlook.error, why=outlook.why)


@dataclass(slots=True)
class Operator:
    """`decide`, as the operator asks it."""

    rules: Rules
    pods: Pods
    silent: tuple[str, ...] = ()
    _foresight: _Foresight | None = None
    _estimates: _Estimates = field(default_factory=_Estimates)
    _history: History = field(default_factory=lambda: History(since=-math.inf, active_at=-math.inf))

    @classmethod
    def of(cls, pool: WorkerPool, pods: Pods) -> "Operator":
        """With the pool's settings."""
        manual = pool.spec.replicas if pool.spec.scaling.mode is ScalingMode.MANUAL else None
        rules = rules_of(pool, slots=pods.slots, wall=MONDAY, manual=manual)
        return cls(rules, pods, _foresight=_Foresight.of(pool))

    def learn(self, arrivals: Arrivals) -> None:
        """Only the forecast knows of them."""
        if self._foresight is not None:
            for tick, jobs in enumerate(arrivals, 1):
                self._foresight.count(jobs, at=tick * TICK_SECONDS)
            self._foresight.look(at=len(arrivals) * TICK_SECONDS)

    def arrived(self, jobs: float | None, *, at: float) -> None:
        """Only the forecast counts them; else it is told how many have come."""
        if self._foresight is not None and self._foresight.count(jobs, at=at):
            self._foresight.look(at=at)

    def decide(self, seen: Seen) -> Verdict:
        """Ask it."""
        traffic = self._estimates.look(
            came=seen.came, ended=seen.done, seconds=seen.done * self.pods.job_seconds, at=seen.now
        )
        sample = Sample(queue="queue", waiting=seen.waiting, in_flight=seen.running, age=0.0, poll_seconds=TICK_SECONDS)
        decision = decide(
            Inputs(
                rules=self.rules,
                queues=("queue",),
                samples=(sample,) if seen.known else (),
                current=seen.pods,
                history=self._history,
                now=seen.now,
                wall=MONDAY + timedelta(seconds=seen.now),
                pod_start_seconds=self.pods.start_seconds,
                traffic=traffic,
                fleet=Fleet(heard=seen.ready, busy=seen.running, slots=self.pods.slots),
                forecast=self._foresight.forecast if self._foresight is not None else None,
                allowance=None if seen.granted is None else Allowance(granted=seen.granted),
            )
        )
        self._history = decision.history
        self.silent = tuple(f"{one.name}: {one.why}" for one in decision.silent)
        held = () if decision.outcome in {Outcome.ACTIVE, Outcome.MANUAL} else (str(decision.outcome),)
        limits = tuple(str(limiter) for limiter in decision.limited_by)
        return Verdict(desired=decision.desired, wanted=decision.wanted, limited_by=held + limits)

"""A pool of workers in played time: who decides on its size, and a model of what becomes of the answers.

Jobs are a fluid: what runs ends at a rate of 1 / service time, and whoever came first begins first. All pods together
begin no more than `delivery.rateLimitPerSecond` lets them. A pod takes `start_seconds` until it can take jobs. Only
pods without a job are taken away, those that still start first, as the operator does it: of whoever else decides, only
the sizes are compared. The estimates of arrivals and service time are the operator's own, too.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from workerpool_operator.api import WorkerPool
from workerpool_operator.cli.simulate.deciding import (
    NOTHING,
    TICK_SECONDS,
    Arrivals,
    Decider,
    Operator,
    Pods,
    Seen,
    Verdict,
)
from workerpool_operator.domain.scaling import Claim, settle

__all__ = ["TICK_SECONDS", "Played", "Pods", "Point", "Run", "changes", "quantile", "simulate", "together"]


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
    known: bool = True
    """Whether the queue could be read."""


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
        while left > NOTHING and self.waiting:
            came, some = self.waiting[0]
            taken = min(some, left)
            left -= taken
            self.begun.append((max(0.0, at - came), taken))
            if some - taken > NOTHING:
                self.waiting[0] = (came, some - taken)
            else:
                self.waiting.popleft()

    def oldest(self, *, at: float) -> float:
        return max(0.0, at - self.waiting[0][0]) if self.waiting else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of a pool."""

    name: str
    points: tuple[Point, ...]
    waits: tuple[tuple[float, float], ...]
    """(seconds, jobs that waited so long), of those that began."""
    left: tuple[tuple[float, float], ...]
    """The same of those that still wait at the end."""
    done: float
    pods: Pods
    silent: tuple[str, ...]
    """Targets that could not say anything at the end, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A pool, its load and its model."""

    pool: WorkerPool
    arrivals: Arrivals
    pods: Pods
    name: str
    decider: Callable[[WorkerPool, Pods], Decider] = Operator.of


def simulate(pool: WorkerPool, arrivals: Arrivals, *, pods: Pods, name: str, learned: int = 0) -> Run:
    """Play the pool: `arrivals` are the jobs of each tick. Of the first `learned` ticks only the forecast knows."""
    return together([Played(pool=pool, arrivals=arrivals, pods=pods, name=name)], learned=learned)[0]


def together(played: Sequence[Played], *, budgets: Mapping[str, "Budget"] | None = None, learned: int = 0) -> list[Run]:
    """Play pools side by side. Those that name the same of these budgets share it, as the operator shares it out."""
    stages = [_Stage.begun(one, learned=learned) for one in played]
    ticks = max(len(one.arrivals) for one in played)
    points: list[list[Point]] = [[] for _ in stages]
    for tick in range(learned, ticks):
        granted = _granted(stages, budgets or {})
        for number, (stage, one) in enumerate(zip(stages, played, strict=True)):
            jobs = one.arrivals[tick] if tick < len(one.arrivals) else 0.0
            points[number].append(stage.tick(jobs, granted=granted.get(number)))
    return [stage.over(tuple(mine)) for stage, mine in zip(stages, points, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Pods that several pools may have together."""

    seats: int
    max_priority: int


def _granted(stages: "Sequence[_Stage]", budgets: Mapping[str, Budget]) -> dict[int, int]:
    """Stage -> the pods that it may have. Each claims what it wanted a tick ago, as with the operator's ledger."""
    found = {}
    for name, budget in budgets.items():
        claims = {number: stage.claim(number, budget) for number, stage in enumerate(stages) if stage.budget == name}
        for (_, number), granted in settle(claims.values(), budget.seats).items():
            found[int(number)] = stages[int(number)].granted = granted
    return found


@dataclass(slots=True, kw_only=True)
class _Stage:
    played: Played
    decider: Decider
    now: float
    starting: list[float] = field(default_factory=list)
    """When each pod that starts is ready, ascending."""
    ready: int = 0
    running: float = 0.0
    done: float = 0.0
    came: float = 0.0
    line: _Line = field(default_factory=_Line)
    wanted: int = 0
    kept: int = 0
    """Pods that take jobs."""
    granted: int = 0

    @classmethod
    def begun(cls, played: Played, *, learned: int) -> "_Stage":
        decider = played.decider(played.pool, played.pods)
        decider.learn(played.arrivals[:learned])
        return cls(played=played, decider=decider, now=learned * TICK_SECONDS)

    @property
    def budget(self) -> str:
        budget = self.played.pool.spec.scaling.budget
        return budget.name if budget is not None else ""

    def claim(self, number: int, budget: Budget) -> Claim:
        scaling = self.played.pool.spec.scaling
        return Claim(
            pool=(self.played.pool.name, str(number)),
            wanted=self.wanted,
            guaranteed=scaling.min_replicas,
            priority=min(scaling.budget.priority if scaling.budget else 0, budget.max_priority),
            used=self.ready + len(self.starting),
            granted=self.granted,
        )

    def tick(self, jobs: float | None, *, granted: int | None) -> Point:
        self.now += TICK_SECONDS
        self.came += jobs or 0.0
        self.line.come(jobs or 0.0, at=self.now)
        self.decider.arrived(jobs, at=self.now)
        self._start()
        self._work()
        verdict = self._decide(known=jobs is not None, granted=granted)
        self.wanted, self.kept = verdict.wanted, verdict.desired
        self._follow(verdict.desired)
        return Point(
            at=self.now,
            arrivals=jobs or 0.0,
            waiting=self.line.total,
            running=self.running,
            desired=verdict.desired,
            pods=self.ready + len(self.starting),
            ready=self.ready,
            wait=self.line.oldest(at=self.now),
            limited_by=verdict.limited_by,
            known=jobs is not None,
        )

    def over(self, points: tuple[Point, ...]) -> Run:
        return Run(
            name=self.played.name,
            points=points,
            waits=tuple(self.line.begun),
            left=tuple((max(0.0, self.now - came), count) for came, count in self.line.waiting),
            done=self.done,
            pods=self.played.pods,
            silent=self.decider.silent,
        )

    def _start(self) -> None:
        up = sum(1 for at in self.starting if at <= self.now)
        self.ready += up
        del self.starting[:up]

    def _work(self) -> None:
        """What runs ends, and others take its place: with jobs shorter than a tick, several times within it.

        Jobs come and begin evenly over a tick. So of short ones those run at its end that began within the last of its
        seconds that a job takes: else a pool under a steady load would look idle each time that it is looked at.
        Pods that are to go are fenced: they take nothing more, and what they run ends as any.
        """
        limit, seconds = self.played.pool.spec.delivery.rate_limit_per_second, self.played.pods.job_seconds
        may_begin = self.line.total if limit is None else min(self.line.total, float(limit) * TICK_SECONDS)
        slots = min(self.ready, self.kept) * self.played.pods.slots
        if seconds < TICK_SECONDS:
            begin = min(may_begin, slots * TICK_SECONDS / seconds)
            runs = begin * seconds / TICK_SECONDS
        else:
            there = self.running + may_begin
            ends = min(there, max(self.running, min(there, slots)) * TICK_SECONDS / seconds)
            runs = max(min(slots, there - ends), self.running - ends)
            begin = runs + ends - self.running
        self.line.begin(begin, at=self.now)
        self.done += self.running + begin - runs
        self.running = runs

    def _decide(self, *, known: bool, granted: int | None) -> Verdict:
        return self.decider.decide(
            Seen(
                now=self.now,
                waiting=math.ceil(self.line.total - NOTHING),
                running=math.ceil(self.running - NOTHING),
                known=known,
                came=math.floor(self.came + NOTHING),
                done=math.floor(self.done),
                pods=self.ready + len(self.starting),
                ready=self.ready,
                granted=granted,
            )
        )

    def _follow(self, desired: int) -> None:
        surplus = self.ready + len(self.starting) - desired
        if surplus < 0:
            self.starting += [self.now + self.played.pods.start_seconds] * -surplus
            return
        spared = min(surplus, len(self.starting))
        del self.starting[len(self.starting) - spared :]
        idle = self.ready - math.ceil(self.running / self.played.pods.slots - NOTHING)
        self.ready -= max(0, min(surplus - spared, idle))


def quantile(waits: Sequence[tuple[float, float]], share: float) -> float:
    """Seconds that this share of the jobs waited at most; 0 without any."""
    wanted = share * sum(count for _, count in waits)
    seconds = 0.0
    for seconds, count in sorted(waits):  # noqa: B007  the last one is the answer
        wanted -= count
        if wanted <= NOTHING:
            break
    return seconds


def changes(points: Sequence[Point]) -> Iterator[int]:
    """By how much the wanted size changed, each time that it did."""
    before = 0
    for point in points:
        if point.desired != before:
            yield point.desired - before
        before = point.desired

"""A new version that comes in the middle of a load: how a pool's rollout ends with it, again and again.

Steps and judge are the operator's own (`domain.rollout`); what they are told is summed up at once, and not read from
each worker's counters look by look: of so many jobs of each version so many failed, at these workers. Only that is left
to chance. The load is that of the run, with its workers. A look comes every ten seconds, and later each fiftieth of the
time that has passed, so that a day takes no longer than an hour. Of the signals only failures happen: nothing is slow,
late or dies, and a job takes as long with either version.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from workerpool_operator.api import WorkerPool
from workerpool_operator.cli.simulate.dice import Dice
from workerpool_operator.cli.simulate.model import TICK_SECONDS, Run
from workerpool_operator.cli.simulate.workers import Side, Workers
from workerpool_operator.domain.rollout import steps
from workerpool_operator.domain.rollout.evidence import Evidence, Signal
from workerpool_operator.domain.rollout.judge import Assessment, Rules, Verdict, assess, gathered
from workerpool_operator.domain.rollout.ledger import Happened, Ledger
from workerpool_operator.domain.rollout.mixture import Interval
from workerpool_operator.domain.rollout.steps import Event, Now, Outcome, Policy, State, Wait
from workerpool_operator.domain.versions import judged, policy_of, rules_of

SLICE_SECONDS: Final = 10.0
_PRECISION: Final = 0.02
_NOBODY: Final = Ledger()
_MINUTE: Final = 60.0


class End(StrEnum):
    """How a rollout ended."""

    PROMOTED = "promoted"
    """The new version took over."""
    REJECTED = "rejected"
    """It went."""
    UNDECIDED = "undecided"
    """The load ended before, or people decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which new version comes, when, and how often that is played."""

    ratio: float
    """How many times as often as the stable version it fails."""
    failure_rate: float
    """Share of the stable version's first attempts that fail."""
    at: float = 0.0
    """Seconds from the begin of the load."""
    runs: int = 200
    seed: int = 1


def wished(ratios: Sequence[float], wish: Wish, *, until: float) -> list[Wish]:
    """The same for each of these ratios; none for none. `until`: when the load ends.

    Raises:
        ValueError: one of them says nothing.
    """
    if any(ratio != 1.0 for ratio in ratios) and not wish.failure_rate:
        raise ValueError("--canary-ratio is a multiple of --failure-rate, and that is 0")
    if ratios and wish.at + SLICE_SECONDS >= until:
        raise ValueError(f"--canary-at {wish.at:.0f}: the load ends after {until:.0f} s")
    return [replace(wish, ratio=ratio) for ratio in ratios]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One rollout."""

    end: End
    why: str
    """What the verdict follows from, or what it still waits for: a word of `status.rollout`."""
    seconds: float
    """Since the version came."""
    step: int
    """From 1."""
    jobs: float
    """First attempts of the new version by then."""
    failed: int
    """Of those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some seconds of the load."""

    until: float
    pods: int
    """At their end."""
    jobs: float
    """That ended in them."""


def rollouts(run: Run, pool: WorkerPool, wish: Wish) -> list[Ended]:
    """Play the pool's rollout over the load of this run, as often as wished. The version comes before the load ends."""
    load = list(slices(run, since=wish.at))
    dice = Dice(random.Random(wish.seed))  # noqa: S311  no secret
    policy, rules = policy_of(pool.spec.rollout), rules_of(pool.spec)
    surge = pool.spec.rollout.surge
    found = []
    for _ in range(wish.runs):
        # The new version comes with the first slice: what was there before is all the stable one's, and long at work.
        workers = Workers(
            surge=surge,
            start_seconds=run.pods.start_seconds,
            warmup_seconds=rules.warmup_seconds,
            now=load[0].until,
            stable=Side(ready=[-math.inf] * load[0].pods),
        )
        found.append(_Rollout(dice=dice, wish=wish, policy=policy, rules=rules, workers=workers).play(load[1:]))
    return found


def slices(run: Run, *, since: float) -> Iterator[Slice]:
    """The load in slices; the first one ends when the version comes."""
    ticks, came, before = int(SLICE_SECONDS / TICK_SECONDS), 0.0, 0.0
    first = next((number for number, point in enumerate(run.points) if point.at >= since), len(run.points))
    for number, point in enumerate(run.points):
        came += point.arrivals
        if number < first or (number - first) % ticks:
            continue
        done = came - point.waiting - point.running
        yield Slice(until=point.at, pods=point.pods, jobs=max(0.0, done - before))
        before = done


@dataclass(slots=True)
class _Sums:
    """Of one version, since it is played."""

    judged: float = 0.0
    told: int = 0
    """Of those, so many the judge knows."""

    def new(self) -> int:
        """Whole jobs that it does not know yet."""
        before, self.told = self.told, int(self.judged)
        return self.told - before


@dataclass(slots=True, kw_only=True)
class _Rollout:
    """One new version, from its coming to its end."""

    dice: Dice
    wish: Wish
    policy: Policy
    rules: Rules
    workers: Workers
    state: State = field(default_factory=lambda: State(stable="stable"))
    evidence: Evidence = field(init=False)
    canary: _Sums = field(default_factory=_Sums)
    stable: _Sums = field(default_factory=_Sums)
    minutes: tuple[float, float] = (0.0, 0.0)
    """Pod-minutes since the last look, the canary's first."""
    jobs: float = 0.0
    """First attempts of the canary, judged or not."""
    counted: int = 0
    failed: int = 0
    began: float = 0.0
    measured: float = 0.0
    """Seconds: the evidence's clocks, which it has from the next look on."""
    unmeasured: float = 0.0
    unready: float = 0.0

    def play(self, load: Sequence[Slice]) -> Ended:
        self.began, self.evidence = self.workers.now, Evidence(nulls=self.rules.nulls)
        self._advance(total=self.workers.ready)
        outcome, due = Outcome(state=self.state, wait=Wait.STEP), 0.0
        for number, one in enumerate(load, 1):
            self._work(one)
            if one.until < due and number < len(load):
                continue
            due = one.until + _PRECISION * (one.until - self.began)
            self._look()
            step = self.state.step
            outcome, said = self._advance(total=one.pods)
            if (end := _end(outcome)) is not None:
                return self._ended(end, _why(said, asleep=not one.pods), step=step)
            if outcome.wait in {Wait.PROMOTION, Wait.ABORTION}:
                break
        return self._ended(End.UNDECIDED, outcome.wait or Wait.STEP, step=self.state.step)

    def _work(self, one: Slice) -> None:
        """A slice of the load; the clocks."""
        workers = self.workers
        gap = one.until - workers.now
        if one.pods and not workers.canary.replicas:
            self.unmeasured = 0.0  # one that cannot have a worker yet, or whose pool slept, has not gone unmeasured
        workers.move(until=one.until, total=one.pods, weight=steps.weight(self.state, self.policy))
        done, judged_canary, judged_stable = workers.work(one.jobs)
        self.jobs += done
        self.canary.judged += judged_canary
        self.stable.judged += judged_stable
        canary, stable = len(workers.canary.ready), len(workers.stable.ready)
        self.minutes = (self.minutes[0] + canary * gap / _MINUTE, self.minutes[1] + stable * gap / _MINUTE)
        if canary:
            self.unready = 0.0
        elif workers.canary.starting and stable:
            self.unready += gap
        self.measured += gap if workers.both_warm else 0.0
        self.unmeasured = 0.0 if workers.both_warm else self.unmeasured + gap

    def _look(self) -> None:
        """What failed since the last one."""
        rate, workers = self.wish.failure_rate, self.workers
        bad = min(self.wish.ratio * rate, 1.0)
        trials, stable_trials = self.canary.new(), self.stable.new()
        failed, stable_failed = self.dice.binomial(trials, bad), self.dice.binomial(stable_trials, rate)
        warming, self.counted = int(self.jobs) - self.counted - trials, int(self.jobs)
        self.failed += failed + self.dice.binomial(warming, bad)
        workers.stable.hit(stable_failed, self.dice, at=workers.now)
        incidents = workers.canary.hit(failed, self.dice, at=workers.now)
        happened = Happened(
            intervals={
                Signal.FAILURES: Interval(trials, failed, stable_trials, stable_failed),
                Signal.SLOW: Interval(trials, 0, stable_trials, 0),
                Signal.CRASHES: Interval(self.minutes[0], 0, self.minutes[1], 0),
            },
            incidents={Signal.FAILURES: incidents},
        )
        self.minutes = (0.0, 0.0)
        evidence = gathered(self.evidence, happened, goals=self.rules.goals)
        spread = replace(
            judged(evidence),
            canary_cells=workers.canary.spread(each=workers.each),
            stable_cells=workers.stable.spread(each=workers.each),
        )
        self.evidence = replace(
            evidence,
            signals={**evidence.signals, Signal.FAILURES: spread},
            measured_seconds=self.measured,
            unmeasured_seconds=self.unmeasured,
            unready_seconds=self.unready,
        )

    def _advance(self, *, total: int) -> tuple[Outcome, Assessment]:
        """What the operator does."""
        assessment = assess(self.evidence, _NOBODY, rules=self.rules)
        now = Now(
            target="canary",
            total=total,
            assessment=assessment,
            measured_seconds=self.evidence.measured_seconds,
            jobs=judged(self.evidence).total.canary_trials,
        )
        outcome = steps.advance(self.state, now, self.policy)
        self.state = outcome.state
        return outcome, assessment

    def _ended(self, end: End, why: str, *, step: int) -> Ended:
        seconds = self.workers.now - self.began
        return Ended(end=end, why=why, seconds=seconds, step=step + 1, jobs=self.jobs, failed=self.failed)


def _end(outcome: Outcome) -> End | None:
    if Event.PROMOTED in outcome.events:
        return End.PROMOTED
    return End.REJECTED if Event.REJECTED in outcome.events else None


def _why(said: Assessment, *, asleep: bool) -> str:
    """What ended it: the verdict's cause, or the setting that ends one without a verdict."""
    if said.verdict is not Verdict.INCONCLUSIVE:
        return said.cause
    return "whenIdle" if asleep else "onInconclusive"

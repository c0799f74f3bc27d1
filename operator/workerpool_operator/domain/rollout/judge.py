"""Whether a canary is worse than the stable version: a verdict at any moment, however often it is asked for.

| Verdict | By |
|---|---|
| FAIL | a signal shows a ratio above `tolerate_ratio`, or the canary alone breaches the SLO, or the budget is spent |
| FAIL | no worker of the canary gets ready, or they are ready and take no job while the stable ones do |
| PASS | every signal shows a ratio below `reject_ratio`, or a rate below the acceptable one |
| INCONCLUSIVE | neither yet, with the ratio that would have been found by now |

What a false PASS costs is bounded per signal: a version that is bad by one of them has to pass that one. What a false
FAIL costs adds up over signals, so each has `false_alarm / SIGNALS` to itself; with objectives of the pool
(`objectives`) each of them counts for one more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import exp, log, sqrt
from typing import Final

from workerpool_operator.domain.rollout.evidence import Evidence, Nulls, Signal, SignalEvidence
from workerpool_operator.domain.rollout.ledger import Happened, Ledger, PodState, Reading, Side, observe
from workerpool_operator.domain.rollout.mixture import Interval, detectable_ratio, log_clean, log_mean
from workerpool_operator.domain.rollout.objectives import Goals, Objective, Standing, followed, stand
from workerpool_operator.domain.rollout.pace import Taken
from workerpool_operator.domain.rollout.spread import Spread, dispersion

JUDGED: Final = (Signal.FAILURES, Signal.SLOW, Signal.CRASHES)
"""By their ratio."""
MISSES: Final = {Objective.AVAILABILITY: Signal.FAILURES, Objective.LATENCY: Signal.LATE}
"""What counts the jobs that miss an objective."""
SIGNALS: Final = len(JUDGED)
"""Judged at once: each has its part of the false alarms."""
LEAST_INCIDENTS: Final = 2
"""One run of failures, however long, may have a cause outside of the version."""
START_SECONDS: Final = 600.0
"""A version of which no worker has been ready for so long does not start: what Kubernetes gives a Deployment."""
MISSED_JOBS: Final = 50.0
"""Who takes none of so many does not take its turn: by chance alone that happens once in e^50 times. Brokers are not as
fair as chance, but not that unfair either."""
_Z95: Final = 1.96


class Verdict(StrEnum):
    """What is known of the canary."""

    PASS = "Pass"  # noqa: S105  a verdict
    """It is not worse than what is rejected, by every signal."""
    FAIL = "Fail"
    """It is worse than what is tolerated, by one signal at least."""
    INCONCLUSIVE = "Inconclusive"
    """Neither is known."""


class Cause(StrEnum):
    """What made the verdict."""

    EVIDENCE = "Evidence"
    """The signals."""
    BUDGET = "FailureBudget"
    """More first attempts of the canary failed than the pool allows it."""
    SLO = "SLO"
    """The canary breaches the pool's SLO and the stable version keeps it."""
    OUTAGE = "Outage"
    """Both versions have breached the SLO of late: whatever it is, it is not the version. Nothing moves meanwhile."""
    NOT_STARTED = "NotStarted"
    """No worker of the canary has become ready in time."""
    TAKES_NOTHING = "TakesNothing"
    """The canary's workers are ready and take no job, while the stable ones do."""
    UNMEASURED = "Unmeasured"
    """Nothing could be measured for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a pool asks of a canary. Ratios are of failure rates, canary over stable."""

    tolerate_ratio: float = 1.25
    reject_ratio: float = 3.0
    false_alarm: float = 0.05
    """Chance of a FAIL of an equally good version, and of a PASS of one that is as bad as `reject_ratio`."""
    acceptable_failure_rate: float = 0.01
    failure_budget: int = 0
    """0: none."""
    warmup_seconds: float = 60.0
    max_unmeasured_seconds: float = 900.0
    goals: Goals = field(default_factory=Goals)
    """The pool's objectives."""
    signals: int = SIGNALS
    """Over how many signals the false alarms are shared out, beside one for each objective."""

    @property
    def alarm(self) -> float:
        """Log of the evidence that a FAIL takes, by any of what is judged."""
        return log((self.signals + len(self.goals.allowed)) / self.false_alarm)

    @property
    def nulls(self) -> Nulls:
        """What evidence is gathered against."""
        return Nulls(tolerate=self.tolerate_ratio, reject=self.reject_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one signal shows."""

    signal: Signal
    verdict: Verdict
    total: Interval
    ratio: float | None
    """Canary over stable. None: nothing failed, or one side did nothing."""
    low: float = 0.0
    high: float | None = None
    """The ratio's 95 % interval, to be shown and not to be decided by: it holds for one look. None: no limit."""
    phi: float = 1.0
    detectable: float | None = None
    """The ratio that would have been found by now, more often than not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The verdict, and what it follows from."""

    verdict: Verdict
    cause: Cause = Cause.EVIDENCE
    findings: tuple[Finding, ...] = ()
    standings: tuple[Standing, ...] = ()
    """By the pool's objectives."""

    @property
    def holds(self) -> bool:
        """Whether nothing may move, whatever the clock says."""
        return self.cause is Cause.OUTAGE

    @property
    def worst(self) -> Finding | None:
        """What to show first: what failed, else what keeps it from passing."""
        order = [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS]
        return min(self.findings, key=lambda one: (order.index(one.verdict), -one.low), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a judge has in memory only."""

    ledger: Ledger = field(default_factory=Ledger)
    looked_at: float | None = None
    taken: Taken = field(default_factory=Taken)
    """By stable workers."""


def look(
    evidence: Evidence,
    watch: Watch,
    readings: tuple[Reading, ...] | None,
    pods: tuple[PodState, ...] = (),
    *,
    now: float,
    rules: Rules,
    lease_seconds: float,
    fresh_seconds: float,
) -> tuple[Evidence, Watch]:
    """One more look at the pods of both versions. `readings` None: they could not be read.

    The clock counts from look to look, where both versions have a warm worker that was heard within `fresh_seconds`.
    """
    gap = now - watch.looked_at if watch.looked_at is not None else 0.0
    measured = readings is not None and _both_heard(readings, now=now, rules=rules, fresh_seconds=fresh_seconds)
    ledger, taken = watch.ledger, watch.taken
    if readings is not None:
        ledger, happened = observe(
            ledger, readings, pods, now=now, warmup_seconds=rules.warmup_seconds, lease_seconds=lease_seconds
        )
        taken = taken.plus(_began(watch.ledger, readings), gap=gap)
        evidence = replace(
            gathered(evidence, happened, goals=rules.goals),
            unready_seconds=_unready(evidence.unready_seconds, pods, gap=gap),
            missed_jobs=_missed(evidence.missed_jobs, watch.ledger, readings, happened, rules=rules),
        )
    return _timed(evidence, gap=gap, measured=measured), Watch(ledger=ledger, looked_at=now, taken=taken)


def gathered(evidence: Evidence, happened: Happened, *, goals: Goals) -> Evidence:
    """With what happened since the look before, by the signals and by the pool's objectives. Its clocks stand."""
    return _by_goals(_with(evidence, happened), happened, goals=goals)


def _by_goals(evidence: Evidence, happened: Happened, *, goals: Goals) -> Evidence:
    """With what it means for the pool's objectives. Jobs that were late by another time are forgotten."""
    signals, courses = evidence.signals, evidence.courses
    if evidence.late_seconds != goals.late_seconds:
        signals = {signal: one for signal, one in signals.items() if signal is not Signal.LATE}
        courses = {objective: one for objective, one in courses.items() if objective is not Objective.LATENCY}
    intervals = {
        objective: happened.intervals[signal] for objective, signal in MISSES.items() if signal in happened.intervals
    }
    courses = followed(courses, intervals, goals=goals, at=evidence.measured_seconds)
    return replace(evidence, signals=signals, late_seconds=goals.late_seconds, courses=courses)


def _began(ledger: Ledger, readings: tuple[Reading, ...]) -> Iterator[tuple[int, float]]:
    """Of each stable worker that was read before: jobs begun since, and seconds."""
    for one in readings:
        last = ledger.watched.get(one.uid)
        if last is not None and one.side is Side.STABLE and one.start == last.reading.start:
            yield max(0, one.started - last.reading.started), max(0.0, one.heard_at - last.reading.heard_at)


def _unready(before: float, pods: tuple[PodState, ...], *, gap: float) -> float:
    """Where the stable version has no ready worker either, or no node has room, that says nothing of the canary."""
    ready = {pod.side for pod in pods if pod.ready}
    if Side.CANARY in ready:
        return 0.0
    starting = any(pod.placed and not pod.evicted for pod in pods if pod.side is Side.CANARY)
    return before + gap if starting and Side.STABLE in ready else before


def _missed(before: float, ledger: Ledger, readings: tuple[Reading, ...], happened: Happened, *, rules: Rules) -> float:
    """One that says why it takes nothing, or that has just begun, misses nothing."""
    able = {Side.CANARY: 0, Side.STABLE: 0}
    for one in readings:
        last = ledger.watched.get(one.uid)
        if one.side is Side.CANARY and (one.in_flight or (last and one.started > last.reading.started)):
            return 0.0
        able[one.side] += one.age_seconds >= rules.warmup_seconds and not one.paused
    taken = happened.intervals.get(Signal.FAILURES, Interval()).stable_trials
    return before + taken * able[Side.CANARY] / max(able[Side.STABLE], 1)


def _both_heard(readings: tuple[Reading, ...], *, now: float, rules: Rules, fresh_seconds: float) -> bool:
    heard = {
        one.side for one in readings if now - one.heard_at <= fresh_seconds and one.age_seconds >= rules.warmup_seconds
    }
    return len(heard) == len(Side)


def _timed(evidence: Evidence, *, gap: float, measured: bool) -> Evidence:
    if measured:
        return replace(evidence, measured_seconds=evidence.measured_seconds + gap, unmeasured_seconds=0.0)
    return replace(evidence, unmeasured_seconds=evidence.unmeasured_seconds + gap)


def _with(evidence: Evidence, happened: Happened) -> Evidence:
    signals = dict(evidence.signals)
    for signal, interval in happened.intervals.items():
        before = signals.get(signal, SignalEvidence())
        after = before.plus(interval, nulls=evidence.nulls)
        signals[signal] = replace(after, incidents=after.incidents + happened.incidents.get(signal, 0))
    for (signal, side), spread in happened.closed.items():
        signals[signal] = _closed(signals.get(signal, SignalEvidence()), side, spread)
    return replace(evidence, signals=signals)


def _closed(one: SignalEvidence, side: Side, spread: Spread) -> SignalEvidence:
    if side is Side.CANARY:
        return replace(one, canary_cells=one.canary_cells.plus(spread))
    return replace(one, stable_cells=one.stable_cells.plus(spread))


def storable(evidence: Evidence, ledger: Ledger) -> Evidence:
    """What to store: with the cells of pods that are still watched. Who resumes from it watches them anew."""
    signals = dict(evidence.signals)
    for signal, one in evidence.signals.items():
        canary = _closed(one, Side.CANARY, ledger.cells(signal, Side.CANARY))
        signals[signal] = _closed(canary, Side.STABLE, ledger.cells(signal, Side.STABLE))
    return replace(evidence, signals=signals)


def assess(evidence: Evidence, ledger: Ledger, *, rules: Rules) -> Assessment:
    """The verdict by now."""
    whole = storable(evidence, ledger)
    jobs = whole.signals.get(Signal.FAILURES, SignalEvidence()).total
    known = [(signal, whole.signals[signal]) for signal in JUDGED if signal in whole.signals]
    findings = tuple(find(signal, one, jobs=jobs, rules=rules) for signal, one in known)
    standings = tuple(_standing(objective, whole, rules=rules) for objective in Objective if objective in whole.courses)
    verdict, cause = _verdict(findings, standings, jobs=jobs, evidence=evidence, rules=rules)
    return Assessment(verdict=verdict, cause=cause, findings=findings, standings=standings)


def _standing(objective: Objective, whole: Evidence, *, rules: Rules) -> Standing:
    one = whole.signals.get(MISSES[objective], SignalEvidence())
    return stand(
        whole.courses[objective],
        objective=objective,
        phi=dispersion((one.canary_cells, one.stable_cells), counted=True),
        incidents=one.incidents,
        alarm=rules.alarm,
        least=LEAST_INCIDENTS,
    )


def _verdict(
    findings: tuple[Finding, ...], standings: tuple[Standing, ...], *, jobs: Interval, evidence: Evidence, rules: Rules
) -> tuple[Verdict, Cause]:
    verdicts = {one.verdict for one in findings}
    fail, unknown = Verdict.FAIL, Verdict.INCONCLUSIVE
    by_precedence = (
        (Verdict.FAIL in verdicts, fail, Cause.EVIDENCE),
        (any(one.broken for one in standings), fail, Cause.SLO),
        (any(one.missed_by_both for one in standings), unknown, Cause.OUTAGE),
        (0 < rules.failure_budget < jobs.canary_failures, fail, Cause.BUDGET),
        (evidence.unready_seconds >= START_SECONDS, fail, Cause.NOT_STARTED),
        (evidence.missed_jobs >= MISSED_JOBS, fail, Cause.TAKES_NOTHING),
        (evidence.unmeasured_seconds > rules.max_unmeasured_seconds, unknown, Cause.UNMEASURED),
        (verdicts == {Verdict.PASS}, Verdict.PASS, Cause.EVIDENCE),
    )
    return next(((verdict, cause) for holds, verdict, cause in by_precedence if holds), (unknown, Cause.EVIDENCE))


def find(signal: Signal, one: SignalEvidence, *, jobs: Interval, rules: Rules) -> Finding:
    """What a signal shows. `jobs`: the first attempts of both versions, which is what crashes cost."""
    phi = dispersion((one.canary_cells, one.stable_cells), counted=signal.counted)
    total, alpha = one.total, rules.false_alarm
    ratio, low, high = _ratio(total, phi=phi)
    expected = total.canary_trials * total.stable_failures / total.stable_trials if total.stable_trials else 0.0
    trials = total.canary_trials if signal.counted else jobs.canary_trials
    return Finding(
        signal=signal,
        verdict=by_evidence(one, trials=trials, phi=phi, rules=rules),
        total=total,
        ratio=ratio,
        low=low,
        high=high,
        phi=phi,
        detectable=detectable_ratio(expected / phi, alpha=alpha),
    )


def by_evidence(one: SignalEvidence, *, trials: float, phi: float, rules: Rules) -> Verdict:
    """The verdict of one signal. `trials` are those of the canary that an acceptable rate is counted by."""
    if one.incidents >= LEAST_INCIDENTS and log_mean(one.fail, phi=phi) >= rules.alarm:
        return Verdict.FAIL
    enough = log(1 / rules.false_alarm)
    rate, failures = rules.acceptable_failure_rate, one.total.canary_failures
    clean = log_clean(trials=trials, failures=failures, rate=rate, phi=phi)
    passes = clean >= enough or log_mean(one.passed, phi=phi) >= enough
    return Verdict.PASS if passes else Verdict.INCONCLUSIVE


def _ratio(total: Interval, *, phi: float) -> tuple[float | None, float, float | None]:
    """The ratio and its 95 % interval, by the delta method on its logarithm, widened by phi."""
    canary, stable = total.canary_failures, total.stable_failures
    if not total.comparable or not (canary or stable):
        return None, 0.0, None
    trials = total.stable_trials / total.canary_trials
    # Half a failure more on both sides keeps the interval finite (Haldane 1956, Anscombe 1956).
    middle = (canary + 0.5) / (stable + 0.5) * trials
    width = exp(_Z95 * sqrt(phi * (1 / (canary + 0.5) + 1 / (stable + 0.5))))
    ratio = canary / stable * trials if stable else None
    return ratio, middle / width if canary else 0.0, middle * width if stable else None

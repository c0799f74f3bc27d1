"""Which Deployments are to have workers, how many move now, and how far a canary is.

With strategy Rolling the wanted version takes over worker by worker. With strategy Canary it takes over in steps
(`rollout.steps`), judged by what its workers' counters show beside those of the stable version (`rollout.judge`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from workerpool_operator.api import Idle, RolloutSpec, SloSpec, Strategy, WorkerPool, WorkerPoolSpec
from workerpool_operator.domain import desired, layout
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION, parse
from workerpool_operator.domain.rollout.counts import Counts, Slot, hold_shares, move_counts
from workerpool_operator.domain.rollout.evidence import Evidence, Signal, SignalEvidence, dump, load
from workerpool_operator.domain.rollout.foresight import foreseen_ratio
from workerpool_operator.domain.rollout.judge import Assessment, Rules, Watch, assess, look, storable
from workerpool_operator.domain.rollout.ledger import PodState, Reading, Side
from workerpool_operator.domain.rollout.objectives import Goals, Objective
from workerpool_operator.domain.rollout.pace import take_rates
from workerpool_operator.domain.rollout.splitter import Split, pod_share, split
from workerpool_operator.domain.rollout.steps import (
    Now,
    OnInconclusive,
    Outcome,
    Policy,
    State,
    Step,
    Wait,
    advance,
    dump_state,
    lasts,
    load_state,
    weight,
)
from workerpool_operator.domain.scaling.workers import REPORT_FRESH_SECONDS
from workerpool_operator.domain.snapshot import VERSION_LABEL, Rollout, Snapshot

LOOK_SECONDS: Final = 5.0
"""A canary is judged this often, whether or not its workers say anything new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How far a canary is, or that there is none."""

    outcome: Outcome
    assessment: Assessment
    evidence: Evidence
    weight: int
    pod_share: float
    """The canary's part of the ready workers."""
    wanted: str
    """Version that the pool asks for."""
    step_seconds: float = 0.0
    """For how long its step has to be measured; infinite where that waits for a person."""
    foreseen: float | None = None
    """The ratio that the steps will find, as far as can be said beforehand."""

    def without_worker(self, why: Wait) -> "Trial":
        """The same of a canary that is to have a worker and cannot."""
        return replace(self, outcome=self.outcome.without_worker(why))


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Who gets workers."""

    counts: Counts
    """By Deployment."""
    main: str
    """The revision that load goes to, by name."""
    canary: str = ""
    """That of the version that is tried."""
    trusted: frozenset[str] = frozenset()
    """Versions whose revisions are kept although nobody runs them."""
    rollout: Rollout | None = None
    """To be remembered."""
    trial: Trial | None = None
    """With strategy Canary."""
    take_rates: Mapping[str, float] = field(default_factory=dict)
    """Version -> jobs per second that each of its workers may begin."""

    @property
    def holding(self) -> tuple[str, ...]:
        """The revisions that are to have workers, by name. Where no place is named, so is the Deployment of each."""
        return (self.main, self.canary) if self.canary else (self.main,)


def choose(snapshot: Snapshot, *, target: desired.Revision, total: int) -> Versions:
    """Who gets workers at this moment. `target` is what the pool asks for, `total` its workers."""
    spec = snapshot.pool.spec.rollout
    if spec.strategy is Strategy.ROLLING:
        return _spread(
            snapshot, Versions(main=target.name, counts=_towards(snapshot, target.name, total=total)), total=total
        )
    before = snapshot.memory.rollout or _resumed(snapshot, target)
    rules = rules_of(snapshot.pool.spec)
    if before.evidence.nulls != rules.nulls:  # others are asked for: what was summed up against these says nothing
        before = replace(before, evidence=Evidence(nulls=rules.nulls), watch=Watch())
    looked = _looked(snapshot, before, total=total, rules=rules)
    trial, watch = _tried(snapshot, looked, target=target, total=total, rules=rules)
    state = trial.outcome.state
    main = target.name if state.stable == target.version else _deployment_of(snapshot, state.stable)
    if not main:  # nothing is left of the stable version: there is no way back to it
        state = replace(state, stable=target.version, canary="")
        trial, main = replace(trial, outcome=replace(trial.outcome, state=state), weight=0), target.name
    canary = target.name if state.canary else ""
    counts = (
        _shared(snapshot, main, canary, total=total, percent=trial.weight)
        if canary
        else _towards(snapshot, main, total=total)
    )
    if canary and not counts.raise_to and lacks_worker(snapshot, state.canary, total=total):
        trial = trial.without_worker(Wait.ROOM)
    versions = Versions(
        counts=counts,
        main=main,
        canary=canary,
        trusted=frozenset({state.stable, *state.kept}),
        rollout=Rollout(state=state, evidence=trial.evidence, watch=watch),
        trial=trial,
        take_rates=take_rates(watch.taken, canary=state.canary),
    )
    return _spread(snapshot, versions, total=total)


def lacks_worker(snapshot: Snapshot, version: str, *, total: int) -> bool:
    """Whether Kubernetes has been asked for no worker of this version yet, although the pool is to have some."""
    own = (group for group in layout.groups(snapshot).values() if group.version == version)
    return total > 0 and all(group.replicas <= 0 for group in own)


def _spread(snapshot: Snapshot, versions: Versions, *, total: int) -> Versions:
    """The same over places: counts by Deployment."""
    return replace(versions, counts=layout.spread(snapshot, versions.counts, total=total))


def _tried(
    snapshot: Snapshot, before: Rollout, *, target: desired.Revision, total: int, rules: Rules
) -> tuple[Trial, Watch]:
    policy = policy_of(snapshot.pool.spec.rollout)
    assessment = assess(before.evidence, before.watch.ledger, rules=rules)
    now = Now(
        target=target.version,
        total=total,
        stable_ready=_ready(snapshot, before.state.stable) > 0,
        assessment=assessment,
        measured_seconds=before.evidence.measured_seconds,
        jobs=judged(before.evidence).total.canary_trials,
        command=parse(snapshot.pool.metadata.annotations.get(COMMAND_ANNOTATION, "")),
    )
    outcome = advance(before.state, now, policy)
    evidence, watch = before.evidence, before.watch
    if outcome.fresh:
        evidence, watch = Evidence(nulls=rules.nulls), Watch()
    trial = Trial(
        outcome=outcome,
        assessment=assessment,
        evidence=evidence,
        weight=weight(outcome.state, policy),
        pod_share=_pod_share(snapshot, outcome.state),
        wanted=target.version,
        step_seconds=lasts(outcome.state, policy),
        foreseen=foreseen_ratio(policy, rules, arrivals=snapshot.traffic.arrivals),
    )
    return trial, watch


def _pod_share(snapshot: Snapshot, state: State) -> float:
    if not state.canary:
        return 0.0
    return pod_share(Split(stable=_ready(snapshot, state.stable), canary=_ready(snapshot, state.canary)))


def _ready(snapshot: Snapshot, version: str) -> int:
    """Workers of a version that are ready."""
    return sum(group.ready for group in layout.groups(snapshot).values() if group.version == version)


def judged(evidence: Evidence) -> SignalEvidence:
    """What is known of the first attempts of both versions."""
    return evidence.signals.get(Signal.FAILURES, SignalEvidence())


def _looked(snapshot: Snapshot, before: Rollout, *, total: int, rules: Rules) -> Rollout:
    """With one more look at the workers, while there is a canary.

    One that cannot have a worker yet, or whose pool has slept until now, has not gone unmeasured.
    """
    if not before.state.canary:
        return before
    evidence, watch = look(
        before.evidence,
        before.watch,
        _readings(snapshot, before.state),
        _pods(snapshot, before.state),
        now=snapshot.now,
        rules=rules,
        lease_seconds=float(snapshot.pool.spec.delivery.lease_seconds),
        fresh_seconds=REPORT_FRESH_SECONDS,
    )
    if lacks_worker(snapshot, before.state.canary, total=total):
        evidence = replace(evidence, unmeasured_seconds=0.0)
    return replace(before, evidence=evidence, watch=watch)


def _readings(snapshot: Snapshot, state: State) -> tuple[Reading, ...] | None:
    """The counters of both versions' workers; None while nothing is heard of any, which is no sign that they ended."""
    if not snapshot.collectors or not snapshot.readings:
        return None
    sides = _sides(state)
    return tuple(
        replace(reading, side=sides[reading.version]) for reading in snapshot.readings if reading.version in sides
    )


def _pods(snapshot: Snapshot, state: State) -> tuple[PodState, ...]:
    """The pods of both versions."""
    sides = _sides(state)
    return tuple(replace(pod, side=sides[pod.version]) for pod in snapshot.pod_states if pod.version in sides)


def _sides(state: State) -> dict[str, Side]:
    return {state.stable: Side.STABLE, state.canary: Side.CANARY}


def _deployment_of(snapshot: Snapshot, version: str) -> str:
    """The Deployment, or else the stored revision, of a version that the pool does not ask for; empty: none is left."""
    groups = layout.groups(snapshot)
    running = [name for name, group in groups.items() if group.version == version]
    if running:
        return max(running, key=lambda name: (groups[name].replicas, name))
    stored = [name for name, child in snapshot.revisions.items() if child.labels.get(VERSION_LABEL) == version]
    return max(stored, default="")


def _none(name: str) -> Slot:
    return Slot(name=name, replicas=0, ready=0)


def _towards(snapshot: Snapshot, name: str, *, total: int) -> Counts:
    slots = layout.slots(snapshot)
    own = slots.pop(name, _none(name))
    return move_counts(target=own, others=list(slots.values()), total=total, surge=snapshot.pool.spec.rollout.surge)


def _shared(snapshot: Snapshot, main: str, canary: str, *, total: int, percent: int) -> Counts:
    slots = layout.slots(snapshot)
    stable, tried = slots.pop(main, _none(main)), slots.pop(canary, _none(canary))
    shares, surge = split(total, weight=percent), snapshot.pool.spec.rollout.surge
    return hold_shares(stable=stable, canary=tried, others=list(slots.values()), split=shares, total=total, surge=surge)


def _resumed(snapshot: Snapshot, target: desired.Revision) -> Rollout:
    """What the status holds of the rollout; else what runs is what has the pool's trust."""
    rules, stored = rules_of(snapshot.pool.spec), _stored(snapshot.pool)
    state = load_state(stored.get("state"))
    if state is None:
        groups = layout.groups(snapshot)
        running = {name: group for name, group in groups.items() if group.replicas or group.existing}
        most = max(running, key=lambda name: (running[name].ready, running[name].replicas, name), default="")
        state = State(stable=running[most].version if most else target.version, proven=False)
    return Rollout(state=state, evidence=load(stored.get("evidence", {}), nulls=rules.nulls), watch=Watch())


def _stored(pool: WorkerPool) -> Mapping[str, Any]:
    try:
        found = json.loads(pool.status.rollout.memory) if pool.status.rollout else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def memory_of(rollout: Rollout) -> str:
    """As the status holds it."""
    evidence = dump(storable(rollout.evidence, rollout.watch.ledger)) if rollout.state.canary else {}
    return json.dumps({"state": dump_state(rollout.state), "evidence": evidence}, separators=(",", ":"))


def goals_of(slo: SloSpec) -> Goals:
    """What a canary has to keep."""
    allowed: dict[Objective, float] = {}
    if slo.availability is not None:
        allowed[Objective.AVAILABILITY] = 1 - float(slo.availability)
    if slo.job_latency_seconds is not None:
        allowed[Objective.LATENCY] = 1 - float(slo.job_latency_quantile)
    return Goals(allowed=allowed, late_seconds=float(slo.job_latency_seconds or 0))


def rules_of(spec: WorkerPoolSpec) -> Rules:
    """How the pool wants a canary judged."""
    analysis = spec.rollout.analysis
    return Rules(
        goals=goals_of(spec.slo),
        tolerate_ratio=float(analysis.tolerate_ratio),
        reject_ratio=float(analysis.reject_ratio),
        false_alarm=float(analysis.false_alarm),
        acceptable_failure_rate=float(analysis.acceptable_failure_rate),
        failure_budget=analysis.failure_budget,
        warmup_seconds=float(analysis.warmup_seconds),
        max_unmeasured_seconds=float(analysis.max_unmeasured_seconds),
    )


def policy_of(spec: RolloutSpec) -> Policy:
    """How the pool wants its versions to follow each other."""
    return Policy(
        steps=tuple(
            Step(
                weight=step.weight,
                duration_seconds=float(step.duration_seconds),
                min_jobs=step.min_jobs,
                pause=step.pause,
            )
            for step in spec.steps
        ),
        on_inconclusive=OnInconclusive(spec.analysis.on_inconclusive),
        promote_when_idle=spec.when_idle is Idle.PROMOTE,
        auto_promote=spec.auto_promote,
        auto_rollback=spec.auto_rollback,
        keep_drained_versions=spec.keep_drained_versions,
    )

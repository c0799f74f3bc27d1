"""What the pool's status says, whether it is worth a write now, and which events tell of the change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from workerpool_operator.api import (
    BudgetShare,
    Condition,
    ConditionType,
    Limiter,
    PredictiveStatus,
    QueueStatus,
    Reason,
    ScalingStatus,
    ScalingTerm,
    VersionStatus,
    WorkerPoolStatus,
    find,
)
from workerpool_operator.domain import desired
from workerpool_operator.domain.conditions import judge_all
from workerpool_operator.domain.events import HAPPENED, WRONG
from workerpool_operator.domain.judging import Case, Refusal
from workerpool_operator.domain.layout import Group, groups, moving
from workerpool_operator.domain.placed import placement_status
from workerpool_operator.domain.plan import Plan
from workerpool_operator.domain.rollout_status import events, rollout_status
from workerpool_operator.domain.scaling import Decision
from workerpool_operator.domain.snapshot import REVISION_LABEL, Snapshot
from workerpool_operator.domain.versions import Versions

COUNT_WRITE_SECONDS: Final = 1.0
"""How many workers there are is written at most this often: a version that replaces another one changes that five times
for each worker. A decision or a condition that changes is written at once."""
COUNT_WRITE_SHARE: Final = 0.1
"""And writing that takes at most this part of the time: what is slow to answer is not asked more often for it."""
COUNT_WRITE_MAX_SECONDS: Final = 10.0
"""But no count stays untold for longer, however slow the answers are."""
QUIET_WRITE_SECONDS: Final = 30.0
"""Figures that only move are written at most this often, and by the way: they bring no look of their own."""

MESSAGE_MAX_LENGTH: Final = 256
"""Of a term, as the resource has it."""
MOST_ERROR: Final = 100.0
"""Of a forecast, times what came: more is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An event to emit about the pool."""

    warning: bool
    reason: Reason
    message: str


def build(snapshot: Snapshot, plan: Plan, *, refusals: Sequence[Refusal]) -> WorkerPoolStatus:
    """The status after this plan. Sizes are those observed, not those asked for."""
    pool, there = snapshot.pool, groups(snapshot).values()
    existing = sum(group.existing for group in there)
    case = Case(snapshot=snapshot, plan=plan, refusals=refusals)
    return WorkerPoolStatus(
        observed_generation=pool.generation,
        replicas=min(existing, max(plan.size, existing - _surge(snapshot))),
        ready_replicas=sum(group.ready for group in there),
        draining_replicas=sum(1 for report in snapshot.reports.values() if report.connected and report.draining),
        selector=desired.selector(pool),
        scaling=_scaling(snapshot, plan, just_began=case.just_began),
        queues=pool.status.queues if case.just_began and pool.status.queues else _queues(snapshot),
        versions=_versions(snapshot, plan.versions),
        rollout=rollout_status(plan.versions) if plan.versions else pool.status.rollout,
        placement=placement_status(snapshot),
        conditions=judge_all(case, before=pool.status.conditions, now=snapshot.wall_time),
    )


def write_after(before: WorkerPoolStatus, after: WorkerPoolStatus, *, took: float = 0.0) -> float | None:
    """Seconds since the last write, which `took` so many, from which on the change is worth one; None: no change."""
    if _significant(before) != _significant(after):
        return 0.0
    if _counts(before) != _counts(after):
        return min(max(COUNT_WRITE_SECONDS, took / COUNT_WRITE_SHARE), COUNT_WRITE_MAX_SECONDS)
    return QUIET_WRITE_SECONDS if _figures(before) != _figures(after) else None


def announcements(snapshot: Snapshot, plan: Plan, after: WorkerPoolStatus) -> tuple[Announcement, ...]:
    """One event for each change: of size, of version, of a condition that people act on."""
    told = [
        _told(
            Reason.SCALED_UP if scaled.after > scaled.before else Reason.SCALED_DOWN,
            f"{scaled.deployment}: {scaled.before} -> {scaled.after} ({_why(plan)})",
        )
        for scaled in plan.scaled
    ]
    told += [_told(Reason.VERSION_CREATED, name) for name in plan.started_versions]
    told += [
        _told(Reason.VERSION_REMOVED, delete.name)
        for delete in plan.deletes
        if delete.kind == "Deployment" and not _has_siblings(snapshot, delete.name)
    ]
    told += [_told(reason, text) for reason, text in (events(plan.versions) if plan.versions else [])]
    if plan.restarted:
        message = f"{plan.restarted} took no job although jobs waited; another worker takes its place"
        told.append(_told(Reason.WORKER_RESTARTED, message))
    if plan.drained:
        message = f"{plan.drained} had no job to lose and left a node that is drained; another worker takes its place"
        told.append(_told(Reason.WORKER_DRAINED, message))
    if plan.mistaken:
        told.append(
            _told(Reason.VICTIM_MISMATCH, f"{plan.mistaken} workers were removed although others had been chosen")
        )
    told += [_told(Reason.DRIFT_CORRECTED, f"{what} was changed by somebody") for what in plan.corrected]
    return (*told, *_condition_events(snapshot.pool.status.conditions, after.conditions))


def _told(reason: Reason, message: str) -> Announcement:
    return Announcement(warning=HAPPENED[reason], reason=reason, message=message)


def _has_siblings(snapshot: Snapshot, deployment: str) -> bool:
    """Whether the same revision has a Deployment in another place."""
    return any(deployment in group.children and len(group.children) > 1 for group in groups(snapshot).values())


def _condition_events(before: Sequence[Condition], after: Sequence[Condition]) -> list[Announcement]:
    told: list[Announcement] = []
    for condition in after:
        old = find(before, ConditionType(condition.type))
        if old is not None and (old.status, old.reason) == (condition.status, condition.reason):
            continue
        warning = _is_warning(condition)
        if warning or (old is not None and _is_warning(old)):
            told.append(Announcement(warning=warning, reason=Reason(condition.reason), message=condition.message))
    return told


def _is_warning(condition: Condition) -> bool:
    return condition.reason in WRONG.get(ConditionType(condition.type), ())


def _why(plan: Plan) -> str:
    backlog = plan.decision.backlog
    jobs = f"{backlog.waiting} jobs waiting, {backlog.in_flight} running" if backlog else plan.decision.outcome
    return f"{plan.size} wanted: {jobs}"


def _surge(snapshot: Snapshot) -> int:
    changing = sum(1 for group in groups(snapshot).values() if group.replicas > 0) > 1 or moving(snapshot)
    return snapshot.pool.spec.rollout.surge if changing else 0


def _scaling(snapshot: Snapshot, plan: Plan, *, just_began: bool) -> ScalingStatus:
    decision, old = plan.decision, snapshot.pool.status.scaling
    same = old is not None and (old.desired, old.given) == (decision.desired, plan.size)
    if just_began and old is not None and same:
        return old.changed(mode=snapshot.mode, spec_replicas=snapshot.pool.spec.replicas)
    limits = [str(limit) for limit in decision.limited_by]
    if plan.short_of_seats and Limiter.BUDGET not in decision.limited_by:
        limits.append(str(Limiter.BUDGET))
    if plan.followed is not None and plan.size != decision.desired:
        limits.append(str(Limiter.HPA))
    if plan.waiting_for:
        limits.append(str(Limiter.BUSY))
    return ScalingStatus(
        desired=decision.desired,
        size=plan.size,
        mode=snapshot.mode,
        spec_replicas=snapshot.pool.spec.replicas,
        depth=decision.backlog.waiting if decision.backlog else None,
        limited_by=tuple(limits),
        reason=decision.outcome,
        last_scale_time=old.last_scale_time if same and old else snapshot.wall_time,
        terms=_terms(decision),
        budget=_share(snapshot, plan),
        predictive=_predictive(snapshot, decision),
    )


def _share(snapshot: Snapshot, plan: Plan) -> BudgetShare | None:
    if snapshot.seats is None:
        return None
    wanted = plan.claim.wanted if plan.claim else plan.decision.wanted
    return BudgetShare(name=snapshot.seats.budget, wanted=wanted, granted=snapshot.seats.granted)


def _predictive(snapshot: Snapshot, decision: Decision) -> PredictiveStatus | None:
    said = decision.foreseen
    if said is None:
        return None
    error = None if said.error is None else round(100 * min(said.error, MOST_ERROR))
    return PredictiveStatus(
        mode=snapshot.pool.spec.scaling.predictive.mode,
        jobs_per_minute=None if said.rate is None else round(60 * said.rate),
        replicas=said.replicas,
        error_percent=error,
        message=said.why[:MESSAGE_MAX_LENGTH] or None,
    )


def _terms(decision: Decision) -> tuple[ScalingTerm, ...]:
    """By name: of several schedules some may speak and others not."""
    told = {term.name: ScalingTerm(name=term.name, value=term.value) for term in decision.terms}
    for one in decision.silent:
        told[one.name] = told.get(one.name, ScalingTerm(name=one.name)).changed(message=one.why[:MESSAGE_MAX_LENGTH])
    return tuple(told.values())


def _queues(snapshot: Snapshot) -> tuple[QueueStatus, ...]:
    samples = {sample.queue: sample for sample in snapshot.samples}
    result: list[QueueStatus] = []
    for queue in snapshot.pool.spec.queues:
        sample = samples.get(queue.name)
        if sample is None or not sample.usable:
            failed = queue.name in snapshot.errors
            result.append(QueueStatus(name=queue.name, reachable=False if failed or sample else None))
            continue
        oldest = None if sample.oldest_age is None else round(sample.oldest_age)
        result.append(
            QueueStatus(
                name=queue.name,
                depth=sample.waiting,
                in_flight=sample.in_flight,
                oldest_age_seconds=oldest,
                sample_time=snapshot.wall_time - timedelta(seconds=round(sample.age)),
                reachable=True,
            )
        )
    return tuple(result)


def _versions(snapshot: Snapshot, versions: Versions | None) -> tuple[VersionStatus, ...]:
    newest = versions.holding[-1] if versions else ""
    ordered = sorted(groups(snapshot).items(), key=lambda item: (item[0] != newest, item[0]))
    return tuple(_version(snapshot, group, role=_role(name, versions)) for name, group in ordered)


def _role(name: str, versions: Versions | None) -> str:
    if versions is None or name == versions.main:  # nothing is rendered: nobody takes over
        return "stable"
    return "canary" if name == versions.canary else "draining"


def _version(snapshot: Snapshot, group: Group, *, role: str) -> VersionStatus:
    child, version = group.child, group.version
    containers = child.body["spec"]["template"]["spec"]["containers"]
    return VersionStatus(
        hash=version,
        revision=child.labels.get(REVISION_LABEL, ""),
        image=containers[0].get("image", ""),
        role=role,
        replicas=group.replicas,
        ready_replicas=group.ready,
        in_flight=sum(r.in_flight for r in snapshot.reports.values() if r.version == version),
    )


def _significant(status: WorkerPoolStatus) -> Any:
    """The status without numbers that move by themselves, and without wording."""
    scaling = status.scaling
    return (
        status.observed_generation,
        status.selector,
        (scaling.desired, scaling.size, scaling.mode, scaling.spec_replicas, scaling.reason) if scaling else None,
        [(queue.name, queue.reachable) for queue in status.queues],
        [(v.hash, v.revision, v.role) for v in status.versions],
        [(c.type, c.status, c.reason, c.observed_generation) for c in status.conditions],
        (ro.stable, ro.canary, ro.step, ro.weight, ro.verdict, ro.cause, ro.wait, ro.rejected, ro.command_id)
        if (ro := status.rollout)
        else None,
        (status.placement.active, status.placement.lost) if status.placement else None,
    )


def _counts(status: WorkerPoolStatus) -> Any:
    """How many workers there are, and what keeps them from being as many as asked for."""
    return (
        status.replicas,
        status.ready_replicas,
        status.scaling.limited_by if status.scaling else None,
        [(v.replicas, v.ready_replicas) for v in status.versions],
    )


def _figures(status: WorkerPoolStatus) -> Any:
    """The figures that move, without the ages and times that move even when nothing happens."""
    scaling = status.scaling
    return (
        status.draining_replicas,
        (scaling.depth, scaling.terms, scaling.budget, scaling.predictive) if scaling else None,
        [(queue.name, queue.depth, queue.in_flight) for queue in status.queues],
        [(v.hash, v.revision, v.in_flight) for v in status.versions],
        [(c.type, c.message) for c in status.conditions],
        status.rollout,
    )

"""The conditions of a pool: each is a chain of judges, and the first that has something to say decides.

A judge sees the snapshot and the plan and returns a verdict or None. One line says what each is for.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from workerpool_operator.api import Condition, ConditionStatus, ConditionType, Reason, ScalingMode, find
from workerpool_operator.domain import scalers
from workerpool_operator.domain.canary_health import health
from workerpool_operator.domain.judging import Case, Judge, Verdict
from workerpool_operator.domain.placed import placed
from workerpool_operator.domain.rollout.steps import Wait
from workerpool_operator.domain.scaling import Outcome
from workerpool_operator.domain.snapshot import Absence
from workerpool_operator.domain.stuck import Stage

PROGRESS_DEADLINE_SECONDS: Final = 600.0

_TROUBLES: Final = {
    "ErrImagePull": Reason.IMAGE_PULL_FAILED,
    "ImagePullBackOff": Reason.IMAGE_PULL_FAILED,
    "InvalidImageName": Reason.IMAGE_PULL_FAILED,
    "ErrImageNeverPull": Reason.IMAGE_PULL_FAILED,
    "CrashLoopBackOff": Reason.CRASH_LOOPING,
    "RunContainerError": Reason.CRASH_LOOPING,
    "CreateContainerConfigError": Reason.CONFIG_MISSING,
    "CreateContainerError": Reason.CONFIG_MISSING,
    "Unschedulable": Reason.UNSCHEDULABLE,
}


_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
_LACKS: Final = {
    Wait.SEAT: "the pool's budget has no free seat for one",
    Wait.ROOM: "others that are to go finish their jobs first",
}
_NAMED_WORKERS: Final = 5
_STOPPED: Final = "stopped by spec.suspend: no workers, and jobs wait, until `wpool start`, or spec.suspend: false"
_REMEDIES: Final = {
    Stage.SETTLING: "one is restarted when all workers have been ready for a while",
    Stage.FUTILE: "the last restart has not helped; see the workers' logs, and whether others hold these jobs",
    Stage.DUE: "one is restarted as soon as it has no job",
}
_ABSENT: Final = {
    Absence.NOT_SERVED: Verdict(
        _FALSE,
        Reason.PROMETHEUS_RULE_KIND_MISSING,
        "the cluster has no PrometheusRules: install the definitions of the prometheus-operator "
        "(monitoring.coreos.com); the operator finds them within minutes",
    ),
    Absence.FORBIDDEN: Verdict(
        _FALSE,
        Reason.FORBIDDEN,
        "the operator may not list PrometheusRules: its ClusterRole lacks what the chart gives it",
    ),
}


def judge_all(case: Case, *, before: Sequence[Condition], now: datetime) -> tuple[Condition, ...]:
    """All conditions of the pool. The time of a transition is kept while the status stays."""
    return tuple(_condition(kind, case, before=before, now=now) for kind in ConditionType)


def _condition(kind: ConditionType, case: Case, *, before: Sequence[Condition], now: datetime) -> Condition:
    verdict = next(verdict for judge in CHAINS[kind] if (verdict := judge(case)) is not None)
    old = find(before, kind)
    if old is not None and verdict.reason is Reason.NO_SAMPLE_YET and case.just_began:
        return old.changed(observed_generation=case.snapshot.pool.generation)
    return Condition(
        type=kind,
        status=verdict.status,
        observed_generation=case.snapshot.pool.generation,
        last_transition_time=old.last_transition_time if old and old.status == verdict.status else now,
        reason=verdict.reason,
        message=verdict.message,
    )


def _asleep(case: Case) -> Verdict | None:
    """Nothing is wanted and nothing is there."""
    if case.wanted == 0 and case.ready == 0:
        if case.snapshot.pool.spec.suspend:
            return Verdict(_TRUE, Reason.SUSPENDED, _STOPPED)
        return Verdict(_TRUE, Reason.SCALED_TO_ZERO, "no work, no workers; jobs that arrive wake the pool")
    return None


def _unrenderable(case: Case) -> Verdict | None:
    """No pod can be made of the resource."""
    return Verdict(_FALSE, Reason.RENDER_ERROR, case.plan.problem) if case.plan.problem else None


def _complete(case: Case) -> Verdict | None:
    """As many ready workers as wanted, in the wanted version."""
    if case.ready_in_target >= case.wanted:
        return Verdict(_TRUE, Reason.ALL_READY, f"{min(case.ready, case.wanted)} of {case.wanted} workers are ready")
    return None


def _not_created(case: Case) -> Verdict | None:
    """Kubernetes cannot create the pods."""
    for child in case.snapshot.deployments.values():
        if failure := child.create_failure:
            reason = Reason.QUOTA_EXCEEDED if "exceeded quota" in failure else Reason.APPLY_REFUSED
            return Verdict(_FALSE, reason, failure)
    return None


def _pod_trouble(case: Case) -> Verdict | None:
    """The pods are there and something is wrong with them; kept until they are listed again or the pool changes.

    Not without a pod that is not ready: then nothing is wrong with one, and nothing would list them.
    """
    if case.snapshot.pods is None:
        if not any(child.existing > child.ready for child in case.snapshot.deployments.values()):
            return None
        old = find(case.snapshot.pool.status.conditions, ConditionType.READY)
        same_request = old is not None and old.observed_generation == case.snapshot.pool.generation
        if old is not None and same_request and old.status == _FALSE and old.reason in _TROUBLES.values():
            return Verdict(_FALSE, Reason(old.reason), old.message)
        return None
    for trouble in case.snapshot.pods.troubles:
        if reason := _TROUBLES.get(trouble.reason):
            return Verdict(_FALSE, reason, f"pod {trouble.pod}: {trouble.reason}: {trouble.message}"[:1024])
    return None


def _starting(case: Case) -> Verdict:
    """Some are missing, and nothing is known to be wrong."""
    reason = Reason.WORKERS_STARTING if case.ready else Reason.NO_WORKERS
    return Verdict(_FALSE, reason, f"{case.ready_in_target} of {case.wanted} workers are ready")


def _changing_version(case: Case) -> Verdict | None:
    """Another version still has workers."""
    others = [name for name, group in case.groups.items() if name not in case.holding and group.existing]
    if others and case.holding:
        return Verdict(_TRUE, Reason.VERSION_CHANGE, f"{case.holding[-1]} takes over from {', '.join(sorted(others))}")
    return None


def _trying(case: Case) -> Verdict | None:
    """A version is tried."""
    versions = case.plan.versions
    if versions is None or versions.trial is None or not versions.canary:
        return None
    trial = versions.trial
    if trial.outcome.wait in _LACKS:
        message = f"{versions.canary} is to be tried and has no worker yet: {_LACKS[trial.outcome.wait]}"
        return Verdict(_TRUE, Reason.CANARY_WAITING, message)
    waits = f", {trial.outcome.wait}" if trial.outcome.wait else ""
    message = f"{versions.canary} is tried by {trial.weight} % of the workers: {trial.assessment.verdict}{waits}"
    return Verdict(_TRUE, Reason.CANARY_RUNNING, message)


def _late(case: Case) -> Verdict | None:
    """Workers have been missing for long."""
    since = case.plan.memory.unready_since
    if since is not None and case.snapshot.now - since > PROGRESS_DEADLINE_SECONDS:
        message = f"workers have been missing for over {PROGRESS_DEADLINE_SECONDS:.0f} s; see condition Ready"
        return Verdict(_FALSE, Reason.PROGRESS_DEADLINE_EXCEEDED, message)
    return None


def _draining(case: Case) -> Verdict | None:
    """Fewer are wanted, and some of the surplus are at work."""
    if case.plan.waiting_for:
        return Verdict(_TRUE, Reason.DRAINING, f"{case.plan.waiting_for} surplus workers finish their jobs first")
    return None


def _scaling(case: Case) -> Verdict | None:
    """The number of workers is not yet the wanted one."""
    existing = sum(group.existing for group in case.groups.values())
    if existing != case.wanted or case.ready < case.wanted:
        return Verdict(_TRUE, Reason.SCALING, f"{existing} workers, {case.wanted} wanted")
    return None


def _steady(case: Case) -> Verdict:
    """All is as wanted."""
    return Verdict(_FALSE, Reason.STEADY, f"{case.wanted} workers, as wanted")


def _without_budget(case: Case) -> Verdict | None:
    """The pool may not grow, because what its budget lets it have is not known."""
    seats = case.snapshot.seats
    if seats is None or seats.granted is not None:
        return None
    status = _UNKNOWN if seats.reason is Reason.BUDGET_PENDING else _FALSE
    return Verdict(status, seats.reason, f"{seats.message}; the pool does not grow"[:1024])


def _suspended(case: Case) -> Verdict | None:
    """A person has stopped the pool."""
    return Verdict(_FALSE, Reason.SUSPENDED, _STOPPED) if case.snapshot.pool.spec.suspend else None


def _manual(case: Case) -> Verdict | None:
    """A person sets the size."""
    if case.snapshot.mode is ScalingMode.MANUAL:
        return Verdict(_TRUE, Reason.MANUAL, "the size is spec.replicas")
    return None


def _following(case: Case) -> Verdict | None:
    """The size follows the queues."""
    if case.plan.decision.outcome is Outcome.ACTIVE:
        return Verdict(_TRUE, Reason.ACTIVE, "the size follows the queues")
    return None


def _held(case: Case) -> Verdict:
    """The size is held, for want of samples."""
    if not case.snapshot.samples and not case.snapshot.errors and not _was_read(case):
        return Verdict(_UNKNOWN, Reason.NO_SAMPLE_YET, "the queues have not been read yet; the size is held")
    return Verdict(_FALSE, Reason.SAMPLES_STALE, "a queue cannot be read; the size is not lowered until it can")


def _was_read(case: Case) -> bool:
    """Whether the queues were read once: what was said so long ago is forgotten, and that is no beginning."""
    old = find(case.snapshot.pool.status.conditions, ConditionType.QUEUE_REACHABLE)
    return old is not None and old.reason in {Reason.SAMPLES_FRESH, Reason.SAMPLES_STALE} and not case.just_began


def _read(case: Case) -> Verdict | None:
    """All queues have just been read."""
    names = {queue.name for queue in case.snapshot.pool.spec.queues}
    if names <= {sample.queue for sample in case.snapshot.samples if sample.usable}:
        return Verdict(_TRUE, Reason.SAMPLES_FRESH, "all queues are read")
    return None


def _collector_away(case: Case) -> Verdict | None:
    """No collector is connected, so nothing is known of the queues."""
    if case.snapshot.collectors:
        return None
    if case.just_began:
        return Verdict(_UNKNOWN, Reason.NO_SAMPLE_YET, "the namespace's collector is not connected yet")
    return Verdict(_UNKNOWN, Reason.COLLECTOR_DOWN, "the namespace's collector is not connected; the size is held")


def _unreadable(case: Case) -> Verdict | None:
    """A queue cannot be read, and it is known why."""
    for queue in case.snapshot.pool.spec.queues:
        if failed := case.snapshot.errors.get(queue.name):
            return Verdict(_FALSE, failed[0], f"queue {queue.name}: {failed[1]}")
    return None


def _unread(case: Case) -> Verdict:
    """A queue was not read in time."""
    if not case.snapshot.samples and not _was_read(case):
        return Verdict(_UNKNOWN, Reason.NO_SAMPLE_YET, "the queues have not been read yet")
    return Verdict(_FALSE, Reason.SAMPLES_STALE, "a queue was not read in time")


def _without_alerts(case: Case) -> Verdict | None:
    """None are wanted."""
    if not case.snapshot.pool.spec.alerts.enabled:
        return Verdict(_FALSE, Reason.ALERTS_DISABLED, "spec.alerts.enabled is false")
    return None


def _unmonitorable(case: Case) -> Verdict | None:
    """The cluster has no place for alerts, or keeps it from the operator."""
    absence = case.snapshot.monitoring.absence
    return _ABSENT[absence] if absence else None


def _rule_refused(case: Case) -> Verdict | None:
    """The pool's rule was not taken."""
    for refusal in case.refusals:
        if refusal.kind == "PrometheusRule":
            return Verdict(_FALSE, refusal.reason, refusal.message[:1024])
    return None


def _unruled(case: Case) -> Verdict | None:
    """There is no rule yet, and there will be none before the resource is mended."""
    if case.plan.problem and case.snapshot.monitoring.rule is None:
        return Verdict(_UNKNOWN, Reason.RENDER_ERROR, case.plan.problem)
    return None


def _monitored(case: Case) -> Verdict:
    """The rule is as it should be."""
    del case
    return Verdict(_TRUE, Reason.PROMETHEUS_RULE_APPLIED, "the pool's alerts are in its PrometheusRule")


def _unjudgeable(case: Case) -> Verdict | None:
    """No pod can be made of what the pool asks for."""
    return Verdict(_UNKNOWN, Reason.RENDER_ERROR, case.plan.problem) if case.plan.problem else None


def _canary(case: Case) -> Verdict:
    """What is known of the version that is tried, or was."""
    trial = case.plan.versions.trial if case.plan.versions else None
    before = find(case.snapshot.pool.status.conditions, ConditionType.CANARY_HEALTHY)
    return Verdict(*health(trial, before=before))


def _refused(case: Case) -> Verdict | None:
    """The API server refused an object, for a reason that time alone does not cure."""
    for refusal in case.refusals:
        if not refusal.optional:
            return Verdict(_TRUE, refusal.reason, refusal.message[:1024])
    return None


def _stuck_on_render(case: Case) -> Verdict | None:
    """No pod can be made of the resource until somebody changes it."""
    return Verdict(_TRUE, Reason.RENDER_ERROR, case.plan.problem) if case.plan.problem else None


def _workers_stuck(case: Case) -> Verdict | None:
    """Jobs wait, and workers that could take them do not."""
    care, snapshot = case.plan.care, case.snapshot
    if care.stage is None:
        return None
    reason = Reason.WORKERS_STUCK if care.findings.witnessed else Reason.ALL_WORKERS_STUCK
    names = sorted(snapshot.reports[uid].pod for uid in care.findings.stuck)
    shown = ", ".join(names[:_NAMED_WORKERS]) + (", ..." if len(names) > _NAMED_WORKERS else "")
    what = f"{len(names)} of {len(snapshot.reports)} workers take no job although {care.findings.waiting} wait: {shown}"
    return Verdict(_TRUE, reason, f"{what}; {_REMEDIES[care.stage]}"[:1024])


def _going_on(case: Case) -> Verdict:
    """Nothing is known that keeps jobs from being done."""
    del case
    return Verdict(_FALSE, Reason.NOT_STALLED)


CHAINS: Final[dict[ConditionType, tuple[Judge, ...]]] = {
    ConditionType.READY: (_unrenderable, _asleep, _complete, _not_created, _pod_trouble, _starting),
    ConditionType.PROGRESSING: (_unrenderable, _late, _trying, _changing_version, _draining, _scaling, _steady),
    ConditionType.SCALING_ACTIVE: (
        _suspended,
        _without_budget,
        _manual,
        *scalers.JUDGES,
        _following,
        _held,
    ),
    ConditionType.QUEUE_REACHABLE: (_read, _collector_away, _unreadable, _unread),
    ConditionType.MONITORED: (_without_alerts, _unmonitorable, _rule_refused, _unruled, _monitored),
    ConditionType.CANARY_HEALTHY: (_unjudgeable, _canary),
    ConditionType.PLACED: (placed,),
    ConditionType.STALLED: (_stuck_on_render, _refused, _workers_stuck, _going_on),
}

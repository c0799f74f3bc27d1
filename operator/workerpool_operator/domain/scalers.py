"""Whether whoever writes `spec.replicas` does its work, an HPA or KEDA: the judges of modes hpa and keda."""

from typing import Final

from workerpool_operator.api import ConditionStatus, ConditionType, Reason, ScalingMode, find
from workerpool_operator.domain.judging import Case, Judge, Verdict
from workerpool_operator.domain.metric import METRIC
from workerpool_operator.domain.scaling import HpaState, Outcome
from workerpool_operator.domain.snapshot import Absence

_FALSE: Final = ConditionStatus.FALSE
_PROVIDE: Final = (
    f"Install the chart with externalMetrics.enabled=true, or have another provider serve {METRIC}, or set "
    "scaling.mode to direct"
)
_OTHER_HPA: Final = "Delete the HPA that is not the pool's own: two on one pool stop each other"
_NO_KEDA: Final = {
    Absence.NOT_SERVED: Verdict(
        _FALSE,
        Reason.KEDA_NOT_INSTALLED,
        "the cluster has no ScaledObjects, the size is held. Install KEDA 2.19 or later, which the operator finds "
        "within a minute, or set scaling.mode to direct",
    ),
    Absence.FORBIDDEN: Verdict(
        _FALSE,
        Reason.FORBIDDEN,
        "the operator may not list ScaledObjects, the size is held: its ClusterRole lacks what the chart gives it",
    ),
}


def _keda_absent(case: Case) -> Verdict | None:
    """There is no KEDA, or it is out of reach."""
    absence = case.snapshot.keda.absence
    return _NO_KEDA[absence] if absence and case.snapshot.mode is ScalingMode.KEDA else None


def _missing(case: Case) -> Verdict | None:
    """There is no HPA, or no ScaledObject, because it was refused."""
    with_keda = case.snapshot.mode is ScalingMode.KEDA
    kind = "ScaledObject" if with_keda else "HorizontalPodAutoscaler"
    there = case.snapshot.keda.scaled_object if with_keda else case.snapshot.autoscaler
    if case.plan.followed is None or there is not None:
        return None
    for refusal in case.refusals:
        if refusal.kind == kind:
            message = f"the pool has no {'ScaledObject' if with_keda else 'HPA'}, the size is held. {refusal.message}"
            return Verdict(_FALSE, Reason.METRICS_UNAVAILABLE, message[:1024])
    return None


def _unable(case: Case) -> Verdict | None:
    """It says, and has said for long, that it cannot do its work. A new leader believes the one before."""
    followed, (whose, trouble) = case.plan.followed, _trouble(case)
    if followed is None or not trouble or case.plan.decision.outcome is not Outcome.ACTIVE:
        return None
    if not followed.unable and not (followed.young and _said(case, Reason.METRICS_UNAVAILABLE)):
        return None
    message = f"{whose} says {trouble} -- the size is held. {_remedy(case, trouble)}"
    return Verdict(_FALSE, Reason.METRICS_UNAVAILABLE, message[:1024])


def _trouble(case: Case) -> tuple[str, str]:
    """(who, what it says)."""
    if case.snapshot.mode is ScalingMode.KEDA:
        scaled = case.snapshot.keda.scaled_object
        return "KEDA", HpaState.of_scaled_object(scaled.body).trouble if scaled else ""
    child = case.snapshot.autoscaler
    return "the HPA", HpaState.of(child.body).trouble if child else ""


def _remedy(case: Case, trouble: str) -> str:
    if trouble.startswith("AmbiguousSelector"):
        return _OTHER_HPA
    if case.snapshot.mode is ScalingMode.KEDA:
        return f"See kubectl describe scaledobject {case.snapshot.pool.name}, or set scaling.mode to direct"
    return _PROVIDE


def _disagrees(case: Case) -> Verdict | None:
    """What stands in spec.replicas has been something else than what is wanted for long."""
    followed, pool = case.plan.followed, case.snapshot.pool
    if followed is None or not followed.apart or case.plan.decision.outcome is not Outcome.ACTIVE:
        return None
    if not followed.disagrees and not (followed.young and _said(case, Reason.METRICS_DISAGREE)):
        return None
    look = (
        f"the HPA controller runs, and who serves {METRIC} (kubectl describe apiservice "
        "v1beta1.external.metrics.k8s.io)"
        if case.snapshot.mode is ScalingMode.HPA
        else f"KEDA runs, and what its HPA says (kubectl describe hpa keda-hpa-{pool.name})"
    )
    message = (
        f"spec.replicas stays at {pool.spec.replicas} where {case.plan.decision.desired} are wanted: see whether {look}"
    )
    return Verdict(_FALSE, Reason.METRICS_DISAGREE, message)


def _said(case: Case, reason: Reason) -> bool:
    """Whether the condition ScalingActive has this reason already."""
    old = find(case.snapshot.pool.status.conditions, ConditionType.SCALING_ACTIVE)
    return old is not None and old.reason == reason


JUDGES: Final[tuple[Judge, ...]] = (_keda_absent, _missing, _unable, _disagrees)
"""A part of the chain of ScalingActive, in order."""

"""What the status says of a rollout: figures for people, and what the next leader needs."""

from typing import Any, Final

from workerpool_operator.api import ObjectiveStatus, Reason, RolloutStatus
from workerpool_operator.domain.rollout.judge import START_SECONDS, Cause, Finding, Verdict
from workerpool_operator.domain.rollout.objectives import Standing
from workerpool_operator.domain.rollout.splitter import job_share
from workerpool_operator.domain.rollout.steps import Event
from workerpool_operator.domain.versions import Trial, Versions, judged, memory_of

REASONS: Final = {
    Event.STARTED: Reason.CANARY_STARTED,
    Event.SUPERSEDED: Reason.CANARY_SUPERSEDED,
    Event.WITHDRAWN: Reason.CANARY_WITHDRAWN,
    Event.STEPPED: Reason.CANARY_STEPPED,
    Event.PROMOTED: Reason.CANARY_PROMOTED,
    Event.REJECTED: Reason.CANARY_REJECTED,
    Event.REPLACED: Reason.VERSION_REPLACED,
    Event.PAUSED: Reason.ROLLOUT_PAUSED,
    Event.RESUMED: Reason.ROLLOUT_RESUMED,
    Event.REFUSED: Reason.COMMAND_REFUSED,
}
_CAUSES: Final = {
    Cause.BUDGET: "more first attempts failed than spec.rollout.analysis.failureBudget allows",
    Cause.SLO: "it breaks an objective of spec.slo that the stable version keeps",
    Cause.NOT_STARTED: f"none of its workers has been ready for {START_SECONDS:.0f} s",
    Cause.TAKES_NOTHING: "its workers are ready and take no job, while those of the stable version do",
}
"""Why a canary failed, where that is not by the figures of a signal."""


def rollout_status(versions: Versions) -> RolloutStatus | None:
    """How far the rollout is; None where versions take over without a canary."""
    trial, rollout = versions.trial, versions.rollout
    if trial is None or rollout is None:
        return None
    state = trial.outcome.state
    said = RolloutStatus(
        stable=state.stable,
        wanted=trial.wanted,
        rejected=state.rejected,
        command_id=state.command_id,
        command_refused=state.command_refused,
        memory=memory_of(rollout),
    )
    return said.changed(**_tried(trial)) if state.canary else said


def _tried(trial: Trial) -> dict[str, Any]:
    state, assessment = trial.outcome.state, trial.assessment
    attempts = judged(trial.evidence).total
    fields: dict[str, Any] = {
        "canary": state.canary,
        "step": state.step + 1,
        "weight": trial.weight,
        "pod_share": number(trial.pod_share),
        "job_share": number(job_share(attempts)),
        "verdict": str(assessment.verdict),
        "cause": str(assessment.cause),
        "wait": str(trial.outcome.wait),
        "jobs": round(attempts.canary_trials),
        "failures": attempts.canary_failures,
        "objectives": tuple(_objective(one) for one in assessment.standings),
        "measured_seconds": round(trial.evidence.measured_seconds),
    }
    fields |= _shown(assessment.worst) if assessment.worst else {}
    return fields | {"minimum_detectable_ratio": fields.get("minimum_detectable_ratio") or number(trial.foreseen)}


def _objective(standing: Standing) -> ObjectiveStatus:
    return ObjectiveStatus(
        name=str(standing.objective),
        allowed=number(standing.allowed),
        canary=number(standing.canary),
        stable=number(standing.stable),
    )


def _shown(finding: Finding) -> dict[str, Any]:
    return {
        "signal": str(finding.signal),
        "ratio": number(finding.ratio),
        # Where nothing failed on either side there is no ratio, and 0 for its lower end would say nothing.
        "ratio_low": "" if finding.ratio is None and not finding.low else number(finding.low),
        "ratio_high": number(finding.high),
        "minimum_detectable_ratio": number(finding.detectable),
    }


def number(value: float | None) -> str:
    """For people; empty where there is none."""
    return "" if value is None else f"{value:.3g}"


def events(versions: Versions) -> list[tuple[Reason, str]]:
    """What happened to the rollout: (the reason, in words)."""
    if versions.trial is None:
        return []
    trial = versions.trial
    return [(REASONS[event], _message(event, trial)) for event in trial.outcome.events]


def _message(event: Event, trial: Trial) -> str:
    state = trial.outcome.state
    match event:
        case Event.REJECTED:
            return f"{state.rejected[0]}: {why(trial)}; back to {state.stable}"
        case Event.STARTED | Event.SUPERSEDED:
            return _began(trial)
        case Event.REFUSED:
            return f"command {state.command_id} does not fit: {_doing(trial)}"
    return _doing(trial)


def why(trial: Trial) -> str:
    """Why a canary was rejected."""
    assessment, worst = trial.assessment, trial.assessment.worst
    if assessment.verdict is not Verdict.FAIL:
        return f"{assessment.verdict} by {assessment.cause}, as the pool or a command wants it"
    broken = [f"{one.objective}, missed by {number(one.canary)}" for one in assessment.standings if one.broken]
    if assessment.cause is Cause.SLO:
        return f"{_CAUSES[Cause.SLO]}: {'; '.join(broken)}"
    if worst is None or assessment.cause is not Cause.EVIDENCE:
        return _CAUSES[assessment.cause]
    if worst.ratio is None:
        return f"{worst.total.canary_failures} {worst.signal}, and none of the stable version"
    return f"{worst.signal} at {number(worst.ratio)} times the stable rate"


def _began(trial: Trial) -> str:
    """With what it will be able to show."""
    found = f"; the steps will find {number(trial.foreseen)} times the stable rate" if trial.foreseen else ""
    return f"{_doing(trial)}{found}"


def _doing(trial: Trial) -> str:
    state = trial.outcome.state
    if not state.canary:
        return f"version {state.stable} is the stable one"
    return f"version {state.canary} is tried by {trial.weight} % of the workers beside {state.stable}"

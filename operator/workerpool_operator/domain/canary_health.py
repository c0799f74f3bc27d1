"""Condition CanaryHealthy: whether the version that the pool asks for is fit to run it, as far as that is known."""

from typing import Final, TypeAlias

from workerpool_operator.api import Condition, ConditionStatus, Reason
from workerpool_operator.domain.rollout.judge import Verdict
from workerpool_operator.domain.rollout_status import number, why
from workerpool_operator.domain.versions import Trial

Health: TypeAlias = tuple[ConditionStatus, Reason, str]
_SAYS: Final = {
    Verdict.PASS: (ConditionStatus.TRUE, Reason.CANARY_PASSING),
    Verdict.FAIL: (ConditionStatus.FALSE, Reason.CANARY_FAILING),
    Verdict.INCONCLUSIVE: (ConditionStatus.UNKNOWN, Reason.CANARY_INCONCLUSIVE),
}


def health(trial: Trial | None, *, before: Condition | None) -> Health:
    """What is known of the version. `before`: the condition as it stands, which alone says why one was rejected."""
    if trial is None:
        return ConditionStatus.TRUE, Reason.NO_CANARY, "versions take over without a canary"
    state = trial.outcome.state
    if not state.canary:
        return _between(trial, before)
    verdict = trial.assessment.verdict
    status, reason = _SAYS[verdict]
    return status, reason, f"{state.canary}: {_message(trial)}"


def _between(trial: Trial, before: Condition | None) -> Health:
    state = trial.outcome.state
    if trial.wanted not in state.rejected:
        return ConditionStatus.TRUE, Reason.NO_CANARY, f"version {state.stable} is the stable one"
    told = before is not None and before.reason == Reason.CANARY_REJECTED and trial.wanted in before.message
    if before is not None and told and not trial.outcome.events:
        return ConditionStatus.FALSE, Reason.CANARY_REJECTED, before.message
    message = f"{trial.wanted} was rejected: {why(trial)}; {state.stable} runs. Ask for another version, or retry"
    return ConditionStatus.FALSE, Reason.CANARY_REJECTED, message


def _message(trial: Trial) -> str:
    if trial.assessment.verdict is Verdict.FAIL:
        return why(trial)
    worst = trial.assessment.worst
    detectable = (worst.detectable if worst else None) or trial.foreseen
    found = f"; {number(detectable)} times the stable rate would be found" if detectable else ""
    return f"{trial.assessment.verdict} by {trial.assessment.cause}{found}"

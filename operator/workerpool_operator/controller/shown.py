"""What the metrics say of a pool's rollout."""

from workerpool_operator.domain.rollout.splitter import job_share
from workerpool_operator.domain.versions import Versions, judged
from workerpool_operator.metrics import CanarySeries


def canary_series(versions: Versions | None) -> CanarySeries | None:
    """None where versions take over without a canary, or none can be rendered."""
    trial = versions.trial if versions else None
    if trial is None:
        return None
    state = trial.outcome.state
    rejected = trial.wanted in state.rejected
    if not state.canary:
        return CanarySeries(rejected=rejected)
    return CanarySeries(
        rejected=rejected,
        version=state.canary,
        verdict=str(trial.assessment.verdict),
        step=state.step + 1,
        weight=trial.weight,
        pod_share=trial.pod_share,
        job_share=job_share(judged(trial.evidence).total),
        ratios=tuple((str(one.signal), one.ratio) for one in trial.assessment.findings if one.ratio is not None),
    )

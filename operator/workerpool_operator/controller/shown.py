"""What the metrics say of a pool's rollout, and of where its workers are."""

from collections import Counter
from typing import Final

from workerpool_operator.api import WorkerPoolStatus
from workerpool_operator.domain.layout import counted
from workerpool_operator.domain.rollout.splitter import job_share
from workerpool_operator.domain.snapshot import Snapshot
from workerpool_operator.domain.versions import Versions, judged
from workerpool_operator.metrics import CanarySeries, PlaceSeries, VersionRole

FORMER: Final = "former"
"""What the metrics call places that the pool named before."""
_RANKS: Final = {"stable": 0, "canary": 1, "draining": 2}


def roles(after: WorkerPoolStatus) -> tuple[VersionRole, ...]:
    """Each version once, though it may be there in several revisions: a join by version takes one role only.

    Of several roles it is the one that most depends on: stable before canary before draining.
    """
    ranked = sorted(after.versions, key=lambda one: _RANKS.get(one.role, len(_RANKS)))
    found = {one.hash: one.role for one in reversed(ranked)}
    return tuple(VersionRole(one, found[one]) for one in dict.fromkeys(one.hash for one in after.versions))


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
        step_seconds=trial.step_seconds,
        weight=trial.weight,
        pod_share=trial.pod_share,
        job_share=job_share(judged(trial.evidence).total),
        ratios=tuple((str(one.signal), one.ratio) for one in trial.assessment.findings if one.ratio is not None),
    )


def place_series(snapshot: Snapshot, after: WorkerPoolStatus) -> PlaceSeries | None:
    """None where the pool names no places."""
    places, told = snapshot.places, after.placement
    if not places.role:
        return None
    names = {places.home: places.role}
    if places.away is not None:
        names[places.away] = places.other
    workers = Counter(dict.fromkeys(names.values(), 0))
    for name, count in counted(snapshot).items():
        workers[names.get(snapshot.deployments[name].place, FORMER)] += count
    lasted = (snapshot.wall_time - told.since).total_seconds() if told is not None and told.since is not None else 0.0
    return PlaceSeries(workers=workers, lost=places.all_lost, since=snapshot.now - lasted if places.all_lost else None)


def failed_over(snapshot: Snapshot) -> bool:
    """Whether workers are lost now, and none were when this leader last looked."""
    held = snapshot.memory.held
    return held is not None and snapshot.places.all_lost > 0 and not any(one.lost for one in held.values())

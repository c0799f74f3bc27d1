"""The size to bring a pool to, in the mode in force, and what its `spec.replicas` has to say."""

from dataclasses import dataclass
from typing import Final

from workerpool_operator.api import (
    ScalingMode,
)
from workerpool_operator.domain import layout
from workerpool_operator.domain.ebbing import size_soon
from workerpool_operator.domain.rules import most_slots, rules_of
from workerpool_operator.domain.scaling import (
    Allowance,
    Decision,
    Followed,
    HpaInputs,
    HpaMemory,
    HpaState,
    Inputs,
    Outcome,
    decide,
    follow,
    muster,
)
from workerpool_operator.domain.snapshot import Snapshot
from workerpool_operator.domain.waking import first_ahead

DEFAULT_REPLICAS: Final = 1
"""Schema default of spec.replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many workers are wanted, how many of those it shall be now, and why."""

    decision: Decision
    size: int
    followed: Followed | None = None
    """In modes hpa and keda."""
    soon: int | None = None
    """How many it will be within moments unless something happens; None: nobody is prepared for that."""
    replicas: int | None = None
    """What to write into spec.replicas, if anything."""


def size_of(snapshot: Snapshot) -> Size:
    """The size for this snapshot."""
    match snapshot.mode:
        case ScalingMode.MANUAL:
            handed_over = _handed_over(snapshot)
            manual = snapshot.pool.spec.replicas if handed_over is None else handed_over
            decision = decide(_inputs(snapshot, manual=manual))
            return Size(decision=decision, size=decision.desired, replicas=handed_over)
        case ScalingMode.HPA | ScalingMode.KEDA:
            decision = decide(_inputs(snapshot))
            followed = _follow(snapshot, decision)
            if decision.backlog is None and decision.desired > followed.size:
                # While no queue is known no HPA is told a number, so what is wanted all the same is not left to it.
                return Size(decision=decision, size=decision.desired, followed=followed, replicas=decision.desired)
            return Size(decision=decision, size=followed.size, followed=followed, replicas=followed.write)
    inputs = _inputs(snapshot)
    size, decision = first_ahead(decide(inputs), inputs)
    soon, decision = size_soon(decision, inputs)
    return Size(decision=decision, size=size, soon=soon)


def present_size(snapshot: Snapshot) -> int:
    """The size the pool has been given, without the surge of a change of version."""
    sizes = list(layout.counted(snapshot).values())
    total = sum(sizes)
    scaling = snapshot.pool.status.scaling
    before = scaling.given if scaling else total
    changing = sum(1 for size in sizes if size > 0) > 1
    surge = snapshot.pool.spec.rollout.surge
    return before if changing and before < total <= before + surge else total


def _inputs(snapshot: Snapshot, *, manual: int | None = None) -> Inputs:
    spec = snapshot.pool.spec
    return Inputs(
        rules=rules_of(snapshot.pool, slots=_slots(snapshot), wall=snapshot.wall_time, manual=manual),
        queues=[queue.name for queue in spec.queues],
        samples=snapshot.samples,
        current=present_size(snapshot),
        history=snapshot.memory.history,
        now=snapshot.now,
        wall=snapshot.wall_time,
        pod_start_seconds=snapshot.memory.pod_start_seconds,
        traffic=snapshot.traffic,
        fleet=muster(snapshot.reports.values()),
        forecast=snapshot.forecast,
        allowance=Allowance(granted=snapshot.seats.granted) if snapshot.seats else None,
    )


def _slots(snapshot: Snapshot) -> int:
    """Jobs that one worker runs at a time: what the workers say on the average, never more than the pool allows.

    They know best: each may have found a limit of its own, or have lost threads.
    """
    most = most_slots(snapshot.pool)
    said = [one.slots for one in snapshot.reports.values() if one.slots and one.fresh and not one.draining]
    return max(1, min(most, sum(said) // len(said))) if said else most


def _follow(snapshot: Snapshot, decision: Decision) -> Followed:
    before, scaling = snapshot.pool.status.scaling, snapshot.pool.spec.scaling
    return follow(
        HpaInputs(
            wanted=decision.desired,
            known=decision.outcome is Outcome.ACTIVE or snapshot.pool.spec.suspend,
            current=present_size(snapshot),
            replicas=snapshot.pool.spec.replicas,
            entering=before is None or before.mode != snapshot.mode,
            min_replicas=min(scaling.min_replicas, decision.desired),
            max_replicas=scaling.max_replicas,
            exact=snapshot.facts.exact_hpa,
            hpa=_state(snapshot, decision),
            memory=snapshot.memory.hpa or HpaMemory.new(now=snapshot.now),
            now=snapshot.now,
        )
    )


def _state(snapshot: Snapshot, decision: Decision) -> HpaState:
    """What whoever scales the pool says of itself.

    KEDA looks only twice a minute, so what it says for want of an answer stays long after there is one again.
    """
    if snapshot.mode is ScalingMode.HPA:
        return HpaState.of(snapshot.autoscaler.body) if snapshot.autoscaler else HpaState()
    scaled = snapshot.keda.scaled_object
    return HpaState.of_scaled_object(scaled.body) if scaled and decision.outcome is Outcome.ACTIVE else HpaState()


def _handed_over(snapshot: Snapshot) -> int | None:
    """The size to write into spec.replicas, once, when a person takes over from the operator or an HPA: that of now.

    What stands in the field is a leftover then, of an HPA or of an earlier mode, and taken at its word it would end
    workers. It is the person's word only if it changed together with the mode, and not to the schema's default: that is
    what a PUT without the field makes of it.
    """
    spec, before = snapshot.pool.spec, snapshot.pool.status.scaling
    if before is None or before.mode not in {ScalingMode.DIRECT, ScalingMode.HPA, ScalingMode.KEDA}:
        return None
    spoken = before.spec_replicas is not None and spec.replicas not in {before.spec_replicas, DEFAULT_REPLICAS}
    size = present_size(snapshot)
    return None if spoken or spec.replicas == size else size

"""The size to bring a pool to, in the mode in force, and what its `spec.replicas` has to say."""

from dataclasses import dataclass
from typing import Final

from workerpool_operator.api import (
    FallbackBehavior,
    FallbackSpec,
    ScaleDownSpec,
    ScaleUpSpec,
    ScalingMode,
    ScheduleSpec,
)
from workerpool_operator.domain import desired
from workerpool_operator.domain.scaling import (
    Decision,
    Followed,
    HpaInputs,
    HpaMemory,
    HpaState,
    Inputs,
    Outcome,
    Pace,
    Rules,
    Schedule,
    decide,
    follow,
    muster,
    overrides,
)
from workerpool_operator.domain.snapshot import Snapshot

DEFAULT_REPLICAS: Final = 1
"""Schema default of spec.replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many workers are wanted, how many of those it shall be now, and why."""

    decision: Decision
    size: int
    followed: Followed | None = None
    """In mode hpa."""
    replicas: int | None = None
    """What to write into spec.replicas, if anything."""


def size_of(snapshot: Snapshot) -> Size:
    """The size for this snapshot."""
    match snapshot.mode:
        case ScalingMode.MANUAL:
            handed_over = _handed_over(snapshot)
            decision = _decide(snapshot, manual=snapshot.pool.spec.replicas if handed_over is None else handed_over)
            return Size(decision=decision, size=decision.desired, replicas=handed_over)
        case ScalingMode.HPA:
            decision = _decide(snapshot)
            followed = _follow(snapshot, decision)
            if decision.backlog is None and decision.desired > followed.size:
                # While no queue is known the HPA is told nothing, so what is wanted all the same is not left to it.
                return Size(decision=decision, size=decision.desired, followed=followed, replicas=decision.desired)
            return Size(decision=decision, size=followed.size, followed=followed, replicas=followed.write)
    decision = _decide(snapshot)
    return Size(decision=decision, size=decision.desired)


def present_size(snapshot: Snapshot) -> int:
    """The size the pool has been given, without the surge of a change of version."""
    sizes = [child.replicas for child in snapshot.deployments.values()]
    total = sum(sizes)
    scaling = snapshot.pool.status.scaling
    before = scaling.given if scaling else total
    changing = sum(1 for size in sizes if size > 0) > 1
    return before if changing and before < total <= before + 1 else total


def _decide(snapshot: Snapshot, *, manual: int | None = None) -> Decision:
    spec = snapshot.pool.spec
    scaling, rate = spec.scaling, spec.delivery.rate_limit_per_second
    return decide(
        Inputs(
            rules=Rules(
                manual_replicas=manual,
                min_replicas=scaling.min_replicas,
                max_replicas=scaling.max_replicas,
                cooldown_seconds=scaling.cooldown_seconds,
                up=_pace(scaling.scale_up),
                down=_pace(scaling.scale_down),
                downstream_concurrency=scaling.downstream_max_concurrency,
                rate_limit=None if rate is None else float(rate),
                slots=_slots(snapshot),
                targets=scaling.targets,
                warm_replicas=scaling.warm_replicas,
                schedules=tuple(_schedule(one) for one in scaling.schedules),
                fallback_after=scaling.fallback.after_seconds,
                fallback_replicas=_fallback_replicas(scaling.fallback),
                overrides=overrides(snapshot.pool.metadata.annotations),
                cpu_request=_cpu_request(snapshot),
            ),
            queues=[queue.name for queue in spec.queues],
            samples=snapshot.samples,
            current=present_size(snapshot),
            history=snapshot.memory.history,
            now=snapshot.now,
            wall=snapshot.wall_time,
            pod_start_seconds=snapshot.memory.pod_start_seconds,
            traffic=snapshot.traffic,
            fleet=muster(snapshot.reports.values()),
        )
    )


def _pace(spec: ScaleUpSpec | ScaleDownSpec) -> Pace:
    return Pace(
        stabilization_seconds=spec.stabilization_seconds,
        pods=spec.max_pods_per_minute,
        percent=spec.max_percent_per_minute,
    )


def _schedule(spec: ScheduleSpec) -> Schedule:
    return Schedule(
        cron=spec.cron, time_zone=spec.time_zone, seconds=spec.duration_seconds, min_replicas=spec.min_replicas
    )


def _fallback_replicas(spec: FallbackSpec) -> int:
    return (spec.replicas or 0) if spec.behavior is FallbackBehavior.REPLICAS else 0


def _cpu_request(snapshot: Snapshot) -> float | None:
    """Cores that a worker asks for. A limit without a request is a request, as Kubernetes has it."""
    resources = snapshot.pool.spec.worker.resources
    amount = (resources.requests or {}).get("cpu", (resources.limits or {}).get("cpu"))
    try:
        return None if amount is None else desired.number(amount)
    except desired.RenderError:
        return None  # no pod can be made of it either, which the pool's conditions say


def _slots(snapshot: Snapshot) -> int:
    """Jobs that one worker runs at a time: what the workers say on the average, never more than the pool allows.

    They know best: each may have found a limit of its own, or have lost threads.
    """
    spec = snapshot.pool.spec
    most = min(spec.worker.max_workers, spec.delivery.concurrency_per_worker or spec.worker.max_workers)
    said = [one.slots for one in snapshot.reports.values() if one.slots and one.fresh and not one.draining]
    return max(1, min(most, sum(said) // len(said))) if said else most


def _follow(snapshot: Snapshot, decision: Decision) -> Followed:
    before, scaling = snapshot.pool.status.scaling, snapshot.pool.spec.scaling
    return follow(
        HpaInputs(
            wanted=decision.desired,
            known=decision.outcome is Outcome.ACTIVE,
            current=present_size(snapshot),
            replicas=snapshot.pool.spec.replicas,
            entering=before is None or before.mode != ScalingMode.HPA,
            min_replicas=scaling.min_replicas,
            max_replicas=scaling.max_replicas,
            exact=snapshot.facts.exact_hpa,
            hpa=HpaState.of(snapshot.autoscaler.body) if snapshot.autoscaler else HpaState(),
            memory=snapshot.memory.hpa or HpaMemory.new(now=snapshot.now),
            now=snapshot.now,
        )
    )


def _handed_over(snapshot: Snapshot) -> int | None:
    """The size to write into spec.replicas, once, when a person takes over from the operator or the HPA: that of now.

    What stands in the field is a leftover then, of the HPA or of an earlier mode, and taken at its word it would end
    workers. It is the person's word only if it changed together with the mode, and not to the schema's default: that is
    what a PUT without the field makes of it.
    """
    spec, before = snapshot.pool.spec, snapshot.pool.status.scaling
    if before is None or before.mode not in {ScalingMode.DIRECT, ScalingMode.HPA}:
        return None
    spoken = before.spec_replicas is not None and spec.replicas not in {before.spec_replicas, DEFAULT_REPLICAS}
    size = present_size(snapshot)
    return None if spoken or spec.replicas == size else size

"""A pool's own wishes about its size, as `decide` takes them."""

from datetime import datetime

from workerpool_operator.api import (
    FallbackBehavior,
    FallbackSpec,
    ScaleDownSpec,
    ScaleUpSpec,
    ScheduleSpec,
    WorkerPool,
)
from workerpool_operator.domain import desired
from workerpool_operator.domain.scaling import Overrides, Pace, Rules, Schedule
from workerpool_operator.domain.scaling import overrides as read_overrides


def rules_of(pool: WorkerPool, *, slots: int, wall: datetime, manual: int | None = None) -> Rules:
    """The rules of this pool. `slots`: jobs that one worker runs at a time; `manual`: the size that a person set."""
    scaling, overrides = pool.spec.scaling, overrides_of(pool)
    return Rules(
        manual_replicas=manual,
        min_replicas=scaling.min_replicas,
        max_replicas=scaling.max_replicas,
        cooldown_seconds=scaling.cooldown_seconds,
        up=_pace(scaling.scale_up),
        down=_pace(scaling.scale_down),
        downstream_concurrency=scaling.downstream_max_concurrency,
        rate_limit=_rate(pool, overrides, wall=wall),
        slots=slots,
        targets=scaling.targets,
        warm_replicas=scaling.warm_replicas,
        schedules=tuple(_schedule(one) for one in scaling.schedules),
        fallback_after=scaling.fallback.after_seconds,
        fallback_replicas=_fallback_replicas(scaling.fallback),
        overrides=overrides,
        suspended=pool.spec.suspend,
        cpu_request=_cpu_request(pool),
        predictive=scaling.predictive.mode,
    )


def overrides_of(pool: WorkerPool) -> Overrides:
    """What a person said of this pool on its annotations."""
    return read_overrides(pool.metadata.annotations, paceable=paceable(pool))


def paceable(pool: WorkerPool) -> bool:
    """Whether its workers can keep a rate together: they know where their jobs are, and what takes them is ours."""
    return any(queue.broker is not None and queue.broker.FOR_WORKERS for queue in pool.spec.queues)


def by_shares(pool: WorkerPool) -> bool:
    """Whether they do so by a share for each: one of their brokers cannot count for all of them."""
    brokers = [queue.broker for queue in pool.spec.queues if queue.broker is not None]
    return any(broker.FOR_WORKERS and broker.BY_SHARES for broker in brokers)


def rate_of(pool: WorkerPool, *, wall: datetime) -> float | None:
    """Jobs that its workers together may begin per second at this moment; None: any number."""
    return _rate(pool, overrides_of(pool), wall=wall)


def most_slots(pool: WorkerPool) -> int:
    """Jobs that one of its workers may run at a time."""
    spec = pool.spec
    return min(spec.worker.max_workers, spec.delivery.concurrency_per_worker or spec.worker.max_workers)


def _rate(pool: WorkerPool, overrides: Overrides, *, wall: datetime) -> float | None:
    limit = pool.spec.delivery.rate_limit_per_second
    return overrides.rate(None if limit is None else float(limit), wall=wall)


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


def _cpu_request(pool: WorkerPool) -> float | None:
    """Cores that a worker asks for. A limit without a request is a request, as Kubernetes has it."""
    resources = pool.spec.worker.resources
    amount = (resources.requests or {}).get("cpu", (resources.limits or {}).get("cpu"))
    try:
        return None if amount is None else desired.number(amount)
    except desired.RenderError:
        return None  # no pod can be made of it either, which the pool's conditions say

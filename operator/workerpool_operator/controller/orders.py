"""What a pool's spec says to its workers while they run."""

from collections.abc import Mapping

from workerpool.protocol import Delivery, Share, TenantLimit
from workerpool_operator.api import WorkerPoolSpec
from workerpool_operator.domain.scaling import Shares


def delivery_of(pool: WorkerPoolSpec, *, rate: float | None, take_rates: Mapping[str, float]) -> Delivery:
    """The settings of `spec.delivery`, and what the spec calls late and slow, as the stream carries them.

    `rate`: the limit in force, by `rules.rate_of`; `take_rates`: by version, what each of its workers may begin.
    """
    spec, slow = pool.delivery, pool.rollout.analysis.slow_job_seconds
    return Delivery(
        max_attempts=spec.max_attempts,
        backoff_seconds=spec.backoff_seconds,
        backoff_max_seconds=spec.backoff_max_seconds,
        lease_seconds=spec.lease_seconds,
        rate_limit_per_second=rate,
        concurrency_per_worker=spec.concurrency_per_worker,
        tenant_limits={
            tenant: TenantLimit(
                rate_per_second=limit.rate_per_second and float(limit.rate_per_second),
                max_in_flight=limit.max_in_flight,
            )
            for tenant, limit in spec.tenant_limits.items()
        },
        take_rates=dict(take_rates),
        shed_after_seconds=spec.shed_after_seconds.to_json(),
        late_after_seconds=pool.slo.job_latency_seconds,
        slow_after_seconds=slow and float(slow),
    )


def shares_of(shares: Shares) -> dict[str, Share]:
    """Each worker's share of the rate limit by its pod's uid, as the stream carries it."""
    return {uid: Share(id=share.id, per_second=share.per_second) for uid, share in shares.newest.items()}

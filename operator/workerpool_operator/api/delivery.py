"""`spec.delivery`: what holds for jobs, from the next one on, in workers that run."""

from typing import Final

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import Model, Rate, Rule, rules

_TENANT_NAMES: Final = Rule(
    cel="self.all(tenant, tenant.size() >= 1 && tenant.size() <= 253)",
    message="a tenant's name has 1 to 253 characters; write * for each tenant that is not named",
)


class TenantLimitSpec(Model):
    """How much of a queue one tenant may use."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="has(self.ratePerSecond) || has(self.maxInFlight)",
                message="write ratePerSecond, maxInFlight or both; a tenant without a limit is left out",
            )
        )
    )

    rate_per_second: Rate | None = Field(
        default=None, description="Its jobs that begin per second, repeated attempts included. No limit when unset."
    )
    max_in_flight: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Its jobs that run at a time. No limit when unset."
    )


_Wait = Field(default=None, ge=1, le=31_536_000, description="Never when unset.")


class ShedSpec(Model):
    """After how long a wait a job is not worth running any more, by class of priority."""

    high: int | None = _Wait
    normal: int | None = _Wait
    low: int | None = _Wait


class DeliverySpec(Model):
    """How often and when a job is tried, and which ones run. Reaches running workers in seconds, without a restart."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="self.backoffSeconds <= self.backoffMaxSeconds",
                message="backoffSeconds must not be above backoffMaxSeconds: lower the one or raise the other",
                path=".backoffSeconds",
            )
        )
    )

    max_attempts: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Attempts before a job goes to the dead-letter queue (MAX_ATTEMPTS).",
    )
    backoff_seconds: int = Field(
        default=1, ge=0, le=3600, description="Upper end of the random wait before the second attempt; doubles after."
    )
    backoff_max_seconds: int = Field(default=60, ge=0, le=86_400, description="Longest wait between two attempts.")
    lease_seconds: int = Field(
        default=60,
        ge=5,
        le=86_400,
        description="A job whose worker is silent for so long is given to another (LEASE_SECONDS).",
    )
    rate_limit_per_second: Rate | None = Field(
        default=None,
        description="All workers of the pool together begin at most so many jobs per second, repeated attempts "
        "included (RATE_LIMIT_PER_SECOND). On RabbitMQ and Kafka each has its share of it. No limit when unset.",
    )
    concurrency_per_worker: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Jobs that one worker runs at a time, at most worker.maxWorkers, which it is when unset "
        "(CONCURRENCY_PER_WORKER). Where workers find their limit themselves, they stay below it.",
    )
    tenant_limits: dict[str, TenantLimitSpec] = Field(
        default={},
        max_length=32,
        description="How much of a queue one tenant may use, by its name; * is each tenant that is not named. Holds "
        "for all workers together, in each of the pool's queues (TENANT_LIMITS). Jobs beyond it wait, hold up no other "
        "tenant, and make no pool grow.",
        json_schema_extra=rules(_TENANT_NAMES),
    )
    shed_after_seconds: ShedSpec = Field(
        default=ShedSpec(),
        description="Jobs that have waited for so long since they became due are not run but go to the dead-letter "
        "queue, reason shed (SHED_AFTER_SECONDS). By class of priority; one that is unset is never shed.",
    )

"""`spec` of a WorkerPool: what the user wants."""

from enum import StrEnum
from typing import Final

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import ATOMIC, IntOrPercent, Model, Rule, Share, explained, keyed_by, rules
from workerpool_operator.api.alerts import AlertsSpec
from workerpool_operator.api.brokers import KINDS
from workerpool_operator.api.budget import BudgetRef
from workerpool_operator.api.delivery import DeliverySpec
from workerpool_operator.api.placement import PlacementSpec
from workerpool_operator.api.predictive import PredictiveSpec
from workerpool_operator.api.queues import QueueSpec
from workerpool_operator.api.rollout import RolloutSpec
from workerpool_operator.api.slo import SloSpec
from workerpool_operator.api.worker import WorkerSpec

DEFAULT_DEPTH_PER_REPLICA: Final = 20
"""Jobs per worker pod that are aimed at when a pool sets no target."""
LEASE_HEARTBEATS: Final = 3
"""A lease outlives two missed heartbeats."""
ALERT_HEARTBEATS: Final = 2
"""Between two heartbeats a healthy worker's last one grows almost a period old."""


_UNSET: Final = {
    "tenantLimits": "!has(self.delivery.tenantLimits) || self.delivery.tenantLimits.size() == 0",
}
"""CEL: the field of `spec.delivery`, which not every kind of broker can do, asks for nothing."""


def _not_beside(name: str, unset: str) -> Rule:
    """Refuses the field of `spec.delivery` where a queue is of a kind that cannot do it."""
    kinds = [kind for kind, broker in KINDS.items() if name in broker.WITHOUT]
    return Rule(
        cel=f"{unset} || !self.queues.exists(queue, {' || '.join(f'has(queue.{kind})' for kind in kinds)})",
        message=f"delivery.{name} cannot be kept by every broker: leave it out, or use no queue of "
        f"{' or '.join(kinds)}",
        path=f".delivery.{name}",
    )


class ScalingMode(StrEnum):
    """Who applies the size."""

    AUTO = "auto"
    """hpa where this operator serves the metric and Kubernetes is 1.35 or newer, else direct."""
    HPA = "hpa"
    """A HorizontalPodAutoscaler that follows the number that the operator decides on."""
    KEDA = "keda"
    """KEDA, by a ScaledObject that follows the number that the operator decides on."""
    DIRECT = "direct"
    """The operator, on each new reading of the queues."""
    MANUAL = "manual"
    """A person, through spec.replicas (kubectl scale)."""


class Targets(Model):
    """What the size is chosen for. The largest answer counts."""

    queue_depth: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Jobs that may wait in the whole pool; the pool grows in proportion while more are waiting.",
    )
    queue_depth_per_replica: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Jobs, waiting or running, for each worker pod. 20 when no target is set.",
    )

    job_latency_seconds: int | None = Field(
        default=None,
        ge=1,
        le=86_400,
        description="Seconds in which what waits is to be done, together with what comes meanwhile. Follows from how "
        "fast jobs come and how long they take, as measured.",
    )
    utilization: Share | None = Field(
        default=None,
        description='Share of the workers\' slots that is to be busy, such as "0.75".',
    )
    cpu_utilization: Share | None = Field(
        default=None,
        description='Share of the CPU that the workers request that they are to use, such as "0.7". Needs '
        "worker.resources.requests.cpu.",
    )

    def effective(self) -> "Targets":
        """These targets, or the default one when none is set."""
        if all(getattr(self, name) is None for name in Targets.model_fields):
            return Targets(queue_depth_per_replica=DEFAULT_DEPTH_PER_REPLICA)
        return self


_PODS = Field(
    default=None, ge=1, le=100_000, description="At most so many worker pods within a minute. Any when unset."
)
_PERCENT_WORDS: Final = "of the size that the pool had a minute ago. With maxPodsPerMinute, whichever allows more."


class ScaleUpSpec(Model):
    """How readily workers are added."""

    stabilization_seconds: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="The pool grows to the smallest size that the work asked for within so many seconds, so that a "
        "moment's burst costs no start. Holds for a pool at 0 as well.",
    )
    max_pods_per_minute: int | None = _PODS
    max_percent_per_minute: int | None = Field(
        default=None, ge=1, le=100_000, description=f"At most so many percent within a minute, {_PERCENT_WORDS}"
    )


class ScaleDownSpec(Model):
    """How readily workers are given up."""

    stabilization_seconds: int = Field(
        default=30,
        ge=0,
        le=3600,
        description="The pool shrinks to the largest size that the work asked for within so many seconds, so that "
        "a pause between two bursts costs no worker.",
    )
    max_pods_per_minute: int | None = _PODS
    max_percent_per_minute: int | None = Field(
        default=None, ge=1, le=100, description=f"At most so many percent within a minute, {_PERCENT_WORDS}"
    )


class ScheduleSpec(Model):
    """A floor by the clock."""

    cron: str = Field(
        max_length=100,
        pattern=r"^[^ ]+( [^ ]+){4}$",
        json_schema_extra=explained(
            "write five fields, for minute, hour, day of the month, month and day of the week: 0 7 * * 1-5"
        ),
        description="When it begins: minute, hour, day of the month, month and day of the week.",
    )
    time_zone: str = Field(
        default="UTC",
        min_length=1,
        max_length=64,
        description="Whose clocks: a name of the time zone database, such as Europe/Berlin.",
    )
    duration_seconds: int = Field(ge=60, le=604_800, description="How long it holds.")
    min_replicas: int = Field(ge=1, le=100_000, description="Worker pods that there are at least meanwhile.")


class FallbackBehavior(StrEnum):
    """What is done when the queues cannot be read for long."""

    HOLD = "Hold"
    """Nothing: the size stays."""
    REPLICAS = "Replicas"
    """The size is raised to the number that is given, and never lowered."""


class FallbackSpec(Model):
    """What is done when the queues cannot be read for long."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="self.behavior != 'Replicas' || has(self.replicas)",
                message="behavior Replicas needs a number: write replicas beside it",
                path=".replicas",
            )
        )
    )

    after_seconds: int = Field(default=180, ge=1, le=86_400, description="How long they have not been read then.")
    behavior: FallbackBehavior = Field(
        default=FallbackBehavior.HOLD,
        description="Hold: the size stays; Replicas: it is raised to `replicas`, never lowered.",
    )
    replicas: int | None = Field(
        default=None, ge=1, le=100_000, description="Worker pods that there are at least then."
    )


class ScalingSpec(Model):
    """How many workers the pool has."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="self.minReplicas <= self.maxReplicas",
                message="minReplicas must not be above maxReplicas: lower minReplicas or raise maxReplicas",
                path=".minReplicas",
            )
        )
    )

    mode: ScalingMode = Field(
        default=ScalingMode.AUTO,
        description="Who sets the size. auto: hpa where the operator serves the external metrics API and Kubernetes "
        "is 1.35 or newer, else direct; hpa: a HorizontalPodAutoscaler on what the operator decides; keda: a "
        "ScaledObject of KEDA on what the operator decides; direct: the operator, on each reading of the queues; "
        "manual: a person, through spec.replicas.",
    )
    min_replicas: int = Field(
        default=0, ge=0, le=100_000, description="Never fewer worker pods; 0 lets the pool sleep."
    )
    max_replicas: int = Field(default=50, ge=1, le=100_000, description="Never more worker pods.")
    targets: Targets = Field(default=Targets(), description="What the size is chosen for. The largest answer counts.")
    cooldown_seconds: int = Field(
        default=300,
        ge=0,
        le=86_400,
        description="All queues must have been empty for so long before the pool goes to 0.",
    )
    warm_replicas: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Worker pods without a job that are always there beside the busy ones.",
    )
    schedules: tuple[ScheduleSpec, ...] = Field(
        default=(), max_length=16, description="Floors by the clock. The largest holds.", json_schema_extra=ATOMIC
    )
    predictive: PredictiveSpec = Field(
        default=PredictiveSpec(), description="A floor by how jobs came in the seasons before."
    )
    fallback: FallbackSpec = Field(
        default=FallbackSpec(), description="What is done when the queues cannot be read for long."
    )
    downstream_max_concurrency: int = Field(
        default=0,
        ge=0,
        le=1_000_000_000,
        description="Jobs that what they call (a database, an API) bears at a time. 0: any number.",
    )
    budget: BudgetRef | None = Field(
        default=None, description="The budget that the pool shares with others. Stronger than minReplicas."
    )
    scale_up: ScaleUpSpec = Field(default=ScaleUpSpec(), description="How readily workers are added.")
    scale_down: ScaleDownSpec = Field(default=ScaleDownSpec(), description="How readily workers are given up.")


class DisruptionSpec(Model):
    """What maintenance of nodes may do to the pool."""

    max_unavailable: IntOrPercent = Field(
        default=1,
        description="Workers that may be evicted at the same time: a number, or a percentage such as 25%.",
        json_schema_extra=rules(
            Rule(
                cel="type(self) == int ? self >= 0 : self.matches('^([0-9]|[1-9][0-9]|100)%$')",
                message="write a number of workers from 0, or a percentage from 0% to 100%",
            )
        ),
    )
    protect_busy_workers: bool = Field(
        default=True,
        description="Whether pods whose worker has a job, or had one within the last minute, are annotated so that "
        "Karpenter (karpenter.sh/do-not-disrupt) and the cluster autoscaler (safe-to-evict) do not empty their node. A "
        "key that worker.podAnnotations sets is left alone.",
    )


class WorkerPoolSpec(Model):
    """What the user wants of the pool."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel=f"self.delivery.leaseSeconds >= {LEASE_HEARTBEATS} * self.worker.heartbeatPeriodSeconds",
                message=f"delivery.leaseSeconds must be at least {LEASE_HEARTBEATS} times "
                "worker.heartbeatPeriodSeconds, or jobs are run twice: raise the one or lower the other",
                path=".delivery.leaseSeconds",
            ),
            Rule(
                cel="!self.alerts.enabled || "
                f"self.alerts.heartbeatMissingSeconds >= {ALERT_HEARTBEATS} * self.worker.heartbeatPeriodSeconds",
                message=f"alerts.heartbeatMissingSeconds must be at least {ALERT_HEARTBEATS} times "
                "worker.heartbeatPeriodSeconds, or healthy workers raise the alert: raise the one or lower the other",
                path=".alerts.heartbeatMissingSeconds",
            ),
            Rule(
                cel="!has(self.delivery.concurrencyPerWorker) || "
                "self.delivery.concurrencyPerWorker <= self.worker.maxWorkers",
                message="delivery.concurrencyPerWorker must not be above worker.maxWorkers: lower the one or raise "
                "the other",
                path=".delivery.concurrencyPerWorker",
            ),
            Rule(
                cel="self.scaling.downstreamMaxConcurrency == 0 || self.scaling.downstreamMaxConcurrency >= "
                "(has(self.delivery.concurrencyPerWorker) ? self.delivery.concurrencyPerWorker : "
                "self.worker.maxWorkers)",
                message="scaling.downstreamMaxConcurrency must not be below what a single worker runs at a time: "
                "lower delivery.concurrencyPerWorker or worker.maxWorkers",
                path=".scaling.downstreamMaxConcurrency",
            ),
            *(_not_beside(name, unset) for name, unset in _UNSET.items()),
        )
    )

    replicas: int = Field(
        default=1,
        ge=0,
        le=100_000,
        description="Size of the pool in mode manual, as kubectl scale sets it. In modes hpa and keda the HPA writes "
        "it, and to and from 0 the operator; mode direct neither reads nor writes it. Leave it out but in mode manual.",
    )
    worker: WorkerSpec = Field(description="The container that does the jobs, and how it is run.")
    queues: tuple[QueueSpec, ...] = Field(
        min_length=1,
        max_length=8,
        description="Where the jobs come from: 1 to 8 queues.",
        json_schema_extra=keyed_by("name"),
    )
    scaling: ScalingSpec = Field(default=ScalingSpec(), description="How many workers the pool has.")
    delivery: DeliverySpec = Field(
        default=DeliverySpec(),
        description="How often and when a job is tried, and how many may begin and run. Reaches running workers within "
        "seconds, without a restart.",
    )
    rollout: RolloutSpec = Field(
        default=RolloutSpec(), description="How a new version of the workers takes over from the one before."
    )
    placement: PlacementSpec | None = Field(
        default=None,
        description="On which nodes the workers run, and where they go when these are lost.",
    )
    disruption: DisruptionSpec = Field(
        default=DisruptionSpec(), description="What maintenance of nodes may do to the pool."
    )
    alerts: AlertsSpec = Field(
        default=AlertsSpec(), description="When the pool's alerts fire, and what labels they have."
    )
    slo: SloSpec = Field(
        default=SloSpec(),
        description="What the pool promises. Alerts tell when what may go wrong in 30 days is used up too fast: "
        "SloBudgetBurnsFast, SloBudgetBurns. A canary that breaks it is rejected, if the stable version keeps it; "
        "while both break it, the rollout holds.",
    )
    suspend: bool = Field(
        default=False,
        description="Whether the pool is stopped: it has no workers, whatever else asks for some. Those that are there "
        "finish their jobs first; jobs wait in the queues.",
    )

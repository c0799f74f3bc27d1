"""`spec.alerts`: the alerts that every pool has."""

from typing import Annotated, Final

from pydantic import Field

from workerpool_operator.api._base import Model, Rule, Seconds, number, rules

_NAMES = Rule(
    cel="self.all(key, key.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !key.startsWith('__'))",
    message="labels of alerts have at most 63 characters out of A-Z, a-z, 0-9 and '_', and start with a letter, or "
    "with one '_'",
)
_TAKEN = Rule(
    cel="self.all(key, !(key in ['alertname', 'namespace', 'pool', 'pod']))",
    message="alertname, namespace, pool and pod say what an alert is about: choose other keys",
)

_PART: Final = r"^(0([.][0-9]{1,4})?|1([.]0{1,4})?)$"
Part = Annotated[
    Annotated[int, Field(ge=0, le=1)] | Annotated[str, Field(pattern=_PART)],
    number(
        _PART,
        least=0,
        most=1,
        length=6,
        message='write a share from 0 to 1; a fraction has up to 4 digits and needs quotes: "0.05"',
    ),
]
"""A share of a whole, none and all of it included, such as `"0.05"`."""


class AlertThresholds(Model):
    """What alerts hold the pool to: each fires above its number. One that is unset goes by the default.

    The operator exports what is set as `workerpool_threshold`, with the field's name as `kind`; the default stands in
    the alert.
    """

    queue_depth: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="Jobs that may wait in all queues (alerts QueueDepthAboveTarget and HighQueueDepth). When unset, "
        "what targets allow: scaling.targets.queueDepth, else queueDepthPerReplica times maxReplicas. What "
        "slo.queueDepth promises goes by the targets in any case.",
    )
    job_wait_seconds: int | None = Field(
        default=None,
        ge=1,
        le=604_800,
        description="Seconds that a job may wait (alerts OldestJobTooOld and JobWaitP99High). When unset "
        "scaling.targets.jobLatencySeconds, else slo.jobLatencySeconds; without any of them these alerts are silent.",
    )
    job_failure_ratio: Part | None = Field(
        default=None,
        description='Share of the first attempts that may fail (alert JobFailureRatioHigh), such as "0.3". "0.1" when '
        "unset; 1: it never fires.",
    )
    dead_letters: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000_000,
        description="Jobs that may go to the dead letters within 15 minutes (alert DeadLettersGrowing). 0 when unset.",
    )
    redelivery_ratio: Part | None = Field(
        default=None,
        description="Share of the attempts that may be of jobs taken over from workers that no longer held them (alert "
        'RedeliveriesHigh, which needs more than 5 in 15 minutes as well). "0.02" when unset.',
    )
    retry_ratio: Part | None = Field(
        default=None,
        description="Share of the attempts that may have to be repeated (alert RetryBurst, which needs more than 50 in "
        '5 minutes as well). "0.5" when unset.',
    )
    slots_busy_ratio: Part | None = Field(
        default=None,
        description="Share of the workers' slots that may be in use while jobs wait and a limit keeps the pool from "
        'growing (alert PoolSaturated). "0.75" when unset; 1: it never fires.',
    )
    loop_lag_seconds: Seconds | None = Field(
        default=None,
        description="Seconds that the event loop of a worker may be late on average of 5 minutes (alert "
        'EventLoopBlocked), such as "0.25". "0.5" when unset.',
    )
    cpu_percent: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Percent of a core that a worker without a cpu lane may use on average of 10 minutes (alert "
        "WorkerCpuSaturated). 90 when unset.",
    )


class AlertsSpec(Model):
    """When the pool calls for a person. Needs a Prometheus that reads PrometheusRules; see condition Monitored."""

    enabled: bool = Field(
        default=True,
        description="Whether the pool has a PrometheusRule with WorkerHeartbeatMissing and HighQueueDepth, and with "
        "CanaryRejected where it tries its versions.",
    )
    heartbeat_missing_seconds: int = Field(
        default=30,
        ge=5,
        le=3600,
        description="A worker without a sign of life for so long is missing (alert WorkerHeartbeatMissing).",
    )
    queue_depth_factor: int = Field(
        default=2,
        ge=1,
        le=1000,
        description="More jobs than so many times the average of the last hour, and more than thresholds.queueDepth, "
        "are too many (alert HighQueueDepth). Unset, that is the target: scaling.targets.queueDepth, else "
        "queueDepthPerReplica times maxReplicas.",
    )
    thresholds: AlertThresholds = Field(
        default=AlertThresholds(),
        description="What alerts hold the pool to, where it is not what the targets or the alerts themselves say.",
    )
    labels: dict[str, Annotated[str, Field(max_length=128)]] = Field(
        default={},
        max_length=16,
        description="Labels of all alerts, for their way to the right people; severity may be set here too.",
        json_schema_extra=rules(_NAMES, _TAKEN),
    )

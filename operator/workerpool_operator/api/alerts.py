"""`spec.alerts`: the alerts that every pool has."""

from typing import Annotated

from pydantic import Field

from workerpool_operator.api._base import Model, Rule, rules

_NAMES = Rule(
    cel="self.all(key, key.matches('^[a-zA-Z_][a-zA-Z0-9_]{0,62}$') && !key.startsWith('__'))",
    message="labels of alerts have at most 63 characters out of A-Z, a-z, 0-9 and '_', and start with a letter, or "
    "with one '_'",
)
_TAKEN = Rule(
    cel="self.all(key, !(key in ['alertname', 'namespace', 'pool', 'pod']))",
    message="alertname, namespace, pool and pod say what an alert is about: choose other keys",
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
        description="More jobs than so many times the average of the last hour, and more than the target, are too many "
        "(alert HighQueueDepth). The target is scaling.targets.queueDepth, else queueDepthPerReplica times "
        "maxReplicas.",
    )
    labels: dict[str, Annotated[str, Field(max_length=128)]] = Field(
        default={},
        max_length=16,
        description="Labels of all alerts, for their way to the right people; severity may be set here too.",
        json_schema_extra=rules(_NAMES, _TAKEN),
    )

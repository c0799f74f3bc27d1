"""The PrometheusRule of a pool: the alerts that users expect to find beside it.

Numbers stand in the rule itself, not in a metric of the operator: the alerts hold while the operator is away, and two
operators that both export for a moment cannot change what they say. Only that a version was rejected is the operator's
word; of two of them one is enough, and while none speaks the alert waits for it rather than end. Every expression asks
for this pool's series only and sums up by pool, so that a collector that is replaced, or two of them, make no new
alert.

WorkerHeartbeatMissing has two branches, because a worker falls silent in two ways. One that hangs still answers
Prometheus, with an old heartbeat. One that is gone (its node is lost, its container does not come back) leaves no
series at all, and shows only by being expected: `time() - worker_heartbeat_unixtime` alone never tells of it, and calls
healthy workers late by as much as the scrape is old.

HighQueueDepth compares with the hour before, but for its last 5 minutes: against those an alert that must hold for
5 minutes would never come on a step or on linear growth.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool_operator.api import DEFAULT_DEPTH_PER_REPLICA, Strategy, WorkerPool
from workerpool_operator.domain.desired.names import metadata, worker_labels
from workerpool_operator.domain.desired.promql import quoted, untemplated

API_VERSION: Final = "monitoring.coreos.com/v1"
KIND: Final = "PrometheusRule"
HEARTBEAT_ALERT: Final = "WorkerHeartbeatMissing"
DEPTH_ALERT: Final = "HighQueueDepth"
CANARY_ALERT: Final = "CanaryRejected"
DEPTH_RECORD: Final = "pool:queue_depth:sum"
"""Jobs waiting in all queues of a pool. Recorded, because its history must outlive the collector that measured it."""
EVALUATION: Final = "30s"
RUNBOOKS: Final = "https://workerpool.dev/docs/runbooks"
"""Where `docs/runbooks` of this project is read, unless the installation names a copy of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """What the installation says about PrometheusRules: the same for every pool."""

    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the object: those that the cluster's Prometheus selects its rules by."""
    runbooks: str = RUNBOOKS
    """URL that holds a page `<alert>.md` for each alert."""


def prometheus_rule(pool: WorkerPool, *, settings: RuleSettings) -> dict[str, Any]:
    """The rule object, with every field that the operator owns."""
    ours = f"{{namespace={quoted(pool.namespace)},pool={quoted(pool.name)}}}"
    group = {
        "name": f"workerpool.{pool.namespace}.{pool.name}",
        "interval": EVALUATION,
        "rules": [
            _heartbeat(pool, ours=ours, settings=settings),
            _recorded_depth(ours),
            _depth(pool, ours=ours, settings=settings),
            *([_canary(pool, ours=ours, settings=settings)] if _tries_versions(pool) else []),
        ],
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata(pool, pool.name, labels=dict(settings.labels) | worker_labels(pool)),
        "spec": {"groups": [group]},
    }


def depth_target(pool: WorkerPool) -> int:
    """Jobs that may wait: the pool's own limit, or what its largest size may have on hand at the limit per worker.

    A pool whose targets say nothing of its queues' depth is judged by the limit that a pool without targets has.
    """
    scaling = pool.spec.scaling
    if scaling.targets.queue_depth is not None:
        return scaling.targets.queue_depth
    return (scaling.targets.queue_depth_per_replica or DEFAULT_DEPTH_PER_REPLICA) * scaling.max_replicas


def _heartbeat(pool: WorkerPool, *, ours: str, settings: RuleSettings) -> dict[str, Any]:
    """The alert on workers; `ours` selects the pool's series."""
    limit = pool.spec.alerts.heartbeat_missing_seconds
    beat, expected = f"worker_heartbeat_unixtime{ours}", f"pool_workers_expected{ours}"
    # By pod, without the labels of the scrape: a worker that is scraped twice is one worker.
    age = f"max by (namespace, pool, pod) (timestamp({beat}) - {beat})"
    wanted = f"max by (namespace, pool) ({expected})"
    beating = f"(count by (namespace, pool) ({age} <= {limit}) or 0 * {wanted})"
    return _alert(
        pool,
        HEARTBEAT_ALERT,
        expr=f"{age} > {limit}\nor on (namespace, pool)\n{beating} < {wanted}",
        hold="1m",
        severity="critical",
        summary="Pool {{ $labels.namespace }}/{{ $labels.pool }}: a worker gives no sign of life",
        description="{{ if $labels.pod }}Worker {{ $labels.pod }} gave its last sign of life "
        "{{ $value | humanizeDuration }} ago{{ else }}Workers with a sign of life: {{ $value }}, fewer than there are"
        f"{{{{ end }}}}; the limit is {limit} s (spec.alerts.heartbeatMissingSeconds). The jobs of a dead worker "
        "are run again when their lease ends.",
        settings=settings,
    )


def _recorded_depth(ours: str) -> dict[str, Any]:
    return {
        "record": DEPTH_RECORD,
        "expr": f"sum by (namespace, pool) (max by (namespace, pool, queue) (queue_depth{ours}))",
    }


def _depth(pool: WorkerPool, *, ours: str, settings: RuleSettings) -> dict[str, Any]:
    factor, asked = pool.spec.alerts.queue_depth_factor, pool.spec.alerts.thresholds.queue_depth
    limit = depth_target(pool) if asked is None else asked
    source = f"the target of {limit}" if asked is None else f"{limit} (spec.alerts.thresholds.queueDepth)"
    depth = f"{DEPTH_RECORD}{ours}"
    return _alert(
        pool,
        DEPTH_ALERT,
        expr=f"{depth} > {factor} * avg_over_time({depth}[1h] offset 5m)\nand\n{depth} > {limit}",
        hold="5m",
        severity="warning",
        summary="Pool {{ $labels.namespace }}/{{ $labels.pool }}: far more jobs wait than usual",
        description=f"{{{{ $value }}}} jobs wait: more than {factor} times the average of the last hour "
        f"(spec.alerts.queueDepthFactor), and more than {source}.",
        settings=settings,
    )


def _tries_versions(pool: WorkerPool) -> bool:
    return pool.spec.rollout.strategy is Strategy.CANARY


def _canary(pool: WorkerPool, *, ours: str, settings: RuleSettings) -> dict[str, Any]:
    """One alert for as long as the pool asks for what was rejected; an operator that restarts does not end it."""
    return _alert(
        pool,
        CANARY_ALERT,
        expr=f"max by (namespace, pool) (max_over_time(workerpool_canary_rejected{ours}[2m])) > 0",
        hold="0s",
        severity="warning",
        summary="Pool {{ $labels.namespace }}/{{ $labels.pool }}: its new version was rejected",
        description="The pool asks for a version that was tried and went; the stable one does all jobs. Condition "
        "CanaryHealthy says why.",
        settings=settings,
    )


def _alert(
    pool: WorkerPool,
    name: str,
    *,
    expr: str,
    hold: str,
    severity: str,
    summary: str,
    description: str,
    settings: RuleSettings,
) -> dict[str, Any]:
    own = {label: untemplated(value) for label, value in pool.spec.alerts.labels.items()}
    return {
        "alert": name,
        "expr": expr,
        "for": hold,
        "labels": {"severity": severity} | own,
        "annotations": {
            "summary": summary,
            "description": description,
            "runbook_url": f"{untemplated(settings.runbooks)}/{name}.md",
        },
    }

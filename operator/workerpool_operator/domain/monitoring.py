"""The pool's alerts: the rule that should be there, and whether the one that is says the same."""

from collections.abc import Mapping
from typing import Any, Final

from workerpool_operator.api import WorkerPool
from workerpool_operator.domain import desired
from workerpool_operator.domain.drift import covers
from workerpool_operator.domain.snapshot import Child, Snapshot

_BY_TARGETS: Final = {"queueDepth", "jobWaitSeconds"}
"""Thresholds of alerts that have no number of their own."""


def wanted_rule(snapshot: Snapshot) -> Mapping[str, Any] | None:
    """The pool's PrometheusRule; None where it wants none, or can have none."""
    if snapshot.monitoring.absence is not None or not snapshot.pool.spec.alerts.enabled:
        return None
    return desired.prometheus_rule(snapshot.pool, settings=snapshot.monitoring.settings)


def thresholds(pool: WorkerPool) -> Mapping[str, float]:
    """By kind, what the alerts of the installation hold the pool to: what it asks for, or what its targets say.

    A job that has waited for as long as was promised until its end is late already. A pool without alerts of its own
    has none of those that go by its targets. The others go by a default for every pool, so its own numbers hold there.
    """
    own = {kind: float(value) for kind, value in pool.spec.alerts.thresholds.to_json().items()}
    if not pool.spec.alerts.enabled:
        return {kind: value for kind, value in own.items() if kind not in _BY_TARGETS}
    return _by_targets(pool) | own


def _by_targets(pool: WorkerPool) -> dict[str, float]:
    """What follows from targets and promises. A promise stays with the target, whatever alerts are to say."""
    spec, depth = pool.spec, float(desired.depth_target(pool))
    wait = spec.scaling.targets.job_latency_seconds
    if wait is None:
        wait = spec.slo.job_latency_seconds
    found = {
        "queueDepth": depth,
        "sloQueueDepth": None if spec.slo.queue_depth is None else depth,
        "jobWaitSeconds": wait,
    }
    return {kind: float(value) for kind, value in found.items() if value is not None}


def objectives(pool: WorkerPool) -> Mapping[str, float]:
    """By what it is about, the share that the pool promises (0.5 to 0.99999); nothing where it wants no alerts."""
    slo = pool.spec.slo
    if slo is None or not pool.spec.alerts.enabled:
        return {}
    promised = {
        "availability": slo.availability,
        "latency": slo.job_latency_quantile if slo.job_latency_seconds is not None else None,
        "queueDepth": slo.queue_depth,
        "throughput": slo.throughput,
    }
    return {about: float(share) for about, share in promised.items() if share is not None}


def says_the_same(rule: Child, wanted: Mapping[str, Any]) -> bool:
    """Whether the rules are exactly those: a label that the pool no longer has must go from its alerts, too."""
    return covers(rule.body["metadata"], wanted["metadata"]) and bool(rule.body.get("spec") == wanted["spec"])

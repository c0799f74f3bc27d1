"""What the operator exports, and when it stops exporting it."""

import asyncio
import re

import pytest
from prometheus_client import CollectorRegistry, Gauge

from scripts import metrics_page
from tests.support.pools import pool
from workerpool_operator.domain import desired
from workerpool_operator.metrics import CanarySeries, Direction, OperatorMetrics, PoolSeries, VersionRole, table

LABELS = {"namespace": "media", "pool": "thumbs"}


def series(**changes: object) -> PoolSeries:
    values = {"desired": 3, "replicas": 2, "mode": "direct"} | changes
    return PoolSeries(**values)  # type: ignore[arg-type]


def value(metrics: OperatorMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, LABELS | labels if name.startswith("workerpool_") else labels)


def names(metrics: OperatorMetrics) -> set[str]:
    return {sample.name for family in metrics.registry.collect() for sample in family.samples if family.samples}


def test_a_pool_that_is_shown_has_its_values_and_counters_at_zero() -> None:
    metrics = OperatorMetrics()
    metrics.pools.show("media", "thumbs", series(limited_by=("maxReplicas",)))
    assert value(metrics, "workerpool_desired_replicas") == 3
    assert value(metrics, "workerpool_replicas") == 2
    assert value(metrics, "workerpool_limited_by", limiter="maxReplicas") == 1
    assert value(metrics, "workerpool_info", mode="direct") == 1
    assert value(metrics, "workerpool_scale_actions_total", direction="up") == 0
    assert value(metrics, "workerpool_scale_actions_total", direction="down") == 0


def test_a_version_and_a_limiter_that_went_leave_no_series() -> None:
    metrics = OperatorMetrics()
    old = series(versions=(VersionRole("aaaa", "stable"),), limited_by=("maxReplicas",))
    metrics.pools.show("media", "thumbs", old)
    metrics.pools.show("media", "thumbs", series(versions=(VersionRole("bbbb", "stable"),)))
    assert value(metrics, "workerpool_version_info", version="aaaa", role="stable") is None
    assert value(metrics, "workerpool_version_info", version="bbbb", role="stable") == 1
    assert value(metrics, "workerpool_limited_by", limiter="maxReplicas") is None


def test_a_threshold_that_the_pool_takes_back_leaves_no_series_while_the_pool_is_told_of() -> None:
    """So the alerts know that it is taken back, and not that the operator is away."""
    metrics = OperatorMetrics()
    metrics.pools.show("media", "thumbs", series(thresholds={"queueDepth": 200, "jobFailureRatio": 0.3}))
    assert value(metrics, "workerpool_threshold", kind="jobFailureRatio") == 0.3
    metrics.pools.show("media", "thumbs", series(thresholds={"queueDepth": 200}))
    assert value(metrics, "workerpool_threshold", kind="jobFailureRatio") is None
    assert value(metrics, "workerpool_threshold", kind="queueDepth") == 200
    assert value(metrics, "workerpool_info", mode="direct") == 1


def test_a_size_that_is_only_held_is_not_exported() -> None:
    """Its readings are stale: whoever scales by the series must not take the last one for true."""
    metrics = OperatorMetrics()
    metrics.pools.show("media", "thumbs", series())
    metrics.pools.show("media", "thumbs", series(desired=None))
    assert value(metrics, "workerpool_desired_replicas") is None
    assert value(metrics, "workerpool_replicas") == 2


def test_a_pool_without_a_stuck_worker_says_so() -> None:
    """An alert needs the series before there is one, and must fall silent after."""
    metrics = OperatorMetrics()
    metrics.pools.show("media", "thumbs", series())
    assert value(metrics, "workerpool_stuck_workers") == 0
    metrics.pools.show("media", "thumbs", series(stuck=2))
    assert value(metrics, "workerpool_stuck_workers") == 2


def test_a_canary_has_its_figures_and_leaves_none_but_that_it_was_rejected() -> None:
    metrics = OperatorMetrics()
    tried = CanarySeries(
        rejected=False,
        version="bbbb",
        verdict="Pass",
        step=2,
        step_seconds=600,
        weight=50,
        pod_share=0.5,
        ratios=(("slow", 2.0),),
    )
    metrics.pools.show("media", "thumbs", series(canary=tried))
    assert value(metrics, "workerpool_canary_info", version="bbbb", verdict="Pass") == 1
    assert (value(metrics, "workerpool_canary_step"), value(metrics, "workerpool_canary_weight")) == (2, 50)
    assert value(metrics, "workerpool_canary_step_seconds") == 600
    assert value(metrics, "workerpool_canary_pod_share") == 0.5
    assert value(metrics, "workerpool_canary_job_share") is None
    assert value(metrics, "workerpool_canary_failure_ratio", signal="slow") == 2.0
    assert value(metrics, "workerpool_canary_rejected") == 0
    metrics.pools.show("media", "thumbs", series(canary=CanarySeries(rejected=True)))
    assert {name for name in names(metrics) if "canary" in name} == {"workerpool_canary_rejected"}
    assert value(metrics, "workerpool_canary_rejected") == 1
    metrics.pools.show("media", "thumbs", series())
    assert not {name for name in names(metrics) if "canary" in name}


def test_counters_survive_new_values() -> None:
    metrics = OperatorMetrics()
    metrics.pools.show("media", "thumbs", series())
    metrics.pools.scaled("media", "thumbs", Direction.UP)
    metrics.pools.show("media", "thumbs", series(desired=9))
    assert value(metrics, "workerpool_scale_actions_total", direction="up") == 1


def test_a_pool_that_went_takes_its_series_along() -> None:
    metrics = OperatorMetrics()
    metrics.pools.show("media", "thumbs", series())
    metrics.pools.remove("media", "thumbs")
    metrics.pools.remove("media", "never-there")
    metrics.pools.scaled("media", "thumbs", Direction.DOWN)
    assert not {name for name in names(metrics) if name.startswith("workerpool_") and "operator" not in name}


def test_a_replica_that_no_longer_leads_exports_no_pool() -> None:
    metrics = OperatorMetrics()
    metrics.leading(leading=True)
    metrics.pools.show("media", "thumbs", series())
    metrics.leading(leading=False)
    assert value(metrics, "workerpool_desired_replicas") is None
    assert metrics.registry.get_sample_value("workerpool_operator_leader") == 0


def test_reconciles_requests_and_the_queue_are_counted() -> None:
    metrics = OperatorMetrics()
    metrics.reconciled(seconds=0.1)
    metrics.reconciled(seconds=0.1, error="Conflict")
    metrics.api_request(verb="apply", kind="Deployment", code="201", seconds=0.01)
    metrics.api_retry(verb="list", kind="Pod")
    metrics.queue_depth(7)
    metrics.queue_waited(0.5)
    metrics.event_dropped()
    sample = metrics.registry.get_sample_value
    assert sample("workerpool_operator_reconcile_total") == 2
    assert sample("workerpool_operator_reconcile_errors_total", {"reason": "Conflict"}) == 1
    labels = {"verb": "apply", "kind": "Deployment", "code": "201"}
    assert sample("workerpool_operator_api_requests_total", labels) == 1
    assert sample("workerpool_operator_api_request_seconds_count", {"verb": "apply"}) == 1
    assert sample("workerpool_operator_api_retries_total", {"verb": "list", "kind": "Pod"}) == 1
    assert sample("workerpool_operator_workqueue_depth") == 7
    assert sample("workerpool_operator_workqueue_wait_seconds_sum") == 0.5
    assert sample("workerpool_operator_events_dropped_total") == 1


def test_two_operators_in_one_process_share_nothing() -> None:
    one, other = OperatorMetrics(), OperatorMetrics()
    one.reconciled(seconds=0.1)
    assert other.registry.get_sample_value("workerpool_operator_reconcile_total") == 0


def test_a_name_cannot_break_out_of_its_label() -> None:
    metrics = OperatorMetrics()
    metrics.pools.show('a"} 1\nfake{x="', "thumbs", series())
    text = asyncio.run(metrics.exposition()).decode()
    assert 'namespace="a\\"} 1\\nfake{x=\\""' in text
    assert not [line for line in text.splitlines() if line.startswith("fake")]


def test_a_scrape_shows_one_moment_whatever_comes_and_goes_meanwhile() -> None:
    metrics = OperatorMetrics()
    metrics.pools.show("media", "thumbs", series())
    families = metrics.pools.collect()
    first = next(iter(families))
    metrics.pools.remove("media", "thumbs")
    metrics.pools.show("media", "other", series())
    seen = {sample.labels["pool"] for family in (first, *families) for sample in family.samples}
    assert seen == {"thumbs"}


def test_every_family_has_a_help_text_and_stands_in_the_reference() -> None:
    text = metrics_page.page()
    for family in metrics_page.families():
        assert family.documentation.endswith("."), family.name
        assert f"| `{family.name}" in text
    assert "| `workerpool_version_info` | gauge | `namespace`, `pool`, `version`, `role` |" in text
    assert "`le`" not in text


def test_every_metric_that_an_alert_asks_for_is_exported() -> None:
    (group,) = desired.prometheus_rule(pool(), settings=desired.RuleSettings())["spec"]["groups"]
    asked = set(re.findall(r"([a-z_:]+)\{namespace=", " ".join(rule["expr"] for rule in group["rules"])))
    recorded = {rule["record"] for rule in group["rules"] if "record" in rule}
    exported = {sample.name for family in metrics_page.families() for sample in family.samples}
    assert len(asked - recorded) == 4
    assert asked <= exported | recorded


def test_a_family_without_samples_cannot_be_documented() -> None:
    registry = CollectorRegistry()
    Gauge("lonely", "Has labels and no values.", ["colour"], registry=registry)
    with pytest.raises(ValueError, match="lonely"):
        table.markdown(registry.collect())

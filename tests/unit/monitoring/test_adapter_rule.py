"""The rule for prometheus-adapter that users copy, and how the tests run the adapter by it."""

import re
from typing import Any

import yaml

from e2e.monitoring import manifests
from e2e.monitoring.adapter import VALUES
from workerpool_operator.metrics.pools import PoolMetrics, Prices

URL = "http://prometheus.monitoring.svc:9090"


def rule() -> dict[str, Any]:
    [found] = yaml.safe_load(VALUES.read_text())["rules"]["external"]
    return dict(found)


def test_the_rule_is_about_a_metric_that_the_operator_exports() -> None:
    exported = {family.name for family in PoolMetrics(Prices()).describe()}
    assert rule()["name"]["as"] in exported
    assert re.match(r"\w+", rule()["seriesQuery"])[0] == rule()["name"]["as"]  # type: ignore[index]


def test_a_pool_has_one_number_whoever_exports_it() -> None:
    """An HPA adds up what it gets: two replicas of the operator must not make twice the size."""
    assert rule()["metricsQuery"].startswith("max by (namespace, pool) (")


def test_each_selector_of_the_query_is_the_one_that_is_asked_for() -> None:
    """Without the matchers in each, the age would be looked at for every pool of the cluster."""
    query = rule()["metricsQuery"]
    assert query.count("<<.Series>>{<<.LabelMatchers>>}") == query.count("<<.Series>>") == 2


def test_the_adapter_of_the_tests_runs_by_the_file_that_users_copy() -> None:
    values = yaml.safe_load(VALUES.read_text())
    objects = manifests.adapter("monitoring", image="a:1", values=values, prometheus_url=URL)
    [config] = [one for one in objects if one["kind"] == "ConfigMap"]
    assert yaml.safe_load(config["data"]["config.yaml"]) == {"externalRules": [rule()]}
    [deployment] = [one for one in objects if one["kind"] == "Deployment"]
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert {f"--prometheus-url={URL}", "--metrics-relist-interval=30s"} <= set(arguments)

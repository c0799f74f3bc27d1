"""What Prometheus is told about the monitors and rules of a cluster."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.monitoring.translate import MAIN, Configuration, UnknownFieldError, configuration

Json = dict[str, Any]
FOLDER = "/etc/monitoring"
GOLDEN = Path(__file__).with_name("golden")
SHARDING = 3
"""Steps at the end of the prometheus-operator's relabeling that share targets out among several Prometheus."""


def monitor(kind: str = "PodMonitor", *, labels: Json | None = None, **spec: Any) -> Json:
    endpoints = "podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"
    return {
        "kind": kind,
        "metadata": {"namespace": "system", "name": "pools", "labels": labels or {}},
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": "x"}},
            endpoints: [{"port": "metrics"}],
            **spec,
        },
    }


def rule(name: str = "p", namespace: str = "a", **group: Any) -> Json:
    alert = {"alert": "Late", "expr": "x > 1", "for": "1m", "labels": {"severity": "warning"}, "annotations": {}}
    return {
        "kind": "PrometheusRule",
        "metadata": {"namespace": namespace, "name": name, "uid": f"uid-of-{namespace}.{name}"},
        "spec": {"groups": [{"name": "g", "interval": "30s", "rules": [alert], **group}]},
    }


def translated(*objects: Json, selected_by: dict[str, str] | None = None) -> Configuration:
    return configuration(objects, selected_by=selected_by or {}, folder=FOLDER)


def scrape(one: Json) -> Json:
    found: Json = translated(one).main["scrape_configs"][0]
    return found


def discovery(one: Json) -> Json:
    found: Json = scrape(one)["kubernetes_sd_configs"][0]
    return found


def test_the_prometheus_operator_says_the_same() -> None:
    """Step by step, but for what shares targets out among several Prometheus: here it is one."""
    theirs = yaml.safe_load((GOLDEN / "configuration.yaml").read_text())["scrape_configs"]
    for one in theirs:
        assert all("__tmp_hash" in step["source_labels"] for step in one["relabel_configs"][-SHARDING:])
        one["relabel_configs"] = one["relabel_configs"][:-SHARDING]
    monitors = [yaml.safe_load((GOLDEN / f"{kind}.yaml").read_text()) for kind in ("podmonitor", "servicemonitor")]
    assert translated(*monitors).main["scrape_configs"] == theirs


def test_an_endpoint_says_how_it_is_scraped() -> None:
    endpoint = {"port": "http", "path": "/m", "interval": "10s", "scrapeTimeout": "5s", "honorLabels": True}
    found = scrape(monitor("ServiceMonitor", endpoints=[endpoint]))
    assert found["job_name"] == "serviceMonitor/system/pools/0"
    assert (found["scrape_interval"], found["scrape_timeout"], found["metrics_path"]) == ("10s", "5s", "/m")
    assert found["honor_labels"] is True


def test_labels_are_not_honoured_unless_it_is_said() -> None:
    assert scrape(monitor())["honor_labels"] is False


def test_a_selector_becomes_a_condition_on_the_labels_of_pods() -> None:
    expression = {"key": "component", "operator": "In", "values": ["worker", "collector"]}
    found = scrape(monitor(selector={"matchLabels": {"app.kubernetes.io/name": "x"}, "matchExpressions": [expression]}))
    kept = {one["source_labels"][0]: one["regex"] for one in found["relabel_configs"] if one.get("action") == "keep"}
    assert kept == {
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": "(x);true",
        "__meta_kubernetes_pod_label_component": "(worker|collector);true",
        "__meta_kubernetes_pod_container_port_name": "metrics",
    }


def test_a_label_may_have_to_be_there_whatever_it_says() -> None:
    found = scrape(monitor(selector={"matchExpressions": [{"key": "pool", "operator": "Exists"}]}))
    present = {"action": "keep", "source_labels": ["__meta_kubernetes_pod_labelpresent_pool"], "regex": "true"}
    assert present in found["relabel_configs"]


def test_what_a_monitor_says_of_labels_comes_last_and_its_limits_are_the_scrape_s() -> None:
    target = {"action": "Replace", "sourceLabels": ["__meta_kubernetes_pod_label_pool"], "targetLabel": "pool"}
    metric = {"action": "drop", "sourceLabels": ["__name__"], "regex": "a_.*"}
    endpoint = {"port": "m", "relabelings": [target], "metricRelabelings": [metric]}
    found = scrape(monitor(podMetricsEndpoints=[endpoint], sampleLimit=5, labelLimit=7))
    last = {"action": "replace", "source_labels": ["__meta_kubernetes_pod_label_pool"], "target_label": "pool"}
    assert found["relabel_configs"][-1] == last
    assert found["metric_relabel_configs"] == [{"action": "drop", "source_labels": ["__name__"], "regex": "a_.*"}]
    assert (found["sample_limit"], found["label_limit"]) == (5, 7)


@pytest.mark.parametrize("kind", ["PodMonitor", "ServiceMonitor"])
def test_series_get_the_namespace_the_pod_and_the_container_of_their_target(kind: str) -> None:
    found = scrape(monitor(kind))["relabel_configs"]
    labels = {one["target_label"]: one.get("source_labels") for one in found if "target_label" in one}
    assert labels["namespace"] == ["__meta_kubernetes_namespace"]
    assert labels["pod"] == ["__meta_kubernetes_pod_name"]
    assert labels["container"] == ["__meta_kubernetes_pod_container_name"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"any": True}, None),
        ({"matchNames": ["a", "b"]}, ["a", "b"]),
        ({}, ["system"]),
    ],
)
def test_without_a_namespace_selector_it_is_the_monitors_own(selector: Json, expected: list[str] | None) -> None:
    found = discovery(monitor(namespaceSelector=selector))
    assert found.get("namespaces", {}).get("names") == expected


def test_what_lacks_the_label_that_prometheus_selects_by_is_not_seen() -> None:
    ours, theirs = monitor(labels={"release": "stack", "more": "x"}), monitor("ServiceMonitor")
    found = translated(ours, theirs, rule(), selected_by={"release": "stack"})
    assert [one["job_name"] for one in found.main["scrape_configs"]] == ["podMonitor/system/pools/0"]
    assert found.rules == {}


def test_each_rule_object_has_a_file_that_prometheus_is_told_of() -> None:
    found = translated(rule("p"), rule("q"))
    assert found.main["rule_files"] == [f"{FOLDER}/a-p-uid-of-a.p.yaml", f"{FOLDER}/a-q-uid-of-a.q.yaml"]
    assert set(found.files()) == {MAIN, "a-p-uid-of-a.p.yaml", "a-q-uid-of-a.q.yaml"}
    assert yaml.safe_load(found.files()["a-p-uid-of-a.p.yaml"])["groups"][0]["rules"][0]["alert"] == "Late"


def test_names_that_come_to_the_same_text_do_not_share_a_file() -> None:
    assert len(translated(rule("c", "a-b"), rule("b-c", "a")).rules) == 2


def test_the_stamp_is_of_everything_and_of_nothing_else() -> None:
    one, two = translated(monitor(), rule()), translated(rule(), monitor())
    assert one.stamp == two.stamp
    assert yaml.safe_load(one.files()[MAIN])["global"]["external_labels"]["configuration"] == one.stamp
    assert translated(monitor(), rule(interval="10s")).stamp != one.stamp
    assert translated(monitor(podMetricsEndpoints=[{"port": "other"}]), rule()).stamp != one.stamp


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (monitor(targetLimit=5), "targetLimit"),
        (monitor("ServiceMonitor", endpoints=[{"port": "m", "relabelings": []}]), "relabelings"),
        (monitor(podMetricsEndpoints=[{"port": "m", "relabelings": [{"action": "drop", "modulus": 2}]}]), "modulus"),
        (monitor("ServiceMonitor", targetLabels=["x"]), "targetLabels"),
        (monitor("ServiceMonitor", endpoints=[{"port": "m", "scheme": "https"}]), "scheme"),
        (monitor(namespaceSelector={"all": True}), "all"),
        (monitor(selector={"matchFields": {}}), "matchFields"),
        (monitor(selector={"matchExpressions": [{"key": "k", "operator": "NotIn"}]}), "NotIn"),
        (rule(limit=5), "limit"),
        (rule(rules=[{"alert": "A", "expr": "1", "keep_firing_for": "1m"}]), "keep_firing_for"),
    ],
)
def test_a_field_that_is_not_translated_is_refused(one: Json, field: str) -> None:
    with pytest.raises(UnknownFieldError, match=field):
        translated(one)

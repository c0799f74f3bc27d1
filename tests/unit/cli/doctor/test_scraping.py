"""Whether a Prometheus reads the metrics of operator and workers."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cli.doctor.seen import POD_MONITOR, WELL, told
from workerpool_operator.cli.doctor.checks import findings
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Level

WORKERS, OPERATOR = "metrics of workers", "metrics of the operator"
ALL: dict[str, Any] = {
    "podMonitorSelector": {},
    "podMonitorNamespaceSelector": {},
    "serviceMonitorSelector": {},
    "serviceMonitorNamespaceSelector": {},
}


def prometheus(kind: str = "Prometheus", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"namespace": "monitoring", "name": "main"}, "spec": ALL | spec}


def found(subject: str, *evaluators: dict[str, Any], **seen: Any) -> Finding:
    return told(replace(WELL, evaluators=list(evaluators), **seen), subject)


@pytest.mark.parametrize("subject", [WORKERS, OPERATOR])
@pytest.mark.parametrize(
    "scraper",
    [
        prometheus(),
        prometheus("PrometheusAgent"),
        prometheus(
            podMonitorNamespaceSelector={"matchLabels": {"team": "platform"}},
            serviceMonitorNamespaceSelector={"matchLabels": {"team": "platform"}},
        ),
    ],
)
def test_monitors_that_a_prometheus_takes_are_well(subject: str, scraper: dict[str, Any]) -> None:
    """One that evaluates rules only reads nothing, and harms nothing."""
    finding = found(subject, prometheus("ThanosRuler"), scraper)
    assert (finding.level, finding.text.startswith("a Prometheus takes the ")) == (Level.GOOD, True)


@pytest.mark.parametrize(
    ("subject", "without", "says"),
    [
        (WORKERS, "pod_monitors", "no PodMonitor names workers (media/thumbs), so no alert of them fires"),
        (OPERATOR, "service_monitors", "no ServiceMonitor names the operator (system/workerpool-operator)"),
    ],
)
def test_without_a_monitor_nobody_reads_them(subject: str, without: str, says: str) -> None:
    """The chart brings it."""
    finding = found(subject, prometheus(), **{without: []})
    assert finding.level is Level.BAD
    assert says in finding.text
    assert "--namespace system --reuse-values --set monitoring.enabled=true" in finding.remedy


@pytest.mark.parametrize(
    "spec",
    [
        {"namespaceSelector": {"matchNames": ["elsewhere"]}, "selector": {}},
        {"selector": {}},
        {"namespaceSelector": {"any": True}, "selector": {"matchLabels": {"workerpool.dev/pool": "mails"}}},
        {"namespaceSelector": {"any": True}},
    ],
)
def test_a_monitor_of_others_names_no_workers(spec: dict[str, Any]) -> None:
    """Of another namespace, of its own one, or of another pool."""
    finding = found(WORKERS, prometheus(), pod_monitors=[POD_MONITOR | {"spec": spec}])
    assert (finding.level, "no PodMonitor names workers" in finding.text) == (Level.BAD, True)


def test_a_selector_that_cannot_be_read_is_not_called_wrong() -> None:
    spec = {"namespaceSelector": {"any": True}, "selector": {"later": 1}}
    assert found(WORKERS, prometheus(), pod_monitors=[POD_MONITOR | {"spec": spec}]).level is Level.GOOD


def test_a_monitor_that_no_prometheus_takes_is_told_with_the_label_that_is_missing() -> None:
    """As kube-prometheus-stack asks for one."""
    stack = {"matchLabels": {"release": "stack"}}
    for subject, key, kind in (
        (WORKERS, "podMonitorSelector", "PodMonitor"),
        (OPERATOR, "serviceMonitorSelector", "ServiceMonitor"),
    ):
        asks: dict[str, Any] = {key: stack}
        finding = found(subject, prometheus(**asks))
        assert finding.level is Level.BAD
        assert f"no Prometheus takes the {kind} of " in finding.text
        assert f"Prometheus monitoring/main takes {key} release=stack" in finding.text
        assert "--set monitoring.labels.release=stack" in finding.remedy


def test_one_that_takes_those_of_other_namespaces_only_is_told() -> None:
    elsewhere = {"matchLabels": {"team": "other"}}
    finding = found(OPERATOR, prometheus(serviceMonitorNamespaceSelector=elsewhere))
    assert (finding.level, "helm" in finding.remedy) == (Level.BAD, False)


def test_what_is_read_by_hand_is_in_doubt() -> None:
    """Nobody can see what stands in additionalScrapeConfigs."""
    by_hand = prometheus(additionalScrapeConfigs={"name": "more", "key": "more.yaml"})
    finding = found(WORKERS, by_hand, pod_monitors=[])
    assert (finding.level, "unless its additionalScrapeConfigs" in finding.text) == (Level.NOTE, True)
    nobody = found(WORKERS, pod_monitors=[])
    assert (nobody.level, "no PodMonitor names workers" in nobody.text) == (Level.NOTE, True)


def test_without_a_prometheus_resource_nobody_can_tell() -> None:
    """Another program may take the monitors."""
    finding = found(WORKERS)
    assert (finding.level, "cannot be seen" in finding.text) == (Level.GOOD, True)


@pytest.mark.parametrize("what", ["pod_monitors", "service_monitors", "evaluators"])
def test_what_may_not_be_seen_is_said(what: str) -> None:
    hidden: dict[str, Any] = {what: Hidden("you may not read it")}
    finding = told(replace(WELL, **hidden), "metrics")
    assert (finding.level, "was not looked at: you may not read it" in finding.text) == (Level.NOTE, True)
    assert "list podmonitors" in finding.remedy


def test_a_cluster_without_these_kinds_is_told() -> None:
    finding = told(replace(WELL, monitors_served=False), "metrics")
    assert (finding.level, "not known here" in finding.text) == (Level.NOTE, True)


def test_where_there_is_nothing_to_read_nothing_is_said() -> None:
    told_of = {finding.subject for finding in findings(replace(WELL, pools=[], operators=Hidden("no")))}
    assert not {WORKERS, OPERATOR} & told_of

"""Whether a Prometheus takes the rules of pools."""

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.cli.doctor.seen import WELL, told
from workerpool_operator.cli.doctor.seen import Finding, Hidden, Level

UNSET = object()


def rule(**labels: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "media", "name": "thumbs", "labels": labels}}


def prometheus(selector: Any, *, namespaces: Any = UNSET, at: str = "monitoring") -> dict[str, Any]:
    spec = {} if selector is UNSET else {"ruleSelector": selector}
    spec |= {} if namespaces is UNSET else {"ruleNamespaceSelector": namespaces}
    return {"kind": "Prometheus", "metadata": {"namespace": at, "name": "main"}, "spec": spec}


def found(*evaluators: dict[str, Any], rules: Any = None) -> Finding:
    given = [rule(release="prometheus")] if rules is None else rules
    return told(replace(WELL, rules=given, evaluators=list(evaluators)), "alerts")


@pytest.mark.parametrize(
    "evaluators",
    [
        [prometheus({}, namespaces={})],
        [prometheus({"matchLabels": {"release": "prometheus"}}, namespaces={})],
        [prometheus({}, at="media")],
        [prometheus(UNSET), prometheus({}, namespaces={})],
        [prometheus({"matchExpressions": [{"key": "release", "operator": "Exists"}]}, namespaces={})],
        [prometheus({}, namespaces={"matchLabels": {"pod-security.kubernetes.io/enforce": "restricted"}})],
        [prometheus({"later": 1}, namespaces={})],
    ],
)
def test_rules_that_one_takes_are_well(evaluators: list[dict[str, Any]]) -> None:
    """One is enough; what cannot be decided is not called wrong."""
    assert found(*evaluators).level is Level.GOOD
    assert "a Prometheus takes that of the one pool" in found(*evaluators).text


@pytest.mark.parametrize(
    ("rules", "says"),
    [([], "no pool has one yet"), ([rule(), rule()], "a Prometheus takes those of all 2 pools")],
)
def test_how_many_there_are_is_said(rules: list[dict[str, Any]], says: str) -> None:
    finding = found(prometheus({}, namespaces={}), rules=rules)
    assert (finding.level, says in finding.text) == (Level.GOOD, True)


def test_an_agent_evaluates_no_rules() -> None:
    agent = prometheus({}, namespaces={}) | {"kind": "PrometheusAgent"}
    assert "no Prometheus resource is" in found(agent).text


@pytest.mark.parametrize(
    ("evaluator", "asks"),
    [
        (prometheus(UNSET, namespaces={}), "ruleSelector unset"),
        (prometheus(None, namespaces={}), "ruleSelector unset"),
        (prometheus({"matchLabels": {"release": "stack"}}, namespaces={}), "ruleSelector release=stack"),
        (prometheus({}), "ruleNamespaceSelector unset"),
        (prometheus({}, namespaces={"matchLabels": {"team": "a"}}), "ruleNamespaceSelector team=a"),
        (
            prometheus({"matchExpressions": [{"key": "team", "operator": "Exists"}]}, namespaces={}),
            "ruleSelector with expressions",
        ),
    ],
)
def test_rules_that_none_takes_are_told(evaluator: dict[str, Any], asks: str) -> None:
    """With what it asks for."""
    finding = found(evaluator)
    assert finding.level is Level.BAD
    assert finding.text.startswith("no Prometheus takes the rules of media/thumbs, so nobody is told: ")
    assert f"Prometheus monitoring/main takes {asks}" in finding.text
    assert "docs/how-to/alerts.md#if-prometheus-does-not-find-them" in finding.remedy


def test_a_label_that_is_missing_is_given_by_the_chart() -> None:
    wants = {"release": "stack", "example.com/team": "a"}
    remedy = found(prometheus({"matchLabels": wants}, namespaces={})).remedy
    assert "helm upgrade workerpool-operator charts/workerpool-operator --namespace system --reuse-values" in remedy
    assert "--set prometheusRule.labels.release=stack" in remedy
    assert r"--set prometheusRule.labels.'example\.com/team'=a" in remedy


def test_a_namespace_that_may_not_be_seen_is_not_called_wrong() -> None:
    elsewhere = replace(
        WELL, namespaces={}, rules=[rule()], evaluators=[prometheus({}, namespaces={"matchLabels": {}})]
    )
    assert told(elsewhere, "alerts").level is Level.GOOD


@pytest.mark.parametrize("hidden", [{"rules": Hidden("you may not")}, {"evaluators": Hidden("you may not")}])
def test_what_may_not_be_seen_is_said(hidden: dict[str, Any]) -> None:
    finding = told(replace(WELL, **hidden), "alerts")
    assert (finding.level, "was not looked at: you may not" in finding.text) == (Level.GOOD, True)


def test_without_a_prometheus_resource_nobody_can_tell() -> None:
    """Another program may take the rules."""
    assert found().level is Level.GOOD
    assert "cannot be seen" in found().text

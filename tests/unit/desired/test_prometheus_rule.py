"""The rule object of a pool: what it says, whose series it asks for, and that nothing can break out of it."""

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pools import pool
from workerpool_operator.api import WorkerPool
from workerpool_operator.domain import desired
from workerpool_operator.domain.desired.prometheus_rule import depth_target
from workerpool_operator.domain.desired.promql import quoted, untemplated
from workerpool_operator.domain.monitoring import objectives

ROOT = Path(__file__).parents[3]
ACTION = '{{ "{{" }}'


def made(of: WorkerPool | None = None, **settings: Any) -> dict[str, Any]:
    return desired.prometheus_rule(of or pool(), settings=desired.RuleSettings(**settings))


def rules(of: WorkerPool | None = None, **settings: Any) -> dict[str, dict[str, Any]]:
    (group,) = made(of, **settings)["spec"]["groups"]
    return {rule.get("alert") or rule["record"]: rule for rule in group["rules"]}


def expanded(template: str) -> str:
    """What Prometheus makes of a text whose only actions are the one that writes two braces."""
    first, *rest = template.split("{{ ")
    found = [first]
    for part in rest:
        action, end, text = part.partition(" }}")
        assert (action, end) == ('"{{"', " }}")
        found += ["{{", text]
    assert all("{{" not in text for text in found if text != "{{")
    return "".join(found)


def test_it_belongs_to_the_pool_and_carries_the_labels_of_the_installation() -> None:
    metadata = made(labels={"release": "prometheus"})["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("thumbs", "media")
    assert metadata["ownerReferences"][0]["uid"] == pool().uid
    assert metadata["labels"] == {
        "release": "prometheus",
        "app.kubernetes.io/managed-by": "workerpool-operator",
        "app.kubernetes.io/component": "worker",
        "workerpool.dev/pool": "thumbs",
    }


def test_the_installation_cannot_take_the_labels_that_the_object_is_known_by() -> None:
    taken = made(labels={"workerpool.dev/pool": "other", "app.kubernetes.io/managed-by": "helm"})
    assert taken["metadata"]["labels"] == made()["metadata"]["labels"]


def test_two_pools_have_groups_of_different_names() -> None:
    """Prometheus refuses a second group of the same name in a file."""
    names = {
        made(pool(name, namespace))["spec"]["groups"][0]["name"] for name in ("a", "b") for namespace in ("x", "y")
    }
    assert len(names) == 4


@pytest.mark.parametrize(("alert", "severity"), [("WorkerHeartbeatMissing", "critical"), ("HighQueueDepth", "warning")])
def test_an_alert_says_how_bad_it_is_what_happened_and_where_to_read_on(alert: str, severity: str) -> None:
    rule = rules()[alert]
    assert rule["labels"] == {"severity": severity}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    page = f"docs/runbooks/{alert}.md"
    assert rule["annotations"]["runbook_url"].endswith(f"/{page}")
    assert (ROOT / page).is_file()


def test_only_a_pool_that_tries_its_versions_tells_that_one_was_rejected() -> None:
    assert "CanaryRejected" not in rules(pool(rollout={"strategy": "Rolling"}))
    rule = rules()["CanaryRejected"]
    assert rule["labels"] == {"severity": "warning"}
    assert (ROOT / "docs/runbooks/CanaryRejected.md").is_file()


def test_an_installation_with_runbooks_of_its_own_links_to_those() -> None:
    url = rules(runbooks="https://wiki.example/alerts")["HighQueueDepth"]["annotations"]["runbook_url"]
    assert url == "https://wiki.example/alerts/HighQueueDepth.md"


def test_the_pools_labels_are_on_both_alerts_and_not_on_the_series() -> None:
    found = rules(pool(alerts={"labels": {"team": "media", "severity": "page"}}))
    assert found["WorkerHeartbeatMissing"]["labels"] == {"severity": "page", "team": "media"}
    assert found["HighQueueDepth"]["labels"] == {"severity": "page", "team": "media"}
    assert "labels" not in found["pool:queue_depth:sum"]


def test_objectives_are_what_the_pool_promises() -> None:
    """A share of jobs or of time for each; of the latency only where it says how late is late."""
    slo = {"availability": "0.999", "queueDepth": "0.95", "throughput": "0.9", "jobLatencyQuantile": "0.99"}
    without_latency = {"availability": 0.999, "queueDepth": 0.95, "throughput": 0.9}
    assert objectives(pool()) == {}
    assert objectives(pool(slo=slo)) == without_latency
    assert objectives(pool(slo=slo | {"jobLatencySeconds": 30})) == without_latency | {"latency": 0.99}
    assert objectives(pool(slo=slo, alerts={"enabled": False})) == {}


def test_thresholds_are_the_pools() -> None:
    found = rules(pool(alerts={"heartbeatMissingSeconds": 45, "queueDepthFactor": 3}))
    assert "> 45" in found["WorkerHeartbeatMissing"]["expr"]
    assert "<= 45" in found["WorkerHeartbeatMissing"]["expr"]
    assert "> 3 * avg_over_time" in found["HighQueueDepth"]["expr"]


@pytest.mark.parametrize(
    ("scaling", "target"),
    [
        ({}, 20 * 50),
        ({"targets": {"queueDepth": 100}}, 100),
        ({"targets": {"queueDepth": 100, "queueDepthPerReplica": 5}}, 100),
        ({"maxReplicas": 3, "targets": {"queueDepthPerReplica": 5}}, 15),
        ({"maxReplicas": 3, "targets": {"jobLatencySeconds": 30, "utilization": "0.5"}}, 60),
    ],
    ids=["nothing set", "a depth", "both", "a depth per worker", "targets that are no depths"],
)
def test_the_target_is_what_may_wait_at_the_largest_size(scaling: dict[str, Any], target: int) -> None:
    of = pool(scaling=scaling)
    assert depth_target(of) == target
    assert rules(of)["HighQueueDepth"]["expr"].endswith(f"> {target}")


@pytest.mark.parametrize(
    ("thresholds", "limit", "said"),
    [
        ({}, 100, "the target of 100."),
        ({"queueDepth": 5000}, 5000, "5000 (spec.alerts.thresholds.queueDepth)."),
        ({"queueDepth": 0}, 0, "0 (spec.alerts.thresholds.queueDepth)."),
    ],
)
def test_a_depth_that_the_pool_allows_its_alerts_comes_before_its_target(
    thresholds: dict[str, Any], limit: int, said: str
) -> None:
    alert = rules(pool(scaling={"targets": {"queueDepth": 100}}, alerts={"thresholds": thresholds}))["HighQueueDepth"]
    assert alert["expr"].endswith(f"> {limit}")
    assert alert["annotations"]["description"].endswith(f"and more than {said}")


def test_every_series_is_asked_for_by_namespace_and_pool() -> None:
    for rule in rules().values():
        asked = rule["expr"].split('{namespace="media",pool="thumbs"}')
        assert len(asked) > 1
        assert all(part.rstrip().endswith(("unixtime", "expected", "depth", "sum", "rejected")) for part in asked[:-1])
        assert "{" not in "".join(asked)


@given(st.text())
def test_a_name_stays_within_its_quotes(text: str) -> None:
    """Python's literals have the same escapes as Go's."""
    assert quoted(text).isprintable()
    assert quoted(text).isascii()
    assert ast.literal_eval(quoted(text)) == text


@given(st.text(alphabet='{}" -x'))
def test_a_label_is_no_template(text: str) -> None:
    assert expanded(untemplated(text)) == text


def test_a_label_with_a_template_in_it_is_taken_at_its_word() -> None:
    found = rules(pool(alerts={"labels": {"note": "{{ $value }}"}}))
    assert found["HighQueueDepth"]["labels"]["note"] == f"{ACTION} $value }}}}"

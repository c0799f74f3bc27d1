"""Alerts and monitors on a cluster that knows their kinds, on one that does not, and on one that learns them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import crds
from e2e.cluster.controlplane import ControlPlane
from tests.component.chart.conftest import (
    NAMESPACE,
    OPERATOR,
    RELEASE,
    CommandError,
    listed,
    operator_process,
    wait_served,
)
from tests.component.cli.running import wpool
from tests.support.crds import remove
from tests.support.waiting import until

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.timeout(300)]

CHART = Path(__file__).parents[3] / "charts" / "workerpool-operator"
HOME = "monitored"
RULE = ("-n", HOME, "get", "prometheusrule", "one", "-o", "json")
MONITORS = {"PodMonitor", "ServiceMonitor"}
SERVED = ("--api-versions", "monitoring.coreos.com/v1/PodMonitor,monitoring.coreos.com/v1/ServiceMonitor")
PROMETHEUSES: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "prometheuses.monitoring.coreos.com",
    },
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"kind": "Prometheus", "plural": "prometheuses", "singular": "prometheus"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}
"""Of the prometheus-operator's, what is read of it here."""


def monitors(helm: Callable[..., str], *flags: str) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(helm("template", *RELEASE, *flags))
    return [document for document in documents if document and document["kind"] in MONITORS]


def rendered(helm: Callable[..., str], *flags: str) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(helm("template", *RELEASE, *flags))
    return [document for document in documents if document and document["kind"] == "PrometheusRule"]


def alerts(rule: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for group in rule["spec"]["groups"] for one in group["rules"] if "alert" in one]


def dashboards(helm: Callable[..., str], *flags: str) -> list[dict[str, Any]]:
    documents = yaml.safe_load_all(helm("template", *RELEASE, *flags))
    return [document for document in documents if document and "-dashboard-" in document["metadata"]["name"]]


def environment(helm: Callable[..., str], *flags: str) -> list[dict[str, Any]]:
    """Of the operator's container."""
    documents = yaml.safe_load_all(helm("template", *RELEASE, *flags))
    [deployment] = [document for document in documents if document and document["kind"] == "Deployment"]
    env: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return env


class TestMonitors:
    def test_they_come_where_the_cluster_knows_them(self, helm: Callable[..., str]) -> None:
        assert {document["kind"] for document in monitors(helm, *SERVED)} == MONITORS
        assert monitors(helm) == []

    def test_they_can_be_asked_for_and_refused(self, helm: Callable[..., str]) -> None:
        assert len(monitors(helm, "--set", "monitoring.enabled=true")) == 3
        assert monitors(helm, *SERVED, "--set", "monitoring.enabled=false") == []

    def test_they_carry_the_labels_that_a_prometheus_selects_by(self, helm: Callable[..., str]) -> None:
        found = monitors(helm, *SERVED, "--set", "monitoring.labels.release=kps")
        assert [document["metadata"]["labels"]["release"] for document in found] == ["kps"] * 3

    def test_the_labels_of_rules_reach_the_operator(self, helm: Callable[..., str]) -> None:
        flags = ("--set", "prometheusRule.labels.release=kps,prometheusRule.labels.team=media")
        assert {"name": "PROMETHEUS_RULE_LABELS", "value": "release=kps,team=media"} in environment(helm, *flags)

    def test_prices_reach_the_operator(self, helm: Callable[..., str]) -> None:
        flags = ("--set-json", 'cost={"workerHour": 0.04, "currency": "EUR", "pools": {"media/gpu": 2.5, "a/b": 1}}')
        assert [one for one in environment(helm, *flags) if "PRICE" in one["name"] or "COST" in one["name"]] == [
            {"name": "WORKER_HOUR_PRICE", "value": "0.04"},
            {"name": "WORKER_HOUR_PRICES", "value": "a/b=1,media/gpu=2.5"},
            {"name": "COST_CURRENCY", "value": "EUR"},
        ]


@pytest.fixture(scope="module")
def operator(
    plane: ControlPlane, kubectl: Callable[..., str], release: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The operator with the chart's rights, on a cluster without the kinds; it looks for them every few seconds."""
    kubectl("create", "namespace", HOME)
    more = {"RESYNC_SECONDS": "5", "PROMETHEUS_RULE_LABELS": "release=kps"}
    with operator_process(plane, kubectl, tmp_path_factory.mktemp("operator"), **more):
        yield


def pool(name: str = "one", **alerts: Any) -> str:
    spec = {
        "worker": {"image": "registry.example/worker:1"},
        "queues": [{"name": "main", "redisStream": {"url": "redis://redis:6379/0", "stream": name, "group": name}}],
        "alerts": alerts,
    }
    api_version = "workerpool.dev/v1alpha1"
    return json.dumps({"apiVersion": api_version, "kind": "WorkerPool", "metadata": {"name": name}, "spec": spec})


def told(kubectl: Callable[..., str], kind: str = "Monitored", *, name: str = "one") -> str:
    """Status and reason of a condition."""
    found = json.loads(kubectl("-n", HOME, "get", "wpool", name, "-o", "json")).get("status", {})
    conditions = {one["type"]: f"{one['status']} {one['reason']}" for one in found.get("conditions", [])}
    return str(conditions.get(kind, ""))


def rules(kubectl: Callable[..., str]) -> list[str]:
    return [one["metadata"]["name"] for one in listed(kubectl, "prometheusrules", namespace=HOME)]


def install(kubectl: Callable[..., str]) -> None:
    for path in crds.monitoring():
        kubectl("apply", "--server-side", "-f", str(path))
    wait_served(kubectl, *crds.monitoring())


@pytest.mark.usefixtures("operator")
class TestOperator:
    """In the order in which it happens to a cluster."""

    async def test_without_the_kinds_the_pool_works_and_says_what_is_missing(self, kubectl: Callable[..., str]) -> None:
        kubectl("-n", HOME, "apply", "-f", "-", stdin=pool())
        kubectl("-n", HOME, "apply", "-f", "-", stdin=pool("two"))
        missing = "False PrometheusRuleKindMissing"
        await until(lambda: told(kubectl) == missing, what="the condition")
        assert told(kubectl, "Stalled") == "False NotStalled"
        assert len(listed(kubectl, "pdb,deployments", "-l", "workerpool.dev/pool=one", namespace=HOME)) == 2

    async def test_kinds_that_are_installed_later_are_found(self, kubectl: Callable[..., str]) -> None:
        install(kubectl)
        await until(lambda: rules(kubectl) == ["one", "two"], what="a rule for each pool")
        await until(lambda: told(kubectl) == "True PrometheusRuleApplied", what="the condition")

    def test_the_rule_belongs_to_the_pool_and_can_be_selected(self, kubectl: Callable[..., str]) -> None:
        metadata = json.loads(kubectl(*RULE))["metadata"]
        assert metadata["labels"]["release"] == "kps"
        assert [owner["name"] for owner in metadata["ownerReferences"]] == ["one"]

    async def test_doctor_says_who_reads_the_metrics(
        self, plane: ControlPlane, helm: Callable[..., str], kubectl: Callable[..., str], tmp_path: Path
    ) -> None:
        """Nobody without monitors, and nobody where the Prometheus selects others: by the chart's own monitors."""
        (tmp_path / "prometheuses.json").write_text(json.dumps(PROMETHEUSES))
        kubectl("apply", "-f", str(tmp_path / "prometheuses.json"))
        wait_served(kubectl, tmp_path / "prometheuses.json")
        selectors = {
            f"{what}Selector": {"matchLabels": {"release": "kps"}} for what in ("podMonitor", "serviceMonitor")
        }
        selectors |= {f"{what}NamespaceSelector": {} for what in ("podMonitor", "serviceMonitor")}
        body = {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": {"name": "main"}}
        kubectl("-n", HOME, "apply", "-f", "-", stdin=json.dumps(body | {"spec": selectors}))
        for flags, level, says in (
            ((), "bad", "no {kind} names {whose}"),
            (SERVED, "bad", "no Prometheus takes the {kind} of {whose}"),
            ((*SERVED, "--set", "monitoring.labels.release=kps"), "good", "a Prometheus takes the {kind} of {whose}"),
        ):
            for monitor in monitors(helm, *flags):
                kubectl("apply", "-f", "-", stdin=json.dumps(monitor))
            shown = await wpool(plane, "doctor", "--namespace", HOME, "--json")
            found = {finding["subject"]: finding for finding in json.loads(shown.stdout)}
            for whose, kind in (("workers", "PodMonitor"), ("the operator", "ServiceMonitor")):
                finding = found[f"metrics of {whose}"]
                assert (finding["level"], says.format(kind=kind, whose=whose) in finding["text"]) == (level, True), (
                    finding
                )
        for monitor in monitors(helm, *SERVED):
            kubectl("-n", NAMESPACE, "delete", monitor["kind"], monitor["metadata"]["name"])
        kubectl("delete", "crd", "prometheuses.monitoring.coreos.com")

    async def test_a_rule_that_is_left_alone_is_not_written_again(self, kubectl: Callable[..., str]) -> None:
        """It was listed, and found to say what it should."""
        before = json.loads(kubectl(*RULE))["metadata"]["resourceVersion"]
        kubectl("-n", HOME, "delete", "prometheusrule", "two")
        await until(lambda: rules(kubectl) == ["one", "two"], what="what was deleted")
        assert json.loads(kubectl(*RULE))["metadata"]["resourceVersion"] == before

    async def test_what_somebody_changes_is_put_back(self, kubectl: Callable[..., str]) -> None:
        path = "/spec/groups/0/rules/0/expr"
        patch = json.dumps([{"op": "replace", "path": path, "value": "vector(1)"}])

        def expression(shown: str) -> str:
            rule: str = json.loads(shown)["spec"]["groups"][0]["rules"][0]["expr"]
            return rule

        # By the answer itself: the operator may put it back at any moment after it.
        patched = kubectl("-n", HOME, "patch", "prometheusrule", "one", "--type=json", "-p", patch, "-o", "json")
        assert expression(patched) == "vector(1)"
        await until(lambda: "worker_heartbeat_unixtime" in expression(kubectl(*RULE)), what="the expression")

    async def test_a_rule_that_lost_what_it_is_known_by_gets_it_back(self, kubectl: Callable[..., str]) -> None:
        uid = json.loads(kubectl(*RULE))["metadata"]["uid"]
        kubectl("-n", HOME, "label", "prometheusrule", "one", "app.kubernetes.io/managed-by-")
        known = '"app.kubernetes.io/managed-by": "workerpool-operator"'
        await until(lambda: known in kubectl(*RULE), what="the label")
        assert json.loads(kubectl(*RULE))["metadata"]["uid"] == uid

    async def test_a_change_of_the_pool_is_in_its_rule_at_once(self, kubectl: Callable[..., str]) -> None:
        kubectl("-n", HOME, "apply", "-f", "-", stdin=pool(labels={"team": "media"}))
        await until(lambda: '"team": "media"' in kubectl(*RULE), what="the label")
        kubectl("-n", HOME, "apply", "-f", "-", stdin=pool())
        await until(lambda: '"team": "media"' not in kubectl(*RULE), what="no label")

    async def test_without_alerts_there_is_no_rule(self, kubectl: Callable[..., str]) -> None:
        kubectl("-n", HOME, "apply", "-f", "-", stdin=pool(enabled=False))
        await until(lambda: rules(kubectl) == ["two"], what="no rule")
        await until(lambda: told(kubectl) == "False AlertsDisabled", what="the condition")

    async def test_a_rule_of_somebody_else_is_left_alone_and_named(self, kubectl: Callable[..., str]) -> None:
        """It has the pool's name. Once it is out of the way, the pool's own takes its place."""
        theirs = {"groups": [{"name": "theirs", "rules": [{"record": "x", "expr": "1"}]}]}
        body = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "one"}}
        kubectl("-n", HOME, "apply", "-f", "-", stdin=json.dumps(body | {"spec": theirs}))
        kubectl("-n", HOME, "apply", "-f", "-", stdin=pool())
        await until(lambda: told(kubectl) == "False ApplyRefused", what="the condition")
        assert json.loads(kubectl(*RULE))["spec"] == theirs
        assert "rename it, or set alerts.enabled to false" in kubectl("-n", HOME, "get", "wpool", "one", "-o", "json")
        assert told(kubectl, "Stalled") == "False NotStalled"

    async def test_kinds_that_are_removed_leave_the_pool_working(
        self, plane: ControlPlane, kubectl: Callable[..., str]
    ) -> None:
        remove(plane, *crds.monitoring())
        missing = "False PrometheusRuleKindMissing"
        await until(lambda: told(kubectl) == told(kubectl, name="two") == missing, what="both conditions")
        assert told(kubectl, "Stalled") == "False NotStalled"

    async def test_it_was_refused_nothing(self, plane: ControlPlane, kubectl: Callable[..., str]) -> None:
        """By the API server's own audit log, over all that was done above."""
        lines = [json.loads(line) for line in plane.audit_log.read_text().splitlines()]
        about = [
            line
            for line in lines
            if line.get("objectRef", {}).get("resource") == "prometheusrules" and line["stage"] == "ResponseComplete"
        ]
        mine = [line for line in about if line["user"]["username"] == OPERATOR]
        assert {line["verb"] for line in mine} >= {"list", "patch", "delete"}
        assert {line["responseStatus"]["code"] for line in mine} & {401, 403} == set()


class TestAlerts:
    def test_they_come_where_the_monitors_come_and_link_to_runbooks(self, helm: Callable[..., str]) -> None:
        [rule] = rendered(helm, *SERVED, "--set", "prometheusRule.labels.release=kps")
        assert rule["metadata"]["labels"]["release"] == "kps"
        linked = {one["alert"]: one["annotations"]["runbook_url"] for one in alerts(rule)}
        assert linked["OperatorDown"] == "https://workerpool.dev/docs/runbooks/OperatorDown.md"
        told = {one["alert"]: one["annotations"]["summary"] for one in alerts(rule)}
        assert told["DeadLettersGrowing"].startswith("Pool {{ $labels.namespace }}/{{ $labels.pool }}: ")
        assert rendered(helm) == []

    def test_some_are_left_out_and_a_misspelt_one_is_refused(self, helm: Callable[..., str]) -> None:
        flags = ("--set", "alerts.enabled=true")
        [whole], [fewer] = (
            rendered(helm, *flags),
            rendered(helm, *flags, "--set", "alerts.disabled={ScaledToMax,ScaleThrash}"),
        )
        gone = {one["alert"] for one in alerts(whole)} - {one["alert"] for one in alerts(fewer)}
        assert gone == {"ScaledToMax", "ScaleThrash"}
        with pytest.raises(CommandError, match="there is no alert ScaledToMin"):
            rendered(helm, *flags, "--set", "alerts.disabled={ScaledToMin}")


class TestDashboards:
    def test_they_come_where_the_monitors_come(self, helm: Callable[..., str]) -> None:
        found = dashboards(helm, *SERVED, "--set", "dashboards.annotations.grafana_folder=Workers")
        assert len(found) == 7
        assert {one["metadata"]["labels"]["grafana_dashboard"] for one in found} == {"1"}
        assert {one["metadata"]["annotations"]["grafana_folder"] for one in found} == {"Workers"}
        assert dashboards(helm) == []

    def test_they_can_be_asked_for_and_refused(self, helm: Callable[..., str]) -> None:
        assert len(dashboards(helm, "--set", "dashboards.enabled=true")) == 7
        assert dashboards(helm, *SERVED, "--set", "dashboards.enabled=false") == []

    def test_each_is_whole_and_links_to_the_runbooks_of_the_installation(self, helm: Callable[..., str]) -> None:
        flags = ("--set", "dashboards.enabled=true,prometheusRule.runbooks=https://wiki.example/runbooks")
        pages = {name: text for one in dashboards(helm, *flags) for name, text in one["data"].items()}
        for name, text in pages.items():
            shipped = (CHART / "dashboards" / name.removeprefix("workerpool-")).read_text()
            wanted = shipped.replace("https://workerpool.dev/docs/runbooks", "https://wiki.example/runbooks")
            assert json.loads(text) == json.loads(wanted)
        assert "https://wiki.example/runbooks/WorkersStuck.md" in pages["workerpool-on-call.json"]


class TestInstalled:
    """After all that: the kinds are installed for it."""

    def test_the_server_accepts_the_monitors_with_every_field(
        self, helm: Callable[..., str], kubectl: Callable[..., str]
    ) -> None:
        install(kubectl)
        documents = [*monitors(helm, *SERVED, "--set", "monitoring.labels.release=kps")]
        text = yaml.safe_dump_all(documents)
        said = kubectl("apply", "--dry-run=server", "--validate=strict", "-n", NAMESPACE, "-f", "-", stdin=text)
        assert said.count("server dry run") == 3

"""What single values make of the chart, rendered by the real Helm."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from tests.component.chart.conftest import CHART, NAMESPACE, RELEASE, CommandError
from tests.support.pools import pool
from tests.unit.chart.test_rbac import GOLDEN, NAMESPACES_GOLDEN, table
from workerpool_operator.controller.config import OperatorConfig
from workerpool_operator.domain import desired

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

Helm = Callable[..., str]
NAME = "workerpool-operator"
SETTINGS = desired.CollectorSettings(
    image="collector:1", image_pull_policy="Always", replicas=1, operator_stream="operator:8443", ca_pem=""
)
SERVED = ("--set", "externalMetrics.enabled=true")
ISSUED = ("--set", "tls.certManager.enabled=true")


def rendered(helm: Helm, *flags: str) -> dict[tuple[str, str], dict[str, Any]]:
    """All objects by kind and name; of several namespaces, the last."""
    documents = yaml.safe_load_all(helm("template", *RELEASE, *flags))
    return {(one["kind"], one["metadata"]["name"]): one for one in documents if one}


def pod_of(helm: Helm, *flags: str) -> dict[str, Any]:
    found: dict[str, Any] = rendered(helm, *flags)["Deployment", NAME]["spec"]["template"]["spec"]
    return found


class TestNetworkPolicy:
    def policy(self, helm: Helm, *flags: str) -> dict[str, Any]:
        found: dict[str, Any] = rendered(helm, *flags)["NetworkPolicy", NAME]["spec"]
        return found

    def test_it_selects_the_operators_pods_and_no_others(self, helm: Helm) -> None:
        documents = rendered(helm, "--set", "ui.enabled=true")
        selected = documents["NetworkPolicy", NAME]["spec"]["podSelector"]["matchLabels"].items()
        for kind, name in [("Deployment", NAME), ("Deployment", "workerpool-ui"), ("Pod", f"{NAME}-test")]:
            one = documents[kind, name]
            labels = (one["spec"]["template"] if kind == "Deployment" else one)["metadata"]["labels"]
            assert (selected <= labels.items()) is (name == NAME)

    def test_collectors_reach_their_port_and_nobody_else(self, helm: Helm) -> None:
        [streams] = [rule for rule in self.policy(helm)["ingress"] if rule["ports"] == [{"port": "stream"}]]
        [peer] = streams["from"]
        assert peer["namespaceSelector"] == {}
        collector = desired.collector("media", pools=[pool()], settings=SETTINGS)[-1]
        labels = collector["spec"]["template"]["metadata"]["labels"]
        assert peer["podSelector"]["matchLabels"].items() <= labels.items()
        worker = desired.stored_template(desired.revision_for(pool()).body)["metadata"]["labels"]
        assert not peer["podSelector"]["matchLabels"].items() <= worker.items()

    def test_only_collectors_of_watched_namespaces_do(self, helm: Helm) -> None:
        [streams, *_] = self.policy(helm, "--set", "watchNamespaces={media,mail}")["ingress"]
        [expression] = streams["from"][0]["namespaceSelector"]["matchExpressions"]
        assert (expression["key"], expression["values"]) == ("kubernetes.io/metadata.name", ["media", "mail"])

    def test_metrics_are_for_all_or_for_those_that_are_named_and_the_test(self, helm: Helm) -> None:
        _, metrics = self.policy(helm)["ingress"]
        assert metrics == {"ports": [{"port": "http"}]}
        monitoring = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
        _, metrics = self.policy(helm, "--set-json", f"networkPolicy.metricsFrom={json.dumps([monitoring])}")["ingress"]
        named, test = metrics["from"]
        assert named == monitoring
        labels = rendered(helm)["Pod", f"{NAME}-test"]["metadata"]["labels"]
        assert test["podSelector"]["matchLabels"].items() <= labels.items()

    def test_the_metrics_api_is_open_where_it_is_served(self, helm: Helm) -> None:
        assert {"ports": [{"port": "ext-metrics"}]} not in self.policy(helm)["ingress"]
        assert {"ports": [{"port": "ext-metrics"}]} in self.policy(helm, *SERVED)["ingress"]

    def test_it_may_be_kept_to_the_api_server_and_its_other_replicas(self, helm: Helm) -> None:
        assert "egress" not in self.policy(helm)
        policy = self.policy(helm, *SERVED, "--set", "networkPolicy.apiServerPorts={443,6443}")
        api, replicas = policy["egress"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert [port["port"] for port in api["ports"]] == [443, 6443]
        assert replicas["to"][0]["podSelector"] == policy["podSelector"]

    def test_its_ports_have_the_names_of_the_pods(self, helm: Helm) -> None:
        named = {port["name"] for port in pod_of(helm, *SERVED)["containers"][0]["ports"]}
        policy = self.policy(helm, *SERVED)
        assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == named

    def test_the_page_reaches_the_api_server_by_the_same_ports(self, helm: Helm) -> None:
        def ports(*flags: str) -> list[int]:
            page = rendered(helm, "--set", "ui.enabled=true", *flags)["NetworkPolicy", "workerpool-ui"]
            return [port["port"] for rule in page["spec"]["egress"] for port in rule["ports"]]

        assert ports() == [443, 6443]
        assert ports("--set", "networkPolicy.apiServerPorts={8443}") == [8443]

    def test_it_can_be_left_out(self, helm: Helm) -> None:
        assert ("NetworkPolicy", NAME) not in rendered(helm, "--set", "networkPolicy.enabled=false")


class TestCertManager:
    def test_a_ca_of_the_releases_own_signs_for_the_services(self, helm: Helm) -> None:
        documents = rendered(helm, *ISSUED)
        assert not [kind for kind, _ in documents if kind == "Secret"]
        leaf, ca = documents["Certificate", f"{NAME}-issued"]["spec"], documents["Certificate", f"{NAME}-ca"]["spec"]
        assert documents["Issuer", leaf["issuerRef"]["name"]]["spec"]["ca"]["secretName"] == ca["secretName"]
        assert documents["Issuer", ca["issuerRef"]["name"]]["spec"] == {"selfSigned": {}}
        assert leaf["dnsNames"][0] == f"{NAME}-stream.{NAMESPACE}.svc"
        assert f"{NAME}-external-metrics.{NAMESPACE}.svc" in leaf["dnsNames"]
        [volume] = [one for one in pod_of(helm, *ISSUED)["volumes"] if one["name"] == "tls"]
        assert volume["secret"]["secretName"] == leaf["secretName"]

    def test_an_issuer_of_the_users_is_taken_as_it_is(self, helm: Helm) -> None:
        issuer = ("--set", "tls.certManager.issuerRef.name=corp,tls.certManager.issuerRef.kind=ClusterIssuer")
        documents = rendered(helm, *ISSUED, *issuer)
        assert not [kind for kind, _ in documents if kind == "Issuer"]
        assert documents["Certificate", f"{NAME}-issued"]["spec"]["issuerRef"] == {
            "name": "corp",
            "kind": "ClusterIssuer",
        }

    def test_the_api_server_is_told_the_authority_by_cert_manager(self, helm: Helm) -> None:
        service = rendered(helm, *ISSUED, *SERVED)["APIService", "v1beta1.external.metrics.k8s.io"]
        assert "caBundle" not in service["spec"]
        assert service["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": f"{NAMESPACE}/{NAME}-issued"}

    def test_two_who_make_the_certificate_are_refused(self, helm: Helm) -> None:
        with pytest.raises(CommandError, match="choose who makes the certificate"):
            rendered(helm, *ISSUED, "--set", "tls.existingSecret=mine")


SPREAD = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}


class TestPlacement:
    def spread(self, helm: Helm, constraint: dict[str, Any]) -> dict[str, Any]:
        flag = f"topologySpreadConstraints={json.dumps([constraint])}"
        [found] = pod_of(helm, "--set-json", flag)["topologySpreadConstraints"]
        assert isinstance(found, dict)
        return found

    def test_the_operators_pods_are_spread_unless_others_are_named(self, helm: Helm) -> None:
        selector = rendered(helm)["Deployment", NAME]["spec"]["selector"]
        assert self.spread(helm, SPREAD) == SPREAD | {"labelSelector": selector}
        mine = SPREAD | {"labelSelector": {"matchLabels": {"team": "infra"}}}
        assert self.spread(helm, mine) == mine
        assert "topologySpreadConstraints" not in pod_of(helm)

    def test_a_disruption_budget_never_holds_the_only_replica(self, helm: Helm) -> None:
        budget = ("PodDisruptionBudget", NAME)
        assert budget in rendered(helm)
        assert budget not in rendered(helm, "--set", "replicas=1")
        assert budget not in rendered(helm, "--set", "podDisruptionBudget.enabled=false")

    def test_the_priority_class_is_taken_as_it_is(self, helm: Helm) -> None:
        assert pod_of(helm, "--set", "priorityClassName=critical")["priorityClassName"] == "critical"


def test_the_operator_is_told_what_collectors_are_pulled_with(helm: Helm) -> None:
    """As it reads it. Without a word, nothing."""

    def told(*flags: str) -> tuple[str, ...]:
        env = {one["name"]: one.get("value", "x") for one in pod_of(helm, *flags)["containers"][0]["env"]}
        return OperatorConfig.from_environment(env).collector_pull_secrets

    assert told("--set-json", 'collector.imagePullSecrets=[{"name":"registry"},{"name":"b.c"}]') == ("registry", "b.c")
    assert told() == ()


class TestWatchNamespaces:
    FLAGS = ("--set", "watchNamespaces={media,mail}")

    def test_rights_on_pools_are_in_these_namespaces_only(self, helm: Helm) -> None:
        text = helm("template", *RELEASE, *self.FLAGS, *SERVED, "--skip-tests")
        documents = [one for one in yaml.safe_load_all(text) if one]
        moved = NAMESPACES_GOLDEN.read_text()
        for namespace in ("media", "mail"):
            assert table(one for one in documents if one["metadata"].get("namespace") == namespace) == moved
        rest = [one for one in documents if one["metadata"].get("namespace") not in {"media", "mail"}]
        gone = {line.replace(f"Role {NAME}-pools:", f"ClusterRole {NAME}:") for line in moved.splitlines()}
        assert set(table(rest).splitlines()) == set(GOLDEN.read_text().splitlines()) - gone

    def test_the_operator_and_prometheus_look_there_only(self, helm: Helm) -> None:
        env = {one["name"]: one.get("value") for one in pod_of(helm, *self.FLAGS)["containers"][0]["env"]}
        assert env["WATCH_NAMESPACES"] == "media,mail"
        monitors = rendered(helm, *self.FLAGS, "--set", "monitoring.enabled=true")
        for name in (NAME, f"{NAME}-collectors"):
            assert monitors["PodMonitor", name]["spec"]["namespaceSelector"] == {"matchNames": ["media", "mail"]}
        assert "WATCH_NAMESPACES" not in {one["name"] for one in pod_of(helm)["containers"][0]["env"]}


class TestHelmTest:
    def test_what_it_makes_goes_with_it(self, helm: Helm) -> None:
        documents = [one for (_, name), one in rendered(helm).items() if name == f"{NAME}-test"]
        assert {one["kind"] for one in documents} == {"ServiceAccount", "Role", "RoleBinding", "Pod"}
        for one in documents:
            annotations = one["metadata"]["annotations"]
            assert annotations["helm.sh/hook"] == "test"
            assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"

    def test_it_may_read_pools_and_one_lease_and_nothing_else(self, helm: Helm) -> None:
        role = rendered(helm)["Role", f"{NAME}-test"]
        assert role["rules"] == [
            {"apiGroups": ["workerpool.dev"], "resources": ["workerpools"], "verbs": ["list"]},
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "resourceNames": [NAME],
                "verbs": ["get"],
            },
        ]

    def test_the_program_comes_through_the_template_as_it_is(self, helm: Helm) -> None:
        [program] = rendered(helm)["Pod", f"{NAME}-test"]["spec"]["containers"][0]["args"]
        compile(program, "answers.py", "exec")
        assert program.startswith('"""What `helm test` runs')


def test_no_pod_of_the_chart_may_write_to_its_root_or_become_it(helm: Helm) -> None:
    """Operator, page and test alike, with everything on."""
    documents = rendered(helm, *SERVED, "--set", "ui.enabled=true")
    pods = [one["spec"]["template"]["spec"] for (kind, _), one in documents.items() if kind == "Deployment"]
    pods += [one["spec"] for (kind, _), one in documents.items() if kind == "Pod"]
    assert len(pods) == 3
    for pod in pods:
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
        for container in [*pod["containers"], *pod.get("initContainers", ())]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_the_server_knows_every_field_of_every_object(helm: Helm, kubectl: Callable[..., str]) -> None:
    """With all that can be switched on without kinds of others: a field of no meaning would be dropped in silence."""
    values = {
        "externalMetrics.enabled": True,
        "ui.enabled": True,
        "watchNamespaces": ["default", "kube-public"],
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}], "apiServerPorts": [443]},
        "topologySpreadConstraints": [SPREAD],
        "priorityClassName": "system-cluster-critical",
        "dashboards.enabled": True,
    }
    flags = [word for name, value in values.items() for word in ("--set-json", f"{name}={json.dumps(value)}")]
    text = helm("template", NAME, str(CHART), "--namespace", "default", "--skip-tests", *flags)
    said = kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    made = [one for one in yaml.safe_load_all(text) if one]
    assert len(said.splitlines()) == len(made) > 30

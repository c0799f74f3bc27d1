"""The namespace's collector: what it may see, who may reach it, and that it goes with the last pool."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.support.pools import pool, pool_body, queue
from workerpool_operator.api import WorkerPool, parse
from workerpool_operator.domain.desired import CollectorSettings, collector, revision_for, stored_template

SETTINGS = CollectorSettings(
    image="registry.example/operator:0.1.0",
    image_pull_policy="IfNotPresent",
    replicas=1,
    operator_stream="workerpool-operator-stream.workerpool-system.svc:8443",
    ca_pem="-----BEGIN CERTIFICATE-----\n",
)


def named(name: str, **spec: Any) -> WorkerPool:
    body = pool_body(name, **spec)
    body["metadata"]["uid"] = f"uid-of-{name}"
    return parse(body)


def objects(*pools: WorkerPool, settings: CollectorSettings = SETTINGS) -> dict[str, dict[str, Any]]:
    made = collector("media", pools=pools or [pool()], settings=settings)
    return {body["kind"]: body for body in made}


def pod(*pools: WorkerPool, settings: CollectorSettings = SETTINGS) -> dict[str, Any]:
    found: dict[str, Any] = objects(*pools, settings=settings)["Deployment"]["spec"]["template"]["spec"]
    return found


def credentials(name: str, key: str = "password") -> dict[str, Any]:
    return {"password": {"secretKeyRef": {"name": name, "key": key}}}


def test_what_the_pod_needs_is_made_before_it() -> None:
    assert list(objects()) == [
        "ServiceAccount",
        "RoleBinding",
        "ConfigMap",
        "Service",
        "NetworkPolicy",
        "Deployment",
    ]


@pytest.mark.parametrize("kind", objects())
def test_every_object_is_owned_by_every_pool_and_controlled_by_none(kind: str) -> None:
    made = objects(named("b"), named("a"))[kind]["metadata"]
    assert (made["name"], made["namespace"]) == ("workerpool-collector", "media")
    assert made["ownerReferences"] == [
        {"apiVersion": "workerpool.dev/v1alpha1", "kind": "WorkerPool", "name": name, "uid": f"uid-of-{name}"}
        for name in ("a", "b")
    ]


def test_the_order_in_which_pools_are_known_changes_nothing() -> None:
    first, second = named("a", queues=[queue(credentials=credentials("x"))]), named("b")
    assert objects(first, second) == objects(second, first)


def test_it_has_the_rights_of_the_clusterrole_that_the_chart_makes() -> None:
    binding = objects()["RoleBinding"]
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "workerpool-collector",
    }
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "workerpool-collector", "namespace": "media"}]


def test_its_image_is_pulled_with_the_secrets_of_the_installation() -> None:
    """Without any, the pod says nothing of them, as before."""
    assert "imagePullSecrets" not in pod()
    named = pod(settings=replace(SETTINGS, image_pull_secrets=("registry", "mirror")))
    assert named["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]


def test_each_token_is_projected_by_hand_for_one_audience() -> None:
    spec = pod()
    assert objects()["ServiceAccount"]["automountServiceAccountToken"] is False
    assert spec["automountServiceAccountToken"] is False
    paths = {mount["name"]: mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]}
    tokens = {
        f"{paths[volume['name']]}/{source['serviceAccountToken']['path']}": source["serviceAccountToken"].get(
            "audience", "the API server"
        )
        for volume in spec["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    }
    assert tokens == {
        "/var/run/secrets/workerpool.dev/token": "workerpool-operator",
        "/var/run/secrets/kubernetes.io/serviceaccount/token": "the API server",
    }


def test_it_finds_the_operator_and_its_authority() -> None:
    container = pod()["containers"][0]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env == {
        "POD_NAME": None,
        "POD_NAMESPACE": None,
        "OPERATOR_STREAM": "workerpool-operator-stream.workerpool-system.svc:8443",
        "LOG_LEVEL": "info",
    }
    assert objects()["ConfigMap"]["data"] == {"ca.crt": SETTINGS.ca_pem}
    assert {"name": "operator-ca", "mountPath": "/etc/workerpool-collector", "readOnly": True} in container[
        "volumeMounts"
    ]


def test_each_pools_credentials_lie_in_a_folder_of_its_own() -> None:
    """One volume for all: a pool that comes or goes is one rollout. All optional: one wrong name hurts one queue."""
    made = pod(
        named("a", queues=[queue(credentials=credentials("x")), queue("two", credentials=credentials("y", "p"))]),
        named("b", queues=[queue(credentials=credentials("x"))]),
        named("c"),
    )
    (volume,) = [volume for volume in made["volumes"] if volume["name"] == "credentials"]

    def source(name: str, key: str, path: str) -> dict[str, Any]:
        return {"secret": {"name": name, "items": [{"key": key, "path": path}], "optional": True}}

    assert volume["projected"]["sources"] == [
        source("x", "password", "a/main/password"),
        source("y", "p", "a/two/password"),
        source("x", "password", "b/main/password"),
    ]
    assert {"name": "credentials", "mountPath": "/credentials", "readOnly": True} in made["containers"][0][
        "volumeMounts"
    ]


def test_without_credentials_there_is_no_volume_for_them() -> None:
    assert "credentials" not in [volume["name"] for volume in pod()["volumes"]]


def test_only_workers_of_the_namespace_may_open_streams() -> None:
    spec = objects()["NetworkPolicy"]["spec"]
    assert spec["podSelector"] == {"matchLabels": objects()["Deployment"]["spec"]["selector"]["matchLabels"]}
    assert spec["policyTypes"] == ["Ingress"], "brokers lie anywhere, so egress stays open"
    assert spec["ingress"] == [
        {
            "from": [
                {
                    "podSelector": {
                        "matchLabels": {"app.kubernetes.io/component": "worker"},
                        "matchExpressions": [{"key": "workerpool.dev/pool", "operator": "Exists"}],
                    }
                }
            ],
            "ports": [{"port": 8090, "protocol": "TCP"}],
        },
        {"ports": [{"port": 8000, "protocol": "TCP"}, {"port": 8080, "protocol": "TCP"}]},
    ]


def test_a_worker_has_the_labels_that_the_policy_asks_for() -> None:
    labels = stored_template(revision_for(pool()).body)["metadata"]["labels"]
    assert labels["app.kubernetes.io/component"] == "worker"
    assert "workerpool.dev/pool" in labels


def test_the_service_leads_to_the_ports_of_the_pod() -> None:
    ports = {port["name"]: port["containerPort"] for port in pod()["containers"][0]["ports"]}
    assert ports == {"stream": 8090, "metrics": 8000, "health": 8080}
    service = objects()["Service"]["spec"]
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == ports
    assert service["selector"].items() <= objects()["Deployment"]["spec"]["template"]["metadata"]["labels"].items()


def test_it_leaves_a_lost_node_after_15_seconds() -> None:
    assert {(one["key"], one["tolerationSeconds"]) for one in pod()["tolerations"]} == {
        ("node.kubernetes.io/not-ready", 15),
        ("node.kubernetes.io/unreachable", 15),
    }


def test_a_rollout_never_leaves_the_namespace_without_one() -> None:
    strategy = objects()["Deployment"]["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_one_collector_needs_no_distance_and_two_keep_to_two_hosts() -> None:
    assert "affinity" not in pod()
    two = pod(settings=replace(SETTINGS, replicas=2))
    (term,) = two["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"
    assert objects(settings=replace(SETTINGS, replicas=2))["Deployment"]["spec"]["replicas"] == 2


def test_it_is_hardened() -> None:
    made = pod()
    assert made["securityContext"]["runAsNonRoot"] is True
    assert made["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert "hostPath" not in json.dumps(made)

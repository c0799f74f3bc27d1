"""The operator as its own service account, with what the chart grants and nothing else."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.chart.conftest import OPERATOR, listed, operator_process
from tests.support.waiting import until

pytestmark = [
    pytest.mark.component,
    pytest.mark.apiserver,
    pytest.mark.usefixtures("operator"),
    pytest.mark.timeout(300),
]

HOME = "rights"
ENVIRONMENT = {"RESYNC_SECONDS": "10", "COLLECTOR_IMAGE_PULL_SECRETS": "registry"}
OWNED = "deployments,controllerrevisions,services,configmaps,serviceaccounts,rolebindings,networkpolicies,pdb"


def pool(name: str, **scaling: Any) -> str:
    spec = {
        "replicas": 1,
        "worker": {"image": "registry.example/worker:1"},
        "queues": [{"name": "main", "redisStream": {"url": "redis://redis:6379/0", "stream": name, "group": name}}],
        "scaling": {"mode": "manual"} | scaling,
    }
    api_version = "workerpool.dev/v1alpha1"
    return json.dumps({"apiVersion": api_version, "kind": "WorkerPool", "metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="module")
def operator(
    plane: ControlPlane, kubectl: Callable[..., str], release: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """The operator with the chart's rights; it compares everything every few seconds, so that it does so here."""
    kubectl("create", "namespace", HOME)
    with operator_process(plane, kubectl, tmp_path_factory.mktemp("operator"), **ENVIRONMENT):
        yield


def owned(kubectl: Callable[..., str]) -> set[str]:
    return {
        f"{one['kind']}/{one['metadata']['name']}"
        for one in listed(kubectl, OWNED, "-l", "app.kubernetes.io/managed-by=workerpool-operator", namespace=HOME)
    }


def status(kubectl: Callable[..., str], name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("-n", HOME, "get", "wpool", name, "-o", "json")).get("status", {})
    return found


async def test_it_makes_everything_that_a_pool_needs(kubectl: Callable[..., str]) -> None:
    kubectl("-n", HOME, "apply", "-f", "-", stdin=pool("one"))
    shared = {"Deployment", "Service", "ConfigMap", "ServiceAccount", "RoleBinding", "NetworkPolicy"}
    wanted = {f"{kind}/workerpool-collector" for kind in shared} | {"PodDisruptionBudget/one"}
    await until(lambda: wanted <= owned(kubectl), what="collector and budget")
    await until(lambda: any(name.startswith("Deployment/one-") for name in owned(kubectl)), what="Deployment")
    await until(lambda: len(status(kubectl, "one").get("conditions", [])) > 0, what="a status")


async def test_collectors_are_pulled_with_the_secrets_of_the_installation(kubectl: Callable[..., str]) -> None:
    """By their names alone: the Secrets are the namespace's own."""
    found = json.loads(kubectl("-n", HOME, "get", "deployment", "workerpool-collector", "-o", "json"))
    assert found["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]


async def test_a_second_pool_becomes_an_owner_of_the_collector(kubectl: Callable[..., str]) -> None:
    kubectl("-n", HOME, "apply", "-f", "-", stdin=pool("two"))

    def owners() -> list[set[str]]:
        found = listed(kubectl, "services,configmaps,serviceaccounts,rolebindings,networkpolicies", namespace=HOME)
        mine = [one["metadata"] for one in found if one["metadata"]["name"] == "workerpool-collector"]
        return [{owner["name"] for owner in metadata["ownerReferences"]} for metadata in mine]

    await until(lambda: owners() == [{"one", "two"}] * 5, what="both pools as owners")


async def test_it_replaces_a_version_and_removes_the_old_one(kubectl: Callable[..., str]) -> None:
    """At zero, as nothing runs here: a rollout waits for workers that are ready."""
    kubectl("-n", HOME, "scale", "wpool", "two", "--replicas=0")
    await until(lambda: all(one["spec"]["replicas"] == 0 for one in deployments(kubectl, "two")), what="zero")
    kubectl(
        "-n",
        HOME,
        "patch",
        "wpool",
        "two",
        "--type=merge",
        "-p",
        '{"spec":{"worker":{"image":"registry.example/worker:2"},"rollout":{"strategy":"Rolling"}}}',
    )
    await until(
        lambda: [image(one) for one in deployments(kubectl, "two")] == ["registry.example/worker:2"],
        what="only the new version",
        seconds=60,
    )


async def test_it_writes_the_size_when_the_mode_changes(kubectl: Callable[..., str]) -> None:
    kubectl("-n", HOME, "apply", "-f", "-", stdin=pool("three", mode="direct", minReplicas=3))
    await until(lambda: status(kubectl, "three").get("scaling", {}).get("desired") == 3, what="3 wanted")
    kubectl("-n", HOME, "patch", "wpool", "three", "--type=merge", "-p", '{"spec":{"scaling":{"mode":"manual"}}}')

    def size() -> int:
        replicas: int = json.loads(kubectl("-n", HOME, "get", "wpool", "three", "-o", "json"))["spec"]["replicas"]
        return replicas

    await until(lambda: size() == 3, what="the size written into the pool")


async def test_a_deployment_that_lost_its_pools_label_gets_it_back_at_once(kubectl: Callable[..., str]) -> None:
    """With its size: it must not be taken for a missing one."""
    [before] = deployments(kubectl, "three")
    name = before["metadata"]["name"]
    kubectl("-n", HOME, "label", "deployment", name, "workerpool.dev/pool-")
    await until(lambda: len(deployments(kubectl, "three")) == 1, what="the label")
    [after] = deployments(kubectl, "three")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["replicas"] == before["spec"]["replicas"] == 3


async def test_a_deployment_that_went_out_of_sight_is_taken_up_again(kubectl: Callable[..., str]) -> None:
    """Without the operator's label it looks deleted. It is found by its name, and scaled like before."""
    [before] = deployments(kubectl, "three")
    name = before["metadata"]["name"]
    kubectl("-n", HOME, "label", "deployment", name, "app.kubernetes.io/managed-by-")
    await until(lambda: f"Deployment/{name}" in owned(kubectl), what="the label")
    kubectl("-n", HOME, "scale", "wpool", "three", "--replicas=5")
    await until(lambda: [one["spec"]["replicas"] for one in deployments(kubectl, "three")] == [5], what="five")


async def test_it_was_refused_nothing(plane: ControlPlane) -> None:
    """Last in the file. By the API server's own audit log, over all that was done above."""
    lines = [json.loads(line) for line in plane.audit_log.read_text().splitlines()]
    mine = [line for line in lines if line["user"]["username"] == OPERATOR and line["stage"] == "ResponseComplete"]
    assert {line["objectRef"]["resource"] for line in mine if line["verb"] == "patch"} >= {
        "deployments",
        "rolebindings",
    }
    refused = {
        f"{line['verb']} {line['requestURI']}: {line['responseStatus'].get('message', '')}"
        for line in mine
        if line["responseStatus"]["code"] in {401, 403}
    }
    assert refused == set()


def deployments(kubectl: Callable[..., str], name: str) -> list[dict[str, Any]]:
    return listed(kubectl, "deployments", "-l", f"workerpool.dev/pool={name}", namespace=HOME)


def image(deployment: dict[str, Any]) -> str:
    found: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return found

"""What people and our own accounts try beyond their rights, and what keeps them from it: the real API server."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from e2e.cluster.api import wait_until
from tests.component.chart.conftest import NAMESPACE, OPERATOR, CommandError, may
from tests.component.hostile.conftest import AUTHOR, POOLS_ONLY, TENANT
from tests.support.attacks import attack
from tests.support.pools import merged, pool_body

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("author")]

Kubectl = Callable[..., str]
COLLECTOR = f"system:serviceaccount:{TENANT}:workerpool-collector"
POLICY = "admission policy of the chart: who says what runs has to be allowed to create Deployments"
RBAC = "rights (RBAC)"
WORDS = "who says what a WorkerPool runs has to be allowed to create Deployments"


def body(name: str = "thumbs", namespace: str = TENANT, **spec: Any) -> str:
    found = pool_body(name, namespace, **spec)
    del found["metadata"]["uid"]
    return json.dumps(found)


def refusal(kubectl: Kubectl, *words: str, stdin: str | None = None) -> str:
    with pytest.raises(CommandError) as refused:
        kubectl(*words, stdin=stdin)
    return str(refused.value)


@pytest.fixture
def pool(kubectl: Kubectl) -> Iterator[str]:
    """A pool that somebody with the right to it has made."""
    kubectl("-n", TENANT, "create", f"--as={AUTHOR}", "-f", "-", stdin=body())
    yield "thumbs"
    kubectl("-n", TENANT, "delete", "wpool", "thumbs")


@attack("a pool by somebody who may write pools, but may not create Deployments", stopped_by=POLICY)
def test_the_operator_creates_for_nobody_what_they_may_not(kubectl: Kubectl) -> None:
    said = refusal(kubectl, "-n", TENANT, "create", f"--as={POOLS_ONLY}", "-f", "-", stdin=body())
    assert WORDS in said
    assert f"{POOLS_ONLY} may not in namespace {TENANT}: ask for the role edit there" in said


@pytest.mark.parametrize(
    "spec",
    [
        {"worker": {"image": "evil.example/miner:1"}},
        {"worker": {"envFrom": [{"secretRef": {"name": "payments"}}]}},
        {"queues": [{"name": "other", "redisStream": {"url": "redis://other:6379/0", "stream": "s", "group": "g"}}]},
        {"placement": {"primary": {"nodeSelector": {"pool": "secret"}}}},
    ],
    ids=["image", "secret", "queue", "nodes"],
)
@attack(
    "another image, Secret, queue or node for a pool, by somebody who may not create Deployments", stopped_by=POLICY
)
def test_nor_does_it_change_what_runs(kubectl: Kubectl, pool: str, spec: dict[str, Any]) -> None:
    patch = json.dumps({"spec": spec})
    words = ("-n", TENANT, "patch", "wpool", pool, "--type=merge", "-p", patch)
    assert WORDS in refusal(kubectl, *words, f"--as={POOLS_ONLY}")
    assert "patched" in kubectl(*words, f"--as={AUTHOR}", "--dry-run=server")


def test_sizes_are_for_all_who_may_write_the_pool(kubectl: Kubectl, pool: str) -> None:
    """A person on call, or an HPA, creates no Deployments either."""
    patch = json.dumps({"spec": {"scaling": {"maxReplicas": 3}}, "metadata": {"annotations": {"a": "b"}}})
    words = ("-n", TENANT, "patch", "wpool", pool, "--type=merge", "-p", patch)
    assert "patched" in kubectl(*words, f"--as={POOLS_ONLY}")
    assert "scaled" in kubectl("-n", TENANT, "scale", "wpool", pool, "--replicas=2", f"--as={POOLS_ONLY}")


@attack("what runs, written through the subresource of the size", stopped_by="the subresource has the size only")
def test_scale_says_nothing_of_what_runs(kubectl: Kubectl, pool: str) -> None:
    patch = json.dumps({"spec": {"replicas": 2, "worker": {"image": "evil.example/miner:1"}}})
    words = ("-n", TENANT, "patch", "wpool", pool, "--subresource=scale", "--type=merge", "-p", patch)
    with suppress(CommandError):
        kubectl(*words, f"--as={POOLS_ONLY}")
    assert (
        json.loads(kubectl("-n", TENANT, "get", "wpool", pool, "-o", "json"))["spec"]["worker"]["image"] == "thumbs:1"
    )


@attack("a status that tells the operator of versions and sizes that are not", stopped_by=RBAC)
def test_nobody_writes_the_status_but_the_operator(kubectl: Kubectl, pool: str) -> None:
    patch = json.dumps({"status": {"scaling": {"desired": 100}, "rollout": {"stable": "evil"}}})
    words = ("-n", TENANT, "patch", "wpool", pool, "--subresource=status", "--type=merge", "-p", patch)
    assert "cannot patch resource" in refusal(kubectl, *words, f"--as={AUTHOR}")


@attack("a status, hidden in a write of the pool", stopped_by="the status is a subresource of its own")
def test_a_status_in_a_pool_is_left_out(kubectl: Kubectl) -> None:
    hostile = json.dumps(json.loads(body("smuggler")) | {"status": {"rollout": {"stable": "evil"}}})
    words = ("-n", TENANT, "create", "--dry-run=server", "-o", "json", f"--as={AUTHOR}", "-f", "-")
    assert "rollout" not in json.loads(kubectl(*words, stdin=hostile)).get("status", {})


@attack("a pool in somebody else's namespace", stopped_by=RBAC)
def test_another_namespace(kubectl: Kubectl) -> None:
    said = refusal(kubectl, "create", f"--as={AUTHOR}", "-f", "-", stdin=body(namespace="default"))
    assert "cannot create resource" in said


@attack("a larger share of what pools have together, by the author of one of them", stopped_by=RBAC)
def test_budgets_belong_to_administrators(kubectl: Kubectl) -> None:
    budget = {
        "apiVersion": "workerpool.dev/v1alpha1",
        "kind": "WorkerPoolBudget",
        "metadata": {"name": "mine"},
        "spec": {"maxWorkers": 1000},
    }
    said = refusal(kubectl, "create", f"--as={AUTHOR}", "-f", "-", stdin=json.dumps(budget))
    assert "cannot create resource" in said


DEPLOYER = "deployer"
"""May write pools and create Deployments in the namespace, and act as none of its accounts."""


@pytest.fixture
def deployer(kubectl: Kubectl) -> Iterator[None]:
    resources = "--resource=workerpools.workerpool.dev,deployments.apps"
    kubectl("-n", TENANT, "create", "role", DEPLOYER, "--verb=get,create,update,patch", resources)
    kubectl("-n", TENANT, "create", "rolebinding", DEPLOYER, f"--role={DEPLOYER}", f"--user={DEPLOYER}")
    for what in ("workerpools.workerpool.dev", "deployments.apps"):
        question = ("patch", what, "-n", TENANT)
        wait_until(lambda: may(kubectl, DEPLOYER, *question), seconds=60, what=f"the right to {what}")  # noqa: B023
    yield
    kubectl("-n", TENANT, "delete", "role,rolebinding", DEPLOYER)


@pytest.mark.usefixtures("deployer")
@attack(
    "workers with the identity of another service account, by somebody who may not act as it",
    stopped_by="admission policy of the chart: who says what runs as an account has to be allowed to impersonate it",
)
def test_whoever_names_an_account_acts_as_it(kubectl: Kubectl) -> None:
    """Also who only changes the image of a pool that has one; somebody who may edit the namespace may do both."""
    words = ("-n", TENANT, "create", "--dry-run=server", "-f", "-")
    named = body(worker={"serviceAccountName": "payments"})
    said = refusal(kubectl, *words, f"--as={DEPLOYER}", stdin=named)
    assert "who says what runs as ServiceAccount payments has to be allowed to impersonate it" in said
    assert "created" in kubectl(*words, f"--as={DEPLOYER}", stdin=body())
    assert "created" in kubectl(*words, f"--as={AUTHOR}", stdin=named)
    kubectl("-n", TENANT, "create", f"--as={AUTHOR}", "-f", "-", stdin=named)
    try:
        patch = ("-n", TENANT, "patch", "wpool", "thumbs", "--type=merge", "--dry-run=server", "-p")
        image = json.dumps({"spec": {"worker": {"image": "evil.example/miner:1"}}})
        assert "has to be allowed to impersonate it" in refusal(kubectl, *patch, image, f"--as={DEPLOYER}")
        size = json.dumps({"spec": {"scaling": {"maxReplicas": 3}}})
        assert "patched" in kubectl(*patch, size, f"--as={DEPLOYER}")
    finally:
        kubectl("-n", TENANT, "delete", "wpool", "thumbs")


BINDING: dict[str, Any] = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "RoleBinding",
    "metadata": {"name": "up"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    "subjects": [{"kind": "ServiceAccount", "name": "workerpool-collector", "namespace": TENANT}],
}
CLUSTER_BINDING = merged(BINDING, {"kind": "ClusterRoleBinding"})
DENIED = {
    "read a Secret": ("get", "secret", "-n", TENANT, "any"),
    "list Secrets of all": ("get", "secrets", "--all-namespaces"),
    "run a command in a worker": ("auth", "can-i", "create", "pods/exec", "-n", TENANT, "--quiet"),
    "take a token of another account": ("create", "token", "default", "-n", TENANT),
    "look at nodes": ("get", "nodes"),
    "act as somebody else": ("auth", "can-i", "impersonate", "users", "--quiet"),
}


@pytest.mark.parametrize("words", DENIED.values(), ids=DENIED)
@pytest.mark.parametrize("account", [OPERATOR, COLLECTOR], ids=["operator", "collector"])
@attack("Secrets, tokens, nodes, commands in pods and other identities, by our own accounts", stopped_by=RBAC)
def test_our_accounts_may_not(kubectl: Kubectl, account: str, words: tuple[str, ...]) -> None:
    """Somebody who has taken one over has no more than it has."""
    refusal(kubectl, *words, f"--as={account}")


@pytest.mark.parametrize("binding", [BINDING, CLUSTER_BINDING], ids=["namespace", "cluster"])
@pytest.mark.parametrize("account", [OPERATOR, COLLECTOR], ids=["operator", "collector"])
@attack("more rights, given by our own accounts", stopped_by="the operator may bind no role that it does not hold")
def test_our_accounts_give_nobody_more(kubectl: Kubectl, account: str, binding: dict[str, Any]) -> None:
    said = refusal(kubectl, "-n", TENANT, "create", f"--as={account}", "-f", "-", stdin=json.dumps(binding))
    assert "not currently held" in said or "cannot create resource" in said


@pytest.mark.parametrize("what", ["pods", "deployments", "configmaps", "workerpools", "services"])
@attack("a collector that changes what runs beside it", stopped_by=RBAC)
def test_a_collector_changes_nothing(kubectl: Kubectl, what: str) -> None:
    for verb in ("create", "patch", "delete"):
        refusal(kubectl, "auth", "can-i", verb, what, "-n", TENANT, f"--as={COLLECTOR}", "--quiet")


@attack("a collector that looks at another namespace", stopped_by="its role is bound in its own namespace only")
def test_a_collector_sees_its_own_namespace_only(kubectl: Kubectl) -> None:
    kubectl("get", "pods", "-n", TENANT, f"--as={COLLECTOR}")
    refusal(kubectl, "get", "pods", "-n", NAMESPACE, f"--as={COLLECTOR}")

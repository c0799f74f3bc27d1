"""What `wpool doctor` says of the operator's rights, at a real API server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import kubeconfig_of, until_allowed, user_of, wpool
from tests.support.crds import kubectl
from workerpool_operator.cli.doctor.operator_rights import AT_HOME, IN_CLUSTER, WITH_POOLS

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]

ACCOUNT = "workerpool-operator"


ALL = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
EXACT = [
    {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
    | ({"resourceNames": [right.name]} if right.name else {})
    for right in (*WITH_POOLS, *IN_CLUSTER, *AT_HOME)
]


@pytest.fixture(params=[ALL, EXACT], ids=["all", "exact"])
def full(request: pytest.FixtureRequest, plane: ControlPlane, namespace: str) -> Iterator[None]:
    """The operator of this namespace may do all, or what the chart lets it do: of some kinds to one object only."""
    name = f"{namespace}-all"
    subject = f"--serviceaccount={namespace}:{ACCOUNT}"
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    kubectl(plane, "create", "-f", "-", stdin=json.dumps(role | {"rules": request.param}))
    kubectl(plane, "create", "clusterrolebinding", name, f"--clusterrole={name}", subject)
    until_allowed(plane, user_of(namespace, ACCOUNT), verb="list", resource="pods", namespace=namespace)
    yield
    kubectl(plane, "delete", "clusterrolebinding,clusterrole", name)


@pytest.fixture
def looker(plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Someone who may list Deployments everywhere; and a name to bind more by."""
    name = f"{namespace}-looker"
    subject = f"--serviceaccount={namespace}:{name}"
    kubectl(plane, "create", "clusterrole", name, "--verb=list", "--resource=deployments.apps")
    kubectl(plane, "create", "clusterrolebinding", name, f"--clusterrole={name}", subject)
    until_allowed(plane, user_of(namespace, name), verb="list", group="apps", resource="deployments")
    yield kubeconfig_of(plane, namespace, tmp_path, name), name
    kubectl(plane, "delete", "clusterrolebinding,clusterrole", "-l", f"of={name}")
    kubectl(plane, "delete", "clusterrolebinding,clusterrole", name)


async def told(plane: ControlPlane, namespace: str, *, kubeconfig: Path | None = None) -> dict[str, Any]:
    """The finding on the operator of this namespace."""
    shown = await wpool(plane, "doctor", "--namespace", namespace, "--json", kubeconfig=kubeconfig)
    [found] = [
        one
        for one in json.loads(shown.stdout)
        if one["subject"] == "operator's rights" and one["text"].startswith(f"{namespace}/")
    ]
    return dict(found)


async def test_an_operator_without_its_role_is_told(plane: ControlPlane, namespace: str) -> None:
    """With the way to get it back."""
    found = await told(plane, namespace)
    assert found["level"] == "bad"
    assert f"{namespace}/workerpool-operator may not create configmaps" in found["text"]
    assert f"--namespace {namespace}" in found["remedy"]


@pytest.mark.usefixtures("full")
async def test_an_operator_that_may_do_what_it_needs_is_well(plane: ControlPlane, namespace: str) -> None:
    assert (await told(plane, namespace))["level"] == "good"


@pytest.mark.usefixtures("full")
async def test_who_may_read_roles_can_tell_too(plane: ControlPlane, namespace: str, looker: tuple[Path, str]) -> None:
    """Without the right to create access reviews; and who may do neither says so."""
    own, name = looker
    found = await told(plane, namespace, kubeconfig=own)
    assert (found["level"], "not looked at" in found["text"]) == ("note", True)
    more = f"{name}-roles"
    roles = "clusterroles,clusterrolebindings,roles,rolebindings"
    kubectl(plane, "create", "clusterrole", more, "--verb=get,list", f"--resource={roles}")
    subject = f"--serviceaccount={namespace}:{name}"
    kubectl(plane, "create", "clusterrolebinding", more, f"--clusterrole={more}", subject)
    kubectl(plane, "label", "clusterrolebinding,clusterrole", more, f"of={name}")
    group = "rbac.authorization.k8s.io"
    until_allowed(plane, user_of(namespace, name), verb="list", group=group, resource="clusterrolebindings")
    assert (await told(plane, namespace, kubeconfig=own))["level"] == "good"

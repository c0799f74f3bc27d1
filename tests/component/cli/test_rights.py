"""The rights that `wpool doctor` says a command needs, at a real API server: who has them and no others can use it."""

import json
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import kubeconfig_of, until_allowed, user_of, wpool
from tests.support.crds import kubectl
from tests.support.pools import pool_body
from workerpool_operator.cli.doctor.rights import NEEDS, Right
from workerpool_operator.kube import Kube

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

USED = {
    "get": ["get"],
    "explain": ["explain", "thumbs"],
    "describe": ["describe", "thumbs"],
    "events": ["events", "thumbs"],
    "logs": ["logs", "thumbs"],
    "top": ["top", "thumbs"],
    "throttle": ["throttle", "thumbs", "5"],
    "stop": ["stop", "thumbs", "--yes"],
    "start": ["start", "thumbs"],
    "drain": ["drain", "thumbs", "--dry-run"],
    "restart": ["restart", "thumbs", "--yes"],
    "migrate": ["migrate", "thumbs", "--to", "primary", "--yes"],
    "reassign": ["reassign", "thumbs", "--primary", "zone=a", "--yes"],
    "rollout get": ["rollout", "get", "thumbs"],
    "rollout history": ["rollout", "history", "thumbs"],
    "rollout abort": ["rollout", "abort", "thumbs", "--yes"],
    "checklist": ["checklist", "thumbs"],
    "doctor": ["doctor", "--json"],
}


def somebody_with(plane: ControlPlane, namespace: str, folder: Path, rights: tuple[Right, ...]) -> Path:
    """A kubeconfig of someone who has these rights in the namespace, and no others."""
    rules = [{"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]} for one in rights]
    meta = {"metadata": {"name": "somebody", "namespace": namespace}}
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": "Role", **meta, "rules": rules}
    binding = {
        "apiVersion": f"{api}/v1",
        "kind": "RoleBinding",
        **meta,
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "somebody"},
        "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": namespace}],
    }
    kubectl(
        plane, "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [role, binding]})
    )
    first = next(one for one in rights if not one.cluster)
    until_allowed(plane, user_of(namespace, "somebody"), **first.question(namespace))
    return kubeconfig_of(plane, namespace, folder, "somebody")


@pytest.mark.parametrize("command", USED)
async def test_who_has_the_rights_of_a_command_can_use_it(
    plane: ControlPlane, kube: Kube, namespace: str, tmp_path: Path, command: str
) -> None:
    """And doctor says so."""
    await kube.create(pool_body(namespace=namespace))
    own = somebody_with(plane, namespace, tmp_path, NEEDS[command])
    words = [*USED[command], "--namespace", namespace]
    shown = await wpool(plane, *words, kubeconfig=own)
    assert "you may not" not in shown.stderr
    if command != "doctor":
        assert "you may not" not in shown.stdout
    if any(right.cluster for right in NEEDS[command]):
        return  # which no role in a namespace can give
    doctor = await wpool(plane, "doctor", "--namespace", namespace, "--json", kubeconfig=own)
    lacking = [one["text"].partition(": you may not")[0] for one in json.loads(doctor.stdout)]
    assert command not in {name for text in lacking for name in text.removeprefix("wpool ").split(", ")}

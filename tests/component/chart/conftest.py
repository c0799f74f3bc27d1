"""The chart, installed by the real Helm on a control plane of its own: its cluster-wide objects have fixed names."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import toolchain
from e2e.cluster.api import wait_until
from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane
from tests.support.pools import pool
from workerpool_operator.domain.desired import CollectorSettings, collector

CHART = Path(__file__).parents[3] / "charts" / "workerpool-operator"
NAMESPACE = "workerpool-system"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:workerpool-operator"
RELEASE = ("workerpool-operator", str(CHART), "--namespace", NAMESPACE)
# What OpenShift switches on: whoever changes owner references needs `delete` on the object, and `update` on the owner's
# finalizers. An operator that works here has no right too few there.
ADMISSION = "--enable-admission-plugins=NodeRestriction,OwnerReferencesPermissionEnforcement"


class CommandError(Exception):
    """What the command said on stderr."""


def command(program: Path, plane: ControlPlane, home: Path) -> Callable[..., str]:
    """A program that works on the control plane, with nothing of this machine's own settings."""

    def call(*arguments: str, stdin: str | None = None) -> str:
        environment = {"KUBECONFIG": str(plane.kubeconfig), "HOME": str(home)}
        done = subprocess.run(
            [str(program), *arguments], env=environment, input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CommandError(done.stderr)
        return done.stdout

    return call


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with an audit log; pods stay Pending."""
    extra = Extra(apiserver_args=(ADMISSION,), audit=True)
    with ControlPlane(name="chart", data_dir=tmp_path_factory.mktemp("chart"), extra=extra) as plane:
        yield plane


@pytest.fixture(scope="package")
def helm(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The real Helm."""
    toolchain.ensure(toolchain.HELM)
    return command(toolchain.path(toolchain.HELM), plane, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="package")
def kubectl(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """The kubectl of the server's version, as administrator."""
    return command(plane.kubectl, plane, tmp_path_factory.mktemp("kubectl"))


@pytest.fixture(scope="module")
def release(helm: Callable[..., str], kubectl: Callable[..., str]) -> Iterator[None]:
    """The chart, installed for a module."""
    with installed(helm, kubectl):
        yield


@contextmanager
def installed(helm: Callable[..., str], kubectl: Callable[..., str], *flags: str) -> Iterator[None]:
    """The chart, with these flags, installed into a namespace that enforces the Pod Security Standard `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    helm("install", *RELEASE, *flags)
    yield
    helm("uninstall", "workerpool-operator", "--namespace", NAMESPACE, "--ignore-not-found", "--wait")


def listed(kubectl: Callable[..., str], *what: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """The objects of the namespace (or of none) that `kubectl get` lists."""
    items: list[dict[str, Any]] = json.loads(kubectl("-n", namespace, "get", *what, "-o", "json"))["items"]
    return items


def account_of_collector(namespace: str) -> list[dict[str, Any]]:
    """The collector's service account and its role, as the operator makes them, but without owners."""
    settings = CollectorSettings(image="i", image_pull_policy="Never", replicas=1, operator_stream="o:1", ca_pem="")
    made = [
        one
        for one in collector(namespace, pools=[pool(namespace=namespace)], settings=settings)
        if one["kind"] in {"ServiceAccount", "RoleBinding"}
    ]
    return [one | {"metadata": one["metadata"] | {"ownerReferences": []}} for one in made]


def may(kubectl: Callable[..., str], user: str, *question: str) -> bool:
    """Whether this user may do it, as far as the API server has heard: it hears of rights by a watch of its own."""
    try:
        kubectl("auth", "can-i", *question, f"--as={user}", "--quiet")
    except CommandError:
        return False
    return True


def wait_served(kubectl: Callable[..., str], *files: Path) -> None:
    """Wait until the server serves what these files define, and says so to kubectl.

    Not by `kubectl wait`, which fails on a definition whose conditions are still null.
    """
    words = [word for path in files for word in ("-f", str(path))]
    found = json.loads(kubectl("get", *words, "-o", "json"))
    names = ",".join(one["metadata"]["name"] for one in found.get("items", [found]))

    def served() -> bool:
        try:
            kubectl("get", names, "--all-namespaces", "-o", "name")
        except CommandError:
            return False
        return True

    wait_until(served, seconds=60, what=f"{names} served")


def _owners_known(kubectl: Callable[..., str], namespace: str) -> bool:
    """Whether the API server's check of owner references has heard of WorkerPools: it looks only now and then."""
    owner = {"apiVersion": "workerpool.dev/v1alpha1", "kind": "WorkerPool", "name": "x", "uid": "x"}
    metadata = {"name": "probe", "ownerReferences": [owner | {"blockOwnerDeletion": True}]}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    try:
        kubectl("-n", namespace, "create", "--dry-run=server", "--as", OPERATOR, "-f", "-", stdin=json.dumps(body))
    except CommandError:
        return False
    return True


@contextmanager
def operator_process(
    plane: ControlPlane, kubectl: Callable[..., str], home: Path, *, rights_in: str = "default", **environment: str
) -> Iterator[None]:
    """The operator as a process outside the cluster, with the token and the certificate that its pod would get.

    `rights_in`: a namespace in which it has its rights on pools.
    """
    token = kubectl("-n", NAMESPACE, "create", "token", "workerpool-operator").strip()
    kubeconfig = yaml.safe_load(plane.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": token}
    (home / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    [secret] = listed(kubectl, "secrets", "--field-selector", "metadata.name=workerpool-operator-tls")
    for key, value in secret["data"].items():
        (home / key).write_bytes(base64.b64decode(value))
    wait_until(lambda: _owners_known(kubectl, rights_in), seconds=60, what="the admission's knowledge of the new kind")
    lease = ("create", "leases.coordination.k8s.io", "-n", NAMESPACE)
    wait_until(lambda: may(kubectl, OPERATOR, *lease), seconds=60, what="the right to the Lease")
    settings = {
        "KUBECONFIG": str(home / "kubeconfig"),
        "POD_NAMESPACE": NAMESPACE,
        "COLLECTOR_IMAGE": "workerpool-operator:test",
        "TLS_DIR": str(home),
        "BIND_ADDRESS": "127.0.0.1",
        "HTTP_PORT": "0",
        "STREAM_PORT": "0",
        "PATH": os.environ["PATH"],
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "workerpool_operator"], env=settings | environment, stdout=log, stderr=log
        )
        yield
        ended = process.poll()
        process.terminate()
        process.wait(timeout=60)
    assert ended is None, (home / "log").read_text()[-4000:]

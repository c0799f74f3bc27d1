"""The chart, installed by the real Helm on a control plane of its own: its cluster-wide objects have fixed names."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import toolchain
from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane

CHART = Path(__file__).parents[3] / "charts" / "workerpool-operator"
NAMESPACE = "workerpool-system"
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
    """The chart, installed into a namespace that enforces the Pod Security Standard `restricted`."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    helm("install", *RELEASE)
    yield
    helm("uninstall", "workerpool-operator", "--namespace", NAMESPACE, "--ignore-not-found", "--wait")


def listed(kubectl: Callable[..., str], *what: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """The objects of the namespace (or of none) that `kubectl get` lists."""
    items: list[dict[str, Any]] = json.loads(kubectl("-n", namespace, "get", *what, "-o", "json"))["items"]
    return items

"""The resource definition, installed on the control plane for the modules that ask for it.

It goes with the module: the chart's tests install their own copy, and Helm takes over nothing that is there.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.controlplane import ControlPlane

CRDS = Path(__file__).resolve().parents[2] / "crds"


class KubectlError(Exception):
    """What kubectl said on its way out."""


@pytest.fixture(scope="module")
def crds(plane: ControlPlane) -> Iterator[None]:
    """The API server serves WorkerPools."""
    kubectl(plane, "apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    kubectl(plane, "wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    yield
    kubectl(plane, "delete", "--timeout=60s", "-f", str(CRDS))


def kubectl(plane: ControlPlane, *arguments: str, stdin: str | None = None) -> str:
    """What kubectl of the server's version prints, as administrator.

    Raises:
        KubectlError: it failed.
    """
    command = [str(plane.kubectl), "--kubeconfig", str(plane.kubeconfig), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KubectlError(done.stderr)
    return done.stdout

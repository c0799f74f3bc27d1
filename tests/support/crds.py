"""The resource definition, installed on the control plane for the modules that ask for it.

It goes with the module: the chart's tests install their own copy, and Helm takes over nothing that is there.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from e2e.cluster.api import wait_until
from e2e.cluster.controlplane import ControlPlane
from workerpool_operator.kube import kinds

_TURNS, _TURN_SECONDS = 6, 20
CRDS = Path(__file__).resolve().parents[2] / "crds"


class KubectlError(Exception):
    """What kubectl said on its way out."""


@pytest.fixture(scope="module")
def crds(plane: ControlPlane) -> Iterator[None]:
    """The API server serves WorkerPools and WorkerPoolBudgets."""
    kubectl(plane, "apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    wait_until(lambda: _established(plane), seconds=60, what="the resource definitions")
    wait_until(lambda: _served(plane), seconds=60, what="what they define")
    yield
    remove(plane, CRDS)


def remove(plane: ControlPlane, *paths: Path) -> None:
    """Delete the definitions in these files or folders, and wait until they are gone; none need be there.

    Where the API server's finalizer of definitions cannot do its work, it tries again ever later, which has taken more
    than a minute; and at once when a definition changes otherwise than by itself. An annotation is such a change.
    """
    files = [word for path in paths for word in ("-f", str(path))]
    kubectl(plane, "delete", "--wait=false", "--ignore-not-found", *files)
    for turn in range(_TURNS):
        try:
            kubectl(plane, "wait", "--for=delete", f"--timeout={_TURN_SECONDS}s", *files)
        except KubectlError:
            with suppress(KubectlError):  # gone since
                kubectl(plane, "annotate", "--overwrite", *files, f"workerpool.dev/nudge={turn}")
        else:
            return
    raise KubectlError(kubectl(plane, "get", "-o", "yaml", *files))


def _established(plane: ControlPlane) -> bool:
    """Not by `kubectl wait`, which fails on a definition whose conditions are still null."""
    found = json.loads(kubectl(plane, "get", "-o", "json", "-f", str(CRDS)))["items"]
    return all(
        any(one["type"] == "Established" and one["status"] == "True" for one in crd["status"].get("conditions") or [])
        for crd in found
    )


def _served(plane: ControlPlane) -> bool:
    """What is stored says that they are established before the server has heard of that itself."""
    return all(plane.api.get(kind.path()) is not None for kind in (kinds.WORKER_POOL, kinds.WORKER_POOL_BUDGET))


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

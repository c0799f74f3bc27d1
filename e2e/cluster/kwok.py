"""Fake nodes by the hundred and fake pods by the thousand, for scale and never for what a pod does.

KWOK plays the kubelet of those nodes alone that carry its annotation, so it also fits beside real nodes. Pods get
onto them by the scheduler, or by a ``nodeName`` of their own::

    with ControlPlane(name="scale", scheduler=True) as plane:
        kwok.start(plane)
        subprocess.run([plane.kubectl, ..., "apply", "--filename=-"], input=kwok.nodes(200), text=True)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from e2e.cluster import paths, toolchain
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.processes import Daemon

_ANNOTATION = "kwok.x-k8s.io/node"
CREW = "fake"
"""Who plays a node's kubelet: a crew is one KWOK, which can be ended without the others."""
LABEL = ("type", "kwok")
"""What real pods select against, and fake ones for."""
_STAGES = paths.SOURCE / "kwok.yaml"


LEASE_SECONDS = 40
"""As kubelet's."""


def start(plane: ControlPlane, *, stages: Path = _STAGES, crew: str = CREW, lease_seconds: int = LEASE_SECONDS) -> None:
    """Start KWOK beside a control plane; leaving that ends KWOK too.

    Args:
        plane: the control plane, which is up.
        stages: KWOK's configuration, where pods are to take their time or to fail.
        crew: whose nodes it plays.
        lease_seconds: how long a node's lease lasts; each is renewed four times in it.
    """
    toolchain.ensure(toolchain.KWOK)
    _daemon(plane, stages=stages, crew=crew, lease_seconds=lease_seconds).ensure()


def stop(plane: ControlPlane, *, crew: str = CREW) -> None:
    """End KWOK: its nodes fall silent, as if all of them were lost."""
    _daemon(plane, stages=_STAGES, crew=crew).stop(grace=0)


def nodes(
    count: int,
    *,
    first: int = 0,
    cpu: str = "32",
    memory: str = "256Gi",
    pods: int = 110,
    crew: str = CREW,
    labels: Mapping[str, str] | None = None,
) -> str:
    """Give the manifests of ``count`` fake nodes, ``kwok-<first>`` and on, each with this much room."""
    room = {"cpu": cpu, "memory": memory, "pods": str(pods)}
    return yaml.safe_dump_all(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": (name := f"kwok-{index}"),
                "annotations": {_ANNOTATION: crew},
                "labels": {"kubernetes.io/hostname": name, **dict([LABEL]), **(labels or {})},
            },
            "status": {"allocatable": dict(room), "capacity": dict(room)},
        }
        for index in range(first, first + count)
    )


def _daemon(plane: ControlPlane, *, stages: Path, crew: str, lease_seconds: int = LEASE_SECONDS) -> Daemon:
    argv = (
        str(toolchain.path(toolchain.KWOK)),
        f"--kubeconfig={plane.kubeconfig}",
        f"--config={stages}",
        f"--manage-nodes-with-annotation-selector={_ANNOTATION}={crew}",
        f"--node-lease-duration-seconds={lease_seconds}",
    )
    name = "kwok" if crew == CREW else f"kwok-{crew}"
    return Daemon(name=name, argv=argv, home=plane.home, env=plane.extra.environment)

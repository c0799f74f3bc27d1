"""Which provider a machine gets."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from e2e.cluster import local, toolchain
from e2e.cluster.base import DEFAULT_NAME, Cluster, ClusterError, Wish
from e2e.cluster.external import VARIABLE, ExternalCluster
from e2e.cluster.kind import KindCluster
from e2e.cluster.local import LocalCluster


class Provider(StrEnum):
    """The ways to a cluster."""

    AUTO = "auto"
    """Whatever this machine can do: kind before local."""
    LOCAL = "local"
    """Host processes; Linux, root, Go."""
    KIND = "kind"
    """Containers of a Docker engine."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the choice depends on."""

    docker: bool
    kind: bool
    root: bool
    go: bool
    linux: bool

    @classmethod
    def look(cls) -> Machine:
        """Look at this machine."""
        compiler = toolchain.go() is not None
        return cls(
            docker=_docker_answers(),
            kind=compiler or shutil.which("kind") is not None,
            root=os.geteuid() == 0,
            go=compiler,
            linux=platform.system() == "Linux",
        )


def choose(asked: Provider, machine: Machine, *, nodes: int) -> Provider:
    """Choose the provider: as asked, or the first that works here.

    Raises:
        ClusterError: none works here; the message says what each lacks.
    """
    if asked is not Provider.AUTO:
        return asked
    if nodes and machine.docker and machine.kind:
        return Provider.KIND
    if machine.linux and machine.go and (machine.root or not nodes):
        return Provider.LOCAL
    wants = [
        "for kind: a Docker engine that answers `docker info`, and kind (or Go, to build it)",
        "for local: Linux, root, and Go 1.26 or later",
        f"or set {VARIABLE} to the kubeconfig of a cluster that is there already",
    ]
    raise ClusterError("no way to a cluster on this machine. Needed is one of:\n  " + "\n  ".join(wants))


def get(*, wish: Wish | None = None, name: str | None = None, provider: Provider = Provider.AUTO) -> Cluster:
    """Give the cluster that this machine can have; it may be up already or not.

    Args:
        wish: what is asked for; without it, what the cluster of that name was started with, or the defaults.
        name: the cluster's, where no wish is given; the default one without it.
        provider: which one to use.
    """
    if given := os.environ.get(VARIABLE):
        return ExternalCluster(Path(given))
    called = name or DEFAULT_NAME
    settled = wish or local.recall(called) or Wish(name=called)
    chosen = choose(provider, Machine.look(), nodes=settled.nodes)
    return KindCluster(settled) if chosen is Provider.KIND else LocalCluster(settled)


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], check=False, capture_output=True, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False

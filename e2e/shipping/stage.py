"""The shipper and the Loki of examples/logs in the cluster: put there and taken away again.

The files are those that users apply. What differs on a cluster of the tests is where images come from, and, where
several nodes share a machine, where a node has its files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from e2e.cluster import Cluster, ClusterError, toolchain
from e2e.shipping.files import LOKI, SHIPPER, documents
from e2e.shipping.loki import Loki, answers
from e2e.support import images
from e2e.support.forward import forwarded
from e2e.support.kubectl import Json, Kubectl
from e2e.support.stack import Stack
from e2e.support.wait import wait_for

_RECIPES: Final[Mapping[str, images.Recipe]] = {
    SHIPPER: images.Recipe(
        name="workerpool-otelcol",
        dockerfile="e2e/cluster/dockerfiles/otelcol/Dockerfile",
        program=toolchain.OTELCOL,
        variable="E2E_OTELCOL_IMAGE",
    ),
    LOKI: images.Recipe(
        name="workerpool-loki",
        dockerfile="e2e/cluster/dockerfiles/loki/Dockerfile",
        program=toolchain.LOKI,
        variable="E2E_LOKI_IMAGE",
    ),
}
"""By the names of namespace and workload, which are the same."""
_READY_SECONDS: Final = 120.0


@dataclass(frozen=True, kw_only=True)
class ClusterLoki(Loki):
    """The one in the cluster, by its address for this machine."""

    kubectl: Kubectl

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Take it down for as long as the context lasts. What it had is lost with its pod."""
        self._scale(0)
        wait_for(lambda: not self.kubectl.list("pods", namespace=LOKI), seconds=90, what="Loki gone")
        try:
            yield
        finally:
            self._scale(1)
            self.kubectl.rollout(f"deployment/{LOKI}", namespace=LOKI, seconds=_READY_SECONDS)

    def _scale(self, replicas: int) -> None:
        self.kubectl.run("scale", f"deployment/{LOKI}", f"--replicas={replicas}", f"--namespace={LOKI}")


def prepare(stack: Stack) -> dict[str, str]:
    """Make what takes minutes the first time: the images, by the workloads that run them."""
    return {name: images.ensure(stack.cluster, recipe) for name, recipe in _RECIPES.items()}


@contextlib.contextmanager
def shipping(stack: Stack) -> Iterator[ClusterLoki]:
    """Give a Loki that gets the lines of all nodes, for as long as the context lasts.

    Raises:
        ClusterError: somebody's own namespaces have these names.
    """
    made, kubectl = prepare(stack), stack.kubectl
    there = [name for name in _RECIPES if kubectl.get("namespace", name)]
    if there and stack.cluster.provider == "external":
        raise ClusterError(f"this cluster has a namespace {there[0]} already")
    for name in there:  # left over
        kubectl.delete("namespace", name)
    try:
        kubectl.apply(*objects(stack.cluster, made))
        kubectl.rollout(f"deployment/{LOKI}", namespace=LOKI, seconds=_READY_SECONDS)
        kubectl.rollout(f"daemonset/{SHIPPER}", namespace=SHIPPER, seconds=_READY_SECONDS)
        with forwarded(kubectl, LOKI, 3100, namespace=LOKI, answers=_answers) as port:
            yield ClusterLoki(kubectl=kubectl, url=f"http://127.0.0.1:{port}")
    finally:
        for name in _RECIPES:
            kubectl.delete("namespace", name, wait=False)


def objects(cluster: Cluster, made: Mapping[str, str]) -> list[Json]:
    """Give what the files hold, with these images, for the nodes of this cluster."""
    found = [*documents(LOKI), *documents(SHIPPER)]
    for one in found:
        if one["kind"] in {"Deployment", "DaemonSet"}:
            pod = one["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            container |= {"image": made[one["metadata"]["name"]], "imagePullPolicy": "IfNotPresent"}
            _find_files(cluster, pod, container)
    return found


def _find_files(cluster: Cluster, pod: dict[str, Any], container: dict[str, Any]) -> None:
    for volume in pod["volumes"]:
        if "hostPath" not in volume:
            continue
        path = cluster.host_path(volume["hostPath"]["path"])
        before, node, behind = path.partition("$(NODE_NAME)")
        volume["hostPath"]["path"] = before.rstrip("/")
        if node:
            (mount,) = [one for one in container["volumeMounts"] if one["name"] == volume["name"]]
            mount["subPathExpr"] = f"{node}{behind}"


def _answers(port: int) -> bool:
    try:
        return answers(port)
    except OSError:
        return False

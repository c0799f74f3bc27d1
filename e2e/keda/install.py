"""KEDA, put into the cluster as its own `config/minimal` says and taken away again.

Its programs and its manifests come out of one Go module, at one version. Its admission webhooks are left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final

import yaml

from e2e.cluster import toolchain
from e2e.support import images
from e2e.support.kubectl import Json, Kubectl, condition
from e2e.support.stack import Stack
from e2e.support.wait import wait_for

NAMESPACE: Final = "keda"
OPERATOR: Final = "keda-operator"
ADAPTER: Final = "keda-metrics-apiserver"
API: Final = "v1beta1.external.metrics.k8s.io"
MODULE: Final = "github.com/kedacore/keda/v2"
_OPERATOR_IMAGE: Final = images.Recipe(
    name="workerpool-keda",
    dockerfile="e2e/cluster/dockerfiles/keda/Dockerfile",
    program=toolchain.KEDA,
    variable="E2E_KEDA_IMAGE",
)
_ADAPTER_IMAGE: Final = images.Recipe(
    name="workerpool-keda-adapter",
    dockerfile="e2e/cluster/dockerfiles/keda-adapter/Dockerfile",
    program=toolchain.KEDA_ADAPTER,
    variable="E2E_KEDA_ADAPTER_IMAGE",
)
_SECONDS: Final = 240.0
"""KEDA makes its certificates first, and the kubelet brings them to the pods at its next round."""


def prepare(stack: Stack) -> dict[str, str]:
    """Make what takes minutes the first time; the images, by the Deployments that run them."""
    return {
        OPERATOR: images.ensure(stack.cluster, _OPERATOR_IMAGE),
        ADAPTER: images.ensure(stack.cluster, _ADAPTER_IMAGE),
    }


@contextlib.contextmanager
def installed(stack: Stack) -> Iterator[None]:
    """Have KEDA in the cluster for as long as the context lasts; the place of the metrics API has to be free."""
    made, kubectl = prepare(stack), stack.kubectl
    objects = _objects(kubectl, made)
    kinds = [one for one in objects if one["kind"] == "CustomResourceDefinition"]
    others = [one for one in objects if one["kind"] != "CustomResourceDefinition"]
    try:
        kubectl.apply(*kinds, server_side=True)
        wait_for(lambda: _served(kubectl), seconds=60, what="KEDA's kinds")
        kubectl.apply(*others, server_side=True)
        for name in made:
            kubectl.rollout(f"deployment/{name}", namespace=NAMESPACE, seconds=_SECONDS)
        available = "the external metrics API served by KEDA"
        wait_for(lambda: condition(kubectl.get("apiservice", API), "Available") == "True", seconds=60, what=available)
        yield
    finally:
        # KEDA's finalizers need KEDA, so its objects go before it.
        kubectl.delete("customresourcedefinition", *(one["metadata"]["name"] for one in kinds))
        kubectl.delete("apiservice", API)
        kubectl.delete("namespace", NAMESPACE)
        for one in others:
            if one["kind"] in {"ClusterRole", "ClusterRoleBinding"}:
                kubectl.delete(one["kind"].lower(), one["metadata"]["name"])


def _objects(kubectl: Kubectl, made: dict[str, str]) -> list[Json]:
    folder = toolchain.module_folder(toolchain.KEDA, MODULE) / "config" / "minimal"
    objects: list[Json] = [one for one in yaml.safe_load_all(kubectl.run("kustomize", str(folder))) if one]
    for one in objects:
        if one["kind"] == "Deployment":
            _adapt(one["spec"]["template"]["spec"], image=made[one["metadata"]["name"]])
    return objects


def _adapt(pod: dict[str, Any], *, image: str) -> None:
    """Run our image of it, and do not wait for what cannot be ready yet."""
    (container,) = pod["containers"]
    container |= {"image": image, "imagePullPolicy": "IfNotPresent"}
    container["env"].append({"name": "KEDA_CLUSTER_OBJECT_NAMESPACE", "value": NAMESPACE})
    container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 2}
    container["livenessProbe"] |= {"initialDelaySeconds": 60}


def _served(kubectl: Kubectl) -> bool:
    return "scaledobjects.keda.sh" in kubectl.run("api-resources", "--api-group=keda.sh", "--output=name").split()

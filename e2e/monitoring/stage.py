"""The product as it is watched by a Prometheus: monitors, rules, and what reads them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Final

import yaml

from e2e.cluster import crds
from e2e.monitoring import prometheus
from e2e.monitoring.prometheus import GROUP, KINDS, Prometheus
from e2e.support import images
from e2e.support.kubectl import Kubectl, KubectlError
from e2e.support.stack import TEST_VALUES, Stack, install
from e2e.support.wait import wait_for

NAMESPACE: Final = "e2e-monitoring"
SELECTED_BY: Final = {"release": "e2e"}
"""As with kube-prometheus-stack, Prometheus sees only what has its label: monitors and rules have to bring it."""
_WATCHED: Final = (
    "replicas=1",
    *(
        f"{settings}.labels.{name}={value}"
        for settings in ("monitoring", "prometheusRule")
        for name, value in SELECTED_BY.items()
    ),
)

_SECONDS: Final = 180.0
_RENEWED: Final = ("podAnnotations.release=next", "collector.pullPolicy=Never")


def prepare(stack: Stack) -> None:
    """Make what takes minutes the first time; for a cluster from outside there is nothing to make."""
    if stack.cluster.provider != "external":
        images.ensure(stack.cluster, prometheus.IMAGE)


@contextlib.contextmanager
def watched(stack: Stack) -> Iterator[Prometheus]:
    """Give a Prometheus that watches the product, for as long as the context lasts.

    It and the operator run on the first node, so that the others may be lost.
    """
    kubectl, safe = stack.kubectl, stack.cluster.nodes[0]
    image = images.ensure(stack.cluster, prometheus.IMAGE)
    define(kubectl)
    install(kubectl, image=stack.images.operator, values=_values(stack))
    found = Prometheus(kubectl=kubectl, namespace=NAMESPACE, selected_by=SELECTED_BY)
    try:
        found.deploy(image=image, node=safe)
        yield found
    finally:
        kubectl.delete("namespace", NAMESPACE, wait=False)
        # While the kinds are there: Helm does not find its way out of a release with objects of unknown kinds.
        install(kubectl, image=stack.images.operator, values=(*TEST_VALUES, "monitoring.enabled=false"))
        forget(kubectl)


def upgrade(stack: Stack) -> None:
    """Upgrade the release that is watched: other pods take the place of the operator's and of the collectors'.

    As by a new image, and without one: what they run is the same, so that what is told of it is the upgrade's.
    """
    install(stack.kubectl, image=stack.images.operator, values=(*_values(stack), *_RENEWED))


def _values(stack: Stack) -> tuple[str, ...]:
    return (*_WATCHED, rf"nodeSelector.kubernetes\.io/hostname={stack.cluster.nodes[0]}")


def define(kubectl: Kubectl) -> None:
    """Give the cluster the kinds of the prometheus-operator, and wait until it serves them."""
    for path in crds.monitoring():
        kubectl.apply(yaml.safe_load(path.read_text()), server_side=True)
    wait_for(lambda: _served(kubectl), seconds=_SECONDS, what="the kinds of the prometheus-operator")


def forget(kubectl: Kubectl) -> None:
    """Take these kinds away, and with them every object of theirs.

    Where the API server's finalizer of definitions could not do its work, it tries again ever later, and at once when a
    definition changes.
    """
    names = [f"{kind}.{GROUP}" for kind in KINDS]
    kubectl.delete("customresourcedefinition", *names, wait=False)

    def are_gone() -> bool:
        left = [name for name in names if kubectl.get("customresourcedefinition", name)]
        for name in left:
            with contextlib.suppress(KubectlError):  # gone since
                change = f"workerpool.dev/nudge={secrets.token_hex(4)}"
                kubectl.run("annotate", "--overwrite", "customresourcedefinition", name, change)
        return not left

    wait_for(are_gone, seconds=_SECONDS, what="no kinds of the prometheus-operator", pause=5)


def _served(kubectl: Kubectl) -> bool:
    served = kubectl.run("api-resources", f"--api-group={GROUP}", "--output=name").split()
    return {f"{kind}.{GROUP}" for kind in KINDS} <= set(served)

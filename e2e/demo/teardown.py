"""`make demo-down`: remove what the demo brought, and leave what was there before."""

from __future__ import annotations

from e2e.cluster import Cluster, ClusterError, Provider, get
from e2e.cluster.progress import Step, say
from e2e.demo.prepare import FOUND, NAMESPACE
from e2e.support.kubectl import Kubectl, KubectlError
from e2e.support.stack import is_up, uninstall


def teardown(*, provider: Provider, name: str | None) -> None:
    """Remove namespace, operator and cluster, each unless it was there before the demo.

    A cluster that does not answer can tell nothing any more: it is taken down, since the demo is why it is there.

    Raises:
        ClusterError, KubectlError: something could not be removed.
    """
    cluster = get(name=name, provider=provider)
    found = _found_before(cluster)
    if found is not None and "cluster" in found:
        _clear(Kubectl.of(cluster), keep_operator="operator" in found)
        return
    if found is None and is_up(cluster):
        say("no demo in this cluster; nothing to remove (`python -m e2e.cluster down` removes the cluster itself)")
        return
    with Step("taking the cluster down"):
        cluster.down()


def _clear(kubectl: Kubectl, *, keep_operator: bool) -> None:
    with Step(f"removing namespace {NAMESPACE}"):
        kubectl.delete("namespace", NAMESPACE)
    if not keep_operator:
        with Step("removing the operator"):
            uninstall(kubectl)


def _found_before(cluster: Cluster) -> set[str] | None:
    """Give what the demo found when it began; None where no demo is, or nobody answers."""
    try:
        if not is_up(cluster):
            return None
        namespace = Kubectl.of(cluster).get("namespace", NAMESPACE)
    except (KubectlError, ClusterError):
        return None
    if namespace is None:
        return None
    return set(filter(None, namespace["metadata"].get("annotations", {}).get(FOUND, "").split(",")))

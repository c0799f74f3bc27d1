"""From an earlier chart to this one and back, on a real API server, without pods."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.chart import frozen
from tests.component.chart.conftest import CHART, NAMESPACE, OPERATOR, listed, may
from tests.component.chart.test_rights import pool
from tests.support.waiting import until

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

HOME = "upgraded"
RELEASE = ("workerpool-operator", "--namespace", NAMESPACE)
WIDE, NAMESPACED = ("--set", "watchNamespaces=null"), ("--set", f"watchNamespaces={{{HOME}}}")
SERVED = ("--set", "externalMetrics.enabled=true")


def may_list_pods(kubectl: Callable[..., str]) -> tuple[bool, bool]:
    """In its namespace, and in another one."""
    here, elsewhere = (may(kubectl, OPERATOR, "list", "pods", "-n", namespace) for namespace in (HOME, "default"))
    return here, elsewhere


def spec_of(kubectl: Callable[..., str]) -> Any:
    return json.loads(kubectl("-n", HOME, "get", "wpool", "kept", "-o", "json"))["spec"]


async def test_a_release_goes_up_and_back_and_its_pools_stay(
    helm: Callable[..., str], kubectl: Callable[..., str], tmp_path: Path
) -> None:
    """Cluster-wide, in one namespace and back; its certificate and its pools are the same all the time."""
    earlier = frozen.unpack(tmp_path)
    for name, labels in ((NAMESPACE, {"pod-security.kubernetes.io/enforce": "restricted"}), (HOME, {})):
        metadata = {"name": name, "labels": labels}
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
    helm("install", RELEASE[0], str(earlier), *RELEASE[1:], *SERVED)
    kubectl("-n", HOME, "apply", "-f", "-", stdin=pool("kept"))
    wanted = spec_of(kubectl)

    def certificate() -> Any:
        return listed(kubectl, "secrets", "--field-selector", "metadata.name=workerpool-operator-tls")[0]["data"]

    before = certificate()
    for flags, elsewhere in ((WIDE, True), (NAMESPACED, False), (WIDE, True)):
        helm("upgrade", RELEASE[0], str(CHART), *RELEASE[1:], *SERVED, *flags)
        given = (True, elsewhere)
        await until(lambda: may_list_pods(kubectl) == given, what="the rights of the release")  # noqa: B023
        assert (certificate(), spec_of(kubectl)["worker"]["image"]) == (before, wanted["worker"]["image"])
    helm("rollback", RELEASE[0], "2", *RELEASE[1:])
    helm("rollback", RELEASE[0], "1", *RELEASE[1:])
    # The server shows pools by a definition that it has heard of by a watch of its own.
    await until(lambda: spec_of(kubectl) == wanted, what="the pool as it was")
    assert certificate() == before
    assert "workerpool-operator" not in {one["metadata"]["name"] for one in listed(kubectl, "networkpolicies")}
    helm("upgrade", RELEASE[0], str(CHART), *RELEASE[1:], *SERVED, *NAMESPACED)
    assert [one["metadata"]["name"] for one in listed(kubectl, "roles", namespace=HOME)] == [
        "workerpool-operator-pools"
    ]
    helm("uninstall", *RELEASE, "--wait")
    assert listed(kubectl, "roles,rolebindings", namespace=HOME) == []
    assert spec_of(kubectl)["worker"]["image"] == wanted["worker"]["image"]

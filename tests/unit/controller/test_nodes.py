"""Whether a node's Lease stands still, by our own clock and by readings alone."""

from collections.abc import Mapping
from typing import Any

import pytest

from workerpool_operator.controller.nodes import READ_SECONDS, REFUSED_SECONDS, NodeLeases
from workerpool_operator.kube import ObjectRef, errors


class Cluster:
    """Leases by node, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.leases: dict[str, dict[str, Any]] = {"n1": {"renewTime": "a", "leaseDurationSeconds": 40}}
        self.error: errors.KubeError | None = None
        self.reads: list[str] = []

    async def get(self, ref: ObjectRef) -> Mapping[str, Any]:
        self.reads.append(f"{ref.namespace}/{ref.name}")
        if self.error is not None:
            raise self.error
        if ref.name not in self.leases:
            raise errors.NotFound
        return {"spec": self.leases[ref.name]}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def nodes(cluster: Cluster) -> NodeLeases:
    return NodeLeases(cluster, clock=lambda: cluster.now)


async def test_a_lease_stands_still_after_one_and_a_half_missed_renewals(cluster: Cluster, nodes: NodeLeases) -> None:
    assert await nodes.of(["n1"]) == {"n1": False}
    cluster.now = 14.9
    assert await nodes.of(["n1"]) == {"n1": False}
    cluster.now = 20.0
    assert await nodes.of(["n1"]) == {"n1": True}
    cluster.leases["n1"]["renewTime"] = "b"
    cluster.now = 25.0
    assert await nodes.of(["n1"]) == {"n1": False}
    assert cluster.reads[0] == "kube-node-lease/n1"


async def test_a_kubelet_that_renews_less_often_is_given_more_time(cluster: Cluster, nodes: NodeLeases) -> None:
    cluster.leases["n1"]["leaseDurationSeconds"] = 80
    await nodes.of(["n1"])
    cluster.now = 29.0
    assert await nodes.of(["n1"]) == {"n1": False}
    cluster.now = 34.0
    assert await nodes.of(["n1"]) == {"n1": True}


async def test_one_lease_is_read_once_for_all_pools(cluster: Cluster, nodes: NodeLeases) -> None:
    for _ in range(5):
        await nodes.of(["n1"])
    assert len(cluster.reads) == 1
    cluster.now = READ_SECONDS
    await nodes.of(["n1"])
    assert len(cluster.reads) == 2
    assert await nodes.of([]) == {}


async def test_the_lease_of_a_node_that_is_gone_stands_still(cluster: Cluster, nodes: NodeLeases) -> None:
    del cluster.leases["n1"]
    await nodes.of(["n1"])
    cluster.now = 20.0
    assert await nodes.of(["n1"]) == {"n1": True}


async def test_an_outage_of_the_api_server_proves_nothing(cluster: Cluster, nodes: NodeLeases) -> None:
    await nodes.of(["n1"])
    cluster.error = errors.Unavailable("down")
    cluster.now = 60.0
    assert await nodes.of(["n1"]) == {"n1": False}
    assert await nodes.of(["n2"]) == {}


async def test_without_the_right_nobody_is_asked_for_a_while(cluster: Cluster, nodes: NodeLeases) -> None:
    cluster.error = errors.Forbidden("no")
    assert await nodes.of(["n1"]) is None
    cluster.error = None
    cluster.now = REFUSED_SECONDS - 1
    assert await nodes.of(["n1"]) is None
    assert len(cluster.reads) == 1
    cluster.now = REFUSED_SECONDS
    assert await nodes.of(["n1"]) == {"n1": False}


async def test_many_nodes_are_asked_in_parts_and_none_after_a_refusal(cluster: Cluster, nodes: NodeLeases) -> None:
    cluster.error = errors.Forbidden("no")
    assert await nodes.of([f"n{number}" for number in range(100)]) is None
    assert len(cluster.reads) < 100

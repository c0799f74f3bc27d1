"""The API behind the API server's aggregator, read by the cluster's own HPA controller."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from e2e.cluster.aggregation import AggregatedApi, own_address
from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.ports import free_port
from tests.component.external_metrics.serving import BASE, HOST, Replica, certify, serving
from tests.component.external_metrics.test_access import reader
from tests.support.crds import KubectlError, kubectl
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator import api
from workerpool_operator.domain import desired
from workerpool_operator.domain.metric import METRIC
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

SERVICE, SERVICE_NAMESPACE, _ = HOST.split(".")
API_SERVICE = "v1beta1.external.metrics.k8s.io"
HPA_PERIOD = 2
ENOUGH = 60.0
"""Seconds; a few periods, on a machine that has other things to do. The HPA controller itself looks only every half a
minute which kinds there are."""


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: the APIService is cluster-wide, and HPAs are looked at every two seconds."""
    extra = Extra(controller_manager_args=(f"--horizontal-pod-autoscaler-sync-period={HPA_PERIOD}s",))
    with ControlPlane(name="aggregated", data_dir=tmp_path_factory.mktemp("aggregated"), extra=extra) as plane:
        yield plane


def registration(replica: Replica) -> AggregatedApi:
    """What the chart would make, with an EndpointSlice instead of pods."""
    return AggregatedApi(
        group="external.metrics.k8s.io",
        version="v1beta1",
        service=SERVICE,
        namespace=SERVICE_NAMESPACE,
        address=replica.address,
        port=replica.port,
        authority=replica.home / "ca.crt",
    )


async def aside(plane: ControlPlane, *arguments: str, stdin: str | None = None) -> str:
    """What kubectl prints, while this loop goes on serving the API that it may ask for."""
    return await asyncio.to_thread(kubectl, plane, *arguments, stdin=stdin)


async def available(plane: ControlPlane) -> bool:
    found = json.loads(await aside(plane, "get", "apiservice", API_SERVICE, "-o", "json"))
    conditions = found.get("status", {}).get("conditions", [])
    return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)


async def passed_on(plane: ControlPlane) -> bool:
    """Whether the API server does what it says: what passes requests on hears of that by a watch of its own."""
    try:
        await aside(plane, "get", "--raw", BASE)
    except KubectlError:
        return False
    return True


@pytest.fixture
async def replica(plane: ControlPlane, kube: Kube, tmp_path: Path) -> AsyncIterator[Replica]:
    """A leader that the API server passes requests on to."""
    certify(tmp_path)
    address = own_address()
    made = Replica(tmp_path, free_port(address), address=address)
    async with serving(made, kube, front_proxy=reader(kube)) as replica:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVICE_NAMESPACE}}
        items = [namespace, *registration(made).objects()]
        kubectl(plane, "apply", "-f", "-", stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": items}))
        await until(lambda: available(plane), what="the APIService to be available", seconds=60)
        await until(lambda: passed_on(plane), what="requests that are passed on")
        yield replica
        await aside(plane, "delete", "apiservice", API_SERVICE)


class Scaled:
    """A pool under an HPA, whose workers are there as soon as they are asked for: the operator's part, played."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
        self._hpa = ObjectRef(kinds.HORIZONTAL_POD_AUTOSCALER, namespace, "thumbs")

    async def start(self, size: int) -> None:
        body = pool_body(namespace=self._ref.namespace, replicas=size, scaling={"mode": "hpa", "maxReplicas": 50})
        del body["metadata"]["uid"]
        pool = api.parse(await self._kube.create(body))
        await self._follow(size)
        await self._kube.apply(desired.autoscaler(pool, exact=True))

    async def size(self) -> int:
        """What the HPA has asked for, carried out."""
        found = await self._kube.get(self._ref)
        size = int(found["spec"]["replicas"])
        if found["status"]["replicas"] != size:
            await self._follow(size)
        return size

    async def active(self) -> dict[str, str]:
        """Status and reason of the HPA's ScalingActive."""
        conditions = (await self._kube.get(self._hpa)).get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == "ScalingActive"), {"status": "Unknown", "reason": ""})

    async def _follow(self, size: int) -> None:
        status = {"replicas": size, "selector": "workerpool.dev/pool=thumbs"}
        await self._kube.merge_patch(self._ref, {"status": status}, subresource="status")


async def test_the_aggregator_takes_the_documents(plane: ControlPlane, replica: Replica, namespace: str) -> None:
    """And what it asks for by itself is not refused, or the API server's log would tell of it for ever."""
    replica.want(namespace, "web", 7)
    resources = json.loads(await aside(plane, "get", "--raw", BASE))
    assert [one["name"] for one in resources["resources"]] == ["externalmetrics"]
    path = f"{BASE}/namespaces/{namespace}/{METRIC}"
    found = json.loads(await aside(plane, "get", "--raw", f"{path}?labelSelector=pool%3Dweb"))
    assert [item["value"] for item in found["items"]] == ["7"]
    assert set(replica.answered) == {200}
    assert "externalmetrics" in await aside(plane, "api-resources", "--api-group=external.metrics.k8s.io")


async def test_the_hpa_follows_the_value(kube: Kube, replica: Replica, namespace: str) -> None:
    """Each way, by much and by one, which the tolerance of an HPA would keep from happening."""
    pool = Scaled(kube, namespace)
    replica.want(namespace, "thumbs", 1)
    await pool.start(1)
    for wanted in (7, 10, 11, 10, 2):
        replica.want(namespace, "thumbs", wanted)

        async def reached(wanted: int = wanted) -> bool:
            return await pool.size() == wanted

        await until(reached, what=f"{wanted} workers", seconds=ENOUGH)


async def test_a_stale_value_holds_the_size_and_the_hpa_says_why(kube: Kube, replica: Replica, namespace: str) -> None:
    pool = Scaled(kube, namespace)
    replica.want(namespace, "thumbs", 5)
    await pool.start(1)

    async def grown() -> bool:
        return await pool.size() == 5

    await until(grown, what="5 workers", seconds=ENOUGH)
    replica.board.withdraw(namespace, "thumbs")

    async def unknown() -> bool:
        return (await pool.active())["reason"] == "FailedGetExternalMetric"

    await until(unknown, what="the condition", seconds=ENOUGH)
    replica.answered.clear()
    # Not asked again and again within one look: the HPA controller has other HPAs to look at.
    await until(lambda: replica.answered.count(503) >= 3, what="three more periods", seconds=ENOUGH)
    assert await pool.size() == 5
    replica.want(namespace, "thumbs", 6)

    async def goes_on() -> bool:
        return await pool.size() == 6

    await until(goes_on, what="6 workers", seconds=ENOUGH)


async def test_an_unavailable_value_is_answered_at_once(plane: ControlPlane, replica: Replica, namespace: str) -> None:
    """Clients of Kubernetes sleep and repeat a request by themselves when it is answered with Retry-After."""
    replica.pools[namespace] = {"web"}
    replica.answered.clear()
    path = f"{BASE}/namespaces/{namespace}/{METRIC}?labelSelector=pool%3Dweb"
    with pytest.raises(KubectlError, match="no fresh value"):
        await aside(plane, "get", "--raw", path)
    assert replica.answered.count(503) == 1

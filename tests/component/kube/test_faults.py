"""The client when the way to a real API server is bad."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.faults.inject import Answer, CutStream, Delay, Drop, FaultProxy, LoseAnswer, Match, Upstream
from tests.support.apiserver import PATIENCE_SECONDS
from tests.support.waiting import until
from workerpool_operator.kube import ClusterAccess, Kube, errors, kinds
from workerpool_operator.kube.kinds import ObjectRef
from workerpool_operator.metrics import OperatorMetrics

pytestmark = [pytest.mark.component, pytest.mark.apiserver]


@pytest.fixture
async def proxy(plane: ControlPlane) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(await Upstream.from_kubeconfig(plane.kubeconfig)) as proxy:
        yield proxy


@pytest.fixture
def metrics() -> OperatorMetrics:
    return OperatorMetrics()


@asynccontextmanager
async def behind(proxy: FaultProxy, folder: Path, metrics: OperatorMetrics, *, seconds: float) -> AsyncIterator[Kube]:
    """A client behind the proxy that waits so long for an answer."""
    access = await ClusterAccess.find(proxy.write_kubeconfig(folder / "kubeconfig"))
    async with Kube(access, observer=metrics, timeout_seconds=seconds) as kube:
        yield kube


@pytest.fixture
async def through(proxy: FaultProxy, tmp_path: Path, metrics: OperatorMetrics) -> AsyncIterator[Kube]:
    """The client behind the proxy; what it does not wait for is a fault, and not a busy machine."""
    async with behind(proxy, tmp_path, metrics, seconds=PATIENCE_SECONDS) as kube:
        yield kube


@pytest.fixture
async def impatient(proxy: FaultProxy, tmp_path: Path, metrics: OperatorMetrics) -> AsyncIterator[Kube]:
    """The same, with a short patience."""
    async with behind(proxy, tmp_path, metrics, seconds=1.0) as kube:
        yield kube


def config_map(namespace: str, name: str = "settings") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}}


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (Answer(401), errors.Unauthorized),
        (Answer(403), errors.Forbidden),
        (Answer(429, retry_after=2), errors.TooManyRequests),
        (Answer(500), errors.Unavailable),
        (Answer(503), errors.Unavailable),
        (Answer(504), errors.RequestTimeout),
        (Drop(), errors.Unavailable),
        (Delay(60), errors.RequestTimeout),
        (LoseAnswer(), errors.Unavailable),
        (CutStream(after_bytes=5), errors.Unavailable),
    ],
)
async def test_a_fault_becomes_its_error_and_is_over_afterwards(
    proxy: FaultProxy, through: Kube, impatient: Kube, namespace: str, *, fault: Any, wanted: type[errors.KubeError]
) -> None:
    client = impatient if isinstance(fault, Delay) else through
    with proxy.fault(Match(methods={"PATCH"}), fault), pytest.raises(errors.KubeError) as caught:
        await client.apply(config_map(namespace))
    assert type(caught.value) is wanted
    assert "apply ConfigMap" in str(caught.value)
    await through.apply(config_map(namespace))


async def test_a_write_is_sent_once_whatever_happens_to_it(proxy: FaultProxy, through: Kube, namespace: str) -> None:
    with proxy.fault(Match(methods={"PATCH"}), Answer(503)), pytest.raises(errors.Unavailable):
        await through.apply(config_map(namespace))
    with proxy.fault(Match(methods={"PATCH"}), LoseAnswer()), pytest.raises(errors.Unavailable):
        await through.apply(config_map(namespace))
    assert len(proxy.writes.seen) == 2


async def test_a_lost_answer_means_that_the_write_may_have_happened(
    proxy: FaultProxy, through: Kube, kube: Kube, namespace: str
) -> None:
    with proxy.fault(Match(methods={"PATCH"}), LoseAnswer()), pytest.raises(errors.Unavailable):
        await through.apply(config_map(namespace))
    await kube.get(ObjectRef(kinds.CONFIG_MAP, namespace, "settings"))


async def test_an_api_server_that_is_down_and_comes_back(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    await asyncio.to_thread(plane.stop_apiserver)
    try:
        with pytest.raises(errors.Unavailable):
            await kube.apply(config_map(namespace))
    finally:
        await asyncio.to_thread(plane.start_apiserver)
    await kube.apply(config_map(namespace))


async def test_a_listing_survives_a_token_that_expires_in_its_middle(
    proxy: FaultProxy, through: Kube, kube: Kube, namespace: str
) -> None:
    """The server's own way out of a 410 is a token without a resource version; it is made here from the real one."""
    names = {f"item-{number}" for number in range(6)}
    await asyncio.gather(*(kube.apply(config_map(namespace, name)) for name in names))
    listing = through.list(kinds.CONFIG_MAP, namespace=namespace, chunk=2)
    seen: list[str] = []
    async for obj in listing:
        seen.append(obj["metadata"]["name"])
        if len(seen) == 2:
            token = await _token_after_two(kube, namespace)
            proxy.fault(Match(path="continue="), Answer(410, metadata={"continue": _in_newest_state(token)}), times=1)
            await kube.apply(config_map(namespace, "zz-made-meanwhile"))
    assert len(seen) == len(set(seen))
    assert names | {"zz-made-meanwhile"} <= set(seen)
    late = await kube.get(ObjectRef(kinds.CONFIG_MAP, namespace, "zz-made-meanwhile"))
    assert int(late["metadata"]["resourceVersion"]) > int(listing.resource_version)


async def test_a_listing_asks_again_for_a_page_that_is_throttled(
    proxy: FaultProxy, through: Kube, kube: Kube, namespace: str, metrics: OperatorMetrics
) -> None:
    await asyncio.gather(*(kube.apply(config_map(namespace, f"item-{number}")) for number in range(4)))
    proxy.fault(Match(path="continue="), Answer(429, retry_after=1), times=1)
    objects = await through.list(kinds.CONFIG_MAP, namespace=namespace, chunk=2).all()
    assert len(objects) >= 4
    count = metrics.registry.get_sample_value
    assert count("workerpool_operator_api_retries_total", {"verb": "list", "kind": "ConfigMap"}) == 1
    throttled = {"verb": "list", "kind": "ConfigMap", "code": "429"}
    assert count("workerpool_operator_api_requests_total", throttled) == 1


async def test_requests_are_counted_by_what_came_of_them(
    proxy: FaultProxy, through: Kube, impatient: Kube, namespace: str, metrics: OperatorMetrics
) -> None:
    await through.apply(config_map(namespace))
    with proxy.fault(Match(methods={"PATCH"}), Delay(60)), pytest.raises(errors.RequestTimeout):
        await impatient.apply(config_map(namespace))
    for code in ("201", "RequestTimeout"):
        labels = {"verb": "apply", "kind": "ConfigMap", "code": code}
        assert metrics.registry.get_sample_value("workerpool_operator_api_requests_total", labels) == 1


async def test_a_closed_gate_lets_nothing_out_but_reads_and_reviews(
    proxy: FaultProxy, tmp_path: Path, namespace: str
) -> None:
    def closed() -> None:
        raise errors.NotLeader

    access = await ClusterAccess.find(proxy.write_kubeconfig(tmp_path / "kubeconfig"))
    ref = ObjectRef(kinds.CONFIG_MAP, namespace, "kube-root-ca.crt")
    async with Kube(access, write_gate=closed, timeout_seconds=PATIENCE_SECONDS) as kube:
        for write in (
            kube.apply(config_map(namespace)),
            kube.create(config_map(namespace)),
            kube.merge_patch(ref, {}),
            kube.delete(ref),
        ):
            with pytest.raises(errors.NotLeader):
                await write
        assert proxy.writes.seen == []
        await kube.list(kinds.CONFIG_MAP, namespace=namespace).all()
        assert await kube.token_review("nonsense", audience="x") is None


async def test_the_gate_is_asked_after_the_wait_for_a_turn(proxy: FaultProxy, tmp_path: Path, namespace: str) -> None:
    """A write that waited while leadership was lost must not go out."""
    leading = True

    def gate() -> None:
        if not leading:
            raise errors.NotLeader

    access = await ClusterAccess.find(proxy.write_kubeconfig(tmp_path / "kubeconfig"))
    async with Kube(access, write_gate=gate, concurrency=1) as kube:
        held = proxy.fault(Match(methods={"GET"}), Delay(1))
        read = asyncio.create_task(kube.list(kinds.CONFIG_MAP, namespace=namespace).all())
        await until(lambda: held.hits > 0, what="the read on its way")
        write = asyncio.create_task(kube.apply(config_map(namespace)))
        await asyncio.sleep(0)
        leading = False
        await read
        with pytest.raises(errors.NotLeader):
            await write
    assert proxy.writes.seen == []


async def _token_after_two(kube: Kube, namespace: str) -> str:
    answer = await kube._ask(
        "list", kinds.CONFIG_MAP, kinds.CONFIG_MAP.path(namespace=namespace), query={"limit": "2"}, what="two"
    )
    return str(answer["metadata"]["continue"])


def _in_newest_state(token: str) -> str:
    """The token that an API server offers with a 410: it goes on from the same key, at no resource version."""
    content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    return base64.urlsafe_b64encode(json.dumps(content | {"rv": -1}).encode()).decode().rstrip("=")

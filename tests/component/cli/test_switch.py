"""`wpool stop` and `wpool start` at a real API server."""

import asyncio

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import wpool
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.cli import standing
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]


async def test_a_pool_is_stopped_and_started(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """`--wait` waits for the operator, which is played."""
    await kube.create(pool_body(namespace=namespace))
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": {"observedGeneration": 1, "replicas": 2}}, subresource="status")
    waiting = asyncio.create_task(wpool(plane, "stop", "thumbs", "-n", namespace, "--wait", "--yes"))

    async def suspended() -> bool:
        return bool((await kube.get(ref))["spec"]["suspend"])

    await until(suspended)
    assert not waiting.done()
    generation = (await kube.get(ref))["metadata"]["generation"]
    done = {"observedGeneration": generation, "replicas": 0, "drainingReplicas": 0}
    await kube.merge_patch(ref, {"status": done}, subresource="status")
    shown = await waiting
    assert (shown.returncode, shown.stdout) == (0, "thumbs: stopped\n")
    started = await wpool(plane, "start", "thumbs", "-n", namespace)
    assert started.returncode == 0
    assert (await kube.get(ref))["spec"]["suspend"] is False


@pytest.mark.parametrize("words", [["stop", "thumbs", "--yes"], ["stop", "thumbs", "--wait", "--yes"]], ids=" ".join)
async def test_an_operator_is_looked_for_once(
    plane: ControlPlane, kube: Kube, namespace: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is waited for what it does."""
    looks = 0
    look = standing.nobody

    async def counted(access: ClusterAccess, within: str | None) -> str:
        nonlocal looks
        looks += 1
        return await look(access, within)

    monkeypatch.setattr(standing, "nobody", counted)
    await kube.create(pool_body(namespace=namespace, suspend=True))
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": {"observedGeneration": 1, "replicas": 0}}, subresource="status")
    assert (await wpool(plane, *words, "-n", namespace)).returncode == 0
    assert looks == 1


async def test_one_that_does_not_become_empty_is_told(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    await kube.create(pool_body(namespace=namespace))
    shown = await wpool(plane, "stop", "thumbs", "-n", namespace, "--wait", "--timeout", "1", "--yes")
    assert shown.returncode == 3
    assert "not empty after 1 s: 0 workers" in shown.stderr
    assert "Does the operator run?" in shown.stderr


@pytest.mark.parametrize("words", [["stop", "thumbs", "--wait"], ["drain", "thumbs"]], ids=" ".join)
async def test_one_that_is_started_again_meanwhile_is_told(
    plane: ControlPlane, kube: Kube, namespace: str, words: list[str]
) -> None:
    """By hand, or from Git: it would be waited for until the time is over, and called suspended then."""
    await kube.create(pool_body(namespace=namespace))
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": {"observedGeneration": 1, "replicas": 2}}, subresource="status")
    waiting = asyncio.create_task(wpool(plane, *words, "-n", namespace, "--yes"))

    async def suspended() -> bool:
        return bool((await kube.get(ref))["spec"].get("suspend"))

    await until(suspended)
    await kube.merge_patch(ref, {"spec": {"suspend": False}})
    shown = await waiting
    said = " ".join(shown.stderr.split())
    assert (shown.returncode, "somebody has started thumbs again meanwhile" in said) == (3, True), said

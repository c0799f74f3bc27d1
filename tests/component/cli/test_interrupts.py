"""Commands that wait and are interrupted, at a real API server: what goes on without them, and what is taken back."""

import asyncio
import signal
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import started, wpool
from tests.component.cli.test_drain import annotation, node, worker
from tests.support.pools import pool_body
from tests.support.waiting import until
from tests.unit.cli.adopt.deployments import deployment
from workerpool_operator.cli.adopt.queues import EXAMPLE
from workerpool_operator.cli.rollout import ask
from workerpool_operator.cli.rollout.state import rollout_of
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]


async def interrupted(process: asyncio.subprocess.Process, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """How it ends, and what it says of that."""
    process.send_signal(number)
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, " ".join(said.decode().split())


async def made(kube: Kube, namespace: str, **spec: Any) -> ObjectRef:
    await kube.create(pool_body(namespace=namespace, **spec))
    return ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")


async def line(process: asyncio.subprocess.Process) -> str:
    """The next one that it shows."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode()


async def test_a_pool_that_is_being_stopped_stays_so(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """Which is said, with how to look and how to start it again."""
    ref = await made(kube, namespace)
    await kube.merge_patch(ref, {"status": {"observedGeneration": 1, "replicas": 2}}, subresource="status")
    running = await started(plane, "drain", "thumbs", "--yes", "-n", namespace)
    assert "thumbs: 2 workers" in await line(running)
    code, said = await interrupted(running)
    assert code == 130, said
    assert said == (
        "wpool drain: interrupted. thumbs stays stopped: its workers finish their jobs and go. "
        f"`wpool get thumbs -n {namespace} --watch` shows how far they are, `wpool start thumbs -n {namespace}` starts "
        "it again"
    )
    assert (await kube.get(ref))["spec"]["suspend"] is True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_node_is_given_up_and_the_order_taken_back(
    plane: ControlPlane, kube: Kube, namespace: str, number: signal.Signals
) -> None:
    """As after `--timeout`: who has not begun to leave stays, and it stays cordoned."""
    pool, ref = await made(kube, namespace), await node(kube, f"n-{namespace}")
    await worker(kube, namespace, "a", on=ref.name)
    running = await started(plane, "drain", "--node", ref.name, "--yes")

    async def ordered() -> bool:
        return bool(await annotation(kube, pool))

    await until(ordered)
    code, said = await interrupted(running, number)
    assert code == 128 + number, said
    assert f"drain: interrupted. {ref.name} stays cordoned" in said
    assert f"`kubectl uncordon {ref.name}` ends it" in said
    assert await annotation(kube, pool) == ""
    assert (await kube.get(ref))["spec"]["unschedulable"] is True


@pytest.mark.parametrize("verb", ["status", "abort"])
async def test_a_rollout_goes_on_and_so_does_a_command_about_it(
    plane: ControlPlane, kube: Kube, namespace: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody needs to wait for the operator to answer."""
    ref = await made(kube, namespace, rollout={"strategy": "Canary"})
    rollout = {"stable": "0a", "wanted": "0b", "canary": "0b", "step": 1}
    status = {"observedGeneration": 1, "rollout": rollout}
    await kube.merge_patch(ref, {"status": status}, subresource="status")

    def look(body: dict[str, Any]) -> dict[str, Any]:
        """As it has looked at the pool: Ctrl-C, which cancels what waits."""
        me = asyncio.current_task()
        assert me is not None
        me.get_loop().call_soon(me.cancel)
        return rollout_of(body)

    monkeypatch.setattr(ask, "rollout_of", look)
    shown = await wpool(plane, "rollout", verb, "thumbs", "-n", namespace, *(["--yes"] if verb == "abort" else []))
    said = " ".join(shown.stderr.split())
    assert shown.returncode == 130, said
    goes_on = "The rollout goes on: " if verb == "status" else "It is written, and is answered all the same: "
    assert said.startswith(f"wpool rollout {verb}: interrupted. {goes_on}`wpool rollout get thumbs -n {namespace}`")


async def test_an_adoption_is_gone_on_with_or_taken_back(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """How far it is, and both ways from there."""
    await kube.create(deployment(namespace=namespace))
    words = ("adopt", "deployment/thumbs", "-n", namespace, "--queue", EXAMPLE, "--apply", "--yes", "--leave-out")
    running = await started(plane, *words)
    assert "pool thumbs: made" in await line(running)
    code, said = await interrupted(running)
    assert code == 130, said
    assert "interrupted. Pool and Deployment stay as they are now (" in said
    assert f"kubectl delete workerpool thumbs -n {namespace}" in said


async def test_what_only_shows_what_comes_is_over(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """That is how it ends: exit code 0, and no word."""
    ref = await made(kube, namespace, rollout={"strategy": "Canary"})
    status = {"observedGeneration": 1, "rollout": {"stable": "0a"}}
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    running = await started(plane, "rollout", "get", "thumbs", "--watch", "-n", namespace)
    assert await line(running)
    assert await interrupted(running) == (0, "")

"""`wpool drain` at a real API server; the operator, which has the workers leave, is played."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import TwoHoursLate, of_nobody, wpool
from tests.support.pools import pool_body
from tests.support.waiting import until
from workerpool_operator.cli.drain import node as draining
from workerpool_operator.cli.interrupts import EndedError
from workerpool_operator.cli.writing import rewrite
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL, WORKER
from workerpool_operator.domain.scaling import DRAIN, overrides
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]


async def node(kube: Kube, name: str) -> ObjectRef:
    await kube.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    return ObjectRef(kinds.NODE, "", name)


async def worker(kube: Kube, namespace: str, name: str, *, on: str, pool: str = "thumbs") -> ObjectRef:
    labels = {POOL_LABEL: pool, COMPONENT_LABEL: WORKER}
    spec = {
        "nodeName": on,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [{"name": "worker", "image": "thumbs:1"}],
    }
    await kube.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": spec,
        }
    )
    return ObjectRef(kinds.POD, namespace, name)


async def annotation(kube: Kube, ref: ObjectRef) -> str:
    return str((await kube.get(ref))["metadata"].get("annotations", {}).get(DRAIN, ""))


@pytest.fixture
async def pool(kube: Kube, namespace: str) -> ObjectRef:
    body = pool_body("thumbs", namespace)
    body["metadata"].pop("uid", None)
    await kube.create(body)
    return ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")


class TestNode:
    """--node"""

    async def test_it_is_cordoned_the_operator_is_told_and_the_last_worker_is_waited_for(
        self, plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
    ) -> None:
        """At the end the annotation is gone, and the node stays cordoned."""
        ref = await node(kube, f"n-{namespace}")
        pods = [await worker(kube, namespace, name, on=ref.name) for name in ("a", "b")]
        elsewhere = await worker(kube, namespace, "c", on="other")
        running = asyncio.create_task(wpool(plane, "drain", "--node", ref.name, "--yes"))

        async def ordered() -> bool:
            return bool(await annotation(kube, pool))

        await until(ordered)
        (said,) = overrides({DRAIN: await annotation(kube, pool)}).drains
        created = [(await kube.get(pod))["metadata"]["creationTimestamp"] for pod in pods]
        assert (said.node, said.begun.strftime("%Y-%m-%dT%H:%M:%SZ")) == (ref.name, max(created))
        assert (await kube.get(ref))["spec"]["unschedulable"] is True
        assert not running.done()
        for pod in pods:
            await kube.delete(pod)
        shown = await running
        assert shown.returncode == 0, shown.stderr
        assert f"{ref.name}: 2 workers left ({namespace}/thumbs 2)" in shown.stdout
        assert f"kubectl uncordon {ref.name}" in shown.stdout
        assert await annotation(kube, pool) == ""
        assert (await kube.get(ref))["spec"]["unschedulable"] is True
        assert (await kube.get(elsewhere))["metadata"]["name"] == "c"

    async def test_it_is_given_up_by_the_api_servers_clock(
        self, plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By that of a machine that is two hours late nobody would leave, and others' orders would stay for ever."""
        monkeypatch.setattr(draining, "datetime", TwoHoursLate)
        ref = await node(kube, f"n-{namespace}")
        over = f"n7@2026-01-01T00:00:00+00:00/{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}+00:00"
        await kube.merge_patch(pool, {"metadata": {"annotations": {DRAIN: over}}})
        pod = await worker(kube, namespace, "a", on=ref.name)
        running = asyncio.create_task(wpool(plane, "drain", "--node", ref.name, "--yes", "--timeout", "600"))

        async def ordered() -> bool:
            return ref.name in await annotation(kube, pool)

        await until(ordered)
        (said,) = overrides({DRAIN: await annotation(kube, pool)}).drains
        assert timedelta(minutes=5) < said.until - datetime.now(UTC) <= timedelta(minutes=10)
        await kube.delete(pod)
        assert (await running).returncode == 0

    async def test_an_order_that_is_being_written_is_taken_back_too(
        self, plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Ctrl-C between the API server's write and its answer."""
        ref = await node(kube, f"n-{namespace}")
        await worker(kube, namespace, "a", on=ref.name)
        written, access = asyncio.Event(), await ClusterAccess.find(plane.kubeconfig)

        async def slowly(*args: Any, **kwargs: Any) -> None:
            await rewrite(*args, **kwargs)
            if not written.is_set():
                written.set()
                await asyncio.sleep(0.5)

        monkeypatch.setattr(draining, "rewrite", slowly)
        target = draining.Target(node=ref.name, namespace=namespace, pool=None)
        running = asyncio.ensure_future(draining.drain(access, target, seconds=600, tell=lambda _: None))
        await written.wait()
        assert ref.name in await annotation(kube, pool)
        running.cancel()
        with pytest.raises(EndedError, match="stays cordoned"):
            await running
        assert await annotation(kube, pool) == ""

    async def test_after_the_timeout_the_rest_stay(
        self, plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
    ) -> None:
        """Orders about other nodes are left alone."""
        ref = await node(kube, f"n-{namespace}")
        other = "n7@2026-01-01T00:00:00+00:00/2036-01-01T00:00:00+00:00"
        await kube.merge_patch(pool, {"metadata": {"annotations": {DRAIN: other}}})
        await worker(kube, namespace, "a", on=ref.name)
        shown = await wpool(plane, "drain", "thumbs", "-n", namespace, "--node", ref.name, "--yes", "--timeout", "1")
        assert shown.returncode == 3
        told = " ".join(shown.stderr.split())
        assert f"still has {namespace}/thumbs 1. They stay now" in told
        assert f"`wpool describe thumbs -n {namespace}` tells" in told
        assert await annotation(kube, pool) == other

    async def test_a_dry_run_and_a_no_change_nothing(
        self, plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
    ) -> None:
        """Where nobody can be asked, `--yes` has to be said."""
        ref = await node(kube, f"n-{namespace}")
        await worker(kube, namespace, "a", on=ref.name)
        dry = await wpool(plane, "drain", "--node", ref.name, "--dry-run")
        would = f"{ref.name}: would be cordoned, and these leave it: {namespace}/thumbs 1 (dry run: "
        assert (dry.returncode, dry.stdout.startswith(would)) == (0, True)
        asked = await wpool(plane, "drain", "--node", ref.name)
        assert asked.returncode == 2
        assert "say --yes" in " ".join(asked.stderr.split())
        assert "unschedulable" not in (await kube.get(ref)).get("spec", {})
        assert await annotation(kube, pool) == ""

    async def test_a_node_without_workers_is_cordoned_too(
        self, plane: ControlPlane, kube: Kube, namespace: str
    ) -> None:
        """Again and again: who empties a node twice, or one of twenty that has no worker, is not told of a failure."""
        ref = await node(kube, f"n-{namespace}")
        dry = await wpool(plane, "drain", "--node", ref.name, "--dry-run")
        assert (dry.returncode, "nothing is to be moved" in dry.stdout) == (0, True)
        assert "unschedulable" not in (await kube.get(ref)).get("spec", {})
        for _ in range(2):
            shown = await wpool(plane, "drain", "--node", ref.name, "--yes")
            assert (shown.returncode, shown.stderr) == (0, "")
            assert f"{ref.name}: no worker of a pool was there, so nothing was to be moved" in shown.stdout
            assert (await kube.get(ref))["spec"]["unschedulable"] is True

    async def test_what_is_not_there_is_told(self, plane: ControlPlane, kube: Kube, namespace: str) -> None:
        """No node; or no pool, for which none is cordoned."""
        missing = await wpool(plane, "drain", "--node", "nowhere", "--yes")
        assert missing.returncode == 3
        assert "there is no node nowhere" in missing.stderr
        ref = await node(kube, f"n-{namespace}")
        misspelt = await wpool(plane, "drain", "nosuch", "--node", ref.name, "-n", namespace, "--yes")
        assert (misspelt.returncode, "nosuch" in misspelt.stderr) == (3, True)
        assert "unschedulable" not in (await kube.get(ref)).get("spec", {})

    async def test_without_rights_it_says_which(
        self, plane: ControlPlane, kube: Kube, namespace: str, tmp_path: Any
    ) -> None:
        ref = await node(kube, f"n-{namespace}")
        nobody = of_nobody(plane, namespace, tmp_path)
        shown = await wpool(plane, "drain", "--node", ref.name, "--yes", kubeconfig=nobody)
        assert shown.returncode == 3
        assert "you may not do this" in shown.stderr
        assert "nodes" in shown.stderr


class TestPool:
    """All of a pool."""

    async def test_it_is_stopped_and_waited_for(
        self, plane: ControlPlane, kube: Kube, namespace: str, pool: ObjectRef
    ) -> None:
        await kube.merge_patch(pool, {"status": {"observedGeneration": 1, "replicas": 2}}, subresource="status")
        dry = await wpool(plane, "drain", "thumbs", "-n", namespace, "--dry-run")
        assert dry.stdout.startswith("thumbs: would be stopped: 2 workers finish their jobs and go (dry run: ")
        assert (await wpool(plane, "drain", "thumbs", "-n", namespace)).returncode == 2
        assert not (await kube.get(pool))["spec"].get("suspend")
        waiting = asyncio.create_task(wpool(plane, "drain", "thumbs", "-n", namespace, "--yes"))

        async def suspended() -> bool:
            return bool((await kube.get(pool))["spec"].get("suspend"))

        await until(suspended)
        generation = (await kube.get(pool))["metadata"]["generation"]
        done = {"observedGeneration": generation, "replicas": 0, "drainingReplicas": 0}
        await kube.merge_patch(pool, {"status": done}, subresource="status")
        shown = await waiting
        assert shown.returncode == 0
        assert shown.stdout.endswith(f"no worker is left; wpool start thumbs -n {namespace} starts it again\n")

    async def test_nothing_named_is_wrong_usage(self, plane: ControlPlane) -> None:
        shown = await wpool(plane, "drain")
        assert shown.returncode == 2
        assert "name a pool, or a node" in " ".join(shown.stderr.split())

    async def test_a_pool_that_is_missing_is_told(self, plane: ControlPlane, namespace: str) -> None:
        shown = await wpool(plane, "drain", "nowhere", "-n", namespace, "--yes")
        assert shown.returncode == 3
        assert "nowhere" in shown.stderr

"""A pool and its pods, followed on a real API server."""

import asyncio
import gc
import os
import subprocess
import sys
import urllib.parse
import warnings
from functools import partial
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.support.pools import pool_body
from tests.support.proxy import Proxy
from tests.support.waiting import until
from workerpool_operator.cli import mirror as mirror_module
from workerpool_operator.cli.load.workers import MetricsError, Pods
from workerpool_operator.cli.mirror import Mirror
from workerpool_operator.cli.pool_watch import PoolWatch, watch_pool
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


async def want(kube: Kube, namespace: str, desired: int) -> None:
    """Write the status as the operator does."""
    status = {"status": {"scaling": {"desired": desired}}}
    await kube.merge_patch(ObjectRef(kinds.WORKER_POOL, namespace, "thumbs"), status, subresource="status")


def pod(namespace: str, name: str, *, pool: str = "thumbs") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {POOL_LABEL: pool}}
    spec = {
        "containers": [{"name": "worker", "image": "worker:1"}],
        "nodeName": "node-1",
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def make_ready(kube: Kube, namespace: str, name: str) -> None:
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    await kube.merge_patch(ObjectRef(kinds.POD, namespace, name), status, subresource="status")


def wants(watch: PoolWatch, desired: int) -> bool:
    return watch.history.desired.now == desired


async def test_sizes_are_seen_as_they_change(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    await kube.create(pool_body(namespace=namespace))
    async with watch_pool(access, namespace=namespace, name="thumbs") as watch:
        assert watch.history.desired.now == 0
        for desired in (3, 7, 0):
            await want(kube, namespace, desired)
            await until(partial(wants, watch, desired), what=f"desired {desired}")
        assert watch.history.desired.largest == 7
        assert watch.status["scaling"]["desired"] == 0


async def test_ready_pods_of_this_pool_are_counted(access: ClusterAccess, kube: Kube, namespace: str) -> None:
    await kube.create(pool_body(namespace=namespace))
    await kube.create(pod(namespace, "before"))
    await make_ready(kube, namespace, "before")
    async with watch_pool(access, namespace=namespace, name="thumbs") as watch:
        assert watch.history.ready.now == 1
        await kube.create(pod(namespace, "later"))
        await kube.create(pod(namespace, "stranger", pool="other"))
        await make_ready(kube, namespace, "stranger")
        await make_ready(kube, namespace, "later")
        await until(lambda: watch.history.ready.now == 2, what="two Ready pods")
        assert watch.history.nodes == {"node-1": 2}
        await kube.delete(ObjectRef(kinds.POD, namespace, "before"))
        await until(lambda: sorted(watch.pods.objects) == ["later"], what="one pod left")
        assert watch.history.ready.now == 1


async def test_a_pool_that_is_not_there_is_said_at_once(access: ClusterAccess, namespace: str) -> None:
    with pytest.raises(errors.NotFound):
        async with watch_pool(access, namespace=namespace, name="nobody"):
            pass


async def test_a_watch_that_the_server_ends_is_taken_up_again(
    access: ClusterAccess, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what was deleted in between is gone from the copy."""
    monkeypatch.setattr(mirror_module, "_WATCH_SECONDS", 1)
    changes: list[float] = []
    await kube.create(pod(namespace, "first"))
    async with Mirror(access, kube, kinds.POD, namespace=namespace, on_change=changes.append) as mirror:
        await until(lambda: len(changes) >= 3, what="two more listings")  # nothing else changes here
        await kube.create(pod(namespace, "second"))
        await until(lambda: sorted(mirror.objects) == ["first", "second"], what="the new pod")
        await kube.delete(ObjectRef(kinds.POD, namespace, "first"))
        await until(lambda: sorted(mirror.objects) == ["second"], what="the pod without its neighbour")
        assert mirror.error == ""


async def test_a_watch_that_is_left_leaves_no_socket_behind(plane: ControlPlane, namespace: str) -> None:
    """Though the way to the server has gone silent: nobody is there to answer TLS' goodbye."""
    direct = await ClusterAccess.find(plane.kubeconfig)
    address = urllib.parse.urlsplit(direct.server)
    assert address.port is not None
    async with Proxy(address.port) as proxy:

        async def watch_and_leave() -> None:
            access = await ClusterAccess.find(plane.kubeconfig)
            access.configuration.host = f"https://{address.hostname}:{proxy.port}"
            async with Kube(direct) as kube, Mirror(access, kube, kinds.POD, namespace=namespace) as mirror:
                await kube.create(pod(namespace, "seen"))
                await until(lambda: "seen" in mirror.objects, what="the pod")
                proxy.freeze()

        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", ResourceWarning)
            await asyncio.to_thread(asyncio.run, watch_and_leave())
            gc.collect()
    assert [str(each.message) for each in warned] == []


async def test_pods_that_cannot_be_asked_for_their_metrics_are_named(
    access: ClusterAccess, kube: Kube, namespace: str
) -> None:
    """Of a pool at zero there is nobody to ask, which is no trouble."""
    names: list[str] = []
    pods = Pods(access, namespace=namespace, names=lambda: names)
    assert await pods.read() == (frozenset(), {})
    await kube.create(pod(namespace, "nowhere"))
    names.append("nowhere")
    with pytest.raises(MetricsError, match="nowhere:8000/proxy/metrics"):
        await pods.read()


async def load(plane: Any, *options: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "workerpool_operator.cli", "load", *options],
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_load_names_the_pool_that_it_cannot_watch(access: ClusterAccess, plane: Any, namespace: str) -> None:
    options = ["--url", "redis://127.0.0.1:1/0", "--stream", "s", "--jobs", "1"]
    process = await load(plane, *options, "--pool", "nobody", "--namespace", namespace)
    assert process.returncode == 3
    assert f"pool {namespace}/nobody cannot be watched" in process.stderr


async def test_load_takes_the_queue_s_name_from_its_pool(plane: Any, kube: Kube, namespace: str) -> None:
    """So it gets as far as the broker, which is not there; of another kind of broker the pool names none."""
    await kube.create(pool_body(namespace=namespace))
    options = ["--jobs", "1", "--pool", "thumbs", "--namespace", namespace]
    process = await load(plane, "--url", "redis://127.0.0.1:1/0", *options)
    assert (process.returncode, "127.0.0.1:1" in process.stderr) == (3, True), process.stderr
    process = await load(plane, "--url", "amqp://127.0.0.1:1", *options)
    assert process.returncode == 2
    assert "no queue in a broker of this kind" in process.stderr

"""`wpool describe`, `events` and `top` at a real API server."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import started, wpool
from tests.support.pools import pool_body
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]


def event(namespace: str, kind: str, name: str, reason: str, *, type_: str = "Normal") -> dict[str, Any]:
    """As the operator and the kubelet write it."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": f"{name}.{reason.lower()}"},
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": "tests.workerpool.dev/cli",
        "reportingInstance": "one",
        "type": type_,
        "reason": reason,
        "action": "Test",
        "note": f"{reason} happened",
        "regarding": {"kind": kind, "namespace": namespace, "name": name},
    }


@pytest.fixture
async def scene(kube: Kube, namespace: str) -> str:
    """Two pools with events, of one also about a pod; and a pod of another program whose name begins alike."""
    for name in ("thumbs", "mails"):
        await kube.create(pool_body(name, namespace))
    status = {"replicas": 3, "scaling": {"desired": 4, "mode": "direct", "depth": 70, "reason": "as much as waits"}}
    await kube.merge_patch(ObjectRef(kinds.WORKER_POOL, namespace, "thumbs"), {"status": status}, subresource="status")
    for kind, name, reason, type_ in (
        ("WorkerPool", "thumbs", "ScaledOut", "Normal"),
        ("WorkerPool", "mails", "ScaledIn", "Normal"),
        ("Pod", "thumbs-0a1b2c3d-4e5f60-x2x9k", "BackOff", "Warning"),
        ("Pod", "thumbs-of-someone-else", "Killing", "Warning"),
    ):
        await kube.create(event(namespace, kind, name, reason, type_=type_))
    return namespace


async def test_a_pool_is_described_on_a_page(plane: ControlPlane, scene: str) -> None:
    shown = await wpool(plane, "describe", "thumbs", "-n", scene)
    assert shown.returncode == 0, shown.stderr
    for words in (
        f"{scene}/thumbs:",
        "image thumbs:1",
        "as much as waits",
        "redis://redis:6379/0",
        "ScaledOut",
        "BackOff",
    ):
        assert words in shown.stdout, words
    assert "has not seen this pool" in shown.stdout, "no condition was ever written"
    assert "ScaledIn" not in shown.stdout, "another pool's"
    assert "Killing" not in shown.stdout, "another program's"


async def test_events_of_one_pool_and_of_all(plane: ControlPlane, scene: str) -> None:
    def reasons(text: str) -> set[str]:
        return {one["reason"] for one in json.loads(text)}

    of_one = await wpool(plane, "events", "thumbs", "-n", scene, "-o", "json")
    assert reasons(of_one.stdout) == {"ScaledOut", "BackOff"}
    warned = await wpool(plane, "events", "thumbs", "-n", scene, "--warnings", "-o", "json")
    assert reasons(warned.stdout) == {"BackOff"}
    of_all = await wpool(plane, "events", "-n", scene)
    assert "ScaledOut" in of_all.stdout
    assert "ScaledIn" in of_all.stdout
    assert "BackOff" not in of_all.stdout


async def test_no_events_is_said(plane: ControlPlane, namespace: str) -> None:
    shown = await wpool(plane, "events", "-n", namespace)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "no events" in shown.stderr


async def test_events_are_followed(plane: ControlPlane, kube: Kube, scene: str) -> None:
    process = await started(plane, "events", "thumbs", "-n", scene, "--follow")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            first = {(await process.stdout.readline()).split()[2] for _ in range(2)}
            assert first == {b"ScaledOut", b"BackOff"}
            await kube.create(event(scene, "WorkerPool", "thumbs", "CanaryPromoted"))
            assert b"CanaryPromoted" in await process.stdout.readline()
    finally:
        process.kill()
        await process.communicate()


async def test_events_are_followed_as_json_and_everywhere(plane: ControlPlane, kube: Kube, scene: str) -> None:
    """An object a line, so that a program can read each as it comes; with its namespace."""
    process = await started(plane, "events", "--all-namespaces", "--follow", "--output", "json")
    by_hand = await started(plane, "events", "--all-namespaces", "--follow", "--warnings")
    assert process.stdout is not None
    assert by_hand.stdout is not None

    async def read_until(reason: str) -> dict[str, Any]:
        assert process.stdout is not None
        while True:
            one: dict[str, Any] = json.loads(await process.stdout.readline())
            if (one["namespace"], one["reason"]) == (scene, reason):
                return one

    try:
        async with asyncio.timeout(60):
            assert (await read_until("ScaledOut"))["name"] == "thumbs"
            await kube.create(event(scene, "WorkerPool", "thumbs", "CanaryPromoted"))
            assert (await read_until("CanaryPromoted"))["message"] == "CanaryPromoted happened"
            await kube.create(event(scene, "WorkerPool", "mails", "CanaryRejected", type_="Warning"))
            while f"CanaryRejected WorkerPool/{scene}/mails".encode() not in (line := await by_hand.stdout.readline()):
                assert b" Warning " in line
    finally:
        for one in (process, by_hand):
            one.kill()
            await one.communicate()


async def test_pools_come_by_what_waits(plane: ControlPlane, scene: str) -> None:
    shown = await wpool(plane, "top", "-n", scene)
    header, *lines = shown.stdout.splitlines()
    assert header.split()[:2] == ["POOL", "DEPTH"]
    assert [line.split()[:2] for line in lines] == [["thumbs", "70"], ["mails", "-"]]
    none = await wpool(plane, "top", "thumbs", "-n", scene)
    assert (none.returncode, none.stderr) == (1, "no workers\n")


async def test_of_many_workers_those_are_shown_that_were_asked(plane: ControlPlane, kube: Kube, scene: str) -> None:
    """Ready ones first; a line for each of ten thousand would help nobody."""
    spec = {"automountServiceAccountToken": False, "containers": [{"name": "worker", "image": "thumbs:1"}]}
    for number in range(101):
        metadata = {"name": f"many-{number:03}", "namespace": scene, "labels": {POOL_LABEL: "thumbs"}}
        await kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    await kube.merge_patch(ObjectRef(kinds.POD, scene, "many-100"), {"status": ready}, subresource="status")
    shown = await wpool(plane, "top", "thumbs", "-n", scene)
    names = {line.split()[0] for line in shown.stdout.splitlines()[1:]}
    assert "100 of 101 workers are shown" in shown.stderr
    assert len(names) == 100
    assert "many-100" in names
    assert "many-099" not in names

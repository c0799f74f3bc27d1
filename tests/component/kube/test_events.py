"""Events on a real API server, as people see them."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from workerpool_operator.kube import EventRecorder, EventType, Kube, kinds, ref_of

pytestmark = [pytest.mark.component, pytest.mark.apiserver]


@asynccontextmanager
async def recording(kube: Kube) -> AsyncIterator[EventRecorder]:
    recorder = EventRecorder(kube, instance="operator-0")
    task = asyncio.create_task(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def target(kube: Kube, namespace: str) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": "thumbs"}
    return await kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


async def emit(recorder: EventRecorder, obj: dict[str, Any], message: str, *, times: int = 1) -> None:
    for _ in range(times):
        recorder.emit(
            ref_of(obj), uid=obj["metadata"]["uid"], type=EventType.WARNING, reason="QuotaExceeded", message=message
        )
        await recorder.flush()


async def test_the_same_event_three_times_is_one_object_even_across_restarts(kube: Kube, namespace: str) -> None:
    obj = await target(kube, namespace)
    async with recording(kube) as recorder:
        await emit(recorder, obj, "quota few is full", times=2)
    async with recording(kube) as recorder:
        await emit(recorder, obj, "quota few is full")
        await emit(recorder, obj, "quota many is full")
    events = await kube.list(kinds.EVENT, namespace=namespace).all()
    counts = {event["note"]: event.get("series", {}).get("count", 1) for event in events}
    assert counts == {"quota few is full": 3, "quota many is full": 1}


async def test_kubectl_shows_them_with_their_object(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    obj = await target(kube, namespace)
    async with recording(kube) as recorder:
        await emit(recorder, obj, "quota few is full", times=3)

    async def kubectl(*arguments: str) -> str:
        command = [str(plane.kubectl), f"--kubeconfig={plane.kubeconfig}", "-n", namespace, *arguments]
        shown = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
        return str(shown.stdout)

    described = await kubectl("describe", "configmap", "thumbs")
    assert "QuotaExceeded" in described
    assert "(x3 over" in described
    assert "workerpool.dev/operator" in described
    listed = (await kubectl("get", "events")).splitlines()[1]
    assert "configmap/thumbs" in listed
    assert "<unknown>" not in listed

"""`wpool doctor` at a real API server that has the definitions and no operator."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.support.pools import pool_body
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


async def doctor(plane: ControlPlane, *words: str) -> "subprocess.CompletedProcess[str]":
    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "workerpool_operator.cli", "doctor", *words],
            env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return await asyncio.to_thread(run)


async def test_what_is_missing_is_told_with_its_remedy(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    await kube.create(pool_body(namespace=namespace))
    stalled = {"type": "Stalled", "status": "True", "reason": "WorkersStuck", "message": "two take no jobs"}
    stalled |= {"lastTransitionTime": "2026-01-02T03:04:05Z"}
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": {"conditions": [stalled]}}, subresource="status")
    shown = await doctor(plane, "--namespace", namespace, "--json")
    assert shown.returncode == 1
    found: dict[str, Any] = {finding["subject"]: finding for finding in json.loads(shown.stdout)}
    assert (found["resource definition"]["level"], found["resource definition"]["text"]) == (
        "good",
        "that of this release",
    )
    assert (found["operator"]["level"], found["your rights"]["level"]) == ("bad", "good")
    assert found[f"pool {namespace}/thumbs"]["text"] == "Stalled=True (WorkersStuck): two take no jobs"
    for_people = await doctor(plane, "--namespace", namespace)
    assert "BAD   operator: is not installed" in for_people.stdout
    assert "helm install workerpool-operator" in for_people.stdout

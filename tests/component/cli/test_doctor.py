"""`wpool doctor` at a real API server that has the definitions and no operator."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import of_somebody, wpool
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


async def test_a_namespace_that_there_is_none_of(plane: ControlPlane) -> None:
    """It has no pools, and is not well for that."""
    shown = await wpool(plane, "doctor", "--namespace", "nosuch")
    assert shown.returncode == 1
    assert "BAD   namespace nosuch: there is none of this name" in shown.stdout
    assert "are well" not in shown.stdout


async def test_who_may_not_see_namespaces_is_told_nothing_false(
    plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """There is one, and it has no pools."""
    own = of_somebody(plane, namespace, tmp_path, verbs="get,list,watch", resource="workerpools")
    shown = await wpool(plane, "doctor", "--namespace", namespace, "--json", kubeconfig=own)
    found = {finding["subject"]: finding for finding in json.loads(shown.stdout)}
    assert f"namespace {namespace}" not in found
    assert (
        found["pools"]["text"]
        == f"there are none in {namespace}, and you may not see whether there is such a namespace"
    )


async def test_a_pool_whose_image_cannot_be_had_is_told_though_it_is_on_its_way(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    await kube.create(pool_body(namespace=namespace))
    at = {"lastTransitionTime": "2026-01-02T03:04:05Z"}
    ready = {"type": "Ready", "status": "False", "reason": "ImagePullFailed", "message": "pod a: not found"} | at
    progressing = {"type": "Progressing", "status": "True", "reason": "Scaling", "message": "1 wanted"} | at
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": {"conditions": [ready, progressing]}}, subresource="status")
    shown = await wpool(plane, "doctor", "--namespace", namespace, "--json")
    found = {finding["subject"]: finding for finding in json.loads(shown.stdout)}
    assert found[f"pool {namespace}/thumbs"]["text"] == "Ready=False (ImagePullFailed): pod a: not found"
    assert "imagePullSecrets" in found[f"pool {namespace}/thumbs"]["remedy"]

"""`wpool explain` at a real API server."""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.support.pools import pool_body
from workerpool_operator.kube import Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


async def wpool(plane: ControlPlane, *words: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        partial(subprocess.run, check=False, capture_output=True, text=True, timeout=60),
        [sys.executable, "-m", "workerpool_operator.cli", "explain", *words],
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig), "COLUMNS": "200"},
    )


async def test_what_the_operator_wrote_is_explained(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    await kube.create(pool_body("thumbs", namespace))
    scaling = {
        "desired": 50,
        "mode": "direct",
        "reason": "Active",
        "limitedBy": ["maxReplicas"],
        "terms": [{"name": "queueDepthPerReplica", "value": 80}, {"name": "little", "message": "not known yet"}],
    }
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": {"scaling": scaling}}, subresource="status")
    shown = await wpool(plane, "thumbs", "-n", namespace)
    assert shown.returncode == 0, shown.stderr
    for words in ("50 wanted", "queueDepthPerReplica", "the most", "not known yet", "limited by maxReplicas"):
        assert words in shown.stdout


async def test_the_canary_and_the_place_are_explained_also_for_programs(
    plane: ControlPlane, kube: Kube, namespace: str
) -> None:
    """Every field that is formatted is one that the resource definition keeps."""
    placement = {"primary": {"nodeSelector": {"zone": "a"}}, "secondary": {"nodeSelector": {"zone": "b"}}}
    await kube.create(pool_body("thumbs", namespace, placement=placement))
    rollout = {
        "stable": "aa", "wanted": "bb", "canary": "bb", "step": 1, "weight": 10, "jobs": 120, "failures": 5,
        "verdict": "Inconclusive", "cause": "Evidence", "wait": "StepRuns", "signal": "failures", "ratio": "1.2",
        "ratioLow": "0.4", "ratioHigh": "3.6", "minimumDetectableRatio": "4.1", "measuredSeconds": 300,
    }  # fmt: skip
    where = {"active": "secondary", "since": "2026-01-02T03:04:05Z", "lost": 2, "lostNodes": ["n1"]}
    ref = ObjectRef(kinds.WORKER_POOL, namespace, "thumbs")
    await kube.merge_patch(ref, {"status": {"rollout": rollout, "placement": where}}, subresource="status")
    found = json.loads((await wpool(plane, "thumbs", "-n", namespace, "-o", "json")).stdout)
    assert "failures: 1.2 times the stable version's rate (95 % interval: 0.4 to 3.6)" in found["canary"]
    assert "this step still takes 80 jobs and 1500 s of measuring" in found["canary"]
    assert any("2 of those that belong to the primary one count as lost" in line for line in found["place"])
    shown = await wpool(plane, "thumbs", "-n", namespace)
    assert all(line in shown.stdout for line in (*found["canary"], *found["place"]))


async def test_a_pool_that_is_not_there_is_said(plane: ControlPlane, namespace: str) -> None:
    shown = await wpool(plane, "nobody", "-n", namespace)
    assert (shown.returncode, "nobody" in shown.stderr) == (3, True)

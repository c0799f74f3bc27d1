"""`wpool explain` at a real API server."""

import asyncio
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


async def test_a_pool_that_is_not_there_is_said(plane: ControlPlane, namespace: str) -> None:
    shown = await wpool(plane, "nobody", "-n", namespace)
    assert (shown.returncode, "nobody" in shown.stderr) == (3, True)

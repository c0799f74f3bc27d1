"""`wpool get` at a real API server."""

import asyncio
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from tests.support.pools import pool_body
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]

_COMMAND = [sys.executable, "-m", "workerpool_operator.cli", "get"]


async def wpool(plane: ControlPlane, *words: str, kubeconfig: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        partial(subprocess.run, check=False, capture_output=True, text=True, timeout=60),
        [*_COMMAND, *words],
        env={**os.environ, "KUBECONFIG": str(kubeconfig or plane.kubeconfig)},
    )


async def tell(kube: Kube, namespace: str, name: str, desired: int) -> None:
    """Write the status as the operator does."""
    status = {"status": {"replicas": 3, "readyReplicas": 2, "scaling": {"desired": desired, "mode": "direct"}}}
    await kube.merge_patch(ObjectRef(kinds.WORKER_POOL, namespace, name), status, subresource="status")


@pytest.fixture
async def pools(kube: Kube, namespace: str) -> str:
    for name in ("thumbs", "mails"):
        await kube.create(pool_body(name, namespace))
    await tell(kube, namespace, "thumbs", 4)
    return namespace


async def test_a_line_for_each_pool(plane: ControlPlane, pools: str) -> None:
    shown = await wpool(plane, "-n", pools)
    header, *lines = shown.stdout.splitlines()
    assert header.split() == ["NAME", "READY", "WORKERS", "DESIRED", "DEPTH", "IN", "FLIGHT", "VERSION", "AGE"]
    assert [line.split()[:4] for line in lines] == [["mails", "Unknown", "0/0", "-"], ["thumbs", "Unknown", "2/3", "4"]]
    assert shown.returncode == 0


async def test_the_namespace_is_that_of_the_context(plane: ControlPlane, pools: str, tmp_path: Path) -> None:
    config: dict[str, Any] = yaml.safe_load(plane.kubeconfig.read_text("utf-8"))
    for context in config["contexts"]:
        context["context"]["namespace"] = pools
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(config), "utf-8")
    shown = await wpool(plane, "--output", "name", kubeconfig=own)
    assert shown.stdout.split() == ["workerpool.workerpool.dev/mails", "workerpool.workerpool.dev/thumbs"]


async def test_pools_for_machines(plane: ControlPlane, pools: str) -> None:
    one = json.loads((await wpool(plane, "thumbs", "-n", pools, "-o", "json")).stdout)
    assert (one["kind"], one["metadata"]["name"], one["status"]["scaling"]["desired"]) == ("WorkerPool", "thumbs", 4)
    assert "managedFields" not in one["metadata"]
    all_of_them = yaml.safe_load((await wpool(plane, "-n", pools, "-o", "yaml")).stdout)
    assert [pool["metadata"]["name"] for pool in all_of_them["items"]] == ["mails", "thumbs"]


async def test_a_pool_that_is_not_there_and_a_namespace_without_any(plane: ControlPlane, namespace: str) -> None:
    missing = await wpool(plane, "nobody", "-n", namespace)
    assert (missing.returncode, missing.stdout) == (3, "")
    assert f"WorkerPool {namespace}/nobody" in missing.stderr
    empty = await wpool(plane, "-n", namespace)
    assert (empty.returncode, empty.stderr) == (1, "no pools in this namespace: --all-namespaces shows all\n")


@pytest.mark.parametrize("output", ["table", "name", "json"])
async def test_of_two_names_the_one_that_is_there_is_shown(plane: ControlPlane, pools: str, output: str) -> None:
    """And the other one is said not to be, also by the exit code."""
    shown = await wpool(plane, "thumbs", "nosuch", "-n", pools, "-o", output)
    assert shown.returncode == 3
    assert "thumbs" in shown.stdout
    assert f"there is no WorkerPool {pools}/nosuch" in " ".join(shown.stderr.split())


async def test_a_pool_is_followed_until_it_is_gone(
    plane: ControlPlane, access: ClusterAccess, kube: Kube, pools: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, "thumbs", "-n", pools, "--watch",
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(60):
        assert b"desired 4" in await process.stdout.readline()
        await tell(kube, pools, "thumbs", 9)
        assert b"desired 9" in await process.stdout.readline()
        await kube.delete(ObjectRef(kinds.WORKER_POOL, pools, "thumbs"))
        assert await process.wait() == 3
        assert b"was deleted" in await process.stderr.read()


async def test_a_rollout_and_a_move_are_followed_without_a_terminal(
    plane: ControlPlane, kube: Kube, pools: str
) -> None:
    """A line when the version goes on, and one when workers have moved."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, "thumbs", "-n", pools, "--watch",
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    ref = ObjectRef(kinds.WORKER_POOL, pools, "thumbs")

    async def told(**status: Any) -> str:
        assert process.stdout is not None
        await kube.merge_patch(ref, {"status": status}, subresource="status")
        return (await process.stdout.readline()).decode()

    try:
        async with asyncio.timeout(60):
            await process.stdout.readline()
            tried = {"stable": "aa", "wanted": "bb", "canary": "bb", "step": 1, "weight": 10, "wait": "StepRuns"}
            line = await told(rollout=tried)
            assert "rollout Trying: version bb is tried beside aa: step 1 of 2, 10 % of the workers" in line
            assert "waits: StepRuns" in line
            assert "step 2 of 2, 50 %" in await told(rollout=tried | {"step": 2, "weight": 50})
            await kube.merge_patch(ref, {"spec": {"placement": {"primary": {"nodeSelector": {"zone": "a"}}}}})
            moving = {
                "type": "Placed", "status": "False", "reason": "Moving", "message": "workers move",
                "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 9,
            }  # fmt: skip
            line = await told(conditions=[moving], placement={"active": "primary"})
            assert "Placed=False: Moving: workers move; move: 0 ready in the primary place" in line
    finally:
        process.kill()
        await process.communicate()

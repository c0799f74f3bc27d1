"""`wpool get` at a real API server."""

import asyncio
import json
import os
import subprocess
import sys
import termios
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.controlplane import ControlPlane
from tests.support.pools import pool_body
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL, WORKER
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]

CURSOR_UP, CURSOR_SHOWN = "\x1b[1A", "\x1b[?25h"
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


@pytest.mark.parametrize("output", ["json", "yaml"])
async def test_a_listing_of_one_is_a_list(plane: ControlPlane, kube: Kube, namespace: str, output: str) -> None:
    """As kubectl's: who reads it by a program reads `items` however many there are. One that was named is itself."""
    await kube.create(pool_body("thumbs", namespace))

    async def shown(*words: str) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((await wpool(plane, *words, "-n", namespace, "-o", output)).stdout)
        return found

    listed = await shown()
    assert (listed["kind"], [one["metadata"]["name"] for one in listed["items"]]) == ("List", ["thumbs"])
    of_two = await shown("thumbs", "nosuch")
    assert (of_two["kind"], len(of_two["items"])) == ("List", 1)
    assert (await shown("thumbs"))["kind"] == "WorkerPool"


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


class Terminal:
    """What a command writes to one, and the end of it that the command has."""

    def __init__(self) -> None:
        self._ours, self.theirs = os.openpty()
        termios.tcsetwinsize(self.theirs, (60, 200))
        os.set_blocking(self._ours, False)
        self._text = ""
        self._grown = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def _read(self) -> None:
        try:
            self._text += os.read(self._ours, 65_536).decode(errors="replace")
        except OSError:  # nobody has the other end any more
            asyncio.get_running_loop().remove_reader(self._ours)
        self._grown.set()

    async def wait_for(self, *words: str) -> str:
        """All that was written since the last time, once it has all of these words."""
        async with asyncio.timeout(60):
            while not all(word in self._text for word in words):
                self._grown.clear()
                await self._grown.wait()
        text, self._text = self._text, ""
        return text

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        os.close(self.theirs)


async def test_on_a_terminal_a_tree_is_drawn_anew(plane: ControlPlane, kube: Kube, pools: str) -> None:
    """In its own place, with the pods and why nothing is known of their jobs; the cursor is there again at the end."""
    labels = {POOL_LABEL: "thumbs", COMPONENT_LABEL: WORKER}
    spec = {"automountServiceAccountToken": False, "containers": [{"name": "worker", "image": "thumbs:1"}]}
    metadata = {"name": "thumbs-a", "namespace": pools, "labels": labels}
    await kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    terminal = Terminal()
    process = await asyncio.create_subprocess_exec(
        *_COMMAND, "thumbs", "-n", pools, "--watch",
        env={**os.environ, "KUBECONFIG": str(plane.kubeconfig), "TERM": "xterm-256color", "NO_COLOR": "1"},
        stdin=terminal.theirs,
        stdout=terminal.theirs,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        await terminal.wait_for(
            f"{pools}/thumbs", "4 wanted", "thumbs-a", "no node yet", "pods do not tell of their jobs"
        )
        await tell(kube, pools, "thumbs", 9)
        drawn = await terminal.wait_for("9 wanted")
        assert CURSOR_UP in drawn, "over what was there before"
        await kube.delete(ObjectRef(kinds.WORKER_POOL, pools, "thumbs"))
        await terminal.wait_for(CURSOR_SHOWN)
        async with asyncio.timeout(60):
            assert await process.wait() == 3
            assert b"was deleted" in await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
        terminal.close()


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

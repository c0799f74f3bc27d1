"""Names of pools, completed for a shell and for kubectl, at a real API server."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import typer

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import COMMAND, of_nobody
from tests.support.apiserver import PATIENCE_SECONDS
from tests.support.pools import pool_body
from workerpool_operator.cli import pool_names
from workerpool_operator.kube import Kube

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


@pytest.fixture
async def pools(kube: Kube, namespace: str) -> str:
    for name in ("thumbs", "thumbs-large", "mails"):
        await kube.create(pool_body(name, namespace))
    return namespace


async def asked(line: str, kubeconfig: Path) -> "subprocess.CompletedProcess[str]":
    """As bash asks: the line, of which the last word is to be completed."""
    env = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "_WPOOL_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        pool_names.VARIABLE: "60",
    }
    return await asyncio.to_thread(
        subprocess.run, COMMAND, check=False, capture_output=True, text=True, timeout=60, env=env
    )


async def test_names_are_those_of_the_namespace_that_was_typed(plane: ControlPlane, pools: str) -> None:
    for words in ("explain", "rollout abort", "get mails"):
        line = f"wpool {words} -n {pools} th"
        shown = await asked(line, plane.kubeconfig)
        assert (shown.stdout.split(), shown.stderr) == (["thumbs", "thumbs-large"], ""), line
    assert "mails" in (await asked("wpool get -A ma", plane.kubeconfig)).stdout.split()


async def test_of_many_pools_those_are_completed_that_begin_so(
    plane: ControlPlane, kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list has its most, and that is of what was typed and not of all there are."""
    for number in range(4):
        await kube.create(pool_body(f"a-{number}", namespace))
    await kube.create(pool_body("z-last", namespace))
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    monkeypatch.setattr(pool_names, "MOST", 2)
    for begins, names in (("z", ["z-last"]), ("a-", ["a-0", "a-1"]), ("", ["a-0", "a-1"])):
        await pool_names._print(namespace, None, everywhere=False, begins=begins, seconds=60)
        assert capsys.readouterr().out.split() == names


async def test_who_may_not_list_pools_sees_none_and_no_word(plane: ControlPlane, pools: str, tmp_path: Path) -> None:
    shown = await asked("wpool stop ", of_nobody(plane, pools, tmp_path))
    assert (shown.stdout.strip(), shown.stderr) == ("", "")


async def test_a_cluster_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes the connection and says nothing: the process that asks is ended."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("KUBECONFIG", str(silent_cluster(tmp_path, silent.getsockname()[1])))
        monkeypatch.setenv(pool_names.VARIABLE, "0.5")
        begun = time.monotonic()
        typed = cast("typer.Context", SimpleNamespace(params={}))
        assert await asyncio.to_thread(pool_names.complete, typed, "") == []
        assert time.monotonic() - begun < 30


async def test_a_process_that_starts_asks_for_a_second_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So it comes to its end by itself where only the cluster is away."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("KUBECONFIG", str(silent_cluster(tmp_path, silent.getsockname()[1])))
        async with asyncio.timeout(PATIENCE_SECONDS / 2):  # below what a request is given
            await pool_names._print("media", None, everywhere=False, begins="", seconds=0.1)
    assert capsys.readouterr().out == ""


def silent_cluster(folder: Path, port: int) -> Path:
    """A kubeconfig that leads there."""
    config = folder / "kubeconfig"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        f"clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t}}]\n"
    )
    return config


async def test_kubectl_completes_its_plugin(plane: ControlPlane, pools: str) -> None:
    """By the executables that the package installs, which kubectl finds on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "KUBECONFIG": str(plane.kubeconfig), "PATH": path, pool_names.VARIABLE: "60"}

    async def completed(*words: str) -> list[str]:
        shown = await asyncio.to_thread(
            subprocess.run,
            [str(plane.kubectl), "__complete", *words],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env=env,
        )
        return [line.partition("\t")[0] for line in shown.stdout.splitlines()]

    assert await completed("wpool", "explain", "-n", pools, "th") == ["thumbs", "thumbs-large", ":4"]
    assert await completed("wpool", "rollout", "pr") == ["promote", ":4"]
    assert await completed("wpool", "lint", "") == [":0"], "which takes files"

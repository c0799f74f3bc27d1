"""Commands whose output nobody reads to its end: real processes, real pipes, a real API server."""

import asyncio
import os
import secrets
import signal
import subprocess

import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.component.cli.running import COMMAND, started
from tests.support.kubelet import played_kubelet
from tests.support.pools import pool_body
from workerpool_operator.kube import Kube

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds", "operator")]


async def unread(plane: ControlPlane, *words: str) -> tuple[int, bytes]:
    """Run it into a pipe that is closed already; how it ended, and what it said of that."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *words,
            env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
            stdout=writing,
            stderr=subprocess.PIPE,
        )
    finally:
        os.close(writing)
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said


@pytest.mark.parametrize(
    "words",
    [
        "get",
        "get -o json",
        "describe thumbs",
        "logs thumbs",
        "ui --no-browser",
        "init",
        "--help",
        "get --help",
        "completion bash",
    ],
)
async def test_a_command_that_nobody_reads_ends_quietly(
    plane: ControlPlane, kube: Kube, namespace: str, words: str
) -> None:
    """By SIGPIPE, as other programs do: not as if the cluster were away, or as if there were nothing."""
    await kube.create(pool_body(namespace=namespace))
    asks = words.startswith(("get", "describe", "logs")) and "--help" not in words
    place = ["-n", namespace] if asks else []
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        await kubelet.start_pod(namespace, "thumbs-a-1")
        await kubelet.write("thumbs-a-1", "hello")
        assert await unread(plane, *words.split(), *place) == (-signal.SIGPIPE, b"")


async def test_what_follows_ends_with_its_reader(plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """`wpool logs -f | head -1`: the next line ends it."""
    await kube.create(pool_body(namespace=namespace))
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        await kubelet.start_pod(namespace, "thumbs-a-1")
        await kubelet.write("thumbs-a-1", "first")
        process = await started(plane, "logs", "thumbs", "-n", namespace, "--follow")
        assert process.stdout is not None
        assert process.stderr is not None
        async with asyncio.timeout(60):
            assert b"first" in await process.stdout.readline()
            process.stdout._transport.close()  # type: ignore[attr-defined]
            while process.returncode is None:
                await kubelet.write("thumbs-a-1", "more")
                await asyncio.sleep(0.1)
            assert (process.returncode, await process.stderr.read()) == (-signal.SIGPIPE, b"")


@pytest.mark.parametrize("words", ["get -o json", "logs thumbs"])
async def test_a_disk_that_is_full_is_told_as_such(plane: ControlPlane, kube: Kube, namespace: str, words: str) -> None:
    """And not as a cluster that does not answer, nor with a traceback."""
    await kube.create(pool_body(namespace=namespace))
    async with played_kubelet(plane, kube, name=f"node-{secrets.token_hex(3)}") as kubelet:
        await kubelet.start_pod(namespace, "thumbs-a-1")
        await kubelet.write("thumbs-a-1", "hello")
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *words.split(),
            "-n",
            namespace,
            env={**os.environ, "KUBECONFIG": str(plane.kubeconfig)},
            stdout=os.open("/dev/full", os.O_WRONLY),
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            _, said = await process.communicate()
    assert (process.returncode, said) == (3, b"wpool: No space left on device\n")

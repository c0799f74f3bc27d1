"""Processes of worker containers, as this machine sees them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from e2e.scene import Scene
from e2e.support.kubectl import Json


def kill_worker(scene: Scene, pod: Json) -> None:
    """End a worker's process as a power cut would."""
    _signal(scene, "WORKERPOOL_POD", pod["metadata"]["name"], signal.SIGKILL)


def stop_worker(scene: Scene, pod: Json) -> None:
    """Let a worker's process hang: it is there, and does nothing any more."""
    _signal(scene, "WORKERPOOL_POD", pod["metadata"]["name"], signal.SIGSTOP)


def continue_worker(scene: Scene, pod: Json) -> None:
    """Let a stopped worker's process go on."""
    _signal(scene, "WORKERPOOL_POD", pod["metadata"]["name"], signal.SIGCONT)


def kill_operator(scene: Scene, pod: str) -> None:
    """End an operator's process as a power cut would."""
    _signal(scene, "POD_NAME", pod, signal.SIGKILL)


def _signal(scene: Scene, variable: str, pod: str, number: signal.Signals) -> None:
    """A signal to the first process of the container that knows itself as this pod.

    Containers of the local and the kind provider are processes of this machine; elsewhere this cannot be tested.
    """
    pids = _started_with(f"{variable}={pod}")
    if not pids:
        if scene.stack.cluster.provider == "external":
            pytest.skip("the nodes' processes are not on this machine")
        pytest.fail(f"no process of pod {pod} on this machine")
    os.kill(min(pids), number)


def _started_with(variable: str) -> list[int]:
    """Processes that have this variable, with this value, in their environment."""
    mark = f"{variable}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # it ended, or it is not ours to read
    return found

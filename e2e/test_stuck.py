"""A worker that lives and takes nothing is restarted: its peers are not, and no job is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from e2e.scene import Scene, restarts
from e2e.support.wait import wait_for

PROGRAM = Path(__file__).parent / "support" / "stuck_worker.py"
FOLDER = "/program"
JOBS = 150
"""Of a second each, one at a time: the queue is never empty before the restart, nor before the replacement works."""


# Not among the core ones: two minutes of waiting, while the component test plays the same with real processes.
@pytest.mark.timeout(420)
def test_a_stuck_worker_is_restarted_and_its_peer_is_not(scene: Scene) -> None:
    """Its liveness check passes all the time; the peer works on, and in the end each job was done once."""
    _apply(scene)
    before = scene.wait_workers("stuck", 2)
    scene.put("stuck", "stick", {})
    wait_for(lambda: _stuck(scene, before), seconds=60, what="a worker that is stuck")
    (stuck,) = _stuck(scene, before)
    (peer,) = before.keys() - {stuck}
    with scene.broker() as client:
        for _ in range(JOBS):
            client.xadd("stuck", {"type": "work", "payload": json.dumps({"seconds": 1})})
    message = scene.wait_condition("stuck", "Stalled", status="True", reason="WorkersStuck", seconds=60)
    assert before[stuck]["metadata"]["name"] in message
    wait_for(lambda: stuck not in scene.workers("stuck"), seconds=90, what="the stuck worker gone")
    after = scene.wait_workers("stuck", 2)
    assert peer in after
    assert restarts(after.values()) == 0
    scene.wait_condition("stuck", "Stalled", status="False", reason="NotStalled", seconds=60)
    wait_for(lambda: _done(scene), seconds=180, what="all jobs done", pause=1)
    assert scene.events("stuck", "WorkerRestarted") == 1
    assert not scene.dead_letters("stuck")
    assert scene.workers("stuck").keys() == after.keys()


def _apply(scene: Scene) -> None:
    """Two workers of that program, mounted into the reference worker's image."""
    config = {"name": "stuck-worker", "namespace": scene.namespace}
    data = {PROGRAM.name: PROGRAM.read_text()}
    scene.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": data})
    worker: dict[str, Any] = {
        "command": ["python", f"{FOLDER}/{PROGRAM.name}"],
        "maxWorkers": 1,
        "stuckAfterSeconds": 4,
        "volumes": [{"name": "program", "configMap": {"name": "stuck-worker"}}],
        "volumeMounts": [{"name": "program", "mountPath": FOLDER}],
    }
    scene.apply("stuck", worker=worker, scaling={"minReplicas": 2, "maxReplicas": 2})


def _stuck(scene: Scene, workers: dict[str, Any]) -> set[str]:
    """Those that have said so in their log."""
    logs = {
        uid: scene.kubectl.logs(pod["metadata"]["name"], namespace=scene.namespace, container="worker")
        for uid, pod in workers.items()
    }
    return {uid for uid, log in logs.items() if '"event": "stuck"' in log}


def _done(scene: Scene) -> bool:
    """Whether nothing waits or runs; a job that was taken twice would be pending with a higher count."""
    with scene.broker() as client:
        group: Any = client.xinfo_groups("stuck")[0]
        pending: Any = client.xpending_range("stuck", "stuck", "-", "+", 100)
    assert all(entry["times_delivered"] == 1 for entry in pending), pending
    return bool(group["lag"] == 0 and group["pending"] == 0)

"""Workers with something beside them: it is there before them and until their last job, and restarts nobody."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from e2e.scene import Scene, all_at_once, assert_nothing_lost, restarts
from e2e.support import beside
from e2e.support.kubectl import Json
from e2e.support.wait import wait_for

PROGRAM = Path(__file__).parent / "support" / "chaos_worker.py"
FOLDER = "/program"
WORKERS = 2
JOBS = 24


@pytest.fixture
def pool(scene: Scene) -> str:
    """Ready workers, each of whose jobs calls the sidecar as its last act."""
    name = "accompanied"
    config = {"name": name, "namespace": scene.namespace}
    data = {PROGRAM.name: PROGRAM.read_text()}
    scene.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": data})
    environment = {"RECORDS_URL": scene.redis.url, "RECORDS": name, "LAST_CALL": beside.URL}
    worker = {
        "command": ["python", f"{FOLDER}/{PROGRAM.name}"],
        "maxWorkers": 4,
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "volumes": [{"name": "program", "configMap": {"name": name}}],
        "volumeMounts": [{"name": "program", "mountPath": FOLDER}],
        "sidecars": [beside.sidecar(scene.stack.images.worker)],
    }
    scene.apply(name, worker=worker, scaling={"minReplicas": WORKERS, "maxReplicas": WORKERS})
    scene.wait_workers(name, WORKERS, seconds=120)
    return name


def test_a_sidecar_is_there_until_the_last_job_has_ended(scene: Scene, pool: str) -> None:
    """A worker is told to stop in the middle of jobs: these end as they should, then the worker, then the sidecar."""
    [stopped, *_] = scene.workers(pool).values()
    name = stopped["metadata"]["name"]
    with scene.watching_ends(pool) as workers, scene.watching_ends(pool, of="initContainerStatuses") as sidecars:
        with scene.feeding(pool, all_at_once(JOBS), seconds=3.0) as feeding:
            feeding.wait_running(4 * WORKERS)
            scene.kubectl.run("delete", "pod", name, "--wait=false", f"--namespace={scene.namespace}")
            assert_nothing_lost(feeding.report(seconds=120), jobs=JOBS)
        wait_for(lambda: name in workers and name in sidecars, seconds=60, what="the ends of both containers")
    assert workers[name]["exitCode"] == 0, workers[name]
    assert sidecars[name]["exitCode"] == 0, sidecars[name]
    assert _ended(sidecars[name]) >= _ended(workers[name])
    scene.wait_workers(pool, WORKERS)


def test_a_sidecar_that_ends_is_started_again_beside_the_same_worker(scene: Scene, pool: str) -> None:
    """The worker is not touched: it neither ends nor is it replaced."""
    before = scene.workers(pool)
    [struck, *_] = before.values()
    where = (f"--namespace={scene.namespace}", f"--container={beside.NAME}")
    told = "import os, signal; os.kill(1, signal.SIGTERM)"
    scene.kubectl.run("exec", struck["metadata"]["name"], *where, "--", "python", "-c", told)
    wait_for(
        lambda: _sidecar_restarts(scene.workers(pool).get(struck["metadata"]["uid"])) == 1,
        seconds=60,
        what="the sidecar again, in a pod that is Ready",
    )
    after = scene.wait_workers(pool, WORKERS)
    assert after.keys() == before.keys()
    assert restarts(after.values()) == 0
    with scene.feeding(pool, all_at_once(8), seconds=0.5) as feeding:
        assert_nothing_lost(feeding.report(seconds=60), jobs=8)


def _sidecar_restarts(pod: Json | None) -> int:
    return sum(one["restartCount"] for one in pod["status"]["initContainerStatuses"]) if pod else 0


def _ended(terminated: Json) -> datetime:
    return datetime.fromisoformat(terminated["finishedAt"])

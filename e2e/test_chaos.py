"""`wpool chaos` on real pods."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.cli import done, wpool
from e2e.scene import Scene, restarts
from workerpool_operator.cli.chaos.marks import ALLOWED, ALLOWED_LABEL

POOL = "chaos"


def test_wpool_kills_a_busy_worker_and_loses_no_job(scene: Scene, tmp_path: Path) -> None:
    """By exec, from within, with the rights of whoever asks; not before the pool has said yes."""
    scene.apply(POOL, scaling={"minReplicas": 2, "maxReplicas": 2})
    workers = scene.wait_workers(POOL, 2)
    outcome = tmp_path / "chaos.json"
    where = f"--namespace={scene.namespace}"
    words = (
        "chaos",
        "worker-killed",
        POOL,
        where,
        "--yes",
        "--url",
        scene.url,
        "--stream",
        POOL,
        "--json",
        str(outcome),
    )
    refused = wpool(scene, *words)
    assert refused.returncode == 3
    assert "has to be allowed" in refused.stderr
    scene.kubectl.run("label", "workerpool", POOL, f"{ALLOWED_LABEL}={ALLOWED}", where)
    said = done(scene, *words, seconds=200)
    assert "as expected" in said
    (row,) = json.loads(outcome.read_text())
    assert (row["scenario"], row["jobs_lost"]) == ("worker-killed", 0)
    assert restarts(scene.workers(POOL).values()) == restarts(workers.values()) + 1
    killed = [pod for pod in scene.workers(POOL).values() if restarts([pod])]
    last = killed[0]["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 137, "by SIGKILL"

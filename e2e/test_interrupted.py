"""What is told of jobs whose workers somebody deletes: interrupted where the drain has no time for them, else not."""

from __future__ import annotations

import re

import pytest

from e2e.scene import Scene, all_at_once
from e2e.support.wait import wait_for

JOBS = 2
JOB_SECONDS = 12.0


@pytest.mark.parametrize(("drain_seconds", "counted"), [(1, JOBS), (60, 0)], ids=["no-time", "time-enough"])
def test_a_deleted_worker_tells_what_it_had_to_cut_short(scene: Scene, drain_seconds: int, counted: int) -> None:
    """By its last words, to the collector; and each of its jobs is done, by whomever."""
    name = f"deleted-{drain_seconds}"
    scene.apply(
        name,
        scaling={"minReplicas": 1, "maxReplicas": 1},
        worker={"maxWorkers": JOBS, "drainTimeoutSeconds": drain_seconds},
    )
    [worker] = scene.wait_workers(name, 1).values()
    wait_for(lambda: told(scene, name) == 0, seconds=30, what="a count from the beginning")
    with scene.feeding(name, all_at_once(JOBS), seconds=JOB_SECONDS) as feeding:
        feeding.wait_running(JOBS)
        scene.kubectl.delete("pod", worker["metadata"]["name"], namespace=scene.namespace)
        report = feeding.report(seconds=120)
    assert (report.jobs_done, report.jobs_lost, report.jobs_interrupted) == (JOBS, 0, counted), report.to_json()
    wait_for(lambda: told(scene, name) == counted, seconds=30, what=f"{counted} jobs told as interrupted")


def told(scene: Scene, pool: str) -> float | None:
    """The collector's count; None while it has none."""
    [collector, *_] = scene.kubectl.list(
        "pods", namespace=scene.namespace, selector="app.kubernetes.io/component=collector"
    )
    path = f"/api/v1/namespaces/{scene.namespace}/pods/{collector['metadata']['name']}:8000/proxy/metrics"
    found = re.search(
        rf'^workerpool_jobs_interrupted_total{{pool="{pool}"}} (\S+)$', scene.kubectl.raw(path), re.MULTILINE
    )
    return float(found[1]) if found else None

"""A worker on the bare contract, without the SDK: the operator must not need the SDK."""

from typing import Any

import pytest

from e2e.scene import SOON, Scene, all_at_once
from e2e.support import images
from e2e.support.wait import wait_for

pytestmark = pytest.mark.core

BARE = images.Recipe(
    name="workerpool-worker-bare",
    dockerfile="workers/reference/bare/Dockerfile",
    context=".",
    sources=("workers/reference/bare", ".dockerignore"),
    variable="E2E_BARE_WORKER_IMAGE",
)
JOBS = 72
"""Three workers are wanted for as long as a third may need after the first one; that alone does one a second."""


def test_a_worker_without_the_sdk_is_scaled_and_drained(scene: Scene) -> None:
    """From 0 to several and back; one that is told to stop in the middle of a job finishes it first."""
    image = images.ensure(scene.stack.cluster, BARE)
    scene.apply("bare", image=image, scaling={"minReplicas": 0, "maxReplicas": 3})
    with scene.feeding("bare", all_at_once(JOBS), seconds=2.0) as feeding, scene.broker() as client:
        workers = scene.wait_workers("bare", 3)
        feeding.wait_running(6)
        pod = next(iter(workers.values()))["metadata"]["name"]
        scene.kubectl.delete("pod", pod, namespace=scene.namespace, wait=False)
        # A job that was cut off would come back by its lease, delivered a second time.
        deliveries = [1]

        def over() -> bool:
            pending: Any = client.xpending_range("bare", "bare", "-", "+", 100)
            deliveries.extend(entry["times_delivered"] for entry in pending)
            return feeding.over

        wait_for(over, seconds=SOON, what="all jobs done", pause=0.1)
        assert feeding.report(seconds=1).jobs_enqueued == JOBS
    assert max(deliveries) == 1
    assert not scene.dead_letters("bare")
    scene.wait_workers("bare", 0)

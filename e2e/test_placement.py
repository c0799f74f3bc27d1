"""Workers go where a person sends them: on real nodes, with jobs on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.scene import Scene, is_stopping, new_scene
from e2e.support import pools
from e2e.support.stack import Stack
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import steady

HOST = "kubernetes.io/hostname"
POOL = "moved"
WORKERS = 3


@pytest.fixture
def scene(stack: Stack) -> Iterator[Scene]:
    """A namespace whose Redis is on the first node."""
    if len(stack.cluster.nodes) < 2:
        pytest.skip("needs a second node")
    with new_scene(stack, redis_node=stack.cluster.nodes[0]) as found:
        yield found


def host(node: str) -> dict[str, Any]:
    """A place of this node alone."""
    return {"nodeSelector": {HOST: node}}


def wpool(scene: Scene, *words: str) -> None:
    """The command, as a person gives it."""
    command = [sys.executable, "-m", "workerpool_operator.cli", *words, "--namespace", scene.namespace]
    done = subprocess.run(
        command, env=scene.kubectl.environment, capture_output=True, text=True, check=False, timeout=90
    )
    assert done.returncode == 0, done.stderr


def apply(scene: Scene, placement: dict[str, Any]) -> None:
    scene.apply(POOL, scaling={"minReplicas": WORKERS, "maxReplicas": WORKERS}, placement=placement)


def where(scene: Scene) -> list[str]:
    """Nodes of the workers that are ready and stay."""
    return sorted(pod["spec"].get("nodeName", "") for pod in scene.workers(POOL).values() if not is_stopping(pod))


def wait_on(scene: Scene, node: str, *, seconds: float = 120.0) -> None:
    """Wait until all workers are there, and none is elsewhere or waits for a node."""

    def there() -> bool:
        stay = [pod for pod in pools.pods(scene.kubectl, scene.namespace, POOL) if not is_stopping(pod)]
        return len(stay) == WORKERS and where(scene) == [node] * WORKERS

    wait_for(there, seconds=seconds, what=f"all {WORKERS} workers on {node}")


@pytest.mark.timeout(420)
def test_a_person_moves_workers_and_no_job_is_interrupted(scene: Scene) -> None:
    """`wpool migrate` there and back, then `wpool reassign`, while jobs run: one worker more at most, at any moment."""
    first, second = scene.stack.cluster.nodes[:2]
    apply(scene, {"primary": host(second), "secondary": host(first)})
    wait_on(scene, second)
    with scene.watching(POOL) as sizes, scene.feeding(POOL, steady(rate=3.0, jobs=400), seconds=0.5) as feeding:
        feeding.wait_done(5)
        wpool(scene, "migrate", POOL, "--to", "secondary")
        wait_on(scene, first)
        wpool(scene, "migrate", POOL, "--to", "primary")
        wait_on(scene, second)
        scene.patch(POOL, {"placement": {"secondary": None}})
        wpool(scene, "reassign", POOL, "--primary", f"{HOST}={first}")
        wait_on(scene, first)
        report = feeding.report(seconds=240)
    assert (report.jobs_lost, report.jobs_dead, report.jobs_interrupted) == (0, 0, 0), report.to_json()
    assert report.jobs_done == 400
    assert sizes.most_wanted <= WORKERS + 1
    assert scene.condition(POOL, "Placed")[:2] == ("True", "Placed")

"""Workers go where a person, or the want of room, sends them: on real nodes, with jobs on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.cli import done
from e2e.scene import Scene, is_stopping, new_scene
from e2e.support import pools
from e2e.support.stack import Stack
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import steady
from workerpool_operator.domain.desired.template import container_security, pod_security

HOST = "kubernetes.io/hostname"
ROOM = "e2e.workerpool.dev/room"
POOL = "moved"
WORKERS = 3
TIMEOUT = 15


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


def apply(scene: Scene, placement: dict[str, Any], **worker: Any) -> None:
    scene.apply(POOL, scaling={"minReplicas": WORKERS, "maxReplicas": WORKERS}, placement=placement, worker=worker)


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
    at = f"--namespace={scene.namespace}"
    apply(scene, {"primary": host(second), "secondary": host(first)})
    wait_on(scene, second)
    with scene.watching(POOL) as sizes, scene.feeding(POOL, steady(rate=3.0, jobs=400), seconds=0.5) as feeding:
        feeding.wait_done(5)
        done(scene, "migrate", POOL, "--to", "secondary", at, "--yes")
        wait_on(scene, first)
        done(scene, "migrate", POOL, "--to", "primary", at, "--yes")
        wait_on(scene, second)
        scene.patch(POOL, {"placement": {"secondary": None}})
        done(scene, "reassign", POOL, "--primary", f"{HOST}={first}", at, "--yes")
        wait_on(scene, first)
        report = feeding.report(seconds=240)
    assert (report.jobs_lost, report.jobs_dead, report.jobs_interrupted) == (0, 0, 0), report.to_json()
    assert report.jobs_done == 400
    assert sizes.most_wanted <= WORKERS + 1
    assert scene.condition(POOL, "Placed")[:2] == ("True", "Placed")


@pytest.mark.timeout(420)
def test_workers_that_find_no_room_run_elsewhere_until_there_is_some(scene: Scene) -> None:
    """No node has the primary place's label; then one gets it."""
    first, second = scene.stack.cluster.nodes[:2]
    here = {"nodeSelector": {ROOM: "yes"}}
    apply(scene, {"primary": here, "secondary": host(first), "failoverTimeoutSeconds": TIMEOUT})
    wait_for(lambda: where(scene) == [first] * WORKERS, seconds=TIMEOUT + 60, what="workers in the secondary place")
    assert "no room" in scene.wait_condition(POOL, "Placed", status="False", reason="FailedOver")
    told = scene.status(POOL)["placement"]
    assert (told["active"], told["lost"]) == ("secondary", WORKERS)
    try:
        scene.kubectl.run("label", "node", second, f"{ROOM}=yes")
        wait_on(scene, second, seconds=180)
        scene.wait_condition(POOL, "Placed", status="True", reason="Placed")
    finally:
        scene.kubectl.run("label", "node", second, f"{ROOM}-")


@pytest.mark.timeout(420)
def test_workers_that_are_preempted_run_elsewhere(scene: Scene) -> None:
    """Something of a higher priority takes their node's CPU; their jobs come back, and when it goes they do."""
    first, second = scene.stack.cluster.nodes[:2]
    placement = {"primary": host(second), "secondary": host(first), "failoverTimeoutSeconds": TIMEOUT}
    apply(scene, placement, resources={"requests": {"cpu": "100m"}})
    wait_on(scene, second)
    with scene.feeding(POOL, steady(rate=2.0, jobs=60), seconds=2.0) as feeding:
        feeding.wait_running(2)
        with crowded(scene, second):
            wait_for(lambda: where(scene) == [first] * WORKERS, seconds=TIMEOUT + 90, what="workers elsewhere")
            report = feeding.report(seconds=180)
        assert (report.jobs_done, report.jobs_lost, report.jobs_dead) == (60, 0, 0), report.to_json()
    wait_on(scene, second, seconds=180)


@contextmanager
def crowded(scene: Scene, node: str) -> Iterator[None]:
    """While something more important wants all of this node's CPU that is not in other namespaces' pods."""
    metadata = {"name": f"e2e-{scene.namespace}"}
    important = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": metadata, "value": 1_000}
    container = {
        "name": "crowd",
        "image": scene.stack.images.worker,
        "command": ["sleep", "3600"],
        "resources": {"requests": {"cpu": f"{_room(scene, node)}m"}},
        "securityContext": container_security(),
    }
    spec = {
        "priorityClassName": metadata["name"],
        "nodeSelector": {HOST: node},
        "terminationGracePeriodSeconds": 0,
        "securityContext": pod_security(user=10001, group=10001),
        "containers": [container],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "crowd", "namespace": scene.namespace}, "spec": spec}
    scene.kubectl.apply(important, pod)
    try:
        yield
    finally:
        scene.kubectl.delete("pod", "crowd", namespace=scene.namespace)
        scene.kubectl.delete("priorityclass", metadata["name"])


def _room(scene: Scene, node: str) -> int:
    """Thousandths of a CPU that are left there without the pool's workers."""
    found = scene.kubectl.get("node", node)
    assert found is not None
    left = _thousandths(found["status"]["allocatable"]["cpu"])
    mine = {pod["metadata"]["uid"] for pod in pools.pods(scene.kubectl, scene.namespace, POOL)}
    for pod in scene.kubectl.list("pods"):
        over = pod["status"].get("phase") in {"Succeeded", "Failed"}
        if pod["spec"].get("nodeName") == node and pod["metadata"]["uid"] not in mine and not over:
            requests = [one.get("resources", {}).get("requests", {}) for one in pod["spec"]["containers"]]
            left -= sum(_thousandths(one.get("cpu", "0")) for one in requests)
    return left


def _thousandths(text: str) -> int:
    return int(text.removesuffix("m")) if text.endswith("m") else round(1_000 * float(text))

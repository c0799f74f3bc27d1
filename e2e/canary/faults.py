"""What may happen to a cluster in the middle of a rollout. It must change no verdict and lose no job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from e2e.processes import kill_operator
from e2e.scene import Scene
from e2e.support.stack import NAMESPACE, RELEASE, leader
from e2e.support.wait import wait_for

Fault: TypeAlias = Callable[[Scene, str, int], None]
"""Given the scene, the pool, and how many steps its rollout has."""
_STEP_SECONDS = 240.0
_NODE_SECONDS = 120.0
_LEAD_SECONDS = 90.0
"""Until the dead one's Lease has lapsed, and another process has it."""


def operator_dies_in_each_step(scene: Scene, pool: str, steps: int) -> None:
    """Kill -9 of the leader, once in each step that there is.

    Raises:
        AssertionError: the canary was over before each step had been one to die in.
    """
    for number in range(1, steps + 1):
        wait_for(
            lambda number=number: _step(scene, pool) not in range(1, number),  # type: ignore[misc]
            seconds=_STEP_SECONDS,
            what=f"step {number}, or the end",
        )
        assert _step(scene, pool) == number, f"over before step {number}"
        operator_dies(scene)


def operator_dies(scene: Scene) -> None:
    """Kill -9 of the leader; another process leads afterwards."""
    before = _lease(scene)
    kill_operator(scene, leader(scene.kubectl))
    wait_for(lambda: _lease(scene) != before, seconds=_LEAD_SECONDS, what="a leader")


def fresh_operator(scene: Scene) -> None:
    """Another pod of the operator leads: kubelet starts a container that died before again later each time."""
    before = _lease(scene)
    scene.kubectl.run("delete", "pod", leader(scene.kubectl), "--namespace", NAMESPACE)
    wait_for(lambda: _lease(scene) != before, seconds=_LEAD_SECONDS, what="a leader")


def node_is_lost(scene: Scene, pool: str, steps: int) -> None:
    """The second node is stopped as by a power cut, and comes back when Kubernetes has noticed.

    Raises:
        AssertionError: no worker of the pool was on it, so that nothing would be shown.
    """
    del steps
    cluster = scene.stack.cluster
    doomed = cluster.nodes[1]
    assert any(pod["spec"].get("nodeName") == doomed for pod in scene.workers(pool).values()), "nothing is lost"
    cluster.stop_node(doomed)
    try:
        wait_for(lambda: not _is_ready(scene, doomed), seconds=_NODE_SECONDS, what="the node missed")
    finally:
        cluster.start_node(doomed)
    wait_for(lambda: _is_ready(scene, doomed), seconds=_NODE_SECONDS, what="the node back")


def _step(scene: Scene, pool: str) -> int:
    """From 1; 0 when the canary is over."""
    rollout: dict[str, Any] = scene.status(pool).get("rollout") or {}
    return int(rollout.get("step", 0)) if rollout.get("canary") else 0


def _lease(scene: Scene) -> tuple[object, ...]:
    """Who leads, and since when."""
    found = scene.kubectl.get("lease", RELEASE, namespace=NAMESPACE) or {}
    spec = found.get("spec", {})
    return tuple(spec.get(name) for name in ("holderIdentity", "acquireTime", "leaseTransitions"))


def _is_ready(scene: Scene, node: str) -> bool:
    found = scene.kubectl.get("node", node) or {}
    conditions = found.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

"""A pool's life: applied, woken by jobs, asleep again, deleted."""

import pytest

from e2e.scene import SOON, Scene, all_at_once, assert_nothing_lost
from e2e.support.stack import NAMESPACE, RELEASE
from e2e.support.wait import wait_for

pytestmark = pytest.mark.core

_EVERYTHING = (
    "workerpools,deployments,replicasets,pods,controllerrevisions,poddisruptionbudgets,services,serviceaccounts,"
    "configmaps,rolebindings,networkpolicies,horizontalpodautoscalers"
)
_OURS = "app.kubernetes.io/managed-by=workerpool-operator"


def test_an_applied_pool_gets_ready(scene: Scene) -> None:
    """`kubectl apply`, then `kubectl wait --for=condition=Ready`, as a user types it."""
    scene.apply("applied", scaling={"minReplicas": 1})
    where = f"--namespace={scene.namespace}"
    scene.kubectl.run("wait", "--for=condition=Ready", "--timeout=150s", "workerpool/applied", where, seconds=160)
    assert len(scene.workers("applied")) == 1
    assert scene.status("applied")["readyReplicas"] == 1


def test_jobs_wake_a_sleeping_pool_and_it_sleeps_again_after_them(scene: Scene) -> None:
    """0 -> N on load, N -> 0 after it, and all that time no job is lost."""
    scene.apply("sleeper", scaling={"minReplicas": 0, "maxReplicas": 4})
    scene.wait_condition("sleeper", "Ready", status="True", reason="ScaledToZero")
    with scene.feeding("sleeper", all_at_once(60), seconds=2.0) as feeding:
        wait_for(lambda: len(scene.workers("sleeper")) > 1, seconds=SOON, what="more than one worker for 60 jobs")
        assert_nothing_lost(feeding.report(seconds=120), jobs=60)
    scene.wait_workers("sleeper", 0)
    scene.wait_condition("sleeper", "Ready", status="True", reason="ScaledToZero")


def test_a_deleted_pool_leaves_nothing(own_scene: Scene) -> None:
    """With the last pool of a namespace go its workers and the collector with all that belongs to it."""
    own_scene.apply("gone", scaling={"mode": "hpa", "minReplicas": 2})
    own_scene.wait_workers("gone", 2)
    own_scene.kubectl.delete("workerpool", "gone", namespace=own_scene.namespace)
    _wait_nothing_left(own_scene)


def test_a_pool_deleted_while_the_operator_is_down_leaves_nothing(own_scene: Scene) -> None:
    """No finalizer holds the pool back, and owner references take all the rest along."""
    own_scene.apply("orphan", scaling={"minReplicas": 1})
    own_scene.wait_workers("orphan", 1)
    deployment, where = f"deployment/{RELEASE}", f"--namespace={NAMESPACE}"
    own_scene.kubectl.run("scale", deployment, "--replicas=0", where)
    try:
        wait_for(lambda: not _operators(own_scene), seconds=SOON, what="the operator gone")
        own_scene.kubectl.delete("workerpool", "orphan", namespace=own_scene.namespace, seconds=30)
        _wait_nothing_left(own_scene)
    finally:
        own_scene.kubectl.run("scale", deployment, "--replicas=1", where)
        own_scene.kubectl.rollout(deployment, namespace=NAMESPACE)


def _operators(scene: Scene) -> list[str]:
    pods = scene.kubectl.list("pods", namespace=NAMESPACE, selector=f"app.kubernetes.io/name={RELEASE}")
    return [pod["metadata"]["name"] for pod in pods]


def _wait_nothing_left(scene: Scene) -> None:
    def left() -> list[str]:
        # What Deployments make carries the same labels, so this finds ReplicaSets and pods as well.
        found = scene.kubectl.list(_EVERYTHING, namespace=scene.namespace, selector=_OURS)
        return [f"{one['kind']} {one['metadata']['name']}" for one in found]

    wait_for(lambda: not left(), seconds=SOON, what="nothing of the operator's left in the namespace")
    assert not scene.kubectl.list("workerpools", namespace=scene.namespace)

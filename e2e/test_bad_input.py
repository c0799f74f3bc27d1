"""What is wrong with one pool is told by that pool, once, and hurts no other.

Most cases stand side by side in one namespace, beside a healthy pool, because that is the point: each must show its own
reason while the neighbour goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from e2e.scene import SOON, Scene, all_at_once, assert_nothing_lost, new_scene
from e2e.support import redis
from e2e.support.kubectl import Json, KubectlError
from e2e.support.stack import Stack
from e2e.support.wait import wait_for

UNKNOWN_SECONDS = 15
"""Longer than cooldown and stabilisation of the pool together: how long nothing is known is what is tested."""
_USER, _PASSWORD = "worker", "right"
_ABSENT_IMAGE = "127.0.0.1:1/absent:1"
"""Nothing listens there, so the pull fails at once, on a machine without a network as well."""
_OF_QUEUES = {
    "Unreachable", "AuthenticationFailed", "CredentialsMissing", "SamplesStale", "SamplesFresh", "CollectorDown"
}  # fmt: skip
_OF_WORKERS = {"QuotaExceeded", "WorkersStarting", "NoWorkers", "AllReady"}


@pytest.fixture(scope="module")
def broken(stack: Stack) -> Iterator[Scene]:
    """A namespace with a healthy pool and, beside it, one pool for each thing that can be wrong."""
    with new_scene(stack) as scene:
        scene.redis.cli("ACL", "SETUSER", _USER, "on", f">{_PASSWORD}", "~*", "&*", "+@all")
        scene.kubectl.apply(_secret(scene, "right", _PASSWORD), _secret(scene, "wrong", "guessed"))
        one = {"minReplicas": 1, "maxReplicas": 2}
        scene.apply("healthy", scaling=one, credentials=_credentials("right"))
        scene.apply("unreachable", scaling=one, redis="redis://nowhere:6379/0")
        scene.apply("wrong-password", scaling=one, credentials=_credentials("wrong"))
        scene.apply("missing-secret", scaling=one, credentials=_credentials("absent"))
        scene.apply("missing-image", scaling=one, image=_ABSENT_IMAGE)
        yield scene


@pytest.mark.core
@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        ("unreachable", "Unreachable"),
        ("wrong-password", "AuthenticationFailed"),
        ("missing-secret", "CredentialsMissing"),
    ],
)
def test_a_queue_that_cannot_be_read_is_told_by_its_pool(broken: Scene, pool: str, reason: str) -> None:
    """A condition with a reason of its own, one event, and the size that spec asks for."""
    message = broken.wait_condition(pool, "QueueReachable", status="False", reason=reason)
    assert "main" in message
    wait_for(lambda: broken.events(pool, reason), seconds=30, what=f"an event {reason}")
    assert_told_once(broken, pool, reason, among=_OF_QUEUES)
    assert broken.condition(pool, "ScalingActive")[0] != "True"
    assert broken.status(pool)["scaling"]["desired"] == 1


@pytest.mark.core
def test_a_missing_image_is_told_by_its_pool(broken: Scene) -> None:
    """Ready says ImagePullFailed and names the image, in one event."""
    message = broken.wait_condition("missing-image", "Ready", status="False", reason="ImagePullFailed")
    assert _ABSENT_IMAGE in message
    wait_for(lambda: broken.events("missing-image", "ImagePullFailed"), seconds=30, what="an event ImagePullFailed")
    assert broken.events("missing-image", "ImagePullFailed") == 1


@pytest.mark.core
def test_a_healthy_neighbour_goes_on(broken: Scene) -> None:
    """Beside all of them, a pool with the right password does its jobs and grows."""
    broken.wait_workers("healthy", 1)
    # One worker alone takes longer for them than a second one needs to come.
    with broken.feeding("healthy", all_at_once(40), seconds=4.0) as feeding:
        broken.wait_workers("healthy", 2)
        assert_nothing_lost(feeding.report(seconds=SOON), jobs=40)
    broken.wait_condition("healthy", "QueueReachable", status="True", reason="SamplesFresh")


def test_a_pool_recovers_when_the_missing_secret_comes(broken: Scene) -> None:
    """No restart and no change of the pool is needed: the collector reads the files again."""
    broken.wait_condition("missing-secret", "QueueReachable", status="False", reason="CredentialsMissing")
    broken.kubectl.apply(_secret(broken, "absent", _PASSWORD))
    broken.wait_condition("missing-secret", "QueueReachable", status="True", reason="SamplesFresh", seconds=150)


@pytest.mark.core
def test_a_broker_that_goes_away_holds_the_size(own_scene: Scene) -> None:
    """Unknown is not empty: a pool that would sleep without jobs keeps all workers while nobody can tell of jobs."""
    scene = own_scene
    for _ in range(60):  # three workers are wanted until the broker is gone, however long that takes
        scene.put("cut-off", "sleep", {"seconds": 10})
    scene.apply("cut-off", scaling={"minReplicas": 0, "maxReplicas": 3})
    before = scene.wait_workers("cut-off", 3)
    deployment, where = f"deployment/{redis.NAME}", f"--namespace={scene.namespace}"
    scene.kubectl.run("scale", deployment, "--replicas=0", where)
    scene.wait_condition("cut-off", "QueueReachable", status="False", reason="Unreachable")
    time.sleep(UNKNOWN_SECONDS)
    assert scene.status("cut-off")["scaling"]["desired"] == 3
    assert scene.wait_workers("cut-off", 3).keys() == before.keys()
    assert_told_once(scene, "cut-off", "Unreachable", among=_OF_QUEUES)
    # It stored nothing, so it comes back without jobs, and now the pool knows that.
    scene.kubectl.run("scale", deployment, "--replicas=1", where)
    scene.wait_workers("cut-off", 0)


@pytest.mark.core
def test_a_full_quota_is_told_by_the_pool(own_scene: Scene) -> None:
    """Ready says QuotaExceeded; the workers that fit stay; with more quota the rest comes."""
    scene = own_scene
    scene.apply("crowded", scaling={"minReplicas": 1})
    scene.wait_workers("crowded", 1)
    scene.wait_condition("crowded", "QueueReachable", status="True", reason="SamplesFresh")  # all pods are there
    pods = len(scene.kubectl.list("pods", namespace=scene.namespace))
    _fill(scene, pods)
    scene.kubectl.apply(_quota(scene, pods + 1))
    scene.apply("crowded", scaling={"minReplicas": 4})
    message = scene.wait_condition("crowded", "Ready", status="False", reason="QuotaExceeded")
    assert "quota" in message
    wait_for(lambda: scene.events("crowded", "QuotaExceeded"), seconds=30, what="an event QuotaExceeded")
    assert_told_once(scene, "crowded", "QuotaExceeded", among=_OF_WORKERS)
    scene.wait_workers("crowded", 2)


@pytest.mark.core
def test_without_a_collector_the_size_is_held(own_scene: Scene) -> None:
    """QueueReachable says CollectorDown, once; the workers stay; a new collector ends it."""
    scene = own_scene
    scene.apply("deaf", scaling={"minReplicas": 2, "maxReplicas": 3})
    before = scene.wait_workers("deaf", 2)
    scene.wait_condition("deaf", "QueueReachable", status="True", reason="SamplesFresh")
    # With the quota full no new collector can be made in the place of the one that is deleted.
    _fill(scene, 1)
    scene.kubectl.run("delete", "pods", f"--selector={_COLLECTOR}", f"--namespace={scene.namespace}")
    scene.wait_condition("deaf", "QueueReachable", status="Unknown", reason="CollectorDown")
    wait_for(lambda: scene.events("deaf", "CollectorDown"), seconds=30, what="an event CollectorDown")
    assert scene.events("deaf", "CollectorDown") == 1
    assert scene.wait_workers("deaf", 2).keys() == before.keys()
    assert scene.status("deaf")["scaling"]["desired"] == 2
    scene.kubectl.delete("resourcequota", _QUOTA, namespace=scene.namespace)
    # Its ReplicaSet would try again by itself, but waits longer and longer in between.
    scene.kubectl.delete("replicasets", f"--selector={_COLLECTOR}", namespace=scene.namespace)
    scene.wait_condition("deaf", "QueueReachable", status="True", reason="SamplesFresh")
    assert scene.wait_workers("deaf", 2).keys() == before.keys()


def assert_told_once(scene: Scene, pool: str, reason: str, *, among: set[str]) -> None:
    """Once for each time that it began: if it had an end in between, that was told, too.

    A broker that stands still for a few seconds is another reason, and an end of the first.
    """
    told = scene.told(pool)
    assert 1 <= told[reason] <= 1 + sum(told[other] for other in among - {reason}), told


_COLLECTOR = "app.kubernetes.io/component=collector"
_QUOTA = "few-pods"


def _quota(scene: Scene, pods: int) -> Json:
    metadata = {"name": _QUOTA, "namespace": scene.namespace}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": str(pods)}}}


def _fill(scene: Scene, pods: int) -> None:
    """Let so many pods be there and no more; return when the API server has heard of that, by a watch of its own."""
    scene.kubectl.apply(_quota(scene, pods))
    made = redis.manifests(scene.namespace, image=scene.stack.images.redis)
    spec = next(one for one in made if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    metadata = {"name": "one-more", "namespace": scene.namespace}
    pod = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def is_full() -> bool:
        try:
            scene.kubectl.run("create", "--dry-run=server", "--filename=-", stdin=pod)
        except KubectlError as error:
            return "exceeded quota" in str(error)
        return False

    wait_for(is_full, seconds=SOON, what="no room for one more pod")


def _secret(scene: Scene, name: str, password: str) -> Json:
    metadata = {"name": name, "namespace": scene.namespace}
    data = {"username": _USER, "password": password}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}


def _credentials(secret: str) -> Json:
    return {key: {"secretKeyRef": {"name": secret, "key": key}} for key in ("username", "password")}

"""The real KEDA carries out what the operator decides: woken, grown, shrunk and put to sleep with jobs at work."""

from collections.abc import Iterator

import pytest

from e2e.keda import install as keda
from e2e.scene import Scene, all_at_once, assert_nothing_lost, new_scene
from e2e.support.kubectl import Json, condition
from e2e.support.stack import TEST_VALUES, Stack, install
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import moments

pytestmark = pytest.mark.timeout(1800)  # KEDA is built in 10 minutes, once

SEEN = 60.0
"""Seconds for a number to get from the operator to a size: KEDA's HPA looks every 15 s."""
AWAITED = 100.0
"""Seconds for the operator to find KEDA, or for KEDA to say of itself what it looks at twice a minute."""
_SCALING: Json = {"mode": "keda", "maxReplicas": 5, "cooldownSeconds": 5, "scaleDown": {"stabilizationSeconds": 0}}


@pytest.fixture(scope="module")
def scene(stack: Stack) -> Iterator[Scene]:
    """A namespace, where nothing of ours has the place of the external metrics API."""
    keda.prepare(stack)
    install(stack.kubectl, image=stack.images.operator, values=("replicas=1", "externalMetrics.enabled=false"))
    try:
        with new_scene(stack) as found:
            yield found
    finally:
        install(stack.kubectl, image=stack.images.operator, values=TEST_VALUES)


@pytest.fixture(scope="module")
def keda_scene(scene: Scene) -> Iterator[Scene]:
    """The same with KEDA, and with a pool that was there before it."""
    scene.apply("early", scaling={**_SCALING, "minReplicas": 1})
    scene.wait_condition("early", "ScalingActive", status="False", reason="KedaNotInstalled")
    assert scene.wait_workers("early", 1)
    assert scene.events("early", "KedaNotInstalled") == 1
    with keda.installed(scene.stack):
        yield scene
        scene.kubectl.delete("workerpool", *scene.made, namespace=scene.namespace)


def test_a_pool_that_was_there_before_keda_is_scaled_by_it(keda_scene: Scene) -> None:
    """Nobody had to tell it."""
    scene = keda_scene
    scene.wait_condition("early", "ScalingActive", status="True", reason="Active", seconds=AWAITED)
    wait_for(lambda: able(scene, "early"), seconds=AWAITED, what="KEDA's HPA at work", pause=1)
    assert scaled_object(scene, "early")["spec"]["scaleTargetRef"]["kind"] == "WorkerPool"


def test_from_zero_to_many_to_few_to_zero(keda_scene: Scene) -> None:
    """The operator wakes the pool, KEDA's HPA grows and shrinks it, and idle workers go while others are at work."""
    scene = keda_scene
    scene.apply("trip", scaling=_SCALING)
    scene.wait_condition("trip", "Ready", status="True", reason="ScaledToZero")
    with (
        scene.watching("trip") as sizes,
        scene.feeding("trip", moments((0, 8), (35, 17)), seconds=45.0) as feeding,
    ):
        scene.wait_workers("trip", 2)
        scene.wait_workers("trip", 5, seconds=35 + SEEN)
        assert hpa(scene, "trip")["status"]["desiredReplicas"] == 5
        assert scene.events("keda-hpa-trip", "SuccessfulRescale") >= 1
        report = feeding.report(seconds=300)
        scene.wait_workers("trip", 0, seconds=120)
    assert_nothing_lost(report, jobs=25)
    seen = sizes.history
    assert any(0 < size < 5 for size in seen[seen.index(5) :]), f"never fewer but some: {seen}"
    assert scene.events("trip", "KEDAScaleTargetActivated") == 0, "0 is the operator's alone"
    assert scene.events("trip", "KEDAScaleTargetDeactivated") == 0


def test_what_is_not_known_is_no_number(keda_scene: Scene) -> None:
    """The broker stops answering: KEDA says that it has nothing to go by, and its HPA keeps the size."""
    scene = keda_scene
    scene.apply("stale", scaling={**_SCALING, "minReplicas": 1, "maxReplicas": 4})
    with scene.feeding("stale", all_at_once(100), seconds=100.0):
        workers = scene.wait_workers("stale", 4, seconds=60 + SEEN).keys()
        wait_for(lambda: able(scene, "stale"), seconds=AWAITED, what="KEDA's HPA at work", pause=1)
        scene.redis.cli("CLIENT", "PAUSE", "90000", "ALL")
        wait_for(lambda: answer(scene, "stale") == "unknown", seconds=60, what="no number", pause=1)
        wait_for(lambda: not able(scene, "stale"), seconds=60, what="an HPA that says so", pause=1)
        scene.wait_condition("stale", "ScalingActive", status="False", reason="SamplesStale")
        assert scene.workers("stale").keys() == workers
        scene.wait_condition("stale", "ScalingActive", status="True", reason="Active", seconds=240)
        wait_for(lambda: able(scene, "stale"), seconds=AWAITED, what="the HPA at work again", pause=1)
        assert scene.workers("stale").keys() == workers
        scene.patch("stale", {"scaling": {"mode": "direct"}})
        wait_for(lambda: nothing_of_keda(scene, "stale"), seconds=60, what="KEDA's objects gone", pause=1)
        assert scene.workers("stale").keys() == workers


def scaled_object(scene: Scene, pool: str) -> Json:
    """The pool's ScaledObject; empty where there is none."""
    return scene.kubectl.get("scaledobject", pool, namespace=scene.namespace) or {}


def hpa(scene: Scene, pool: str) -> Json:
    """The HPA that KEDA has made for the pool; empty where there is none."""
    return scene.kubectl.get("hpa", f"keda-hpa-{pool}", namespace=scene.namespace) or {}


def able(scene: Scene, pool: str) -> bool:
    """Whether KEDA's HPA says that it can do its work."""
    return condition(hpa(scene, pool), "ScalingActive") == "True"


def answer(scene: Scene, pool: str) -> str:
    """What KEDA is told; empty where nothing is."""
    found = scene.kubectl.get("configmap", f"{pool}-size", namespace=scene.namespace) or {}
    return str(found.get("data", {}).get("desiredReplicas", ""))


def nothing_of_keda(scene: Scene, pool: str) -> bool:
    """Whether none of its objects is left."""
    return not (scaled_object(scene, pool) or hpa(scene, pool) or answer(scene, pool))

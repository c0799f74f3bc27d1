"""The HPA of a pool gets its number out of Prometheus, by the real prometheus-adapter with the rule that users copy."""

import json
from collections.abc import Iterator, KeysView
from contextlib import contextmanager

import pytest

from e2e.monitoring import adapter, stage
from e2e.monitoring.adapter import Adapter
from e2e.monitoring.prometheus import Prometheus
from e2e.scene import Scene, all_at_once, assert_nothing_lost, new_scene
from e2e.support import images
from e2e.support.kubectl import Json, condition
from e2e.support.stack import Stack
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import moments

pytestmark = pytest.mark.timeout(1200)  # the adapter is built in 5 minutes, once

METRIC = "workerpool_desired_replicas"
SEEN = 60.0
"""Seconds for a number to get from the operator to the HPA: it is scraped, asked for, and acted upon."""
LONG = 100.0
"""Seconds that a job takes at most."""


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> Iterator[Prometheus]:
    with stage.watched(stack) as found:
        found.sync()
        yield found


@pytest.fixture(scope="module")
def hpa_scene(prometheus: Prometheus, stack: Stack) -> Iterator[Scene]:
    """A namespace where the external metrics API is served by prometheus-adapter."""
    image = images.ensure(stack.cluster, adapter.IMAGE)
    with (
        Adapter(kubectl=stack.kubectl, namespace=stage.NAMESPACE).serving(prometheus, image=image),
        new_scene(stack) as found,
    ):
        yield found


def test_an_hpa_drives_a_pool_by_what_prometheus_says(hpa_scene: Scene) -> None:
    """From zero to three by the operator, to six by the HPA, back to zero by the operator; all jobs are done."""
    scene = hpa_scene
    scene.apply("driven", scaling={"mode": "hpa", "minReplicas": 0, "maxReplicas": 6})
    # The twelve keep three workers busy for 50 s, so the sixty do not find the pool at zero again.
    with scene.feeding("driven", moments((0, 12), (35, 60)), seconds=25.0) as feeding:
        scene.wait_workers("driven", 3)
        scene.wait_workers("driven", 6, seconds=35 + SEEN)
        assert hpa(scene, "driven")["status"]["desiredReplicas"] == 6
        assert "SuccessfulRescale" in {one["reason"] for one in events(scene, "HorizontalPodAutoscaler", "driven")}
        assert served(scene, "driven") == ["6"]
        report = feeding.report(seconds=240)
    assert_nothing_lost(report, jobs=72)
    scene.wait_workers("driven", 0, seconds=120)


def test_a_number_that_is_not_known_any_more_is_not_served(hpa_scene: Scene) -> None:
    """The broker stops answering: the operator exports no number, the HPA gets none, and the size stays."""
    scene = hpa_scene
    with held(scene, "stale") as workers:
        scene.redis.cli("CLIENT", "PAUSE", "150000", "ALL")
        wait_for(lambda: served(scene, "stale") == [], seconds=100, what="no number", pause=1)
        wait_for(lambda: not able(scene, "stale"), seconds=40, what="an HPA that says so")
        scene.wait_condition("stale", "ScalingActive", status="False", reason="SamplesStale")
        assert scene.workers("stale").keys() == workers
        scene.wait_condition("stale", "ScalingActive", status="True", reason="Active", seconds=240)
        wait_for(lambda: able(scene, "stale"), seconds=SEEN, what="the HPA at work again", pause=1)
        assert scene.workers("stale").keys() == workers


def test_without_prometheus_the_size_stays(hpa_scene: Scene, prometheus: Prometheus) -> None:
    """Prometheus is away: the pool says that its HPA has nothing to go by, and loses nobody."""
    scene = hpa_scene
    with held(scene, "blind") as workers:
        with prometheus.away():
            message = scene.wait_condition(
                "blind", "ScalingActive", status="False", reason="MetricsUnavailable", seconds=120
            )
            assert METRIC in message
            assert scene.workers("blind").keys() == workers
        scene.wait_condition("blind", "ScalingActive", status="True", reason="Active", seconds=150)
        assert scene.workers("blind").keys() == workers


@contextmanager
def held(scene: Scene, name: str) -> Iterator[KeysView[str]]:
    """A pool that the HPA holds at four workers, with work for the better part of an hour; their uids."""
    scene.apply(name, scaling={"mode": "hpa", "minReplicas": 1, "maxReplicas": 4})
    with scene.feeding(name, all_at_once(200), seconds=LONG):
        workers = scene.wait_workers(name, 4, seconds=60 + SEEN)
        wait_for(lambda: able(scene, name), seconds=SEEN, what="an HPA at work", pause=1)
        scene.wait_condition(name, "ScalingActive", status="True", reason="Active")
        yield workers.keys()


def hpa(scene: Scene, pool: str) -> Json:
    """The pool's HPA."""
    found = scene.kubectl.get("hpa", pool, namespace=scene.namespace)
    assert found
    return found


def able(scene: Scene, pool: str) -> bool:
    """Whether the HPA says that it can do its work."""
    return condition(hpa(scene, pool), "ScalingActive") == "True"


def served(scene: Scene, pool: str) -> list[str]:
    """The values that the external metrics API gives for the pool, as an HPA asks for them."""
    path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{scene.namespace}/{METRIC}?labelSelector=pool%3D{pool}"
    return [one["value"] for one in json.loads(scene.kubectl.raw(path))["items"]]


def events(scene: Scene, kind: str, name: str) -> list[Json]:
    """What was told about an object."""
    found = scene.kubectl.list("events.events.k8s.io", namespace=scene.namespace)
    return [one for one in found if (one["regarding"]["kind"], one["regarding"]["name"]) == (kind, name)]

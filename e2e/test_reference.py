"""The reference workers do what their page says, on their own samples and under their own load profiles.

Each pool sleeps until jobs come, is made smaller in their midst, and has a worker killed at work. Nothing may be lost,
and what each worker claims to do once must be there once.
"""

from __future__ import annotations

import pytest

from e2e.reference import JOBS, Samples
from e2e.scene import Scene
from e2e.support.wait import wait_for


@pytest.fixture
def samples(own_scene: Scene) -> Samples:
    """The samples in a namespace of their own, with the server that they talk to."""
    samples = Samples(own_scene)
    samples.apply_store()
    return samples


def test_thumbnails_are_made_once_each(samples: Samples) -> None:
    """`cpu`: a process is killed and its picture is drawn again, but never stored twice."""
    scene = samples.scene
    samples.apply("cpu", spec={"scaling": {"minReplicas": 0, "maxReplicas": 3}})
    scene.wait_condition("thumbnails", "Ready", status="True", reason="ScaledToZero")
    with samples.loading("cpu") as load:
        samples.kill_at_work("thumbnails")
        scene.wait_workers("thumbnails", 3)
        shrink(samples, "thumbnails", to=2)
        assert not load.over
        load.wait_done(seconds=150)
    assert len(samples.keys("thumbnails")) == JOBS
    assert samples.counts["PUT 201"] == JOBS
    assert not scene.dead_letters("thumbnails")
    fall_asleep(samples, "thumbnails")


def test_two_stages_have_sizes_of_their_own(samples: Samples) -> None:
    """`hybrid`: each picture is downloaded and drawn, with few workers that wait and more that compute."""
    scene = samples.scene
    for sample in ("cpu", "hybrid"):
        samples.apply(sample, spec={"scaling": {"minReplicas": 0, "maxReplicas": 6}})
    for pool in ("downloads", "thumbnails"):
        scene.wait_condition(pool, "Ready", status="True", reason="ScaledToZero")
    with scene.watching("downloads") as first, scene.watching("thumbnails") as second:
        with samples.loading("hybrid") as load:
            samples.kill_at_work("downloads")
            samples.kill_at_work("thumbnails")
            wait_for(lambda: second.most_wanted == 6, seconds=60, what="6 workers wanted for the second stage")
            shrink(samples, "thumbnails", to=3)
            load.wait_done(seconds=120)
        wait_for(lambda: samples.idle("thumbnails"), seconds=120, what="all thumbnails made", pause=1)
    assert len(samples.keys("originals")) == len(samples.keys("thumbnails")) == JOBS
    assert samples.counts["PUT 201"] == 2 * JOBS
    assert not scene.dead_letters("downloads")
    assert not scene.dead_letters("thumbnails")
    assert first.most_wanted < second.most_wanted, (first.history, second.history)
    for pool in ("downloads", "thumbnails"):
        fall_asleep(samples, pool)


def test_a_call_that_is_repeated_is_acted_on_once(samples: Samples) -> None:
    """`threads`: a call may be made again when its worker was killed; by its key the receiver knows it."""
    scene = samples.scene
    scaling = {"minReplicas": 0, "maxReplicas": 4, "targets": {"queueDepthPerReplica": 10}}
    samples.apply("threads", spec={"scaling": scaling, "worker": {"maxWorkers": 4}})
    scene.wait_condition("deliveries", "Ready", status="True", reason="ScaledToZero")
    with samples.loading("threads") as load:
        samples.kill_at_work("deliveries")
        scene.wait_workers("deliveries", 4)
        shrink(samples, "deliveries", to=2)
        assert not load.over
        load.wait_done(seconds=150)
    assert len(samples.keys("inbox")) == len(samples.keys("receipts")) == JOBS
    assert samples.counts["POST 201"] == JOBS
    assert not scene.dead_letters("deliveries")
    fall_asleep(samples, "deliveries")


def shrink(samples: Samples, pool: str, *, to: int) -> None:
    """Make the pool so small, whatever waits in its queue, and wait until it is."""
    samples.scene.patch(pool, {"scaling": {"minReplicas": to, "maxReplicas": to}})
    samples.scene.wait_workers(pool, to)


def fall_asleep(samples: Samples, pool: str) -> None:
    """Allow the pool to sleep again, and wait until it does."""
    samples.scene.patch(pool, {"scaling": {"minReplicas": 0}})
    samples.scene.wait_workers(pool, 0)

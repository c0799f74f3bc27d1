"""Mode manual: a person sets the size."""

import pytest

from e2e.scene import Scene, all_at_once, assert_nothing_lost

pytestmark = pytest.mark.core


def test_kubectl_scale_sets_the_size_and_interrupts_no_job(scene: Scene) -> None:
    """Up and down by `kubectl scale`, with jobs running; the queue has no say."""
    scene.apply("by-hand", scaling={"mode": "manual"})
    scene.wait_workers("by-hand", 1)
    with scene.feeding("by-hand", all_at_once(40), seconds=1.0) as feeding:
        for size in (4, 2, 3):
            scene.kubectl.run("scale", "workerpool", "by-hand", f"--replicas={size}", f"--namespace={scene.namespace}")
            scene.wait_workers("by-hand", size)
        assert_nothing_lost(feeding.report(seconds=120), jobs=40)
    scene.wait_workers("by-hand", 3)
    assert scene.condition("by-hand", "ScalingActive")[1] == "Manual"
    assert scene.status("by-hand")["scaling"]["desired"] == 3

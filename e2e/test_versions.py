"""A new version takes over while jobs run."""

import pytest

from e2e.scene import SOON, Scene, all_at_once, assert_nothing_lost, templates
from e2e.support.wait import wait_for

pytestmark = pytest.mark.core


def test_a_new_version_takes_over_idle_workers_first_and_interrupts_no_job(scene: Scene) -> None:
    """Each old worker goes only when it has nothing in flight, and one new one more than wanted is there at most."""
    rollout = {"strategy": "Rolling"}
    scene.apply("rolling", scaling={"minReplicas": 3, "maxReplicas": 3}, rollout=rollout)
    before = scene.wait_workers("rolling", 3)
    (old,) = templates(scene, "rolling")
    with scene.watching("rolling") as watched, scene.feeding("rolling", all_at_once(60), seconds=1.0) as feeding:
        feeding.wait_running(4)
        scene.apply(
            "rolling",
            scaling={"minReplicas": 3, "maxReplicas": 3},
            worker={"env": [{"name": "COLOUR", "value": "blue"}]},
            rollout=rollout,
        )
        assert_nothing_lost(feeding.report(seconds=150), jobs=60)
        scene.wait_condition("rolling", "Progressing", status="False", reason="Steady", seconds=300)
    after = scene.wait_workers("rolling", 3)
    assert not before.keys() & after.keys()
    # A Deployment that its controller has just written to is deleted at the next look.
    wait_for(lambda: len(templates(scene, "rolling")) == 1, seconds=SOON, what="the old version gone")
    (new,) = templates(scene, "rolling")
    assert new != old
    assert watched.most_wanted <= 4, "more than one worker above the size"

    def roles() -> list[str]:
        return [one["role"] for one in scene.status("rolling")["versions"]]

    wait_for(lambda: roles() == ["stable"], seconds=SOON, what="one version in the status")
    assert not scene.events("rolling", "VictimMismatch")

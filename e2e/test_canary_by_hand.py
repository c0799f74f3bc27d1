"""People decide about versions while jobs run: newer ones in the middle, the ways back, and what a pipeline is told."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.cli import wpool
from e2e.scene import Scene, assert_nothing_lost
from e2e.support import pools
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import steady

POOL = "by-hand"
SIZE = 4
LATE, REJECTED, REFUSED = 5, 4, 6
SOON = 90.0


@pytest.mark.timeout(900)
def test_versions_come_and_go_by_peoples_word_and_no_job_is_lost(scene: Scene) -> None:
    """V3 in the middle of V2, promote, abort, retry, back to V1 in the middle, promote --full, undo: each as told."""
    blue = _ask_for(scene, "blue")
    scene.wait_workers(POOL, SIZE, seconds=SOON)
    with scene.feeding(POOL, steady(rate=4.0, jobs=720), seconds=1.0) as feeding:
        feeding.wait_running(2)
        green = _ask_for(scene, "green")
        _wait_versions(scene, {blue: SIZE - 1, green: 1})
        _tell(scene, "status", "--timeout", "1", code=LATE)

        red = _ask_for(scene, "red")
        _wait_versions(scene, {blue: SIZE - 1, red: 1})
        assert _rollout(scene)["rejected"] == []
        _tell(scene, "promote")
        _wait_versions(scene, {blue: 2, red: 2})
        _tell(scene, "abort", "--yes")
        _tell(scene, "status", "--timeout", "30", code=REJECTED)
        _wait_versions(scene, {blue: SIZE})
        assert _rollout(scene)["rejected"] == [red]
        _tell(scene, "abort", "--yes", code=REFUSED)

        _tell(scene, "retry")
        _wait_versions(scene, {blue: SIZE - 1, red: 1})
        assert _ask_for(scene, "blue") == blue
        _wait_versions(scene, {blue: SIZE})
        assert _rollout(scene)["rejected"] == []

        assert _ask_for(scene, "red") == red
        _wait_versions(scene, {blue: SIZE - 1, red: 1})
        _tell(scene, "promote", "--full", "--yes")
        _tell(scene, "status", "--timeout", "30")
        _wait_versions(scene, {red: SIZE})
        _tell(scene, "undo", "--yes")
        _wait_versions(scene, {blue: SIZE})
        assert (_rollout(scene)["stable"], _rollout(scene)["rejected"]) == (blue, [red])
        assert {blue, red} <= set(_tell(scene, "history").split())
        assert_nothing_lost(feeding.report(seconds=300), jobs=720)
    assert not scene.events(POOL, "VictimMismatch")


def _ask_for(scene: Scene, colour: str) -> str:
    """Change the pool's version; give its hash."""
    steps = [{"weight": weight, "pause": True} for weight in (25, 50)]
    scene.apply(
        POOL,
        worker={"env": [{"name": "COLOUR", "value": colour}]},
        scaling={"minReplicas": SIZE, "maxReplicas": SIZE},
        rollout={"strategy": "Canary", "steps": steps},
    )
    generation = (scene.kubectl.get("workerpool", POOL, namespace=scene.namespace) or {})["metadata"]["generation"]
    wait_for(
        lambda: scene.status(POOL).get("observedGeneration") == generation, seconds=SOON, what=f"an answer to {colour}"
    )
    wanted: str = _rollout(scene)["wanted"]
    return wanted


def _wait_versions(scene: Scene, wanted: dict[str, int]) -> None:
    """Wait until so many workers of each version are ready, and none of another one is left."""

    def running() -> dict[str, int]:
        found: dict[str, int] = {}
        for pod in pools.pods(scene.kubectl, scene.namespace, POOL):
            version = pod["metadata"]["labels"]["workerpool.dev/version"]
            found[version] = found.get(version, 0) + 1
        return found

    wait_for(lambda: running() == wanted, seconds=SOON, what=f"the versions {wanted}, now {running()}")
    scene.wait_workers(POOL, SIZE, seconds=SOON)


def _rollout(scene: Scene) -> dict[str, Any]:
    found: dict[str, Any] = {"rejected": []} | (scene.status(POOL).get("rollout") or {})
    return found


def _tell(scene: Scene, verb: str, *options: str, code: int = 0) -> str:
    """`wpool rollout VERB`; what it writes."""
    told = wpool(scene, "rollout", verb, POOL, "--namespace", scene.namespace, *options)
    assert told.returncode == code, (verb, told.returncode, told.stdout, told.stderr)
    return told.stdout

"""What has to hold of a rejected version, also when the operator dies in the moment in which it sends it away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from e2e.canary.faults import operator_dies
from e2e.scene import Scene
from e2e.support import pools
from e2e.support.kubectl import Json
from e2e.support.wait import wait_for

Aftermath: TypeAlias = Callable[[Scene, str, Mapping[str, Json]], None]
"""Given the scene, the pool, and how the containers of its pods have ended so far and will end: by the pod's name."""
VERSION_LABEL = "workerpool.dev/version"
_GONE_SECONDS = 90.0
_KNOWN_SECONDS = 60.0


def operator_dies_as_it_goes(scene: Scene, pool: str, ends: Mapping[str, Json]) -> None:
    """Another leader finishes what the dead one began, and knows what it knew."""
    version = _rollout(scene, pool)["wanted"]
    operator_dies(scene)
    wait_for(lambda: not _left(scene, pool, version), seconds=_GONE_SECONDS, what="the canary's workers gone")
    _look_again(scene, pool)
    rollout = _rollout(scene, pool)
    assert version in rollout["rejected"], rollout
    assert not rollout.get("canary"), rollout
    assert scene.condition(pool, "CanaryHealthy")[:2] == ("False", "CanaryRejected")
    assert not _left(scene, pool, version)
    # Of who was not fenced before it went this event would tell, and who was killed in a job has another exit code.
    assert not scene.events(pool, "VictimMismatch")
    codes = [end.get("exitCode") for name, end in ends.items() if name.startswith(f"{pool}-{version}-")]
    assert codes, "no end of a canary was seen"
    assert not any(codes), codes


def _look_again(scene: Scene, pool: str) -> None:
    """Change the pool, but not its version, and wait until the new leader has answered."""
    scene.patch(pool, {"rollout": {"keepDrainedVersions": 3}})
    found = scene.kubectl.get("workerpool", pool, namespace=scene.namespace) or {}
    generation = found["metadata"]["generation"]
    wait_for(
        lambda: scene.status(pool).get("observedGeneration") == generation,
        seconds=_KNOWN_SECONDS,
        what="an answer to the change",
    )


def _rollout(scene: Scene, pool: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.status(pool).get("rollout") or {}
    return found


def _left(scene: Scene, pool: str, version: str) -> list[str]:
    found = pools.pods(scene.kubectl, scene.namespace, pool)
    return [pod["metadata"]["name"] for pod in found if _runs(pod, version)]


def _runs(pod: Json, version: str) -> bool:
    return bool(pod["metadata"]["labels"].get(VERSION_LABEL) == version)

"""A pool as a tree."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from workerpool_operator.cli.get.tree import Jobs, Scene, pod_state, tree

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pod(name: str, version: str = "v1", *, ready: bool = True, **fields: Any) -> dict[str, Any]:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}], **fields}
    metadata = {"name": name, "labels": {"workerpool.dev/version": version}}
    return {"metadata": metadata, "spec": {"nodeName": "node-1"}, "status": status}


def pool(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "thumbs", "namespace": "media"}, "status": status}


def shown(scene: Scene) -> list[str]:
    console = Console(file=io.StringIO(), width=140)
    console.print(tree(scene))
    assert isinstance(console.file, io.StringIO)
    return [line.strip(" │├└─") for line in console.file.getvalue().splitlines()]


def test_versions_have_their_pods_with_their_jobs() -> None:
    versions = [
        {"hash": "v1", "revision": "r2", "role": "stable", "image": "thumbs:2", "replicas": 1, "readyReplicas": 1},
        {"hash": "v1", "revision": "r1", "role": "draining", "image": "thumbs:2"},
        {"hash": "v0", "revision": "r0", "role": "draining", "image": "thumbs:1", "inFlight": 4},
    ]
    lines = shown(
        Scene(
            pool=pool(versions=versions),
            pods=[pod("b", "v0"), pod("a"), pod("c", "gone")],
            jobs={"a": Jobs(in_flight=3, per_minute=12.4), "b": Jobs(in_flight=4, per_minute=None)},
            now=NOW,
        )
    )
    found = [line for line in lines if line.startswith(("version", "a ", "b ", "c ", "other"))]
    assert found == [
        "version v1 (stable) thumbs:2: 1/1 ready, 0 in flight",
        "a  Ready  3 in flight, 12 jobs/min  node-1  -",
        "version v1 (draining) thumbs:2: 0/0 ready, 0 in flight",
        "version v0 (draining) thumbs:1: 0/0 ready, 4 in flight",
        "b  Ready  4 in flight  node-1  -",
        "other pods",
        "c  Ready  node-1  -",
    ]


def test_trouble_stands_above() -> None:
    told = [
        {"type": "QueueReachable", "status": "False", "message": "main: wrong password"},
        {"type": "Stalled", "status": "False", "message": "all is well"},
    ]
    lines = shown(Scene(pool=pool(conditions=told), pods=[], notes=["this may be old: refused"], now=NOW))
    assert "QueueReachable: main: wrong password" in lines
    assert "this may be old: refused" in lines
    assert not [line for line in lines if "all is well" in line]


def test_queues_tell_what_is_known_of_them() -> None:
    queues = [
        {"name": "main", "depth": 0, "inFlight": 2, "oldestAgeSeconds": 9, "reachable": True},
        {"name": "late", "reachable": False},
    ]
    lines = shown(Scene(pool=pool(queues=queues), pods=[], now=NOW))
    assert "queue main: 0 waiting, 2 in flight, the oldest for 9 s" in lines
    assert "queue late: - waiting, - in flight; it cannot be read" in lines


def test_of_many_pods_the_rest_is_counted() -> None:
    pods = [pod(f"p{number:03}") for number in range(60)]
    lines = shown(Scene(pool=pool(versions=[{"hash": "v1", "revision": "r"}]), pods=pods, now=NOW))
    assert "and 20 more" in lines


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (pod("p"), "Ready"),
        (pod("p", ready=False), "NotReady"),
        (pod("p", ready=False, phase="Pending"), "Pending"),
        (
            pod("p", ready=False, containerStatuses=[{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]),
            "ImagePullBackOff",
        ),
        ({"metadata": {"name": "p", "deletionTimestamp": "2026-01-02T03:04:05Z"}}, "Draining"),
    ],
)
def test_the_state_of_a_pod(found: dict[str, Any], state: str) -> None:
    assert pod_state(found) == state

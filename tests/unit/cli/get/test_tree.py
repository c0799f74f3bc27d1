"""A pool as a tree."""

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from workerpool_operator.cli.get.tree import Jobs, Scene, tree
from workerpool_operator.domain.desired import PLACE_LABEL, place_key

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


def test_the_rollout_stands_with_its_verdict_and_what_it_waits_for() -> None:
    """What a person who watches a new version wants to see; the rest of the sentences is tested beside `canary`."""
    rollout = {
        "stable": "aa", "wanted": "bb", "canary": "bb", "step": 1, "weight": 10, "verdict": "Fail", "cause": "Evidence",
        "signal": "failures", "ratio": "4", "ratioLow": "2", "ratioHigh": "9", "wait": "WaitsForAbortion", "jobs": 90,
    }  # fmt: skip
    lines = shown(Scene(pool=pool(rollout=rollout), pods=[], now=NOW))
    assert "rollout Trying: version bb is tried beside aa: step 1, 10 % of the workers" in lines
    assert "verdict Fail by Evidence: the signals" in lines
    assert "failures: 4 times the stable version's rate (95 % interval: 2 to 9)" in lines
    assert "waits: WaitsForAbortion: it failed, and people decide" in lines


def test_places_stand_with_who_runs_there_and_how_far_a_failover_is() -> None:
    """Also who is lost, although Kubernetes calls its pod ready."""
    spec = {"placement": {"primary": {"nodeSelector": {"zone": "a"}}, "secondary": {"nodeSelector": {"zone": "b"}}}}
    told = {"type": "Placed", "status": "False", "reason": "FailedOver", "message": "1 is lost"}
    status = {
        "placement": {"active": "secondary", "since": "2026-01-02T03:00:05Z", "lost": 1, "lostNodes": ["node-1"]},
        "conditions": [told],
        "versions": [{"hash": "v1", "revision": "r", "role": "stable"}],
    }
    there = [pod("a"), pod("b")]
    for one, (zone, node) in zip(there, (("a", "node-1"), ("b", "node-2")), strict=True):
        one["metadata"]["labels"][PLACE_LABEL] = place_key({"zone": zone})
        one["spec"]["nodeName"] = node
    lines = shown(Scene(pool=pool(**status) | {"spec": spec}, pods=there, now=NOW))
    assert "Placed=False: FailedOver: 1 is lost" in lines
    assert "failover: 1 of 1 ready in the secondary place" in lines
    assert "place primary (zone=a): 0/1 ready, 1 lost, and fenced; workers belong here" in lines
    assert "place secondary (zone=b): 1/1 ready; workers are added here" in lines
    assert "a  Lost, and fenced  node-1 (primary)  -" in lines
    assert "b  Ready  node-2 (secondary)  -" in lines


def test_a_pool_without_canary_and_places_shows_neither() -> None:
    lines = shown(Scene(pool=pool(), pods=[pod("a")], now=NOW))
    assert not [line for line in lines if line.startswith(("rollout", "Placed", "place"))]

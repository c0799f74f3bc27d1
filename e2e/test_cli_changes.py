"""The commands of `wpool` that change something, on real pods: each once, and what it says comes true."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from e2e.cli import Follower, done, wpool
from e2e.scene import Scene, all_at_once, assert_nothing_lost
from e2e.support.wait import wait_for
from tests.support.alertmanager import alertmanager_in

HOST = "kubernetes.io/hostname"


def at(scene: Scene) -> str:
    return f"--namespace={scene.namespace}"


def nodes_of(scene: Scene, pool: str) -> list[str]:
    """Of its ready workers."""
    return sorted(pod["spec"]["nodeName"] for pod in scene.workers(pool).values())


def two_nodes(scene: Scene) -> tuple[str, str]:
    if len(scene.stack.cluster.nodes) < 2:
        pytest.skip("needs a second node")
    first, second = scene.stack.cluster.nodes[:2]
    return first, second


def test_stop_and_start(scene: Scene) -> None:
    """`--wait` comes back when no worker is left, and none comes for what is enqueued meanwhile."""
    scene.apply("switched", scaling={"minReplicas": 2})
    scene.wait_workers("switched", 2)
    assert "stopped" in done(scene, "stop", "switched", at(scene), "--wait", "--yes")
    assert scene.workers("switched") == {}
    done(scene, "start", "switched", at(scene))
    scene.wait_workers("switched", 2)


def test_drain_empties_a_pool(scene: Scene) -> None:
    """With jobs at work: they end first, and what waits is done after `wpool start`."""
    scene.apply("emptied", scaling={"minReplicas": 2, "maxReplicas": 2})
    scene.wait_workers("emptied", 2)
    with scene.feeding("emptied", all_at_once(12), seconds=3.0) as feeding:
        feeding.wait_running(4)
        told = done(scene, "drain", "emptied", at(scene), "--yes")
        assert "no worker is left" in told
        assert scene.workers("emptied") == {}
        done(scene, "start", "emptied", at(scene))
        assert_nothing_lost(feeding.report(seconds=120), jobs=12)


@pytest.mark.timeout(420)
def test_drain_empties_a_node_and_interrupts_no_job(scene: Scene) -> None:
    """The workers of the node have moved to the other one, with jobs at work all the time, and none was cut off."""
    stays, drained = two_nodes(scene)
    spread = {"maxSkew": 1, "topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway"}
    scene.apply("moved", scaling={"minReplicas": 4, "maxReplicas": 4}, worker={"topologySpreadConstraints": [spread]})
    scene.wait_workers("moved", 4)
    wait_for(lambda: drained in nodes_of(scene, "moved"), seconds=30, what=f"a worker on {drained}")
    dry = done(scene, "drain", "moved", at(scene), "--node", drained, "--dry-run")
    assert f"{drained}: would be cordoned" in dry
    try:
        with scene.feeding("moved", all_at_once(400), seconds=1.0) as feeding:
            feeding.wait_running(8)
            done(scene, "drain", "moved", at(scene), "--node", drained, "--yes", "--timeout", "150", seconds=180)
            assert not feeding.over, "no job was at work at the end: that proves less"
            assert_nothing_lost(feeding.report(seconds=150), jobs=400)
        scene.wait_workers("moved", 4)
        assert nodes_of(scene, "moved") == [stays] * 4
        assert scene.events("moved", "WorkerDrained") >= 1
        found = scene.kubectl.get("workerpool", "moved", namespace=scene.namespace)
        assert found is not None
        assert "workerpool.dev/drain-node" not in found["metadata"].get("annotations", {})
    finally:
        scene.kubectl.run("uncordon", drained)


def test_migrate_and_reassign_move_workers(scene: Scene) -> None:
    """From the primary place to the secondary one and back, and to another primary one; how far they are is shown."""
    first, second = two_nodes(scene)
    places = {"primary": {"nodeSelector": {HOST: first}}, "secondary": {"nodeSelector": {HOST: second}}}
    scene.apply("placed", scaling={"minReplicas": 2, "maxReplicas": 2}, placement=places)
    scene.wait_workers("placed", 2)
    assert nodes_of(scene, "placed") == [first] * 2
    assert "would have its workers move" in done(
        scene, "migrate", "placed", at(scene), "--to", "secondary", "--dry-run"
    )
    follower = Follower(scene, "get", "placed", at(scene), "--watch")
    try:
        follower.wait_for("2/2")
        done(scene, "migrate", "placed", at(scene), "--to", "secondary", "--yes")
        follower.wait_for(r"Moving: .*; move: \d ready in the secondary place, \d still in the primary place")
    finally:
        follower.end()
    wait_for(lambda: nodes_of(scene, "placed") == [second] * 2, seconds=60, what=f"both on {second}")
    done(scene, "migrate", "placed", at(scene), "--to", "primary", "--yes")
    wait_for(lambda: nodes_of(scene, "placed") == [first] * 2, seconds=60, what=f"both on {first}")
    scene.patch("placed", {"placement": {"secondary": None}})  # the two must be different nodes
    done(scene, "reassign", "placed", at(scene), "--primary", f"{HOST}={second}", "--yes")
    wait_for(lambda: nodes_of(scene, "placed") == [second] * 2, seconds=60, what=f"both on {second} again")


def test_load_feeds_a_pool_and_throttle_slows_it_down(scene: Scene) -> None:
    """From as fast as they can to two jobs a second, and back, in workers that go on running."""
    scene.apply("slowed", scaling={"minReplicas": 2, "maxReplicas": 2})
    before = scene.wait_workers("slowed", 2)
    load = ("load", "--url", scene.url, "--stream", "slowed", "--job-seconds", "0.01", "--jobs", "30")
    assert "30" in done(scene, *load, "--pool", "slowed", at(scene))
    with scene.broker() as client, scene.feeding("slowed", all_at_once(4000), seconds=0.05):

        def begun() -> int:
            groups: Any = client.xinfo_groups("slowed")
            return int(groups[0]["entries-read"])

        def in_a_second() -> int:
            before = begun()
            time.sleep(1)
            return begun() - before

        wait_for(lambda: in_a_second() > 10, seconds=30, what="workers as fast as they can")
        assert "2 jobs per second" in done(scene, "throttle", "slowed", "2", at(scene), "--minutes", "5")
        wait_for(lambda: in_a_second() <= 4, seconds=20, what="workers slowed down")
        done(scene, "throttle", "slowed", at(scene), "--off")
        wait_for(lambda: in_a_second() > 10, seconds=30, what="workers as fast as they can, again")
    assert scene.workers("slowed").keys() == before.keys()


def test_silence_quiets_the_alerts_of_a_pool(scene: Scene, tmp_path: Path) -> None:
    """Those with its namespace and name, as they come from a Prometheus, and no others; `--end` lets them speak."""
    scene.apply("quiet")
    labels = {"namespace": scene.namespace, "severity": "critical", "alertname": "WorkerHeartbeatMissing"}
    with alertmanager_in(tmp_path) as url:

        def tell() -> None:
            alerts = [{"labels": {**labels, "pool": pool}} for pool in ("quiet", "loud")]
            body = json.dumps(alerts).encode()
            request = urllib.request.Request(f"{url}/api/v2/alerts", body, {"Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=10).close()

        def states() -> dict[str, str]:
            with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=10) as answer:
                return {one["labels"]["pool"]: one["status"]["state"] for one in json.load(answer)}

        def wait_states(quiet: str) -> None:
            wanted = {"quiet": quiet, "loud": "active"}
            wait_for(lambda: states() == wanted, seconds=30, what=f"the alerts {wanted}")

        tell()
        wait_states("active")
        where = ("quiet", at(scene), "--alertmanager", url)
        assert "silent until" in done(scene, "silence", *where, "--for", "10m")
        wait_states("suppressed")
        done(scene, "silence", *where, "--end")
        wait_states("active")


def rollout(scene: Scene, pool: str) -> dict[str, Any]:
    found: dict[str, Any] = scene.status(pool).get("rollout") or {}
    return found


@pytest.mark.timeout(420)
def test_restart_replaces_workers_and_rollout_commands_decide(scene: Scene) -> None:
    """A restart is a new version, that a person takes back, tries again, holds and lets through."""
    steps = [{"weight": 50, "minJobs": 1000, "durationSeconds": 600}]
    scene.apply("anew", scaling={"minReplicas": 2, "maxReplicas": 2}, rollout={"strategy": "Canary", "steps": steps})
    before = scene.wait_workers("anew", 2)
    stable = wait_for(lambda: rollout(scene, "anew").get("stable"), seconds=30, what="a stable version")
    done(scene, "restart", "anew", at(scene), "--yes")
    canary = wait_for(lambda: rollout(scene, "anew").get("canary"), seconds=30, what="a canary")
    assert canary in done(scene, "rollout", "get", "anew", at(scene))
    late = wpool(scene, "rollout", "status", "anew", at(scene), "--timeout", "1")
    assert late.returncode == 5, late.stderr
    done(scene, "rollout", "abort", "anew", at(scene), "--yes")
    assert wpool(scene, "rollout", "status", "anew", at(scene), "--timeout", "60").returncode == 4
    done(scene, "rollout", "retry", "anew", at(scene))
    wait_for(lambda: rollout(scene, "anew").get("canary") == canary, seconds=30, what="the canary once more")
    done(scene, "rollout", "pause", "anew", at(scene))
    done(scene, "rollout", "resume", "anew", at(scene))
    done(scene, "rollout", "promote", "anew", at(scene), "--full", "--yes")
    assert "promoted" in done(scene, "rollout", "status", "anew", at(scene), "--timeout", "90")
    wait_for(lambda: not set(before) & set(scene.workers("anew")), seconds=60, what="all workers replaced")
    history = done(scene, "rollout", "history", "anew", at(scene))
    assert re.search(rf"^{canary} +stable ", history, re.MULTILINE), history
    done(scene, "rollout", "undo", "anew", at(scene), "--yes")
    wait_for(lambda: rollout(scene, "anew").get("stable") == stable, seconds=60, what="the version before")

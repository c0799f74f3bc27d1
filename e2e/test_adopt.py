"""`wpool adopt --apply`: a Deployment that runs becomes a pool, with jobs coming all the time."""

from __future__ import annotations

import pytest

from e2e.cli import done
from e2e.scene import Scene, assert_nothing_lost
from e2e.support import beside, pools
from e2e.support.kubectl import Json
from e2e.support.wait import wait_for
from workerpool_operator.cli.load import steady

NAME = "plain"
PODS = 3
JOBS = 300


@pytest.mark.timeout(420)
def test_a_running_deployment_is_adopted_and_no_job_is_cut_off(scene: Scene) -> None:
    """Its pods are replaced once each, never fewer than before work, and each job is done exactly once."""
    scene.kubectl.apply(_deployment(scene))
    wait_for(lambda: _ready(scene) == PODS, seconds=90, what="the Deployment's pods")
    with scene.feeding(NAME, steady(rate=5, jobs=JOBS), seconds=1.0) as feeding:
        feeding.wait_done(10)
        scene.made.add(NAME)
        queue = f"redisStream,url={scene.redis.url},stream={NAME},group={NAME}"
        words = ("adopt", f"deployment/{NAME}", f"--namespace={scene.namespace}", "--queue", queue)
        sizes = ("--min", "1", "--max", "4")
        # What is left out is what the pool sets itself.
        told = done(scene, *words, *sizes, "--leave-out", "--apply", "--yes", seconds=180)
        assert not feeding.over, "it was adopted in the middle of its work"
        report = feeding.report(seconds=120)
    assert_nothing_lost(report, jobs=JOBS)
    assert f"pool {NAME}: {PODS} workers are ready" in told
    assert [line for line in told.splitlines() if "->" in line] == [
        f"Deployment {NAME}: {size} -> {size - 1}" for size in (3, 2, 1)
    ]
    assert _ready(scene) == 0
    scene.wait_condition(NAME, "ScalingActive", status="True", reason="Active")
    scene.kubectl.delete("deployment", NAME, namespace=scene.namespace)
    [kept, *_] = pools.ready_pods(scene.kubectl, scene.namespace, NAME)  # the pool's own stay
    assert [one["name"] for one in kept["spec"]["initContainers"]] == [beside.NAME]


def _ready(scene: Scene) -> int:
    found = scene.kubectl.get("deployment", NAME, namespace=scene.namespace) or {}
    return int((found.get("status") or {}).get("readyReplicas", 0))


def _deployment(scene: Scene) -> Json:
    """Workers as somebody may run them without the operator."""
    environment = {
        "QUEUE_MAIN_URL": scene.redis.url,
        "QUEUE_MAIN_STREAM": NAME,
        "QUEUE_MAIN_GROUP": NAME,
        "MAX_WORKERS": "4",
        "LEASE_SECONDS": "10",
    }
    probe = {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1}
    container = {
        "name": "worker",
        "image": scene.stack.images.worker,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "readinessProbe": probe,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}},
    }
    labels = {"app": NAME}
    sidecar = {
        **beside.sidecar(scene.stack.images.worker),
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "securityContext": container["securityContext"],
    }
    pod = {
        "automountServiceAccountToken": False,
        "initContainers": [sidecar],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": scene.namespace},
        "spec": {
            "replicas": PODS,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }

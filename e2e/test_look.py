"""`wpool dump` and `wpool flame` of a worker in a pod, with the rights of who asks."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from e2e.cli import wpool
from e2e.scene import Scene, all_at_once

pytestmark = pytest.mark.core


def test_a_worker_at_work_tells_what_it_does(scene: Scene, tmp_path: Path) -> None:
    """Its jobs and their ages, and a picture of where its time goes; they are done as if nobody had looked."""
    scene.apply("looked-at", scaling={"minReplicas": 1, "maxReplicas": 1}, worker={"maxWorkers": 2})
    [worker] = scene.wait_workers("looked-at", 1).values()
    where = (worker["metadata"]["name"], "--namespace", scene.namespace)
    with scene.feeding("looked-at", all_at_once(2), seconds=60) as feeding:
        feeding.wait_running(2)
        told = wpool(scene, "dump", *where, "--json")
        assert told.returncode == 0, told.stderr
        [dump] = [json.loads(line) for line in told.stdout.splitlines()]
        assert (dump["process"]["pool"], dump["process"]["worker"]) == ("looked-at", where[0])
        assert [job["type"] for job in dump["jobs"]] == ["sleep", "sleep"]
        assert all(job["state"] == "runs" and job["age_seconds"] >= 0 for job in dump["jobs"])
        picture = tmp_path / "waits.svg"
        drawn = wpool(scene, "flame", *where, "--seconds", "1", "--mode", "wall", "--output", str(picture))
        assert drawn.returncode == 0, drawn.stderr
        titles = [str(one.text) for one in ET.parse(picture).iter("{http://www.w3.org/2000/svg}title")]
        assert any(title.startswith("job sleep:") for title in titles), titles
        report = feeding.report(seconds=150)
    assert (report.jobs_done, report.jobs_interrupted) == (2, 0), report.to_json()


def test_who_cannot_look_is_told_why(scene: Scene, tmp_path: Path) -> None:
    """No such pod, container or interpreter; no right to run anything in the pod."""
    scene.apply("closed", scaling={"minReplicas": 1, "maxReplicas": 1})
    [worker] = scene.wait_workers("closed", 1).values()
    where = (worker["metadata"]["name"], "--namespace", scene.namespace)
    reader = reader_of_pods(scene, tmp_path)
    for told, why in (
        (wpool(scene, "dump", "nobody", "--namespace", scene.namespace), "not there"),
        (wpool(scene, "dump", *where, "--container", "sidecar"), "no container 'sidecar': name one of worker"),
        (wpool(scene, "dump", *where, "--python", "no-such-python"), "no-such-python"),
        (wpool(scene, "dump", *where, "--context", "reader", kubeconfig=reader), "`create` and `get` of pods/exec"),
    ):
        assert (told.returncode, why in " ".join(told.stderr.split())) == (3, True), told.stderr


def reader_of_pods(scene: Scene, folder: Path) -> Path:
    """A kubeconfig, with context `reader`, of somebody who may read pods and nothing else."""
    where = f"--namespace={scene.namespace}"
    scene.kubectl.run("create", "serviceaccount", "reader", where)
    scene.kubectl.run("create", "role", "reader", "--verb=get", "--resource=pods", where)
    account = f"--serviceaccount={scene.namespace}:reader"
    scene.kubectl.run("create", "rolebinding", "reader", "--role=reader", account, where)
    token = scene.kubectl.run("create", "token", "reader", where).strip()
    config = json.loads(scene.kubectl.run("config", "view", "--raw", "--output=json"))
    cluster = config["clusters"][0]["name"]
    config["users"] = [{"name": "reader", "user": {"token": token}}]
    config["contexts"] = [{"name": "reader", "context": {"cluster": cluster, "user": "reader"}}]
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path

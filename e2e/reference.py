"""The samples of the reference workers on a cluster.

They are as they stand in examples/reference, but with this tree's images, and with times so short that a test sees in
seconds what takes minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any

import pytest
import yaml

from e2e.processes import kill_worker
from e2e.scene import Scene
from e2e.support import images
from e2e.support.kubectl import Json
from e2e.support.wait import wait_for

SAMPLES = images.ROOT / "examples" / "reference"
WORKERS = images.ROOT / "workers" / "reference"
JOBS = 300
"""That each load profile sends."""
_RECIPES = {recipe.name: recipe for recipe in (images.CPU, images.HYBRID, images.THREADS)}


@dataclass(frozen=True)
class Samples:
    """The samples in the namespace of a scene."""

    scene: Scene

    def apply(self, name: str, *, spec: Mapping[str, Any] | None = None) -> None:
        """Apply the documents of a sample; `spec` replaces single fields of each part of a pool's."""
        found = [self._ours(document) for document in yaml.safe_load_all((SAMPLES / f"{name}.yaml").read_text())]
        for document in found:
            if document["kind"] == "WorkerPool":
                self.scene.made.add(document["metadata"]["name"])
                _quicken(document["spec"])
                for part, fields in (spec or {}).items():
                    document["spec"].setdefault(part, {}).update(fields)
        self.scene.kubectl.apply(*found)

    def apply_store(self) -> None:
        """Apply the stand-in that all of them talk to, and wait until it serves."""
        self.apply("store")
        self.scene.kubectl.rollout("deployment/store", namespace=self.scene.namespace)

    @property
    def counts(self) -> dict[str, int]:
        """How often the stand-in has answered what, by method and status."""
        found: dict[str, int] = self._ask("_counts")
        return found

    def keys(self, folder: str) -> list[str]:
        """What the store holds in a folder."""
        found: list[str] = self._ask(f"_keys/{folder}")
        return found

    @contextmanager
    def loading(self, name: str) -> Iterator[Loading]:
        """Run a worker's load profile beside the test."""
        with TemporaryFile("w+") as said:
            environment = os.environ | {"WPOOL_URL": self.scene.url, "NO_COLOR": "1"}
            script = WORKERS / name / "load.sh"
            process = subprocess.Popen([str(script)], env=environment, stdout=said, stderr=subprocess.STDOUT)
            try:
                yield Loading(process, said)
            finally:
                process.terminate()
                process.wait(timeout=30)

    def kill_at_work(self, pool: str) -> None:
        """End a worker's process by SIGKILL while it runs a job; its jobs come back when their leases end."""

        def killed() -> bool:
            at_work = {one["consumer"] for one in self._pending(pool)}
            for pod in self.scene.workers(pool).values():
                name = pod["metadata"]["name"]
                if victims := {consumer for consumer in at_work if name in consumer}:
                    kill_worker(self.scene, pod)
                    # What it has now it will never end. Nothing: it had ended its jobs in between, so once more.
                    return any(one["consumer"] in victims for one in self._pending(pool))
            return False

        wait_for(killed, seconds=60, what=f"a worker of pool {pool} killed with a job in it", pause=0.05)

    def idle(self, stream: str) -> bool:
        """Whether a queue holds no job that will be run."""
        with self.scene.broker() as client:
            groups: Any = client.xinfo_groups(stream)
            delayed = client.zcard(f"{{{stream}}}:delayed")
        return not delayed and all(group["pending"] == 0 and group["lag"] == 0 for group in groups)

    def _pending(self, stream: str) -> list[dict[str, Any]]:
        with self.scene.broker() as client:
            if not client.exists(stream) or not client.xinfo_groups(stream):
                return []  # no worker has come yet
            found: Any = client.xpending_range(stream, stream, "-", "+", 100)
        return list(found)

    def _ours(self, document: Json) -> Json:
        document["metadata"]["namespace"] = self.scene.namespace
        spec = document["spec"]
        container = spec["worker"] if document["kind"] == "WorkerPool" else None
        if document["kind"] == "Deployment":
            container = spec["template"]["spec"]["containers"][0]
        if container:
            name = container["image"].rpartition("/")[2].partition(":")[0]
            container["image"] = images.ensure(self.scene.stack.cluster, _RECIPES[name])
        return document

    def _ask(self, path: str) -> Any:
        service = f"/api/v1/namespaces/{self.scene.namespace}/services/store:8080/proxy"
        return json.loads(self.scene.kubectl.raw(f"{service}/{path}"))


@dataclass(frozen=True)
class Loading:
    """A load profile on its way."""

    process: subprocess.Popen[bytes]
    said: IO[str]

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def wait_done(self, *, seconds: float) -> None:
        """Wait until it has seen its queue empty, and nothing dead-lettered."""
        try:
            status = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            status = None
        self.said.seek(0)
        if status != 0:
            pytest.fail(f"the load profile ended with {status}:\n{self.said.read()[-3000:]}")


def _quicken(spec: Json) -> None:
    worker, scaling = spec["worker"], spec["scaling"]
    worker["heartbeatPeriodSeconds"] = 2
    worker["readinessProbe"] = {"initialDelaySeconds": 0, "periodSeconds": 1, "timeoutSeconds": 2}
    worker["resources"]["requests"] = {"cpu": "20m", "memory": "64Mi"}
    scaling |= {"mode": "direct", "cooldownSeconds": 5, "scaleDown": {"stabilizationSeconds": 5}}
    spec.setdefault("delivery", {})["leaseSeconds"] = 10

"""The pod of a Kubernetes Job, played: what its container would run is run here, and its log served as a kubelet does.

All but the container is real: the API server admits the pod that the Job controller makes, and the program talks to a
real broker with the environment that stands in the pod.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from e2e.cluster.controlplane import ControlPlane
from tests.support.crds import kubectl
from tests.support.kubelet import PlayedKubelet
from workerpool_operator.kube import Kube, ObjectRef, kinds


class PlayedJobs:
    """Runs the pods of all Jobs of a namespace, until cancelled."""

    def __init__(self, plane: ControlPlane, kube: Kube, kubelet: PlayedKubelet, namespace: str) -> None:
        self.pods: list[dict[str, Any]] = []
        self._plane = plane
        self._kube = kube
        self.kubelet = kubelet
        self._namespace = namespace

    async def run(self) -> None:
        seen: set[str] = set()
        while True:
            found = self._kube.list(kinds.POD, namespace=self._namespace, label_selector="batch.kubernetes.io/job-name")
            for pod in [one async for one in found if one["metadata"]["uid"] not in seen]:
                seen.add(pod["metadata"]["uid"])
                self.pods.append(pod)
                await self._play(pod)
            await asyncio.sleep(0.1)

    async def _play(self, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        await self._place(name)
        container = pod["spec"]["containers"][0]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, *container["command"][1:], *container["args"]],
            env={"PATH": os.environ["PATH"], **{one["name"]: one["value"] for one in container["env"]}},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
        for line in (done.stdout + done.stderr).splitlines():
            await self.kubelet.write(name, line)
        phase = "Failed" if done.returncode else "Succeeded"
        await self._tell(pod, phase=phase, state={"terminated": {"exitCode": done.returncode}})

    async def _place(self, name: str) -> None:
        """Onto the node."""
        binding = {
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.kubelet.name},
        }  # fmt: skip
        path = f"/api/v1/namespaces/{self._namespace}/pods/{name}/binding"
        await asyncio.to_thread(kubectl, self._plane, "create", "--raw", path, "-f", "-", stdin=json.dumps(binding))

    async def _tell(self, pod: dict[str, Any], *, phase: str, state: dict[str, Any]) -> None:
        """What the node says of it."""
        name = pod["spec"]["containers"][0]["name"]
        told = {"name": name, "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        ref = ObjectRef(kinds.POD, self._namespace, pod["metadata"]["name"])
        status = {"phase": phase, "containerStatuses": [told]}
        await self._kube.merge_patch(ref, {"status": status}, subresource="status")


class SlowJobs(PlayedJobs):
    """Those whose programs say this, and do not end: a move of very many jobs."""

    says = json.dumps({"queue": "main", "so_far": 1500})

    async def _play(self, pod: dict[str, Any]) -> None:
        await self._place(pod["metadata"]["name"])
        await self.kubelet.write(pod["metadata"]["name"], self.says)
        await self._tell(pod, phase="Running", state={"running": {"startedAt": "2026-01-02T03:04:05Z"}})

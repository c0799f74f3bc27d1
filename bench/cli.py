"""`wpool` beside a pool of 10,000 pods: seconds and memory of the commands that read them, on a real API server.

uv run python -m bench.cli --pods 10000 --json cli.json

The pods are objects without containers, so what is read of the workers themselves (jobs, CPU) is not in it: `top POOL`
and `describe` pay for the list, as they would for pods that do not answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench.fleet import Fleet, for_each, namespace_of, pool_of, stage
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL, VERSION_LABEL, WORKER
from workerpool_operator.kube import ObjectRef, kinds

NAMESPACE: Final = namespace_of(0)
POOL: Final = pool_of(0)
COMMANDS: Final = {
    "kubectl get pods": (),
    "get": ("get", "-n", NAMESPACE),
    "describe POOL": ("describe", POOL, "-n", NAMESPACE),
    "top": ("top", "-n", NAMESPACE),
    "top POOL": ("top", POOL, "-n", NAMESPACE),
    "explain POOL": ("explain", POOL, "-n", NAMESPACE),
    "logs POOL": ("logs", POOL, "-n", NAMESPACE),
}
POLL_SECONDS: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One command: the median of its runs."""

    command: str
    seconds: float
    cpu_seconds: float
    rss_mb: float
    exit_code: int


@dataclass(kw_only=True)
class Bench(Fleet):
    """One pool with many pods."""

    pods: int
    runs: int

    async def run(self) -> list[Figures]:
        """Make them, and type each command."""
        await self.prepare()
        await self.create_pool(0)
        account = {"name": "default", "namespace": NAMESPACE}  # no controller manager makes it here
        await self.stage.kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
        version = "0123abcd"
        ref = ObjectRef(kinds.WORKER_POOL, NAMESPACE, POOL)
        status = {"observedGeneration": 1, "replicas": self.pods, "readyReplicas": self.pods}
        await self.stage.kube.merge_patch(ref, {"status": status}, subresource="status")
        await for_each(lambda number: self._create_pod(number, version), range(self.pods))
        say(f"{self.pods} pods are there")
        return [await asyncio.to_thread(self._measured, name, words) for name, words in COMMANDS.items()]

    async def _create_pod(self, number: int, version: str) -> None:
        labels = {POOL_LABEL: POOL, COMPONENT_LABEL: WORKER, VERSION_LABEL: version}
        env = [{"name": f"QUEUE_MAIN_{key}", "value": "redis://redis:6379/0"} for key in ("URL", "STREAM", "GROUP")]
        container = {"name": "worker", "image": "registry.example/worker:1", "env": env}
        metadata = {"name": f"{POOL}-0123abcd-{number:05}", "namespace": NAMESPACE, "labels": labels}
        spec = {"automountServiceAccountToken": False, "containers": [container]}
        await self.stage.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def _measured(self, name: str, words: tuple[str, ...]) -> Figures:
        found = [self._once(words) for _ in range(self.runs)]
        figures = Figures(
            command=name,
            seconds=round(statistics.median(one[0] for one in found), 2),
            cpu_seconds=round(statistics.median(one[1] for one in found), 2),
            rss_mb=round(max(one[2] for one in found), 1),
            exit_code=found[-1][3],
        )
        say(f"{name}: {figures.seconds} s, {figures.rss_mb} MB")
        return figures

    def _once(self, words: tuple[str, ...]) -> tuple[float, float, float, int]:
        """Seconds, seconds of CPU, most memory in MB, exit code."""
        kubectl = [str(self.stage.plane.kubectl), "get", "pods", f"--namespace={NAMESPACE}"]
        command = [sys.executable, "-m", "workerpool_operator.cli", *words] if words else kubectl
        environment: dict[str, Any] = {**os.environ, "KUBECONFIG": str(self.stage.plane.kubeconfig), "NO_COLOR": "1"}
        begun, most, used = time.monotonic(), 0, 0.0
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            watched = psutil.Process(process.pid)
            while process.poll() is None:
                try:
                    most = max(most, watched.memory_info().rss)
                    times = watched.cpu_times()
                    used = times.user + times.system
                except psutil.Error:
                    break
                time.sleep(POLL_SECONDS)
            code = process.wait()
        return time.monotonic() - begun, used, most / 2**20, code


async def _measure(pods: int, runs: int, home: Path) -> list[Figures]:
    async with stage("bench-cli", home=home) as made:
        return await Bench(stage=made, pools=1, namespaces=1, pods=pods, runs=runs).run()


def main() -> int:
    """Measure, print, and write the figures to a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.cli", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pods", type=int, default=10_000, help="how many pods (default 10000)")
    parser.add_argument("--runs", type=int, default=3, help="of each command (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    end_at_sigterm()
    with tempfile.TemporaryDirectory(prefix="wp-cli-") as home:
        figures = asyncio.run(_measure(arguments.pods, arguments.runs, Path(home)))
    text = json.dumps({"pods": arguments.pods, "commands": [asdict(one) for one in figures]}, indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

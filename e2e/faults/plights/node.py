"""A played node: runs workers as processes, starts again what has ended, and restarts what fails its liveness probe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster.ports import free_ports
from workerpool_operator.api.worker import LivenessProbe
from workerpool_operator.domain.desired.template import LIVENESS_GRACE_SECONDS

ROOT = Path(__file__).resolve().parents[3]
PROBE = LivenessProbe()
_ENDED_SECONDS = 20.0


@dataclass(slots=True)
class Container:
    """One worker, in all its lives."""

    port: int
    process: subprocess.Popen[bytes]
    due: float
    """When it is asked next, by the monotonic clock."""
    failed: int = 0
    """Probes in a row."""


@dataclass(kw_only=True)
class Node:
    """Its workers. `look` does what is due."""

    env: Mapping[str, str]
    log: Path
    deaths: int = 0
    """Containers that ended by themselves."""
    restarts: int = 0
    """Containers that were ended for their liveness probe."""
    _containers: list[Container] = field(default_factory=list)
    _lives: int = 0

    def start(self, count: int) -> None:
        """Start so many."""
        for port in free_ports(count):
            self._containers.append(self._started(port))

    def look(self) -> None:
        """Start again what has ended, and ask whom it is time to ask."""
        for number, container in enumerate(self._containers):
            if container.process.poll() is not None:
                self.deaths += 1
                self._containers[number] = self._again(container)
            elif time.monotonic() >= container.due:
                self._probe(number, container)

    def well(self) -> bool:
        """Whether all are alive and answer."""
        return all(one.process.poll() is None and _alive(one.port) for one in self._containers)

    def end(self) -> None:
        """End all of them at once."""
        for container in self._containers:
            container.process.kill()
        for container in self._containers:
            _reap(container.process)
        self._containers.clear()

    def _probe(self, number: int, container: Container) -> None:
        if _alive(container.port):
            container.failed = 0
        else:
            container.failed += 1
        container.due = time.monotonic() + PROBE.period_seconds
        if container.failed >= PROBE.failure_threshold:
            self.restarts += 1
            container.process.send_signal(signal.SIGTERM)
            try:
                container.process.wait(timeout=LIVENESS_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                container.process.kill()
            self._containers[number] = self._again(container)

    def _again(self, container: Container) -> Container:
        _reap(container.process)
        return self._started(container.port)

    def _started(self, port: int) -> Container:
        self._lives += 1
        env = {name: value for name, value in os.environ.items() if not name.startswith(("QUEUE_", "WORKERPOOL_"))}
        env |= {**self.env, "PLIGHT_HEALTH_PORT": str(port), "WORKERPOOL_POD": f"worker-{self._lives}"}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "e2e.faults.plights.worker"],
                env=env,
                cwd=ROOT,
                stdin=subprocess.PIPE,  # it ends when this end of the pipe is gone
                stdout=log,
                stderr=log,
                process_group=0,
            )
        return Container(port=port, process=process, due=time.monotonic() + PROBE.initial_delay_seconds)


def _alive(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{PROBE.path}", timeout=PROBE.timeout_seconds) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _reap(process: subprocess.Popen[bytes]) -> None:
    process.wait(timeout=_ENDED_SECONDS)
    if process.stdin is not None:
        process.stdin.close()

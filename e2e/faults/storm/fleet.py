"""The storm's worker processes: each is a child of ours until it was waited for, so no signal can hit another's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class WorkerEnded(Exception):  # noqa: N818  reads as what happened
    """A worker ended that nobody had killed; the message tells which one and how."""


class Fleet:
    """Workers, as many as were started and not killed. Names are never used twice."""

    def __init__(self, env: Mapping[str, str], *, log: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("QUEUE_", "WORKERPOOL_"))}
        self._env = {**clean, **env}
        self._log = log
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started = 0

    @property
    def names(self) -> Iterable[str]:
        """Of those that should be running."""
        return self._processes.keys()

    def start(self, count: int = 1) -> None:
        """Start more of them, without waiting until they are up."""
        for _ in range(count):
            self._started += 1
            name = f"worker-{self._started}"
            with self._log.open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "e2e.faults.storm.worker"],
                    env={**self._env, "WORKERPOOL_POD": name},
                    cwd=ROOT,
                    stdin=subprocess.PIPE,  # it ends when this end of the pipe is gone
                    stdout=log,
                    stderr=log,
                    process_group=0,  # Ctrl-C is for the driver, which ends its workers itself
                )

    def kill(self, name: str) -> None:
        """End one by SIGKILL; when this returns it does nothing any more.

        Raises:
            WorkerEnded: it was gone before.
        """
        process = self._processes.pop(name)
        process.kill()
        status = self._reap(process)
        if status != -9:
            raise WorkerEnded(f"{name} ended by itself with status {status}")

    def check(self) -> None:
        """Raise WorkerEnded when one ended by itself."""
        for name, process in list(self._processes.items()):  # a kill goes on in another thread
            if process.poll() is not None:
                raise WorkerEnded(f"{name} ended by itself with status {process.returncode}")

    def end(self) -> None:
        """End all of them at once."""
        for process in self._processes.values():
            process.kill()
        while self._processes:
            self._reap(self._processes.popitem()[1])

    @staticmethod
    def _reap(process: subprocess.Popen[bytes]) -> int:
        status = process.wait(timeout=20)
        if process.stdin is not None:
            process.stdin.close()
        return status

"""Real worker processes for tests that kill them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest


class WorkerProcess:
    """A Python program that runs a worker, with the contract's environment.

    Its ports are free ones that it prints: `{"event": "ready"...}` is waited for by `wait_ready`.
    """

    def __init__(self, program: Path, env: Mapping[str, str], *, log: Path) -> None:
        self._log = log
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("QUEUE_", "WORKERPOOL_"))}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(program)], env={**clean, **env}, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, *, seconds: float = 30.0) -> Self:
        deadline = time.monotonic() + seconds
        while '"ready"' not in self.output:
            if not self.alive or time.monotonic() > deadline:
                pytest.fail(f"the worker does not come up:\n{self.output[-3000:]}")
            time.sleep(0.02)
        return self

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and no trace left."""
        self._process.kill()
        self._process.wait(timeout=20)

    def port(self, name: str) -> int:
        """Of its `health` or `metrics`."""
        lines: list[dict[str, Any]] = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return next(int(line[f"{name}_port"]) for line in lines if line["event"] == "listening")

    def get(self, name: str, path: str) -> tuple[int, str]:
        """Status and text of a page of its `health` or `metrics` server."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port(name)}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait(self, *, seconds: float = 30.0, scrape: bool = True) -> int:
        """Its exit status. A drained worker stays until it was scraped: done here, unless told otherwise."""
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:
            if scrape and '"drained"' in self.output:
                with contextlib.suppress(OSError):
                    self.get("metrics", "/metrics")
            time.sleep(0.02)
        if self.alive:
            pytest.fail(f"the worker does not end:\n{self.output[-3000:]}")
        return self._process.wait()

    def end(self) -> None:
        """Leave nothing behind."""
        if self.alive:
            self.kill()

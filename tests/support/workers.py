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
from types import MappingProxyType
from typing import Any, ClassVar, Self

import pytest

from e2e.support.redis_server import RedisServer
from workerpool import BrokerUnavailable, Queue


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
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, *, seconds: float = 60.0) -> Self:
        deadline = time.monotonic() + seconds
        while True:
            alive = self.alive  # before the look: one that was ready may have died since, of its first job
            if '"ready"' in self.output:
                return self
            if not alive or time.monotonic() > deadline:
                pytest.fail(f"the worker does not come up:\n{self.output[-3000:]}")
            time.sleep(0.02)

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

    def wait(self, *, seconds: float = 60.0, scrape: bool = True) -> int:
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


class Workers:
    """Workers of one program on one queue, and what their jobs recorded under `RECORD_KEY` at `RECORD_URL`."""

    program: ClassVar[Path]
    contract: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """What is particular to these workers; `start` may say otherwise."""

    def __init__(self, server: RedisServer, stream: str, folder: Path) -> None:
        self.server, self.stream, self._folder = server, stream, folder
        self.workers: list[WorkerProcess] = []
        self.queue = Queue.connect(server.url, stream=stream)

    def start(self, **env: str) -> WorkerProcess:
        number = len(self.workers)
        contract = {
            "WORKERPOOL_NAME": "pool",
            "WORKERPOOL_VERSION": "v1",
            "WORKERPOOL_POD": f"pod-{number}",
            "QUEUE_MAIN_URL": self.server.url,
            "QUEUE_MAIN_STREAM": self.stream,
            "DRAIN_TIMEOUT": "20",
            "HEARTBEAT_INTERVAL": "0.2",
            "RECORD_URL": self.server.url,
            "RECORD_KEY": self.stream,
        }
        worker = WorkerProcess(self.program, {**contract, **self.contract, **env}, log=self._log(number))
        self.workers.append(worker)
        return worker

    def recorded(self, what: str) -> dict[str, int]:
        counts = self.server.client().hgetall(f"{self.stream}:{what}")
        return {job.decode(): int(count) for job, count in counts.items()}

    def dead(self) -> list[dict[str, str]]:
        letters = self.server.client(decode_responses=True).xrange(f"{{{self.stream}}}:dead")
        return [fields for _, fields in letters]

    async def finished(self) -> bool:
        try:
            depth = await self.queue.depth()
        except BrokerUnavailable:  # the test restarted it: the first look may still find the old connection
            return False
        return depth.unfinished == 0

    async def end(self) -> None:
        """Leave nothing behind."""
        for worker in self.workers:
            worker.end()
        await self.queue.close()

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

"""What is measured of one library: its throughput, its latency, and that it redelivers."""

from __future__ import annotations

import os
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from bench.peers.libraries import APPS, Library
from bench.peers.tree import WorkerTree

RATE: Final = 100.0
RATED_JOBS: Final = 1_500
_WARM: Final = 0.2
"""The share of the jobs after which throughput is measured: imports, connections and first calls are behind."""
_LONGEST_SECONDS: Final = 30.0
_READY_SECONDS: Final = 60.0
_REDELIVERED_WITHIN_SECONDS: Final = 60.0
_TRICKLE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 0.02


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Of a queue that is full."""

    jobs_per_core_second: float
    rss_bytes: int


class Bench:
    """One library on one Redis."""

    def __init__(self, library: Library, url: str, folder: Path) -> None:
        self._library = library
        self._url = url
        self._folder = folder
        self._log = folder / f"{library.name}.log"

    def throughput(self, workload: str) -> Throughput:
        """Jobs by the CPU time of the worker's processes, between a fifth of the jobs and all but a twentieth."""
        total = self._library.jobs
        with self._fresh() as run:
            run.produce("fill", workload, str(total))
            worker = run.worker()
            run.until(lambda: run.started() >= total * _WARM, worker, seconds=_READY_SECONDS)
            jobs, cpu, end = run.started(), worker.cpu_seconds(), time.monotonic() + _LONGEST_SECONDS
            run.until(lambda: run.started() >= total * 0.95 or time.monotonic() > end, worker, seconds=_READY_SECONDS)
            jobs, cpu = run.started() - jobs, worker.cpu_seconds() - cpu
            return Throughput(jobs_per_core_second=jobs / cpu, rss_bytes=worker.rss_bytes())

    def p99_seconds(self, workload: str) -> float:
        """From when a job was due to be sent, at a steady rate, until its handler started."""
        with self._fresh() as run:
            worker = run.worker()
            run.produce("fill", workload, "50")  # the first ones pay for what is loaded late
            run.until(lambda: run.started() == 50, worker, seconds=_READY_SECONDS)
            run.produce("rate", workload, str(RATED_JOBS), str(RATE))
            run.until(lambda: len(run.latencies()) == RATED_JOBS, worker, seconds=_LONGEST_SECONDS)
            return statistics.quantiles(run.latencies(), n=100)[98]

    def redelivery_seconds(self) -> float | None:
        """From SIGKILL to a worker in the middle of a job until another one starts that job; None: it did not.

        Meanwhile a no-op comes every second, as on any queue in use: taskiq looks for abandoned jobs only then.
        """
        with self._fresh() as run:
            workers = [run.worker(), run.worker()]
            run.produce("fill", "noop", "50")
            run.until(lambda: run.started() == 50, *workers, seconds=_READY_SECONDS)
            run.produce("fill", "probe", "1")
            run.until(lambda: bool(run.probed()), *workers, seconds=_READY_SECONDS)
            [victim] = [worker for worker in workers if run.probed()[0] in worker.pids()]
            survivor = workers[1 - workers.index(victim)]
            victim.kill()
            killed = time.monotonic()
            if len(run.probed()) != 1:
                raise RuntimeError("the probe had been started twice before its worker was killed")
            while time.monotonic() - killed < _REDELIVERED_WITHIN_SECONDS:
                with run.producing("rate", "noop", "10", str(1 / _TRICKLE_SECONDS)):
                    if run.wait(lambda: len(run.probed()) > 1, seconds=10 * _TRICKLE_SECONDS):
                        return time.monotonic() - killed if run.probed()[1] in survivor.pids() else None
            return None

    @contextmanager
    def _fresh(self) -> Iterator[_Run]:
        with redis.Redis.from_url(self._url) as client:
            client.flushall()
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            run = _Run(self._library, self._url, Path(folder), self._log)
            try:
                yield run
            finally:
                run.end()


class _Run:
    """Workers and producers of one phase, and the files in which jobs say that they started; see `apps/jobs.py`."""

    def __init__(self, library: Library, url: str, folder: Path, log: Path) -> None:
        self._library = library
        self._folder = folder
        self._log = log
        self._env = {**os.environ, "BENCH_REDIS": url, "BENCH_FOLDER": str(folder), "PYTHONPATH": str(APPS)}
        self._workers: list[WorkerTree] = []

    def worker(self) -> WorkerTree:
        """Start one more."""
        self._workers.append(WorkerTree(self._library, self._env, log=self._log))
        return self._workers[-1]

    def produce(self, *arguments: str) -> None:
        """Run the producer to its end."""
        with self.producing(*arguments) as process:
            if process.wait() != 0:
                raise RuntimeError(f"the producer failed:\n{self._log.read_text(errors='replace')[-2000:]}")

    @contextmanager
    def producing(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the producer beside the caller, and end it after that."""
        command = [str(self._library.python()), str(self._library.app), *arguments]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, cwd=APPS, env=self._env, stdout=log, stderr=log, process_group=0)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def started(self) -> int:
        """Jobs that have started."""
        return self._size("count")

    def latencies(self) -> list[float]:
        """Seconds of the jobs that knew when they were due."""
        path = self._folder / "starts"
        raw = path.read_bytes() if path.exists() else b""
        return [now - due for due, now in struct.iter_unpack("<dd", raw)]

    def probed(self) -> list[int]:
        """Processes that started the probe, in order."""
        path = self._folder / "probe"
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def until(self, condition: Callable[[], bool], *workers: WorkerTree, seconds: float) -> None:
        """Wait; raise RuntimeError when it takes too long or a worker ends."""
        if not self.wait(condition, *workers, seconds=seconds):
            raise RuntimeError(f"nothing more happens after {self.started()} jobs:\n{workers[0].said()}")

    def wait(self, condition: Callable[[], bool], *workers: WorkerTree, seconds: float) -> bool:
        """Wait, and tell whether it became true."""
        deadline = time.monotonic() + seconds
        while not condition():
            for worker in workers:
                worker.check()
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def end(self) -> None:
        """Leave no process."""
        for worker in self._workers:
            worker.kill()

    def _size(self, name: str) -> int:
        path = self._folder / name
        return path.stat().st_size if path.exists() else 0

"""One worker process of an app, with the collector that it talks to, and what it said."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from e2e.adapters.figures import UnexpectedError, parse
from e2e.adapters.libraries import APPS, App
from e2e.cluster.ports import free_ports
from e2e.support.environments import ROOT
from e2e.support.played_collector import PlayedCollector

DRAIN_SECONDS: Final = 30
STUCK_SECONDS: Final = 15
LOOK_SECONDS: Final = 0.05
_LEAVE_SECONDS: Final = DRAIN_SECONDS + 25.0
LABELS: Final = {"pool": "adapted", "version": "v1"}


class AdaptedWorker:
    """A worker process that runs."""

    def __init__(self, app: App, pod: str, process: subprocess.Popen[bytes], *, ports: list[int], log: Path) -> None:
        self.app = app
        self.pod = pod
        self.collector = PlayedCollector()
        self._process = process
        self._health_port, self._metrics_port = ports
        self._log = log

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-3000:]

    def terminate(self) -> None:
        """SIGTERM to its first process alone, as kubelet sends it."""
        self._process.terminate()

    async def status(self, path: str) -> int:
        """Of `/healthz` or `/ready`; 0: nobody answers."""
        with suppress(aiohttp.ClientError, OSError):
            async with aiohttp.ClientSession() as session, session.get(self._url(self._health_port, path)) as answer:
                return answer.status
        return 0

    async def figures(self) -> Mapping[str, float]:
        """Its metrics by name, those of all reasons added up. Raises UnexpectedError for other labels."""
        async with aiohttp.ClientSession() as session, session.get(self._url(self._metrics_port, "/metrics")) as answer:
            return parse(await answer.text(), labels=LABELS, lane=self.app.lane)

    async def until(self, condition: Callable[[], bool], what: str, *, seconds: float = 60.0) -> None:
        """Wait for it; raises UnexpectedError when it takes too long or this worker ends."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    if not self.alive:
                        raise UnexpectedError(f"{self.pod} ended with {self._process.returncode}, before: {what}")
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise UnexpectedError(f"{self.pod}: did not see within {seconds:g} s: {what}") from None

    async def leave(self) -> int:
        """Its exit status, after a SIGTERM; scraped meanwhile, as it stays for that."""
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                while self.alive:
                    with suppress(aiohttp.ClientError, OSError):
                        await self.figures()
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise UnexpectedError(f"{self.pod} has not ended {_LEAVE_SECONDS:g} s after SIGTERM") from None
        return self._process.returncode

    def kill(self) -> None:
        """It, and all that it has started, as when its container ends."""
        if self.alive:
            self._process.send_signal(signal.SIGSTOP)  # it starts no more, and does not see the others end
            children = self._children()
            self._process.kill()
            _kill(children)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=20)

    def kill_children(self) -> None:
        """Only what it has started."""
        _kill(self._children())

    def _children(self) -> list[psutil.Process]:
        """Those in other process groups, too."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    @staticmethod
    def _url(port: int, path: str) -> str:
        return f"http://127.0.0.1:{port}{path}"


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


@asynccontextmanager
async def running(app: App, pod: str, *, redis_url: str, folder: Path) -> AsyncIterator[AdaptedWorker]:
    """Start one, as a pool does; killed at the end, if it has not ended by then."""
    log, ports = folder / f"{pod}.log", free_ports(2)
    async with PlayedCollector() as collector:
        env = environment(redis_url) | {
            "WORKERPOOL_NAME": LABELS["pool"],
            "WORKERPOOL_VERSION": LABELS["version"],
            "WORKERPOOL_NAMESPACE": "adapters",
            "WORKERPOOL_POD": pod,
            "WORKERPOOL_COLLECTOR": collector.address,
            "MAX_WORKERS": str(app.slots),
            "HEARTBEAT_INTERVAL": "1",
            "DRAIN_TIMEOUT": str(DRAIN_SECONDS),
            "STUCK_AFTER": str(STUCK_SECONDS),
            "ABANDONED_SECONDS": str(app.abandoned_seconds),
            "HEALTH_PORT": str(ports[0]),
            "METRICS_PORT": str(ports[1]),
        }
        command = app.worker(str(app.python()))
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: ASYNC220  it returns at once
                command, cwd=APPS, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
            )
        worker = AdaptedWorker(app, pod, process, ports=ports, log=log)
        worker.collector = collector
        try:
            yield worker
        finally:
            worker.kill()


def environment(redis_url: str) -> dict[str, str]:
    """Of workers and producers: the app, and this checkout's SDK, whatever is installed elsewhere."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("QUEUE_", "WORKERPOOL_", "PYTHON"))
    }
    paths = [str(ROOT / "workers" / "src"), str(APPS)]
    return {**clean, "ADAPTERS_REDIS": redis_url, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}

"""Workers without the SDK: their metrics are read from their pods, every few seconds and when the operator asks.

Such a worker cannot be fenced and its word is as old as the last reading; the operator knows that and counts it as
best effort. A pod is scraped only while it has no stream.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import aiohttp

from workerpool.protocol import Counters, Report
from workerpool_operator.collector.board import Board, PodInfo, WorkerState

METRICS_PORT: Final = 8000
EVERY_SECONDS: Final = 5.0
TIMEOUT_SECONDS: Final = 2.0
MAX_BYTES: Final = 2**20
PATIENCE_SECONDS: Final = 3.0
"""A pod that has just become ready gets so long to open its stream before it is scraped."""

_GAUGES: Final = {"worker_jobs_in_progress": "in_flight", "worker_slots": "slots"}
_CPU: Final = "worker_cpu_percent"
_RUN_SECONDS: Final = "job_processing_seconds_sum"
_COUNTERS: Final = {
    "jobs_started_total": "started",
    "jobs_processed_total": "processed",
    "jobs_failed_total": "failed",
    "jobs_first_attempts_total": "first_attempts",
    "jobs_first_failures_total": "first_failures",
    "jobs_first_slow_total": "first_slow",
    "jobs_first_late_total": "first_late",
    "jobs_dead_lettered_total": "dead_lettered",
}


class Scraper:
    """Reads the metrics of workers that have no stream."""

    def __init__(self, board: Board, *, url: Callable[[PodInfo], str] | None = None) -> None:
        """`url` tells where a pod's metrics are; by default at its address."""
        self._board = board
        self._url = url or _pod_url
        self._ready_since: dict[str, float] = {}

    async def run(self) -> None:
        """Scrape all pools in turn, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.scrape()

    async def scrape(self, pool: str | None = None) -> None:
        """Read all workers without a stream now, of one pool or of all."""
        pods = [pod for pod in self._board.pods.values() if pool in (None, pod.pool) and self._due(pod)]
        for uid in self._ready_since.keys() - self._board.pods.keys():
            del self._ready_since[uid]
        if not pods:
            return
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=32)) as session:
            await asyncio.gather(*(self._scrape(session, pod) for pod in pods))

    def _due(self, pod: PodInfo) -> bool:
        if not pod.ready or not pod.ip or pod.pool not in self._board.pools:
            return False
        state = self._board.worker(pod.pool, pod.uid)
        if state is not None:
            return state.source == "scrape"
        return time.monotonic() - self._ready_since.setdefault(pod.uid, time.monotonic()) >= PATIENCE_SECONDS

    async def _scrape(self, session: aiohttp.ClientSession, pod: PodInfo) -> None:
        known = self._board.worker(pod.pool, pod.uid)
        try:
            async with session.get(self._url(pod)) as answer:
                answer.raise_for_status()
                text = (await answer.content.read(MAX_BYTES)).decode(errors="replace")
            report = parse(text)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            report = None
        if self._board.worker(pod.pool, pod.uid) is not known:
            return  # it opened a stream meanwhile
        if report is None and known is None:
            return
        state = WorkerState(
            pod=pod.name,
            uid=pod.uid,
            version=pod.version,
            source="scrape",
            report=report or (known.report if known else None),
            heard_at=time.monotonic() if report else (known.heard_at if known else 0.0),
            connected=report is not None,
        )
        self._board.heard(pod.pool, state)


def parse(text: str) -> Report:
    """The report that a worker's metrics amount to. Raises ValueError when they lack the contract's gauges."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        name = line.partition("{")[0].partition(" ")[0]
        if name in _GAUGES or name in _COUNTERS or name in (_CPU, _RUN_SECONDS):
            sample = line.rpartition("}")[2] if "{" in line else line[len(name) :]
            values[name] = values.get(name, 0.0) + float(sample.split()[0])
    if "worker_jobs_in_progress" not in values:
        raise ValueError("no worker_jobs_in_progress")
    gauges = {field: int(values[name]) for name, field in _GAUGES.items() if name in values}
    counters = {field: int(values[name]) for name, field in _COUNTERS.items() if name in values}
    in_flight = gauges["in_flight"]
    return Report(
        in_flight=in_flight,
        slots=max(1, gauges.get("slots", 1)),
        remaining_seconds=None if in_flight else 0.0,
        cpu_cores=values[_CPU] / 100.0 if _CPU in values else None,
        counters=Counters(**counters, run_seconds=values.get(_RUN_SECONDS)),
    )


def _pod_url(pod: PodInfo) -> str:
    host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
    return f"http://{host}:{METRICS_PORT}/metrics"

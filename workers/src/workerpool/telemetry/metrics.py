"""The worker's metrics: plain numbers that the loop changes, rendered by a collector when they are scraped.

The counters of prometheus-client take a lock per change and there are several per job, so they are not used on the way
of a job; its exposition is. Everything is zero-filled: a series that appears with its first event hides that event.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

LANE: Final = "io"
PROCESSING_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
WAIT_SECONDS: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0)


class FailureReason(StrEnum):
    """Why an attempt failed."""

    ERROR = "error"
    """The handler raised."""
    TIMEOUT = "timeout"
    """The handler took longer than it declares."""
    REJECTED = "rejected"
    """The handler said that no attempt can succeed."""
    UNKNOWN_TYPE = "unknown_type"
    """There is no such handler."""
    MALFORMED = "malformed"
    """It is no job."""
    OVERSIZE = "oversize"
    """Its payload is too large."""
    MAX_ATTEMPTS = "max_attempts"
    """Earlier attempts, which killed their workers, were all that is allowed."""
    LEASE_LOST = "lease_lost"
    """Its lease expired while it ran, so someone else has it now."""


class Histogram:
    """Counts per bucket and a sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value; a bucket holds what is at most its bound."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def render(self, name: str, text: str, labels: dict[str, str]) -> Metric:
        """In Prometheus' form: cumulative, with +Inf."""
        counts, buckets, cumulative = list(self._counts), [], 0
        for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
            cumulative += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(cumulative)))
        family = HistogramMetricFamily(name, text, labels=list(labels))
        family.add_metric(list(labels.values()), buckets=buckets, sum_value=self._sum)
        return family


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Totals since this process started: the protocol's `Counters`."""

    started: int
    processed: int
    failed: int
    first_attempts: int
    first_failures: int
    dead_lettered: int
    handed_back: int


class Metrics:
    """All of a worker's figures, and a collector for a `prometheus_client` registry."""

    def __init__(self, *, pool: str, version: str, slots: int) -> None:
        self._labels = {"pool": pool, "version": version}
        self._slots = slots
        self._process: Any = None
        self.started = self.processed = self.first_attempts = self.first_failures = 0
        self.retried = self.dead_lettered = self.redelivered = self.handed_back = 0
        self.failed = dict.fromkeys(FailureReason, 0)
        self.processing, self.wait = Histogram(PROCESSING_SECONDS), Histogram(WAIT_SECONDS)
        self.in_progress = 0
        self.queue_depth: dict[str, int] = {}
        """Waiting jobs by queue; stays empty in a pool, where the collector exports it."""
        self.start_seconds = self.drain_seconds = self._ready_at = 0.0
        self.last_progress = self._heartbeat = time.time()
        self._cpu_percent = 0.0
        self._memory_bytes = 0

    def ready(self) -> None:
        """The worker can take jobs now."""
        self._ready_at = time.time()

    def measure_process(self) -> None:
        """Begin to measure the process. After `ready`, on any thread: loading psutil would make the start longer."""
        import psutil  # noqa: PLC0415

        process = psutil.Process()
        process.cpu_percent()
        self.start_seconds = self._ready_at - process.create_time()
        self._memory_bytes = process.memory_info().rss
        self._process = process

    def heartbeat(self) -> None:
        """The worker is alive; CPU is measured from one heartbeat to the next."""
        self._heartbeat = time.time()
        if self._process is not None:
            self._cpu_percent = self._process.cpu_percent()
            self._memory_bytes = self._process.memory_info().rss

    def totals(self) -> "Totals":
        """The totals as the collector gets them."""
        return Totals(
            started=self.started,
            processed=self.processed,
            failed=sum(self.failed.values()),
            first_attempts=self.first_attempts,
            first_failures=self.first_failures,
            dead_lettered=self.dead_lettered,
            handed_back=self.handed_back,
        )

    def collect(self) -> Iterator[Metric]:
        """Called for each scrape, on the scraper's thread."""
        jobs = {**self._labels, "lane": LANE}
        yield _counter("jobs_started", "Attempts begun.", jobs, self.started)
        yield _counter("jobs_processed", "Jobs done and acknowledged.", jobs, self.processed)
        text = "Jobs begun for the first time, counted at start."
        yield _counter("jobs_first_attempts", text, jobs, self.first_attempts)
        yield _counter("jobs_first_failures", "First attempts that failed.", jobs, self.first_failures)
        yield _counter("jobs_retried", "Failed attempts that will be repeated.", jobs, self.retried)
        yield _counter("jobs_dead_lettered", "Jobs moved to the dead letters.", jobs, self.dead_lettered)
        yield _counter("jobs_redelivered", "Jobs taken over from a worker whose lease expired.", jobs, self.redelivered)
        failed = CounterMetricFamily("jobs_failed", "Attempts that failed, by reason.", labels=[*jobs, "reason"])
        for reason, count in list(self.failed.items()):
            failed.add_metric([*jobs.values(), reason.value], count)
        yield failed
        text = "Time in the handler, of every attempt."
        yield self.processing.render("job_processing_seconds", text, jobs)
        text = "From when a job became due until it was taken."
        yield self.wait.render("job_wait_seconds", text, jobs)
        yield _gauge("worker_jobs_in_progress", "Jobs taken and not yet settled.", jobs, self.in_progress)
        yield _gauge("worker_slots", "Jobs that this worker runs at a time.", jobs, self._slots)
        if self.queue_depth:
            depth = GaugeMetricFamily("queue_depth", "Jobs waiting.", labels=[*self._labels, "queue"])
            for queue, waiting in list(self.queue_depth.items()):
                depth.add_metric([*self._labels.values(), queue], waiting)
            yield depth
        yield from self._collect_worker()

    def _collect_worker(self) -> Iterator[Metric]:
        worker = self._labels
        yield _gauge("worker_heartbeat_unixtime", "When the worker last said that it lives.", worker, self._heartbeat)
        text = "When a job last ended, in whatever way; at first when the worker started."
        yield _gauge("worker_last_progress_unixtime", text, worker, self.last_progress)
        text = "CPU used since the heartbeat before; 100 is one core."
        yield _gauge("worker_cpu_percent", text, worker, self._cpu_percent)
        yield _gauge("worker_memory_bytes", "Resident memory.", worker, self._memory_bytes)
        text = "From the start of the process until it was ready to take jobs."
        yield _gauge("worker_start_seconds", text, worker, self.start_seconds)
        text = "How long the drain took; 0 until it is over."
        yield _gauge("worker_drain_seconds", text, worker, self.drain_seconds)


def _counter(name: str, text: str, labels: dict[str, str], value: float) -> Metric:
    family = CounterMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _gauge(name: str, text: str, labels: dict[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family

"""The worker's metrics as Prometheus reads them.

Loaded at the first scrape: prometheus-client costs a fifth of the start of a worker, which needs none of it to take
jobs. Everything is zero-filled: a series that appears with its first event hides that event.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric

from workerpool.telemetry.metrics import Histogram, Metrics

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
LANE: Final = "io"


def render(metrics: Metrics) -> bytes:
    """The text of a scrape."""
    registry = CollectorRegistry()
    registry.register(_Collector(metrics))
    return generate_latest(registry)


def families(metrics: Metrics) -> Iterator[Metric]:
    """All metrics, with their values."""
    worker = {"pool": metrics.pool, "version": metrics.version}
    yield from _jobs(metrics, {**worker, "lane": LANE})
    yield from _worker(metrics, worker)


class _Collector:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return families(self._metrics)


def _jobs(metrics: Metrics, jobs: dict[str, str]) -> Iterator[Metric]:
    yield _counter("jobs_started", "Attempts begun.", jobs, metrics.started)
    yield _counter("jobs_processed", "Jobs done and acknowledged.", jobs, metrics.processed)
    text = "Jobs begun for the first time, counted at start."
    yield _counter("jobs_first_attempts", text, jobs, metrics.first_attempts)
    yield _counter("jobs_first_failures", "First attempts that failed.", jobs, metrics.first_failures)
    yield _counter("jobs_retried", "Failed attempts that will be repeated.", jobs, metrics.retried)
    yield _counter("jobs_dead_lettered", "Jobs moved to the dead letters.", jobs, metrics.dead_lettered)
    text = "Jobs taken over from a worker whose lease expired."
    yield _counter("jobs_redelivered", text, jobs, metrics.redelivered)
    text = "Attempts that found their job done before, by its mark."
    yield _counter("jobs_duplicate_skipped", text, jobs, metrics.duplicates_skipped)
    failed = CounterMetricFamily("jobs_failed", "Attempts that failed, by reason.", labels=[*jobs, "reason"])
    for reason, count in list(metrics.failed.items()):
        failed.add_metric([*jobs.values(), reason.value], count)
    yield failed
    text = "Time in the handler, of every attempt."
    yield _histogram("job_processing_seconds", text, jobs, metrics.processing)
    text = "From when a job became due until it was taken."
    yield _histogram("job_wait_seconds", text, jobs, metrics.wait)
    yield _gauge("worker_jobs_in_progress", "Jobs taken and not yet settled.", jobs, metrics.in_progress)
    yield _gauge("worker_slots", "Jobs that this worker runs at a time.", jobs, metrics.slots)


def _worker(metrics: Metrics, worker: dict[str, str]) -> Iterator[Metric]:
    if metrics.queue_depth:
        depth = GaugeMetricFamily("queue_depth", "Jobs waiting.", labels=[*worker, "queue"])
        for queue, waiting in list(metrics.queue_depth.items()):
            depth.add_metric([*worker.values(), queue], waiting)
        yield depth
    text = "When the worker last said that it lives."
    yield _gauge("worker_heartbeat_unixtime", text, worker, metrics.last_heartbeat)
    text = "When a job last ended, in whatever way; at first when the worker started."
    yield _gauge("worker_last_progress_unixtime", text, worker, metrics.last_progress)
    text = "CPU used since the heartbeat before; 100 is one core."
    yield _gauge("worker_cpu_percent", text, worker, metrics.cpu_percent)
    yield _gauge("worker_memory_bytes", "Resident memory.", worker, metrics.memory_bytes)
    text = "From the start of the process until it was ready to take jobs."
    yield _gauge("worker_start_seconds", text, worker, metrics.start_seconds)
    text = "How long the drain took; 0 until it is over."
    yield _gauge("worker_drain_seconds", text, worker, metrics.drain_seconds)


def _counter(name: str, text: str, labels: dict[str, str], value: float) -> Metric:
    family = CounterMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _gauge(name: str, text: str, labels: dict[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _histogram(name: str, text: str, labels: dict[str, str], histogram: Histogram) -> Metric:
    """In Prometheus' form: cumulative, with +Inf."""
    counts, buckets, cumulative = list(histogram.counts), [], 0
    for bound, count in zip((*histogram.bounds, float("inf")), counts, strict=True):
        cumulative += count
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(cumulative)))
    family = HistogramMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), buckets=buckets, sum_value=histogram.sum)
    return family

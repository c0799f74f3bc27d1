"""The worker's metrics as Prometheus reads them.

Loaded at the first scrape: prometheus-client costs a fifth of the start of a worker, which needs none of it to take
jobs. Everything is zero-filled: a series that appears with its first event hides that event.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric

from workerpool.telemetry.metrics import Histogram, LaneMetrics, Metrics

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def render(metrics: Metrics) -> bytes:
    """The text of a scrape."""
    registry = CollectorRegistry()
    registry.register(_Collector(metrics))
    return generate_latest(registry)


def families(metrics: Metrics) -> Iterator[Metric]:
    """All metrics, with their values."""
    worker = {"pool": metrics.pool, "version": metrics.version}
    lanes = [({**worker, "lane": str(name)}, lane) for name, lane in metrics.lanes.items()]
    yield from _jobs(lanes)
    yield from _worker(metrics, worker)
    yield from _held_back(metrics, worker, lanes)


class _Collector:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return families(self._metrics)


_Lanes = Sequence[tuple[dict[str, str], LaneMetrics]]


def _jobs(lanes: _Lanes) -> Iterator[Metric]:
    def counter(name: str, text: str, value: Callable[[LaneMetrics], float]) -> Metric:
        return _counter(name, text, [(labels, value(lane)) for labels, lane in lanes])

    def gauge(name: str, text: str, value: Callable[[LaneMetrics], float]) -> Metric:
        return _gauge(name, text, [(labels, value(lane)) for labels, lane in lanes])

    yield counter("jobs_started", "Attempts begun.", lambda lane: lane.started)
    yield counter("jobs_processed", "Jobs done and acknowledged.", lambda lane: lane.processed)
    yield counter("jobs_first_attempts", "Jobs begun for the first time, counted at start.", _first_attempts)
    yield counter("jobs_first_failures", "First attempts that failed.", lambda lane: lane.first_failures)
    text = "First attempts that took as long as is slow, as their handler, the pool or SLOW_JOB_SECONDS says."
    yield counter("jobs_first_slow", text, lambda lane: lane.first_slow)
    text = "First attempts that ended later than spec.slo.jobLatencySeconds, since their job was due."
    late = [(labels, float(lane.first_late)) for labels, lane in lanes if lane.first_late is not None]
    if late:
        yield _counter("jobs_first_late", text, late)
    yield counter("jobs_retried", "Failed attempts that will be repeated.", lambda lane: lane.retried)
    text = "Failed attempts that will be repeated late, because too many fail."
    yield counter("jobs_put_off", text, lambda lane: lane.put_off)
    text = "Jobs moved to the dead letters, but for those in jobs_shed_total."
    yield counter("jobs_dead_lettered", text, lambda lane: lane.dead_lettered)
    yield counter(
        "jobs_redelivered", "Jobs taken over from a worker whose lease expired.", lambda lane: lane.redelivered
    )
    text = "Attempts that found their job done before, by its mark."
    yield counter("jobs_duplicate_skipped", text, lambda lane: lane.duplicates_skipped)
    failures = [
        ({**labels, "reason": reason.value}, count)
        for labels, lane in lanes
        for reason, count in list(lane.failed.items())
    ]
    yield _counter("jobs_failed", "Attempts that failed, by reason.", failures)
    text = "Time in the handler, of every attempt; the start of a process for it does not count."
    yield _histogram("job_processing_seconds", text, [(labels, lane.processing) for labels, lane in lanes])
    batches = [(labels, lane.batches) for labels, lane in lanes if lane.batches is not None]
    if batches:
        yield _histogram("job_batch_size", "Jobs in each call of a handler that does batches.", batches)
    text = "From when a job became due until it was taken, by class of priority."
    waits = [({**labels, "priority": one}, waits) for labels, lane in lanes for one, waits in lane.waits.items()]
    yield _histogram("job_wait_seconds", text, waits)
    yield gauge("worker_jobs_in_progress", "Jobs taken and not yet settled.", lambda lane: lane.in_progress)
    yield gauge("worker_slots", "Jobs that this worker runs at a time.", lambda lane: lane.slots)
    text = "Jobs at a time that would keep the lane's cores busy, by what they took: cores x (1 + wait / service)."
    yield gauge("worker_slots_hint", f"{text} 0: not known.", lambda lane: lane.slots_hint)
    threads = [
        ({**labels, "state": state}, float(count))
        for labels, lane in lanes
        for state, count in lane.threads()._asdict().items()
    ]
    text = "Threads of the thread lane and processes of the cpu lane; wedged: given up, still in a handler."
    yield _gauge("worker_pool_threads", text, threads)


def _first_attempts(lane: LaneMetrics) -> float:
    return lane.first_attempts


def _worker(metrics: Metrics, worker: dict[str, str]) -> Iterator[Metric]:
    if metrics.queue_depth:
        depth = GaugeMetricFamily("queue_depth", "Jobs waiting.", labels=[*worker, "queue"])
        for queue, waiting in list(metrics.queue_depth.items()):
            depth.add_metric([*worker.values(), queue], waiting)
        yield depth
    if metrics.circuits:
        text = "Whether a breaker keeps jobs from being run: 1 until it is closed again."
        circuits = [({**worker, "circuit": name}, float(is_open)) for name, is_open in metrics.circuits.items()]
        yield _gauge("circuit_open", text, circuits)
    text = "When the worker last said that it lives."
    yield _gauge("worker_heartbeat_unixtime", text, [(worker, metrics.last_heartbeat)])
    text = "When a job last ended, in whatever way; at first when the worker started."
    yield _gauge("worker_last_progress_unixtime", text, [(worker, metrics.last_progress)])
    text = "CPU used since the heartbeat before, that of the cpu lane's processes included; 100 is one core."
    yield _gauge("worker_cpu_percent", text, [(worker, metrics.cpu_percent)])
    yield _gauge(
        "worker_memory_bytes",
        "Resident memory, that of the cpu lane's processes included.",
        [(worker, metrics.memory_bytes)],
    )
    text = "The longest that the event loop was late since the heartbeat before."
    yield _gauge("worker_loop_lag_seconds", text, [(worker, metrics.loop_lag)])
    text = "Switches of the worker's threads from one to another, of the cpu lane's processes not included."
    yield _counter("worker_context_switches", text, [(worker, metrics.context_switches)])
    text = "From the start of the process until it was ready to take jobs."
    yield _gauge("worker_start_seconds", text, [(worker, metrics.start_seconds)])
    text = "How long the drain took; 0 until it is over."
    yield _gauge("worker_drain_seconds", text, [(worker, metrics.drain_seconds)])


def _held_back(metrics: Metrics, worker: dict[str, str], lanes: _Lanes) -> Iterator[Metric]:
    """What guards kept from running, or made wait. An empty label is none."""
    text = "Jobs moved to the dead letters without an attempt: expired, or shed for they had waited too long."
    shed = [({**worker, "reason": reason.value}, float(count)) for reason, count in metrics.shed.items()]
    yield _counter("jobs_shed", text, shed)
    text = "Times that the worker had room for a job and waited for the pool's rate limit."
    yield _counter("rate_limited", text, [(worker, metrics.rate_limited)])
    locks = list(metrics.locks.items())
    text = "Jobs handed back because their lane was full or their circuit open, and jobs that waited for an endpoint."
    full = [({**labels, "endpoint": ""}, float(lane.refused)) for labels, lane in lanes]
    busy = [({**worker, "lane": "", "endpoint": name}, float(lock.waited)) for name, lock in locks]
    yield _counter("backpressure_events", text, full + busy)
    waits = {name: lock.wait for name, lock in locks}
    waits |= {f"cache:{name}": wait for name, wait in list(metrics.caches.items())}
    if waits:
        text = (
            "How long jobs waited for an endpoint, or for another one to fill a value of a cache; 0: nobody was first."
        )
        yield _histogram("worker_lock_wait_seconds", text, [({**worker, "lock": name}, waits[name]) for name in waits])


_Samples = Sequence[tuple[dict[str, str], float]]


def _counter(name: str, text: str, samples: _Samples) -> Metric:
    family = CounterMetricFamily(name, text, labels=list(samples[0][0]))
    for labels, value in samples:
        family.add_metric(list(labels.values()), value)
    return family


def _gauge(name: str, text: str, samples: _Samples) -> Metric:
    family = GaugeMetricFamily(name, text, labels=list(samples[0][0]))
    for labels, value in samples:
        family.add_metric(list(labels.values()), value)
    return family


def _histogram(name: str, text: str, samples: Sequence[tuple[dict[str, str], Histogram]]) -> Metric:
    """In Prometheus' form: cumulative, with +Inf."""
    family = HistogramMetricFamily(name, text, labels=list(samples[0][0]))
    for labels, histogram in samples:
        counts, buckets, cumulative = list(histogram.counts), [], 0
        for bound, count in zip((*histogram.bounds, float("inf")), counts, strict=True):
            cumulative += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), float(cumulative)))
        family.add_metric(list(labels.values()), buckets=buckets, sum_value=histogram.sum)
    return family

"""The reference page of all metrics, made of processes' own metrics in which every family has a sample."""

import sys
from collections.abc import Callable, Iterable

from prometheus_client import Metric

from workerpool.telemetry import exposition
from workerpool.telemetry.metrics import BATCH_JOBS, Histogram, LockMetrics, Metrics
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.metrics import CollectorMetrics
from workerpool_operator.metrics import (
    CanarySeries,
    Direction,
    OperatorMetrics,
    PlaceSeries,
    PoolSeries,
    Prices,
    VersionRole,
    table,
)
from workerpool_operator.protocol import PoolConfig, QueueSample

HEAD = """\
<!-- Generated from the metrics' own help texts by `make generate`: do not edit. -->
# Metrics

How Prometheus is told where they are, and which alerts come of them: [alerts](../how-to/alerts.md). Operator and
collector also have the `process_*` metrics of every Prometheus client. Labels `namespace` and `pod` of workers and
collectors are added by the PodMonitor.
"""
OPERATOR = """
## Operator

On `:8080/metrics` of each replica. Series with a `pool` label are exported by the leader only, so that a pool is never
counted twice.

"""
COLLECTOR = """
## Collector

On `:8000/metrics` of each namespace's collector. A queue has its series from when its pool is known, at zero too; one
that cannot be read loses those of what is not known.

"""
WORKER = """
## Worker

On `:8000/metrics` of each worker with the SDK; what a worker without it needs is in
[the worker contract](worker-contract.md#metrics-port-8000-metrics). `queue_depth` only outside a pool: in one it is the
collector's.

"""


def page() -> str:
    """The whole page."""
    sections = {OPERATOR: operator, COLLECTOR: collector, WORKER: worker}
    return HEAD + "".join(head + table.markdown(families()) for head, families in sections.items())


def families() -> list[Metric]:
    """Every family of every process."""
    makers: tuple[Callable[[], Iterable[Metric]], ...] = (operator, collector, worker)
    return [family for maker in makers for family in maker()]


def operator() -> list[Metric]:
    """The operator's."""
    metrics = OperatorMetrics(Prices(currency="EUR", worker_hour=0.04))
    metrics.reconciled(seconds=0.01, error="Conflict")
    metrics.api_request(verb="apply", kind="Deployment", code="200", seconds=0.01)
    metrics.api_retry(verb="list", kind="Deployment")
    metrics.metrics_request(kind="values", code=200, seconds=0.001)
    versions = (VersionRole("0123abcd", "stable"),)
    canary = CanarySeries(
        rejected=False,
        version="4567cdef",
        verdict="Inconclusive",
        step=1,
        step_seconds=1800,
        weight=10,
        pod_share=0.1,
        job_share=0.1,
        ratios=(("failures", 1.0),),
    )
    series = PoolSeries(
        desired=1,
        replicas=1,
        mode="direct",
        limited_by=("maxReplicas",),
        versions=versions,
        canary=canary,
        places=PlaceSeries(workers={"primary": 1, "secondary": 0}),
        thresholds={"queueDepth": 200},
        objectives={"availability": 0.999},
    )
    metrics.pools.show("media", "thumbnails", series)
    metrics.pools.scaled("media", "thumbnails", Direction.UP)
    return _own(metrics.registry.collect())


def collector() -> list[Metric]:
    """A collector's."""
    board = Board(announce=lambda *_, **__: None)
    board.configure((PoolConfig(name="thumbnails", uid="1", queues=({"name": "main"},)),))
    reading = QueueSample(
        queue="main", age_seconds=0, waiting=0, in_flight=0, oldest_age_seconds=0, arrivals_total=0, dead_letters=0
    )
    board.sampled("thumbnails", reading)
    metrics = CollectorMetrics(board)
    metrics.polled("thumbnails", "main", seconds=0.001, error="", lag={0: 0, 1: 0})
    return _own(metrics.registry.collect())


def worker() -> list[Metric]:
    """A worker's; outside of a pool it also reads the queue."""
    metrics = Metrics(pool="thumbnails", version="0123abcd", slots={"io": 1})
    metrics.queue_depth["main"] = 0
    metrics.lanes["io"].first_late = 0
    metrics.locks["crm"] = LockMetrics()
    metrics.circuits["crm"] = False
    metrics.lanes["io"].batches = Histogram(BATCH_JOBS)
    return _own(exposition.families(metrics))


def _own(found: Iterable[Metric]) -> list[Metric]:
    return [family for family in found if not family.name.startswith("process_")]


if __name__ == "__main__":
    sys.stdout.write(page())

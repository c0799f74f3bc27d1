"""The operator's own metrics, on a registry of their own: two operators in one process do not share counters.

The methods are the protocols that other packages ask for (`kube.RequestObserver`, the work queue's), so those
know nothing of Prometheus.
"""

import asyncio
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from workerpool_operator.metrics.pools import PoolMetrics, Prices

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_PREFIX: Final = "workerpool_operator"


class OperatorMetrics:
    """All metrics of one operator process; `pools` holds those per pool."""

    def __init__(self, prices: Prices | None = None) -> None:
        self.registry = CollectorRegistry()
        self.pools = PoolMetrics(prices or Prices())
        self.registry.register(self.pools)
        ProcessCollector(registry=self.registry)
        self._reconciles = self._counter("reconcile", "Reconciles of a pool that ended, failed ones included.")
        self._reconcile_errors = self._counter(
            "reconcile_errors", "Reconciles that failed and will be repeated, by kind of error.", "reason"
        )
        self._reconcile_seconds = self._histogram(
            "reconcile_seconds", "How long a reconcile took, its requests to the API server included."
        )
        self._queue_depth = Gauge(
            f"{_PREFIX}_workqueue_depth",
            "Pools that are due and wait to be reconciled. A replica that does not lead keeps all of them waiting.",
            registry=self.registry,
        )
        self._queue_waited = self._histogram(
            "workqueue_wait_seconds", "How long a pool was due before its reconcile began."
        )
        self._api_requests = self._counter(
            "api_requests",
            "Requests to the Kubernetes API by verb, kind and HTTP status, or by what kept it from having one.",
            "verb",
            "kind",
            "code",
        )
        self._api_retries = self._counter(
            "api_retries",
            "Requests to the Kubernetes API that were repeated at once; only pages of listings are.",
            "verb",
            "kind",
        )
        self._api_seconds = self._histogram(
            "api_request_seconds", "How long requests to the Kubernetes API took, without waiting for a turn.", "verb"
        )
        self._events_dropped = self._counter(
            "events_dropped", "Kubernetes events that were not written: too many for one object, or refused."
        )
        self._metrics_requests = self._counter(
            "external_metrics_requests",
            "Requests to the external metrics API that were answered, by HTTP status; an HPA acts on 200 only. Kind "
            "values: for numbers, by whoever may read them; other: discovery, health, and what strangers send.",
            "kind",
            "code",
        )
        self._metrics_seconds = self._histogram(
            "external_metrics_request_seconds",
            "How long a request to the external metrics API took, reviews of the caller's rights included.",
        )
        self._metrics_restarts = self._counter(
            "external_metrics_restarts",
            "Times the process that serves the external metrics API ended by itself and was started again.",
        )
        self._leader = Gauge(
            f"{_PREFIX}_leader",
            "1 while this replica holds the lease, has learned what there is and acts, else 0.",
            registry=self.registry,
        )

    def reconciled(self, *, seconds: float, error: str = "") -> None:
        """A reconcile ended; `error` is the class of what made it fail, or empty."""
        self._reconciles.inc()
        self._reconcile_seconds.observe(seconds)
        if error:
            self._reconcile_errors.labels(error).inc()

    def queue_depth(self, depth: int) -> None:
        """So many pools are due and not being reconciled."""
        self._queue_depth.set(depth)

    def queue_waited(self, seconds: float) -> None:
        """A pool was due for so long before its turn came."""
        self._queue_waited.observe(seconds)

    def api_request(self, *, verb: str, kind: str, code: str, seconds: float) -> None:
        """A request to the Kubernetes API ended."""
        self._api_requests.labels(verb, kind, code).inc()
        self._api_seconds.labels(verb).observe(seconds)

    def api_retry(self, *, verb: str, kind: str) -> None:
        """A request to the Kubernetes API is about to be sent again."""
        self._api_retries.labels(verb, kind).inc()

    def event_dropped(self) -> None:
        """A Kubernetes event was not written."""
        self._events_dropped.inc()

    def metrics_served(self) -> None:
        """This replica is to serve the external metrics API: that nobody has got a number yet is a 0, and no gap."""
        self._metrics_requests.labels("values", "200")

    def metrics_request(self, *, kind: str, code: int, seconds: float) -> None:
        """A request to the external metrics API was answered."""
        self._metrics_requests.labels(kind, str(code)).inc()
        self._metrics_seconds.observe(seconds)

    def metrics_restart(self) -> None:
        """The process that serves the external metrics API has ended by itself, and is started again."""
        self._metrics_restarts.inc()

    def leading(self, leading: bool) -> None:  # noqa: FBT001  the shape of the callback
        """Whether this replica leads and acts has changed. One that does not exports no pool: two would count twice."""
        self._leader.set(leading)
        if not leading:
            self.pools.clear()

    async def exposition(self) -> bytes:
        """Everything in Prometheus' text format (`prometheus_client.CONTENT_TYPE_LATEST`).

        In a thread: 5,000 pools take a third of a second of CPU, for which no reconcile should wait.
        """
        return await asyncio.to_thread(generate_latest, self.registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", documentation, labels, registry=self.registry, buckets=_SECONDS)

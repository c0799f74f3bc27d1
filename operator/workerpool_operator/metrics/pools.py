"""The series per pool, which only the leader exports.

Each pool's values are one frozen object that is replaced as a whole and turned into samples when Prometheus asks.
So a version that went, or a limiter that no longer clips, leaves no stale series behind, which label-by-label
gauges would need bookkeeping for.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from workerpool_operator.domain.usage import Usage
from workerpool_operator.metrics.meter import Meter

_POOL: Final = ("namespace", "pool")


class Direction(StrEnum):
    """Which way a size changed."""

    UP = "up"
    """More workers."""
    DOWN = "down"
    """Fewer workers."""


@dataclass(frozen=True, slots=True)
class VersionRole:
    """A version that is there, and what it is for (stable, draining)."""

    version: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySeries:
    """How a rollout stands, for a pool that tries its versions; unset figures are not known."""

    rejected: bool
    version: str = ""
    """Empty: none is tried."""
    verdict: str = ""
    step: int = 0
    step_seconds: float = 0.0
    weight: int = 0
    pod_share: float | None = None
    job_share: float | None = None
    ratios: tuple[tuple[str, float], ...] = ()
    """Of each judged signal whose ratio is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceSeries:
    """Where the workers are, for a pool that names places."""

    workers: Mapping[str, int]
    """By place: primary, secondary, and `former` for those that the pool named before."""
    lost: int = 0
    since: float | None = None
    """Since when others run in their stead, in seconds of the metrics' clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSeries:
    """What a reconcile knows about its pool; the fields are explained by the metrics' help texts."""

    desired: int | None
    """None while it is only held: whoever scales by the series must see that it is unknown, as by the metrics API."""
    replicas: int
    mode: str
    limited_by: tuple[str, ...] = ()
    versions: tuple[VersionRole, ...] = ()
    stuck: int = 0
    canary: CanarySeries | None = None
    """None: versions take over without a canary."""
    places: PlaceSeries | None = None
    """None: the pool names no places."""
    usage: tuple[Usage, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    objectives: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What an hour of one worker costs, in a currency."""

    currency: str = ""
    worker_hour: float = 0.0
    """Of pools that are not named; 0: not known."""
    pools: Mapping[str, float] = field(default_factory=dict)
    """By namespace/name."""

    def of(self, namespace: str, pool: str) -> float | None:
        """That of one pool."""
        return self.pools.get(f"{namespace}/{pool}", self.worker_hour) or None


@dataclass(slots=True)
class _Pool:
    series: PoolSeries
    meter: Meter
    actions: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))
    failovers: int = 0


class PoolMetrics(Collector):
    """Holds the pools' values. Written by the event loop, read by whichever thread answers a scrape."""

    def __init__(self, prices: Prices, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._prices = prices
        self._clock = clock
        self._pools: dict[tuple[str, str], _Pool] = {}

    def show(self, namespace: str, pool: str, series: PoolSeries) -> None:
        """Export these values from now on; counters start at 0 when the pool is new here."""
        known = self._pools.get((namespace, pool))
        if known:
            known.series = series
        else:
            known = self._pools[namespace, pool] = _Pool(series, Meter(self._clock))
        known.meter.feed(series.usage, versions=(one.version for one in series.versions))

    def scaled(self, namespace: str, pool: str, direction: Direction) -> None:
        """Count one change of size; nothing where the pool is not shown."""
        if known := self._pools.get((namespace, pool)):
            known.actions[direction] += 1

    def failed_over(self, namespace: str, pool: str) -> None:
        """Count one failover; nothing where the pool is not shown."""
        if known := self._pools.get((namespace, pool)):
            known.failovers += 1

    def remove(self, namespace: str, pool: str) -> None:
        """The pool is gone, and so are its series."""
        self._pools.pop((namespace, pool), None)

    def clear(self) -> None:
        """This replica no longer leads: it knows nothing about any pool."""
        self._pools.clear()

    def describe(self) -> Iterable[Metric]:
        """The families without samples: for the registry's check of names, and for the documentation."""
        return self._families([])

    def collect(self) -> Iterator[Metric]:
        """The families with the samples of this moment."""
        # A copy made in one step: the event loop may add a pool meanwhile.
        return self._families(list(self._pools.items()))

    def _families(self, pools: list[tuple[tuple[str, str], _Pool]]) -> Iterator[Metric]:
        yield self._gauge(
            "workerpool_desired_replicas",
            "Worker pods that the pool should have. No series while its queues cannot be read.",
            ((key, pool.series.desired) for key, pool in pools if pool.series.desired is not None),
        )
        yield self._gauge(
            "workerpool_replicas",
            "Worker pods that the pool has: stable ones and canaries that are not stopping.",
            ((key, pool.series.replicas) for key, pool in pools),
        )
        yield self._gauge(
            "workerpool_version_info",
            "1 for each version of the workers that is there, with its role; join by version.",
            (((*key, one.version, one.role), 1) for key, pool in pools for one in pool.series.versions),
            "version",
            "role",
        )
        yield self._gauge(
            "workerpool_limited_by",
            "1 for each limit that keeps the size from being what the work asks for.",
            (((*key, limiter), 1) for key, pool in pools for limiter in pool.series.limited_by),
            "limiter",
        )
        yield self._gauge(
            "workerpool_info",
            "1 for each pool, with its scaling mode in force.",
            (((*key, pool.series.mode), 1) for key, pool in pools),
            "mode",
        )
        yield self._gauge(
            "workerpool_stuck_workers",
            "Workers that live and take no job although jobs wait for them.",
            ((key, pool.series.stuck) for key, pool in pools),
        )
        yield self._gauge(
            "workerpool_threshold",
            "What the installation's alerts hold the pool to, by kind: queueDepth, jobWaitSeconds, and what else the "
            "pool sets in spec.alerts.thresholds. sloQueueDepth: what spec.slo.queueDepth is judged by.",
            (((*key, kind), value) for key, pool in pools for kind, value in pool.series.thresholds.items()),
            "kind",
        )
        yield self._gauge(
            "workerpool_slo_objective",
            "Share that the pool promises in spec.slo, of availability, latency, queueDepth or throughput.",
            (((*key, slo), share) for key, pool in pools for slo, share in pool.series.objectives.items()),
            "slo",
        )
        yield from self._canaries([(key, pool.series.canary) for key, pool in pools if pool.series.canary is not None])
        yield from self._places([(key, pool) for key, pool in pools if pool.series.places is not None])
        yield from self._costs(pools)
        yield self._counter(
            "workerpool_scale_actions",
            "Changes of the pool's size by this leader, by direction.",
            (((*key, direction), count) for key, pool in pools for direction, count in pool.actions.items()),
            "direction",
        )

    def _canaries(self, found: list[tuple[tuple[str, str], CanarySeries]]) -> Iterator[Metric]:
        tried = [(key, one) for key, one in found if one.version]
        yield self._gauge(
            "workerpool_canary_rejected",
            "1 while the pool asks for a version that was tried and went, else 0.",
            ((key, int(one.rejected)) for key, one in found),
        )
        yield self._gauge(
            "workerpool_canary_info",
            "1 for the version that is tried, with what is known of it (Pass, Fail or Inconclusive).",
            (((*key, one.version, one.verdict), 1) for key, one in tried),
            "version",
            "verdict",
        )
        yield self._gauge(
            "workerpool_canary_step",
            "Step that the version that is tried is in, from 1.",
            ((key, one.step) for key, one in tried),
        )
        yield self._gauge(
            "workerpool_canary_step_seconds",
            "For how long that step has to be measured by spec.rollout.steps; +Inf while its pause waits for a person.",
            ((key, one.step_seconds) for key, one in tried),
        )
        yield self._gauge(
            "workerpool_canary_weight",
            "Percent of the workers that are to run the version that is tried.",
            ((key, one.weight) for key, one in tried),
        )
        yield self._gauge(
            "workerpool_canary_pod_share",
            "Part of the ready workers that run it.",
            ((key, one.pod_share) for key, one in tried if one.pod_share is not None),
        )
        yield self._gauge(
            "workerpool_canary_job_share",
            "Part of the judged jobs that it has done.",
            ((key, one.job_share) for key, one in tried if one.job_share is not None),
        )
        yield self._gauge(
            "workerpool_canary_failure_ratio",
            "Rate at which it fails over the stable version's, by signal (failures, slow, crashes).",
            (((*key, signal), ratio) for key, one in tried for signal, ratio in one.ratios),
            "signal",
        )

    def _places(self, pools: list[tuple[tuple[str, str], _Pool]]) -> Iterator[Metric]:
        found = [(key, pool.series.places) for key, pool in pools if pool.series.places is not None]
        now = self._clock()
        yield self._gauge(
            "workerpool_place_workers",
            "Worker pods asked for in each place, without the lost ones: primary, secondary, or former for one that "
            "the pool named before. Of pools with `spec.placement`.",
            (((*key, place), count) for key, one in found for place, count in one.workers.items()),
            "place",
        )
        yield self._gauge(
            "workerpool_lost_workers",
            "Workers that are lost with their nodes, or find no room in their place: others run in the other place.",
            ((key, one.lost) for key, one in found),
        )
        yield self._gauge(
            "workerpool_failed_over_seconds",
            "How long others have run in the other place in the stead of lost workers; 0 while none is lost.",
            ((key, max(0.0, now - one.since) if one.since is not None else 0.0) for key, one in found),
        )
        yield self._counter(
            "workerpool_failovers",
            "Times that workers began to be lost, and were made up for in the other place, since this replica leads.",
            ((key, pool.failovers) for key, pool in pools),
        )

    def _costs(self, pools: list[tuple[tuple[str, str], _Pool]]) -> Iterator[Metric]:
        seconds = [(key, version, one) for key, pool in pools for version, one in pool.meter.seconds().items()]
        yield self._counter(
            "workerpool_worker_seconds",
            "Time that workers have been there, starting and stopping ones included, since this replica leads.",
            (((*key, version), one.used) for key, version, one in seconds),
            "version",
        )
        yield self._counter(
            "workerpool_worker_idle_seconds",
            "Of that, the time that they had no job: of a worker with several slots, by the share that was free.",
            (((*key, version), one.idle) for key, version, one in seconds),
            "version",
        )
        prices = ((key, self._prices.of(*key)) for key, _ in pools)
        yield self._gauge(
            "workerpool_worker_hour_price",
            "What an hour of one worker costs, where the installation says so.",
            (((*key, self._prices.currency), price) for key, price in prices if price is not None),
            "currency",
        )

    @staticmethod
    def _gauge(
        name: str, documentation: str, samples: Iterable[tuple[tuple[str, ...], float]], *labels: str
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(name, documentation, labels=[*_POOL, *labels])
        for values, value in samples:
            family.add_metric(values, value)
        return family

    @staticmethod
    def _counter(
        name: str, documentation: str, samples: Iterable[tuple[tuple[str, ...], float]], *labels: str
    ) -> CounterMetricFamily:
        family = CounterMetricFamily(name, documentation, labels=[*_POOL, *labels])
        for values, value in samples:
            family.add_metric(values, value)
        return family

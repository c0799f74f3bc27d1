"""Three hours of a small installation, as OpenMetrics text: every metric that operator, collector and worker export.

Another operator takes the lead on the way, each namespace has two collectors, and of the stable version there are two
revisions: what is there twice must neither be counted twice nor break a join.

Names, kinds and labels come from the processes' own metrics, so a dashboard that asks for something which is not
exported finds nothing here either; and those of recorded series from the chart's rules.
"""

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client import Metric
from prometheus_client.samples import Sample

from scripts import metrics_page
from scripts.alerts_page import installation_rules

SECONDS: Final = 3 * 3600
STEP: Final = 30
STABLE: Final = "0123abcd"
CANARY: Final = "4567cdef"
POOLS: Final = (("media", "thumbnails"), ("shop", "mails"))
TRIED: Final = 3600
"""Second in which the canary begins; and, an hour later, the one in which it is rejected."""
REJECTED: Final = 2 * TRIED
HANDED_OVER: Final = 5400
"""Second in which another operator leads, while the first one's series are still there."""
_LEADERS: Final = {"operator-0": range(HANDED_OVER + STEP), "operator-1": range(HANDED_OVER, SECONDS)}
COLLECTORS: Final = 2
"""In each namespace; they read the same queues."""
_ROLES: Final = ((STABLE, "stable"), (CANARY, "canary"), (STABLE, "draining"))

Value = Callable[[int], float]

_GAUGES: Final[Mapping[str, Value]] = {
    "queue_dead_letters": lambda at: at // 4000,
    "worker_slots": lambda at: 4,
    "worker_memory_bytes": lambda at: 8e7 + 500 * at,
    "process_resident_memory_bytes": lambda at: 1.3e8,
    "collector_poll_seconds": lambda at: 0.0012,
    "collector_sample_age_seconds": lambda at: 0.4 + 0.2 * math.sin(at / 60),
    "process_open_fds": lambda at: 40,
    "workerpool_stuck_workers": lambda at: float(5000 < at < 5400),
    "workerpool_lost_workers": lambda at: 2.0 * (6000 < at < 6600),
    "workerpool_failed_over_seconds": lambda at: float(at - 6000 if 6000 < at < 6600 else 0),
    "workerpool_worker_hour_price": lambda at: 0.04,
    "workerpool_canary_weight": lambda at: 10 if at >= TRIED else 0,
    "workerpool_canary_step": lambda at: float(TRIED <= at < REJECTED),
    "workerpool_canary_failure_ratio": lambda at: 1 + max(0, at - TRIED) / 1800,
    "workerpool_canary_rejected": lambda at: float(at >= REJECTED),
}
_WAVES: Final[Mapping[str, tuple[float, float, int]]] = {
    "queue_depth": (60, 50, 900),
    "queue_in_flight": (8, 2, 700),
    "queue_consumer_lag": (30, 20, 500),
    "queue_oldest_age_seconds": (6, 5, 900),
    "worker_jobs_in_progress": (2.5, 1, 600),
    "worker_cpu_percent": (45, 20, 600),
    "worker_loop_lag_seconds": (0.004, 0.003, 60),
    "workerpool_desired_replicas": (6, 4, 900),
    "workerpool_replicas": (5.6, 4, 900),
    "workerpool_canary_pod_share": (0.1, 0.02, 500),
    "workerpool_canary_job_share": (0.12, 0.03, 400),
}
"""(mean, swing, seconds of a radian), each pool with a phase of its own."""
_COUNTERS: Final[Mapping[str, float]] = {
    "jobs_failed": 0.05,
    "jobs_first_failures": 0.04,
    "jobs_first_slow": 0.02,
    "jobs_dead_lettered": 0.002,
    "workerpool_worker_seconds": 6.0,
    "workerpool_worker_idle_seconds": 2.5,
    "process_cpu_seconds": 0.02,
    "workerpool_scale_actions": 0.001,
    "workerpool_failovers": 0.0003,
    "collector_poll_errors": 0.0005,
    "workerpool_jobs_interrupted": 0.0003,
}
"""How much they rise in a second; what is not named rises by 1."""
_RECORDED: Final[Mapping[str, Value]] = {
    "pool:slo_budget_left:ratio30d": lambda at: 0.8 - at / 12_000,
    "pool:slo_burn:rate1h": lambda at: 3 + 2 * math.sin(at / 900),
}
"""Of each pool's promises."""


@dataclass(frozen=True, slots=True)
class Target:
    """Something that is scraped: what it exports, and the labels that Prometheus adds."""

    families: Iterable[Metric]
    labels: Mapping[str, str]
    speaks: range = range(SECONDS)
    """Seconds in which it says something about pools: an operator does while it leads."""


def openmetrics(*, begin: int) -> Iterator[str]:
    """Its lines; `begin` is the first second, as a Unix time."""
    for target in _targets():
        for family in target.families:
            for sample in family.samples:
                for labels in _variants(sample, target):
                    yield from _lines(family, sample, labels, target=target, begin=begin)
                    if "" in labels.values():  # Prometheus knows no label that is empty
                        named = {key: text or f"some-{key}" for key, text in labels.items()}
                        yield from _lines(family, sample, named, target=target, begin=begin)
    alert = {"alertname": "HighQueueDepth", "alertstate": "firing", "severity": "warning"}
    for at in range(0, SECONDS, STEP):
        yield _line("ALERTS", alert | {"namespace": "media", "pool": "thumbnails"}, 1, begin + at)
    yield from _recorded(begin=begin)
    yield "# EOF"


def _recorded(*, begin: int) -> Iterator[str]:
    """What Prometheus makes by the chart's rules, as far as a dashboard shows it."""
    gone = _RECORDED.keys() - {rule.get("record") for rule in installation_rules()}
    assert not gone, f"nothing records {gone}"
    for name, value in _RECORDED.items():
        for namespace, pool in POOLS:
            for slo in ("availability", "latency"):
                labels = {"namespace": namespace, "pool": pool, "slo": slo}
                yield from (_line(name, labels, value(at), begin + at) for at in range(0, SECONDS, STEP))


def _targets() -> Iterator[Target]:
    for pod, leads in _LEADERS.items():
        own = [*metrics_page.operator(), *_process()]
        yield Target(own, {"instance": pod, "pod": pod, "job": "workerpool-operator"}, leads)
    for namespace, pool in POOLS:
        for number in range(COLLECTORS):
            pod = f"collector-{namespace}-{number}"
            yield Target(metrics_page.collector(), {"instance": pod, "pod": pod, "namespace": namespace, "pool": pool})
        for version in (STABLE, CANARY):
            name = f"{pool}-{version}-1"
            families = [family for family in metrics_page.worker() if family.name != "queue_depth"]
            labels = {"instance": name, "pod": name, "namespace": namespace, "pool": pool, "version": version}
            yield Target(families, labels)


def _process() -> Iterator[Metric]:
    """What every client library exports of its process on Linux."""
    for name, kind in (
        ("process_cpu_seconds", "counter"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_open_fds", "gauge"),
    ):
        family = Metric(name, name, kind)
        family.add_sample(f"{name}_total" if kind == "counter" else name, {}, 0)
        yield family


def _variants(sample: Sample, target: Target) -> Iterator[dict[str, str]]:
    """The sample's labels: for a series of the operator about a pool, once for each pool and version."""
    labels = dict(sample.labels) | dict(target.labels)
    if "pool" not in sample.labels or "pool" in target.labels:
        yield labels
        return
    for namespace, pool in POOLS:
        about = labels | {"namespace": namespace, "pool": pool}
        if "version" not in sample.labels:
            yield about
        elif "verdict" in sample.labels:
            yield about | {"version": CANARY}
        elif "role" in sample.labels:
            yield from (about | {"version": version, "role": role} for version, role in _ROLES)
        else:
            yield from (about | {"version": version} for version in (STABLE, CANARY))


def _lines(family: Metric, sample: Sample, labels: Mapping[str, str], *, target: Target, begin: int) -> Iterator[str]:
    value = _value(family, sample, labels, leads=target.speaks)
    first = TRIED if labels.get("version") == CANARY else 0
    for at in range(first, SECONDS, STEP):
        if "pool" in labels and at not in target.speaks:
            continue
        yield _line(sample.name, labels, value(at) if "unixtime" not in sample.name else begin + at - 4, begin + at)


def _value(family: Metric, sample: Sample, labels: Mapping[str, str], *, leads: range) -> Value:
    if sample.name == "workerpool_operator_leader":
        return lambda at: float(at in leads)
    about = sorted((key, text) for key, text in labels.items() if key not in {"instance", "pod"})
    spread = zlib.crc32(repr(about).encode()) % 100 / 100
    if family.name in _WAVES:
        mean, swing, period = _WAVES[family.name]
        return lambda at: mean + swing * math.sin(at / period + len(labels.get("pool", "")))
    if family.type == "gauge":
        return _GAUGES.get(family.name, lambda _: 1.0)
    rate = _COUNTERS.get(family.name, 1.0) * (0.75 + spread / 2)
    if sample.name.endswith("_bucket"):
        rate = 1 - math.exp(-2 * float(labels["le"]))
    return lambda at: rate * at


def _line(name: str, labels: Mapping[str, str], value: float, at: int) -> str:
    return f"{name}{{{','.join(f'{key}={chr(34)}{text}{chr(34)}' for key, text in labels.items())}}} {value} {at}"

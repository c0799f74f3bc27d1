"""What happens to pools and to the operator, for each alert of the chart: what makes it fire, and what must not.

Values are those of scrapes, every 10 s; a counter is given by how much it rises in a second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.component.alerts.cases import POOL, ended_by, minutes, steps
from tests.component.alerts.handlers import handlers
from tests.component.alerts.promtool import Series

ALL: Final[Mapping[str, str]] = {}
"""Labels of an alert that is about no pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`fires`: series by which the alert fires at `at`, and not yet at `before`. `silent`: by which it never does."""

    fires: tuple[Series, ...]
    at: float
    before: float
    silent: tuple[Series, ...]
    labels: Mapping[str, str]
    """Of the alert, but for its severity, among namespace, pool and pod."""
    severity: str = "warning"


def gauge(metric: str, value: float | Callable[[int], float | None], **labels: str) -> Series:
    """One of the pool's."""
    values = value if callable(value) else steps((0, value))
    return Series(metric=metric, labels=POOL | labels, values=values)


def counter(metric: str, rate: float, *, since: float = 0, until: float = 10**6, **labels: str) -> Series:
    """One of the pool's that rises from minute `since` to minute `until`."""

    def values(now: int) -> float:
        return rate * max(0, min(now, minutes(until)) - minutes(since))

    return Series(metric=metric, labels=POOL | labels, values=values)


def own(metric: str, values: Callable[[int], float | None] | float, **labels: str) -> Series:
    """One of the operator's that is about no pool."""
    known = values if callable(values) else steps((0, values))
    return Series(metric=metric, labels={"pod": "o0", **labels}, values=known)


def rising(rate: float) -> Callable[[int], float]:
    """A counter's values."""
    return lambda now: rate * now


def waits(*, slow: float) -> tuple[Series, ...]:
    """Ten jobs a second become taken; this share of them after a minute, the others within a second."""
    return (
        counter("job_wait_seconds_bucket", 10 * (1 - slow), le="1", pod="w0"),
        counter("job_wait_seconds_bucket", 10, le="60", pod="w0"),
        counter("job_wait_seconds_bucket", 10, le="+Inf", pod="w0"),
    )


def turns_at(*, waits: float) -> tuple[Series, ...]:
    """Jobs of two workers wait this share of their time for their turn at one endpoint, and less for another."""
    return tuple(
        series
        for pod in ("w0", "w1")
        for series in (
            counter("worker_lock_wait_seconds_sum", 4 * waits, lock="crm", pod=pod),
            counter("worker_lock_wait_seconds_sum", 0.1, lock="cache:rates", pod=pod),
            counter("job_processing_seconds_sum", 3, lane="io", pod=pod),
            counter("job_processing_seconds_sum", 1, lane="thread", pod=pod),
        )
    )


def target(kind: str, value: float) -> tuple[Series, ...]:
    """Two operators export it, as while another one begins to lead."""
    return tuple(gauge("workerpool_threshold", value, kind=kind, pod=pod) for pod in ("o0", "o1"))


def attempts(fail: float, *, rate: float = 1.0) -> tuple[Series, ...]:
    """First attempts per second, and the share of them that fails."""
    return (
        counter("jobs_first_attempts_total", rate, pod="w0"),
        counter("jobs_first_failures_total", rate * fail, pod="w0"),
    )


def starts(*every: float) -> Series:
    """A worker's container that started anew at these minutes, each time a little faster or slower."""
    return gauge("worker_start_seconds", steps((0, 0.5), *((minutes(at), 0.5 + at / 997) for at in every)), pod="w0")


def threads(*, wedged: int) -> tuple[Series, ...]:
    """Twenty threads."""
    counts = {"busy": 10, "idle": 10 - wedged, "wedged": wedged}
    return tuple(gauge("worker_pool_threads", n, lane="thread", state=state, pod="w0") for state, n in counts.items())


def more_at_a_time(*, done: float, cpu: float) -> tuple[Series, ...]:
    """After two hours twice as many jobs run at a time, each takes ten times as long, and so many are done."""
    change = minutes(120)

    def total(before: float, after: float) -> Callable[[int], float]:
        return lambda now: before * min(now, change) + after * max(0, now - change)

    return (
        gauge("worker_jobs_in_progress", steps((0, 10), (change, 20)), lane="io", pod="w0"),
        gauge("jobs_processed_total", total(10, done), lane="io", pod="w0"),
        gauge("worker_cpu_percent", cpu, pod="w0"),
        gauge("job_processing_seconds_bucket", total(10, 0), le="0.1", lane="io", pod="w0"),
        gauge("job_processing_seconds_bucket", total(10, done), le="1", lane="io", pod="w0"),
        gauge("job_processing_seconds_bucket", total(10, done), le="+Inf", lane="io", pod="w0"),
    )


def depth(value: float | Callable[[int], float | None]) -> Series:
    """Of its one queue."""
    return gauge("queue_depth", value, queue="main", pod="c0")


def saturated(*, limited: bool, waiting: int = 50) -> tuple[Series, ...]:
    """Nine of ten slots are in use."""
    limits = (gauge("workerpool_limited_by", 1, limiter="downstream", pod="o0"),) if limited else ()
    busy = gauge("worker_jobs_in_progress", 9, lane="io", pod="w0")
    return (busy, gauge("worker_slots", 10, lane="io", pod="w0"), depth(waiting), *limits)


def requests(**codes: float) -> tuple[Series, ...]:
    """Requests to the API server a second, by status (`c200=1`)."""
    found = {code.removeprefix("c"): rate for code, rate in codes.items()}
    metric = "workerpool_operator_api_requests_total"
    return tuple(own(metric, rising(rate), verb="apply", kind="Pod", code=code) for code, rate in found.items())


def turns(*, late: float) -> tuple[Series, ...]:
    """Waits for the operator's turn, and the share of them that takes a minute."""
    metric = "workerpool_operator_workqueue_wait_seconds_bucket"
    shares = {"1": 1 - late, "60": 1, "+Inf": 1}
    return tuple(own(metric, rising(10 * share), le=le) for le, share in shares.items())


def over(*, lasts: float) -> tuple[Series, ...]:
    """Workers are lost from the second minute on, for so many; in the fifth another operator begins to lead."""

    def seconds(now: int) -> float:
        return float(now - minutes(2)) if minutes(2) < now <= minutes(2 + lasts) else 0.0

    def first(now: int) -> float | None:
        return seconds(now) if now < minutes(5) else None

    def second(now: int) -> float | None:
        return seconds(now) if now >= minutes(5) else None

    metric = "workerpool_failed_over_seconds"
    return gauge(metric, first, pod="o0"), gauge(metric, second, pod="o1")


def promised(*, fail: float) -> tuple[Series, ...]:
    """One job in a thousand may fail at its first attempt; after an hour without a failure so many do."""
    return (
        gauge("workerpool_slo_objective", 0.999, slo="availability", pod="o0"),
        counter("jobs_first_attempts_total", 1, pod="w0"),
        counter("jobs_first_failures_total", fail, since=60, pod="w0"),
    )


PROMISE: Final = POOL | {"slo": "availability"}
ONE_POOL: Final = gauge("workerpool_info", 1, mode="direct", pod="o0")
TRIED: Final = gauge("workerpool_canary_info", 1, version="b2", verdict="Pass", pod="o0")

STORIES: Final[dict[str, Story]] = {
    "QueueDepthAboveTarget": Story(
        fires=(depth(steps((0, 10), (minutes(5), 300))), *target("queueDepth", 200)),
        at=22,
        before=18,
        silent=(depth(190), *target("queueDepth", 200)),
        labels=POOL,
    ),
    "QueueNotDraining": Story(
        fires=(depth(5), counter("jobs_processed_total", 1, until=10, lane="io", pod="w0")),
        at=34,
        before=25,
        silent=(depth(5), counter("jobs_processed_total", 0.01, lane="io", pod="w0")),
        labels=POOL,
        severity="critical",
    ),
    "OldestJobTooOld": Story(
        fires=(gauge("queue_oldest_age_seconds", 40, queue="main", pod="c0"), *target("jobWaitSeconds", 30)),
        at=6,
        before=4,
        silent=(gauge("queue_oldest_age_seconds", 20, queue="main", pod="c0"), *target("jobWaitSeconds", 30)),
        labels=POOL,
    ),
    "JobWaitP99High": Story(
        fires=(*waits(slow=0.1), *target("jobWaitSeconds", 30)),
        at=12,
        before=8,
        silent=(*waits(slow=0.001), *target("jobWaitSeconds", 30)),
        labels=POOL,
    ),
    "JobFailureRatioHigh": Story(fires=attempts(0.2), at=12, before=4, silent=attempts(0.05), labels=POOL),
    "DeadLettersGrowing": Story(
        fires=(counter("jobs_dead_lettered_total", 0.1, since=5, until=10, pod="w0"),),
        at=12,
        before=4,
        silent=(gauge("jobs_dead_lettered_total", 40, pod="w0"),),
        labels=POOL,
    ),
    "RedeliveriesHigh": Story(
        fires=(counter("jobs_redelivered_total", 0.1, pod="w0"), counter("jobs_started_total", 1, pod="w0")),
        at=15,
        before=4,
        silent=(counter("jobs_redelivered_total", 0.1, pod="w0"), counter("jobs_started_total", 100, pod="w0")),
        labels=POOL,
    ),
    "JobsInterrupted": Story(
        fires=(counter("workerpool_jobs_interrupted_total", 0.05, since=5, until=6, pod="c0"),),
        at=8,
        before=4,
        silent=(gauge("workerpool_jobs_interrupted_total", 3, pod="c0"),),
        labels=POOL,
        severity="info",
    ),
    "RetryBurst": Story(
        fires=(counter("jobs_retried_total", 0.8, pod="w0"), counter("jobs_started_total", 1, pod="w0")),
        at=15,
        before=4,
        silent=(counter("jobs_retried_total", 0.3, pod="w0"), counter("jobs_started_total", 1, pod="w0")),
        labels=POOL,
    ),
    # The other is a third slower, over the bound of a bucket: the quantile is more than twice what it was.
    "JobsSlow": Story(
        fires=handlers(0.08, later=0.3), at=1520, before=1505, silent=handlers(0.09, later=0.12), labels=POOL
    ),
    "WorkersStuck": Story(
        fires=(gauge("workerpool_stuck_workers", 2, pod="o0"),),
        at=11,
        before=9,
        silent=(gauge("workerpool_stuck_workers", steps((0, 1), (minutes(5), 0), (minutes(7), 1)), pod="o0"),),
        labels=POOL,
    ),
    "WorkersCrashLooping": Story(
        fires=(starts(6, 7, 9),), at=10, before=8, silent=(starts(2, 8),), labels=POOL, severity="critical"
    ),
    "WorkersOutOfMemory": Story(fires=ended_by("OOMKilled"), at=8, before=4, silent=ended_by("Error"), labels=POOL),
    "PoolSaturated": Story(
        fires=saturated(limited=True), at=17, before=13, silent=saturated(limited=False), labels=POOL
    ),
    "ThreadPoolSaturated": Story(fires=threads(wedged=6), at=6, before=4, silent=threads(wedged=1), labels=POOL),
    "LockContention": Story(fires=turns_at(waits=0.8), at=12, before=8, silent=turns_at(waits=0.2), labels=POOL),
    "EventLoopBlocked": Story(
        fires=(gauge("worker_loop_lag_seconds", 0.8, pod="w0"),),
        at=6,
        before=4,
        silent=(gauge("worker_loop_lag_seconds", steps((0, 0.01), (300, 2), (330, 0.01)), pod="w0"),),
        labels=POOL,
    ),
    "WorkerCpuSaturated": Story(
        fires=(gauge("worker_cpu_percent", 99, pod="w0"),),
        at=12,
        before=8,
        silent=(gauge("worker_cpu_percent", 390, pod="w0"), gauge("worker_slots", 4, lane="cpu", pod="w0")),
        labels=POOL,
        severity="info",
    ),
    "WorkerMemoryGrowing": Story(
        fires=(gauge("worker_memory_bytes", lambda now: 8e7 + 1e4 * now, pod="w0"),),
        at=190,
        before=180,
        silent=(gauge("worker_memory_bytes", steps((0, 8e7), (minutes(130), 1.6e8)), pod="w0"),),
        labels=POOL,
    ),
    "OverParallelized": Story(
        fires=more_at_a_time(done=10, cpu=30),
        at=155,
        before=125,
        silent=more_at_a_time(done=18, cpu=30),
        labels=POOL,
        severity="info",
    ),
    "ScaledToMax": Story(
        fires=(gauge("workerpool_limited_by", 1, limiter="maxReplicas", pod="o0"),),
        at=31,
        before=29,
        silent=(gauge("workerpool_limited_by", 1, limiter="budget", pod="o0"),),
        labels=POOL,
        severity="info",
    ),
    "ScalerBlind": Story(
        fires=(ONE_POOL, gauge("workerpool_desired_replicas", steps((0, 3), (minutes(3), None)), pod="o0")),
        at=10,
        before=7,
        silent=(gauge("workerpool_info", 1, mode="manual", pod="o0"),),
        labels=POOL,
    ),
    "ScaleThrash": Story(
        fires=tuple(
            counter("workerpool_scale_actions_total", 0.004, direction=way, pod="o0") for way in ("up", "down")
        ),
        at=60,
        before=20,
        silent=(
            counter("workerpool_scale_actions_total", 0.1, direction="up", pod="o0"),
            gauge("workerpool_scale_actions_total", 0, direction="down", pod="o0"),
        ),
        labels=POOL,
        severity="info",
    ),
    "FailedOver": Story(
        fires=over(lasts=20),
        at=9,
        before=6,
        silent=over(lasts=3),
        labels=POOL,
    ),
    "CanaryInconclusive": Story(
        fires=(gauge("workerpool_canary_info", 1, version="b2", verdict="Inconclusive", pod="o0"),),
        at=361,
        before=359,
        silent=(gauge("workerpool_canary_info", 1, version="b2", verdict="Pass", pod="o0"),),
        labels=POOL,
        severity="info",
    ),
    "RolloutStuck": Story(
        fires=(TRIED, gauge("workerpool_canary_step", 1, pod="o0")),
        at=1442,
        before=1438,
        silent=(TRIED, gauge("workerpool_canary_step", steps((0, 1), (minutes(900), 2)), pod="o0")),
        labels=POOL,
    ),
    "OperatorDown": Story(
        fires=(own("workerpool_operator_leader", steps((0, 1), (minutes(3), None))),),
        at=11,
        before=4,
        silent=(own("workerpool_operator_leader", 0), own("workerpool_operator_leader", 1, instance="o1")),
        labels=ALL,
        severity="critical",
    ),
    "ReconcileErrors": Story(
        fires=(
            own("workerpool_operator_reconcile_total", rising(1)),
            own("workerpool_operator_reconcile_errors_total", rising(0.3), reason="Conflict"),
        ),
        at=12,
        before=8,
        silent=(
            own("workerpool_operator_reconcile_total", rising(1)),
            own("workerpool_operator_reconcile_errors_total", rising(0.02), reason="Conflict"),
        ),
        labels=ALL,
    ),
    "WorkQueueBacklog": Story(fires=turns(late=0.1), at=12, before=8, silent=turns(late=0.001), labels=ALL),
    "ApiErrors": Story(
        fires=requests(c200=1, c503=0.1, Timeout=0.1), at=12, before=8, silent=requests(c200=1, c409=0.5), labels=ALL
    ),
    "CollectorDown": Story(
        fires=(ONE_POOL,),
        at=6,
        before=4,
        silent=(ONE_POOL, gauge("collector_sample_age_seconds", 0.4, queue="main", pod="c0")),
        labels={"namespace": POOL["namespace"]},
        severity="critical",
    ),
    "MetricsApiDown": Story(
        fires=(
            own("workerpool_operator_external_metrics_requests_total", rising(1), code="503", kind="values"),
            own("workerpool_operator_external_metrics_requests_total", rising(0.2), code="200", kind="values"),
            own("workerpool_operator_external_metrics_requests_total", rising(50), code="200", kind="other"),
        ),
        at=6,
        before=4,
        silent=(
            own("workerpool_operator_external_metrics_requests_total", rising(0.1), code="503", kind="values"),
            own("workerpool_operator_external_metrics_requests_total", rising(1), code="200", kind="values"),
            own("workerpool_operator_external_metrics_requests_total", rising(50), code="401", kind="other"),
        ),
        labels=ALL,
        severity="critical",
    ),
    "RulesNotLoaded": Story(
        fires=(*target("queueDepth", 200), depth(3)),
        at=17,
        before=14,
        silent=(*target("queueDepth", 200), depth(3), gauge("pool:queue_depth:sum", 3)),
        labels=POOL,
    ),
    "SloBudgetBurnsFast": Story(
        fires=promised(fail=0.05), at=72, before=66, silent=promised(fail=0.01), labels=PROMISE, severity="critical"
    ),
    "SloBudgetBurns": Story(fires=promised(fail=0.005), at=80, before=70, silent=promised(fail=0.0009), labels=PROMISE),
}

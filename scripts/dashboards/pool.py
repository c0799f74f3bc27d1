"""Dashboards that explain a pool: its size, its rollout."""

from typing import Final

from scripts.dashboards.model import Dashboard, Panel, Query, Row, Unit, of_queues, once, quantile
from scripts.dashboards.places import PLACES
from scripts.dashboards.promises import PROMISES
from scripts.dashboards.room import BUSY

_NAMED: Final = "{{namespace}}/{{pool}}"
_ROLE: Final = """* on (namespace, pool, version) group_left (role)
                  topk by (namespace, pool, version) (1, workerpool_version_info{POOL})"""
"""Turns series by version into such that also say what the version is for.

A join fails as a whole where it finds two: as while another operator takes the lead, and of two revisions of a version.
"""


def _by_role(metric: str) -> str:
    return f"sum by (namespace, pool, role) (rate({metric}{{POOL}}[$__rate_interval]) {_ROLE})"


SCALING: Final = Dashboard(
    name="scaling",
    title="Scaling",
    about="Why a pool has the size that it has: what its work asks for, what limits it, and how old that knowledge is. "
    "`wpool explain POOL` says the same in words.",
    rows=(
        Row(
            title="Size",
            panels=(
                Panel(
                    title="Wanted and there",
                    about="Workers that the pool should have, and those that it has. Wanted has a gap while its queues "
                    "cannot be read.",
                    unit=Unit.WHOLE,
                    queries=(
                        Query(once("workerpool_desired_replicas"), f"{_NAMED} wanted"),
                        Query(once("workerpool_replicas"), f"{_NAMED} there"),
                    ),
                ),
                Panel(
                    title="Changes of the size",
                    about="Ups and downs per hour. Many of both is thrashing: raise `scaleDown.stabilizationSeconds`.",
                    unit=Unit.COUNT,
                    queries=(
                        Query(
                            "sum by (namespace, pool, direction) (increase(workerpool_scale_actions_total{POOL}[1h]))",
                            f"{_NAMED} {{{{direction}}}}",
                        ),
                    ),
                ),
                Panel(
                    title="Limits in force",
                    about="Each limit that clips the size that the work asks for.",
                    unit=Unit.WHOLE,
                    stacked=True,
                    queries=(Query(once("workerpool_limited_by", "limiter"), f"{_NAMED} {{{{limiter}}}}"),),
                ),
            ),
        ),
        Row(
            title="Work",
            panels=(
                Panel(
                    title="Waiting and in flight",
                    about="Jobs in the queues, and jobs that workers hold.",
                    unit=Unit.COUNT,
                    stacked=True,
                    queries=(
                        Query(of_queues("queue_depth"), f"{_NAMED} waiting"),
                        Query(of_queues("queue_in_flight"), f"{_NAMED} in flight"),
                    ),
                ),
                Panel(
                    title="Coming and done",
                    about="Jobs that become due and jobs that are done, per second. Where the first stays above the "
                    "second, the queue grows.",
                    unit=Unit.PER_SECOND,
                    queries=(
                        Query(
                            """sum by (namespace, pool) (max by (namespace, pool, queue)
                               (rate(queue_arrivals_total{POOL}[$__rate_interval])))""",
                            f"{_NAMED} coming",
                        ),
                        Query(
                            "sum by (namespace, pool) (rate(jobs_processed_total{POOL}[$__rate_interval]))",
                            f"{_NAMED} done",
                        ),
                    ),
                ),
                Panel(
                    title="Lag by partition (Kafka)",
                    about="What is in each partition from its first job that is not done to its end; the ten that lag "
                    "most. One that only rises beside others at zero has a job that does not end, or no worker.",
                    unit=Unit.COUNT,
                    queries=(
                        Query(
                            f"topk(10, {once('queue_consumer_lag', 'queue', 'partition')})",
                            f"{_NAMED} {{{{queue}}}} {{{{partition}}}}",
                        ),
                    ),
                ),
                BUSY,
            ),
        ),
        PROMISES,
        PLACES,
        Row(
            title="How well the queues are known",
            panels=(
                Panel(
                    title="Age of the latest reading",
                    about="A pool whose readings are old holds its size. Of two collectors the fresher one counts.",
                    unit=Unit.SECONDS,
                    queries=(
                        Query(
                            "min by (namespace, pool, queue) (collector_sample_age_seconds{POOL})",
                            f"{_NAMED} {{{{queue}}}}",
                        ),
                    ),
                ),
                Panel(
                    title="Time a reading takes",
                    about="How long the broker took to answer.",
                    unit=Unit.SECONDS,
                    queries=(Query(once("collector_poll_seconds", "queue"), f"{_NAMED} {{{{queue}}}}"),),
                ),
                Panel(
                    title="Readings that failed",
                    about="Per minute; of two collectors, of the one with more. The pool's condition QueueReachable "
                    "says why.",
                    unit=Unit.COUNT,
                    queries=(
                        Query(
                            """60 * max by (namespace, pool, queue)
                               (rate(collector_poll_errors_total{POOL}[$__rate_interval]))""",
                            f"{_NAMED} {{{{queue}}}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)

CANARY: Final = Dashboard(
    name="canary",
    title="Canary",
    about="A version that is tried beside the stable one: how far it is, and what it is judged by.",
    rows=(
        Row(
            title="Where it is",
            panels=(
                Panel(
                    title="Verdict",
                    about="1 for the version that is tried, with what is known of it: Pass, Fail or Inconclusive.",
                    unit=Unit.WHOLE,
                    runbook="CanaryRejected",
                    queries=(
                        Query(
                            once("workerpool_canary_info", "version", "verdict"),
                            f"{_NAMED} {{{{version}}}} {{{{verdict}}}}",
                        ),
                    ),
                ),
                Panel(
                    title="Step",
                    about="Step that it is in, from 1. 0: no version is tried.",
                    unit=Unit.WHOLE,
                    queries=(Query(once("workerpool_canary_step"), _NAMED),),
                ),
                Panel(
                    title="Share of workers and of jobs",
                    about="What it was meant to have, and has, of the workers and of the judged jobs. A version that "
                    "fails fast takes more than its share of jobs.",
                    unit=Unit.SHARE,
                    most=1,
                    queries=(
                        Query(f"{once('workerpool_canary_weight')} / 100", f"{_NAMED} meant"),
                        Query(once("workerpool_canary_pod_share"), f"{_NAMED} of workers"),
                        Query(once("workerpool_canary_job_share"), f"{_NAMED} of jobs"),
                    ),
                ),
            ),
        ),
        Row(
            title="What it is judged by",
            panels=(
                Panel(
                    title="Times the stable version's rate",
                    about="Its rate over the stable version's, by signal. 1: as good as that.",
                    unit=Unit.COUNT,
                    runbook="CanaryRejected",
                    queries=(Query(once("workerpool_canary_failure_ratio", "signal"), f"{_NAMED} {{{{signal}}}}"),),
                ),
                Panel(
                    title="First attempts that fail",
                    about="By role of the version. Only first attempts count: a job that fails here and is done "
                    "elsewhere would be invisible otherwise.",
                    unit=Unit.SHARE,
                    queries=(
                        Query(
                            f"{_by_role('jobs_first_failures_total')} / {_by_role('jobs_first_attempts_total')}",
                            f"{_NAMED} {{{{role}}}}",
                        ),
                    ),
                ),
                Panel(
                    title="First attempts that are slow",
                    about="By role of the version.",
                    unit=Unit.SHARE,
                    queries=(
                        Query(
                            f"{_by_role('jobs_first_slow_total')} / {_by_role('jobs_first_attempts_total')}",
                            f"{_NAMED} {{{{role}}}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="What is only shown",
            panels=(
                Panel(
                    title="Time in the handler, 95 %",
                    about="By version; 5 % of the attempts took longer.",
                    unit=Unit.SECONDS,
                    queries=(
                        Query(
                            quantile(0.95, "job_processing_seconds", by="namespace, pool, version"),
                            f"{_NAMED} {{{{version}}}}",
                        ),
                    ),
                ),
                Panel(
                    title="CPU of a job",
                    about="Seconds of a core for each job done, by version.",
                    unit=Unit.SECONDS,
                    queries=(
                        Query(
                            """sum by (namespace, pool, version) (worker_cpu_percent{POOL}) / 100
                               / sum by (namespace, pool, version)
                               (rate(jobs_processed_total{POOL}[$__rate_interval]))""",
                            f"{_NAMED} {{{{version}}}}",
                        ),
                    ),
                ),
                Panel(
                    title="Memory of a worker",
                    about="The largest of each version.",
                    unit=Unit.BYTES,
                    queries=(
                        Query(
                            "max by (namespace, pool, version) (worker_memory_bytes{POOL})", f"{_NAMED} {{{{version}}}}"
                        ),
                    ),
                ),
            ),
        ),
    ),
)

"""The dashboard of the operator itself."""

from typing import Final

from scripts.dashboards.model import Dashboard, Kind, Panel, Query, Row, Unit

_OWN: Final = "* on (instance) group_left () (0 * workerpool_operator_leader + 1)"
"""Keeps of a metric that every process has those of the operator."""

OPERATOR: Final = Dashboard(
    name="operator",
    title="Operator",
    about="Whether the operator keeps up, and what it asks of the API server.",
    of_pools=False,
    rows=(
        Row(
            title="Now",
            panels=(
                Panel(
                    title="Leaders",
                    about="Exactly one replica leads. 0 for longer than 20 s: nothing is reconciled.",
                    unit=Unit.WHOLE,
                    kind=Kind.NUMBER,
                    queries=(Query("sum(workerpool_operator_leader)"),),
                ),
                Panel(
                    title="Pools",
                    about="Pools that the leader looks after.",
                    unit=Unit.WHOLE,
                    kind=Kind.NUMBER,
                    queries=(Query("count(count by (namespace, pool) (workerpool_info))"),),
                ),
                Panel(
                    title="Pools that are due",
                    about="Pools that wait for their turn at the leader.",
                    unit=Unit.WHOLE,
                    kind=Kind.NUMBER,
                    queries=(
                        Query(
                            "sum(workerpool_operator_workqueue_depth and on (instance) workerpool_operator_leader == 1)"
                        ),
                    ),
                ),
                Panel(
                    title="Failed reconciles",
                    about="Share of the reconciles of the last half hour that failed; they are repeated.",
                    unit=Unit.SHARE,
                    kind=Kind.NUMBER,
                    warn_at=0.05,
                    queries=(
                        Query(
                            """sum(rate(workerpool_operator_reconcile_errors_total[30m]))
                               / sum(rate(workerpool_operator_reconcile_total[30m]))"""
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="Reconciles",
            panels=(
                Panel(
                    title="Reconciles",
                    about="Per second, by replica; only the leader reconciles.",
                    unit=Unit.PER_SECOND,
                    queries=(
                        Query("sum by (pod) (rate(workerpool_operator_reconcile_total[$__rate_interval]))", "{{pod}}"),
                    ),
                ),
                Panel(
                    title="Time of a reconcile",
                    about="Its requests to the API server included.",
                    unit=Unit.SECONDS,
                    queries=tuple(
                        Query(
                            f"""histogram_quantile({share}, sum by (le)
                                (rate(workerpool_operator_reconcile_seconds_bucket[$__rate_interval])))""",
                            f"p{share * 100:g}",
                        )
                        for share in (0.5, 0.99)
                    ),
                ),
                Panel(
                    title="Wait for a turn",
                    about="How long pools were due before their reconcile began.",
                    unit=Unit.SECONDS,
                    queries=tuple(
                        Query(
                            f"""histogram_quantile({share}, sum by (le)
                                (rate(workerpool_operator_workqueue_wait_seconds_bucket[$__rate_interval])))""",
                            f"p{share * 100:g}",
                        )
                        for share in (0.5, 0.99)
                    ),
                ),
                Panel(
                    title="Errors, by reason",
                    about="Reconciles that failed, per second.",
                    unit=Unit.PER_SECOND,
                    stacked=True,
                    queries=(
                        Query(
                            "sum by (reason) (rate(workerpool_operator_reconcile_errors_total[$__rate_interval]))",
                            "{{reason}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="What it asks of the API server",
            panels=(
                Panel(
                    title="Requests",
                    about="Per second, by verb and kind.",
                    unit=Unit.PER_SECOND,
                    stacked=True,
                    queries=(
                        Query(
                            "sum by (verb, kind) (rate(workerpool_operator_api_requests_total[$__rate_interval]))",
                            "{{verb}} {{kind}}",
                        ),
                    ),
                ),
                Panel(
                    title="Answers, by status",
                    about="429 and 5xx: the API server is short of something. 403: a right is missing.",
                    unit=Unit.PER_SECOND,
                    stacked=True,
                    queries=(
                        Query(
                            "sum by (code) (rate(workerpool_operator_api_requests_total[$__rate_interval]))", "{{code}}"
                        ),
                    ),
                ),
                Panel(
                    title="Time of a request, 99 %",
                    about="By verb, without waiting for a turn.",
                    unit=Unit.SECONDS,
                    queries=(
                        Query(
                            """histogram_quantile(0.99, sum by (le, verb)
                               (rate(workerpool_operator_api_request_seconds_bucket[$__rate_interval])))""",
                            "{{verb}}",
                        ),
                    ),
                ),
                Panel(
                    title="Pages of listings read again",
                    about="And events that were not written, because there were too many or they were refused; per "
                    "minute.",
                    unit=Unit.COUNT,
                    queries=(
                        Query("60 * sum(rate(workerpool_operator_api_retries_total[$__rate_interval]))", "read again"),
                        Query(
                            "60 * sum(rate(workerpool_operator_events_dropped_total[$__rate_interval]))",
                            "events not written",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="Itself",
            panels=(
                Panel(
                    title="CPU",
                    about="Share of a core, by replica.",
                    unit=Unit.SHARE,
                    queries=(Query(f"rate(process_cpu_seconds_total[$__rate_interval]) {_OWN}", "{{pod}}"),),
                ),
                Panel(
                    title="Memory",
                    about="Resident, by replica.",
                    unit=Unit.BYTES,
                    queries=(Query(f"process_resident_memory_bytes {_OWN}", "{{pod}}"),),
                ),
                Panel(
                    title="Open files",
                    about="Sockets included, by replica. It rises with collectors, and else stays.",
                    unit=Unit.COUNT,
                    queries=(Query(f"process_open_fds {_OWN}", "{{pod}}"),),
                ),
                Panel(
                    title="Answers to HPAs",
                    about="Requests to the external metrics API, by status: an HPA acts on 200 only.",
                    unit=Unit.PER_SECOND,
                    stacked=True,
                    queries=(
                        Query(
                            """sum by (code)
                               (rate(workerpool_operator_external_metrics_requests_total[$__rate_interval]))""",
                            "{{code}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)

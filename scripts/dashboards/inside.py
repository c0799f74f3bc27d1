"""The dashboard that looks into a pool's workers."""

from typing import Final

from scripts.dashboards.model import Dashboard, Panel, Query, Row, Unit, quantile

_NAMED: Final = "{{namespace}}/{{pool}}"

DEBUG: Final = Dashboard(
    name="debug",
    title="Debug",
    about="The inside of the workers, for one pool at a time. `wpool dump` and `wpool flame` look further.",
    since="now-1h",
    rows=(
        Row(
            title="Jobs",
            panels=(
                Panel(
                    title="Time in the handler",
                    about="Quantiles over all attempts.",
                    unit=Unit.SECONDS,
                    queries=tuple(
                        Query(quantile(share, "job_processing_seconds", by="lane"), f"{{{{lane}}}} p{share * 100:g}")
                        for share in (0.5, 0.95, 0.99)
                    ),
                ),
                Panel(
                    title="Wait before it, by priority",
                    about="From when a job became due until a worker took it; 5 % waited longer.",
                    unit=Unit.SECONDS,
                    queries=(Query(quantile(0.95, "job_wait_seconds", by="priority"), "{{priority}}"),),
                ),
                Panel(
                    title="What becomes of jobs",
                    about="Per second: done, repeated, put off because too many fail, found done before, given up.",
                    unit=Unit.PER_SECOND,
                    queries=tuple(
                        Query(f"sum(rate({metric}{{POOL}}[$__rate_interval]))", legend)
                        for metric, legend in (
                            ("jobs_processed_total", "done"),
                            ("jobs_retried_total", "repeated"),
                            ("jobs_put_off_total", "put off"),
                            ("jobs_duplicate_skipped_total", "done before"),
                            ("jobs_dead_lettered_total", "given up"),
                            ("jobs_shed_total", "shed"),
                        )
                    ),
                ),
            ),
        ),
        Row(
            title="Room",
            panels=(
                Panel(
                    title="Slots in use, by lane",
                    about="Jobs in progress over the slots of each lane.",
                    unit=Unit.SHARE,
                    most=1,
                    queries=(
                        Query(
                            "sum by (lane) (worker_jobs_in_progress{POOL}) / sum by (lane) (worker_slots{POOL})",
                            "{{lane}}",
                        ),
                    ),
                ),
                Panel(
                    title="Turned back and held up",
                    about="Jobs handed back because a lane was full or a circuit open, and waits for an endpoint.",
                    unit=Unit.PER_SECOND,
                    queries=(
                        Query(
                            "sum by (lane) (rate(backpressure_events_total{POOL,endpoint=''}[$__rate_interval]))",
                            "lane {{lane}}",
                        ),
                        Query(
                            "sum by (endpoint) (rate(backpressure_events_total{POOL,endpoint!=''}[$__rate_interval]))",
                            "{{endpoint}}",
                        ),
                        Query("sum(rate(rate_limited_total{POOL}[$__rate_interval]))", "rate limit"),
                    ),
                ),
                Panel(
                    title="Threads and processes",
                    about="Of the thread and cpu lanes. A wedged one is given up and still in a handler.",
                    unit=Unit.WHOLE,
                    stacked=True,
                    queries=(Query("sum by (lane, state) (worker_pool_threads{POOL})", "{{lane}} {{state}}"),),
                ),
            ),
        ),
        Row(
            title="Workers",
            panels=(
                Panel(
                    title="CPU, by worker",
                    about="100 is one core. The ten that use most.",
                    unit=Unit.PERCENT,
                    queries=(Query("topk(10, worker_cpu_percent{POOL})", "{{pod}}"),),
                ),
                Panel(
                    title="Memory, by worker",
                    about="The ten largest. One that only rises leaks.",
                    unit=Unit.BYTES,
                    queries=(Query("topk(10, worker_memory_bytes{POOL})", "{{pod}}"),),
                ),
                Panel(
                    title="Lag of the event loop",
                    about="The longest that it was late between two heartbeats. Above some 0.1 s something blocks it.",
                    unit=Unit.SECONDS,
                    warn_at=0.5,
                    queries=(Query("topk(10, worker_loop_lag_seconds{POOL})", "{{pod}}"),),
                ),
            ),
        ),
        Row(
            title="Cut short",
            panels=(
                Panel(
                    title="Interrupted jobs",
                    about="Within an hour: handed back by workers that had to go before these had ended. Any at all: "
                    "`worker.drainTimeoutSeconds` is too short for some.",
                    unit=Unit.COUNT,
                    runbook="JobsInterrupted",
                    queries=(
                        Query(
                            "sum by (namespace, pool) (increase(workerpool_jobs_interrupted_total{POOL}[1h]))", _NAMED
                        ),
                    ),
                ),
                Panel(
                    title="Jobs taken over",
                    about="Within an hour: taken over from workers that no longer held them, killed ones for example.",
                    unit=Unit.COUNT,
                    runbook="RedeliveriesHigh",
                    queries=(Query("sum by (namespace, pool) (increase(jobs_redelivered_total{POOL}[1h]))", _NAMED),),
                ),
            ),
        ),
        Row(
            title="Life of a worker",
            panels=(
                Panel(
                    title="Start",
                    about="From the start of the process until it was ready.",
                    unit=Unit.SECONDS,
                    queries=(
                        Query(
                            "max by (namespace, pool, version) (worker_start_seconds{POOL})",
                            f"{_NAMED} {{{{version}}}}",
                        ),
                    ),
                ),
                Panel(
                    title="Time since the last job ended",
                    about="By worker, the ten longest.",
                    unit=Unit.SECONDS,
                    runbook="WorkersStuck",
                    queries=(
                        Query(
                            """topk(10, timestamp(worker_last_progress_unixtime{POOL})
                               - worker_last_progress_unixtime{POOL})""",
                            "{{pod}}",
                        ),
                    ),
                ),
                Panel(
                    title="Switches between threads",
                    about="Per second. Many, with little done, speak of a lock that all want.",
                    unit=Unit.PER_SECOND,
                    queries=(
                        Query("sum by (pod) (rate(worker_context_switches_total{POOL}[$__rate_interval]))", "{{pod}}"),
                    ),
                ),
                Panel(
                    title="Waits for locks, 95 %",
                    about="For an endpoint's turn, or for another one who fills a cache's value.",
                    unit=Unit.SECONDS,
                    runbook="LockContention",
                    queries=(Query(quantile(0.95, "worker_lock_wait_seconds", by="lock"), "{{lock}}"),),
                ),
            ),
        ),
    ),
)

"""Dashboards of many pools: is all well, what needs somebody now, what does it cost."""

from typing import Final

from scripts.dashboards.model import Dashboard, Kind, Panel, Query, Row, Unit, of_queues, once
from scripts.dashboards.promises import LEAST_LEFT, PROMISES
from scripts.dashboards.room import BUSY, BUSY_NOW, ROOM

_PRICE: Final = """* on (namespace, pool) group_left (currency)
                   topk by (namespace, pool) (1, workerpool_worker_hour_price{POOL})"""
"""What the workers' hours cost. One price for each pool: two operators say it while another one takes the lead."""

EXECUTIVE: Final = Dashboard(
    name="executive",
    title="Executive",
    about="Whether the queues are worked off, and promises kept: one look, no detail.",
    since="now-24h",
    rows=(
        Row(
            title="Now",
            panels=(
                Panel(
                    title="Jobs done per minute",
                    about="Jobs that were done and acknowledged, in all chosen pools.",
                    unit=Unit.COUNT,
                    kind=Kind.NUMBER,
                    queries=(Query("60 * sum(rate(jobs_processed_total{POOL}[5m]))"),),
                ),
                Panel(
                    title="Jobs that fail at first",
                    about="Share of jobs whose first attempt fails. Most of them succeed later.",
                    unit=Unit.SHARE,
                    kind=Kind.NUMBER,
                    warn_at=0.05,
                    queries=(
                        Query(
                            """sum(rate(jobs_first_failures_total{POOL}[30m]))
                               / sum(rate(jobs_first_attempts_total{POOL}[30m]))"""
                        ),
                    ),
                ),
                Panel(
                    title="Jobs given up today",
                    about="Jobs that went to the dead letters in 24 hours: each of them is work that is not done.",
                    unit=Unit.WHOLE,
                    kind=Kind.NUMBER,
                    warn_at=1,
                    queries=(Query("sum(increase(jobs_dead_lettered_total{POOL}[24h]))"),),
                ),
                Panel(
                    title="Oldest waiting job",
                    about="How long the job that waits longest has waited, in any chosen pool.",
                    unit=Unit.SECONDS,
                    kind=Kind.NUMBER,
                    queries=(Query("max(queue_oldest_age_seconds{POOL})"),),
                ),
                LEAST_LEFT,
                Panel(
                    title="Workers",
                    about="Worker pods of all chosen pools.",
                    unit=Unit.WHOLE,
                    kind=Kind.NUMBER,
                    queries=(Query(f"sum({once('workerpool_replicas')})"),),
                ),
                BUSY_NOW,
                Panel(
                    title="Alerts",
                    about="Alerts about chosen pools that are firing.",
                    unit=Unit.WHOLE,
                    kind=Kind.NUMBER,
                    warn_at=1,
                    queries=(Query('count(ALERTS{POOL,alertstate="firing"}) or vector(0)'),),
                ),
            ),
        ),
        Row(
            title="Work",
            panels=(
                Panel(
                    title="Jobs done, by pool",
                    about="The ten pools that do most.",
                    unit=Unit.PER_SECOND,
                    stacked=True,
                    queries=(
                        Query(
                            "topk(10, sum by (namespace, pool) (rate(jobs_processed_total{POOL}[$__rate_interval])))",
                            "{{namespace}}/{{pool}}",
                        ),
                    ),
                ),
                Panel(
                    title="Wait of 95 % of jobs",
                    about="From when a job became due until a worker took it. The ten slowest pools.",
                    unit=Unit.SECONDS,
                    queries=(
                        Query(
                            """topk(10, histogram_quantile(0.95, sum by (le, namespace, pool)
                               (rate(job_wait_seconds_bucket{POOL}[$__rate_interval]))))""",
                            "{{namespace}}/{{pool}}",
                        ),
                    ),
                ),
                BUSY,
            ),
        ),
        PROMISES,
    ),
)

ON_CALL: Final = Dashboard(
    name="on-call",
    title="On call",
    about="Which pool is in trouble, and of which kind. From top to bottom: what fires, work that piles up, work that "
    "fails, workers that are missing, and what the others do.",
    since="now-1h",
    rows=(
        Row(
            title="Firing",
            panels=(
                Panel(
                    title="Alerts",
                    about="What fires or is about to.",
                    unit=Unit.WHOLE,
                    kind=Kind.TABLE,
                    queries=(Query("ALERTS{POOL}"),),
                ),
            ),
        ),
        Row(
            title="Work that piles up",
            panels=(
                Panel(
                    title="Jobs waiting",
                    about="Jobs in the queues that nobody has taken.",
                    unit=Unit.COUNT,
                    runbook="HighQueueDepth",
                    queries=(Query(of_queues("queue_depth"), "{{namespace}}/{{pool}}"),),
                ),
                Panel(
                    title="Oldest waiting job",
                    about="A depth can be large and well; an age that rises with the clock means that nothing moves.",
                    unit=Unit.SECONDS,
                    runbook="HighQueueDepth",
                    queries=(
                        Query("max by (namespace, pool) (queue_oldest_age_seconds{POOL})", "{{namespace}}/{{pool}}"),
                    ),
                ),
                Panel(
                    title="Limits that hold the size down",
                    about="Each limit that keeps a pool from the size that its work asks for.",
                    unit=Unit.WHOLE,
                    stacked=True,
                    queries=(Query(once("workerpool_limited_by", "limiter"), "{{namespace}}/{{pool}} {{limiter}}"),),
                ),
            ),
        ),
        Row(
            title="Work that fails",
            panels=(
                Panel(
                    title="Failed attempts, by reason",
                    about="Attempts of jobs that failed.",
                    unit=Unit.PER_SECOND,
                    stacked=True,
                    queries=(
                        Query(
                            "sum by (pool, reason) (rate(jobs_failed_total{POOL}[$__rate_interval]))",
                            "{{pool}} {{reason}}",
                        ),
                    ),
                ),
                Panel(
                    title="Dead letters",
                    about="Jobs that wait in the dead letters for somebody to look at them.",
                    unit=Unit.COUNT,
                    queries=(Query(of_queues("queue_dead_letters"), "{{namespace}}/{{pool}}"),),
                ),
                Panel(
                    title="Jobs taken over from dead workers",
                    about="Jobs whose worker died with them, and that another one took after its lease.",
                    unit=Unit.PER_SECOND,
                    queries=(
                        Query(
                            "sum by (namespace, pool) (rate(jobs_redelivered_total{POOL}[$__rate_interval]))",
                            "{{namespace}}/{{pool}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="Workers that are missing",
            panels=(
                Panel(
                    title="Workers missing",
                    about="Workers that a pool should have and does not: they start, cannot be placed, or crash.",
                    unit=Unit.WHOLE,
                    queries=(
                        Query(
                            f"clamp_min({once('workerpool_desired_replicas')} - {once('workerpool_replicas')}, 0)",
                            "{{namespace}}/{{pool}}",
                        ),
                    ),
                ),
                Panel(
                    title="Age of the oldest heartbeat",
                    about="Seconds since the quietest worker said that it lives.",
                    unit=Unit.SECONDS,
                    warn_at=30,
                    runbook="WorkerHeartbeatMissing",
                    queries=(
                        Query(
                            """max by (namespace, pool) (timestamp(worker_heartbeat_unixtime{POOL})
                               - worker_heartbeat_unixtime{POOL})""",
                            "{{namespace}}/{{pool}}",
                        ),
                    ),
                ),
                Panel(
                    title="Stuck workers",
                    about="Workers that live and take no job although jobs wait for them.",
                    unit=Unit.WHOLE,
                    warn_at=1,
                    runbook="WorkersStuck",
                    queries=(Query(once("workerpool_stuck_workers"), "{{namespace}}/{{pool}}"),),
                ),
            ),
        ),
        ROOM,
    ),
)

COST: Final = Dashboard(
    name="cost",
    title="Cost",
    about="What the workers cost and how much of it was idle. Prices are what the installation says (chart value "
    "`cost`); without one, the panels in money are empty.",
    since="now-7d",
    rows=(
        Row(
            title="Money",
            panels=(
                Panel(
                    title="Cost per hour, by pool",
                    about="Workers that are there, times what an hour of one costs.",
                    unit=Unit.MONEY,
                    stacked=True,
                    queries=(
                        Query(
                            f"""sum by (namespace, pool)
                                (rate(workerpool_worker_seconds_total{{POOL}}[$__rate_interval])) {_PRICE}""",
                            "{{namespace}}/{{pool}} {{currency}}",
                        ),
                    ),
                ),
                Panel(
                    title="Of that idle",
                    about="The part that was paid for workers without a job.",
                    unit=Unit.MONEY,
                    stacked=True,
                    queries=(
                        Query(
                            f"""sum by (namespace, pool)
                                (rate(workerpool_worker_idle_seconds_total{{POOL}}[$__rate_interval])) {_PRICE}""",
                            "{{namespace}}/{{pool}} {{currency}}",
                        ),
                    ),
                ),
                Panel(
                    title="Cost of a thousand jobs",
                    about="Cost of the last hour over the jobs done in it.",
                    unit=Unit.MONEY,
                    queries=(
                        Query(
                            f"""1000 * sum by (namespace, pool)
                                (increase(workerpool_worker_seconds_total{{POOL}}[1h])) / 3600 {_PRICE}
                                / on (namespace, pool) group_left ()
                                sum by (namespace, pool) (increase(jobs_processed_total{{POOL}}[1h]))""",
                            "{{namespace}}/{{pool}} {{currency}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            title="Time",
            panels=(
                Panel(
                    title="Worker-hours of a day, by pool",
                    about="Hours that workers were there in the 24 hours before each moment.",
                    unit=Unit.COUNT,
                    queries=(
                        Query(
                            """sum by (namespace, pool) (increase(workerpool_worker_seconds_total{POOL}[24h]))
                               / 3600""",
                            "{{namespace}}/{{pool}}",
                        ),
                    ),
                ),
                Panel(
                    title="Idle share",
                    about="Part of the workers' time without a job: what a smaller pool would save, if its jobs may "
                    "wait a little.",
                    unit=Unit.SHARE,
                    most=1,
                    queries=(
                        Query(
                            """sum by (namespace, pool)
                               (rate(workerpool_worker_idle_seconds_total{POOL}[$__rate_interval]))
                               / sum by (namespace, pool)
                               (rate(workerpool_worker_seconds_total{POOL}[$__rate_interval]))""",
                            "{{namespace}}/{{pool}}",
                        ),
                    ),
                ),
                Panel(
                    title="Workers, by version",
                    about="How many run each version: a canary costs no more than it is.",
                    unit=Unit.COUNT,
                    stacked=True,
                    queries=(
                        Query(
                            """sum by (namespace, pool, version)
                               (rate(workerpool_worker_seconds_total{POOL}[$__rate_interval]))""",
                            "{{namespace}}/{{pool}} {{version}}",
                        ),
                    ),
                ),
            ),
        ),
    ),
)

"""Panels about what workers have in hand, and how much more they could."""

from typing import Final

from scripts.dashboards.model import Kind, Panel, Query, Row, Unit

_NAMED: Final = "{{namespace}}/{{pool}}"

BUSY_NOW: Final = Panel(
    title="Slots in use",
    about="Jobs in progress over what the workers of all chosen pools could run at a time.",
    unit=Unit.SHARE,
    kind=Kind.NUMBER,
    queries=(Query("sum(worker_jobs_in_progress{POOL}) / sum(worker_slots{POOL})"),),
)
BUSY: Final = Panel(
    title="Busy share of the slots",
    about="Jobs in progress over what the workers could run at a time. Near 1 with jobs waiting, the pool is too "
    "small.",
    unit=Unit.SHARE,
    most=1,
    runbook="PoolSaturated",
    queries=(
        Query(
            """sum by (namespace, pool) (worker_jobs_in_progress{POOL})
               / sum by (namespace, pool) (worker_slots{POOL})""",
            _NAMED,
        ),
    ),
)
_ACTIVE: Final = Panel(
    title="Jobs in progress",
    about="Taken by workers and not yet settled. None with jobs waiting: nobody takes them.",
    unit=Unit.COUNT,
    stacked=True,
    runbook="QueueNotDraining",
    queries=(Query("sum by (namespace, pool) (worker_jobs_in_progress{POOL})", _NAMED),),
)
_THREADS: Final = Panel(
    title="Threads and processes",
    about="Of the thread and cpu lanes. A wedged one is given up, and hangs in a handler still.",
    unit=Unit.WHOLE,
    stacked=True,
    runbook="ThreadPoolSaturated",
    queries=(Query("sum by (namespace, pool, state) (worker_pool_threads{POOL})", f"{_NAMED} {{{{state}}}}"),),
)
ROOM: Final = Row(title="What the workers do", panels=(_ACTIVE, BUSY, _THREADS))

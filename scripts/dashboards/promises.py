"""A row of panels about what pools promise (`spec.slo`), and how much of what may go wrong is left."""

from typing import Final

from scripts.dashboards.model import Kind, Panel, Query, Row, Unit

_NAMED: Final = "{{namespace}}/{{pool}} {{slo}}"

LEAST_LEFT: Final = Panel(
    title="Least budget left",
    about="Of what may go wrong in 30 days by a pool's `spec.slo`, what is left, of the promise that fares worst. "
    "Below 0 it is broken. Empty where nothing is promised.",
    unit=Unit.SHARE,
    kind=Kind.NUMBER,
    warn_below=0.1,
    least=None,
    runbook="SloBudgetBurns",
    queries=(Query("min(pool:slo_budget_left:ratio30d{POOL})"),),
)
LEFT: Final = Panel(
    title="Budget left, by promise",
    about="Of what may go wrong in 30 days by `spec.slo`, what is left: the ten promises with least. It comes back as "
    "what went wrong gets older than 30 days.",
    unit=Unit.SHARE,
    most=1,
    least=None,
    warn_below=0,
    runbook="SloBudgetBurns",
    queries=(Query("bottomk(10, pool:slo_budget_left:ratio30d{POOL})", _NAMED),),
)
BURN: Final = Panel(
    title="How fast it is used up",
    about="In the hour before each moment. 1 uses up the 30 days in 30 days; at 14.4 somebody is woken.",
    unit=Unit.COUNT,
    warn_at=14.4,
    runbook="SloBudgetBurnsFast",
    queries=(Query("topk(10, pool:slo_burn:rate1h{POOL})", _NAMED),),
)
PROMISES: Final = Row(title="Promises", panels=(LEFT, BURN))

"""A row of panels about places: where workers are, and who of them is lost."""

from typing import Final

from scripts.dashboards.model import Panel, Query, Row, Unit, once

_NAMED: Final = "{{namespace}}/{{pool}}"

PLACES: Final = Row(
    title="Places",
    panels=(
        Panel(
            title="Workers by place",
            about="Workers asked for in each place, without the lost ones. Of pools with `spec.placement`.",
            unit=Unit.WHOLE,
            stacked=True,
            queries=(Query(once("workerpool_place_workers", "place"), f"{_NAMED} {{{{place}}}}"),),
        ),
        Panel(
            title="Lost workers",
            about="Workers whose nodes are silent, or for which their place has no room: others run in the other "
            "place.",
            unit=Unit.WHOLE,
            runbook="FailedOver",
            queries=(Query(once("workerpool_lost_workers"), _NAMED),),
        ),
        Panel(
            title="Failovers",
            about="Within an hour. More than one: a node comes and goes, or a place is too small.",
            unit=Unit.COUNT,
            runbook="FailedOver",
            queries=(
                Query(
                    "sum by (namespace, pool) (increase(workerpool_failovers_total{POOL}[1h]))",
                    _NAMED,
                ),
            ),
        ),
    ),
)

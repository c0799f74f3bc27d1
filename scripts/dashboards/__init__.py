"""The Grafana dashboards of the chart, as code.

`model` knows what Grafana wants; `overview`, `pool`, `inside` and `system` say what is shown, `places`, `promises`
and `room` what several of them show. In an expression `{POOL}` stands for the namespaces and pools that are chosen at
the top of the page.
"""

from scripts.dashboards import inside, overview, pool, system
from scripts.dashboards.model import Dashboard, Panel, Query, Row

ALL: tuple[Dashboard, ...] = (
    overview.EXECUTIVE,
    overview.ON_CALL,
    pool.SCALING,
    pool.CANARY,
    inside.DEBUG,
    overview.COST,
    system.OPERATOR,
)

__all__ = ["ALL", "Dashboard", "Panel", "Query", "Row"]

"""What a dashboard is made of, and the JSON that Grafana 10 and later read.

Panels are laid out by their rows, 24 columns wide; nobody writes a coordinate. Everything that a panel must have to be
understood (what it shows, in which unit) has no default.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from workerpool_operator.domain.desired.prometheus_rule import RUNBOOKS

COLUMNS: Final = 24
SCHEMA_VERSION: Final = 39
"""Of Grafana 10.4; a newer one migrates it by itself."""
POOL: Final = 'namespace=~"$namespace",pool=~"$pool"'
TAG: Final = "workerpool"
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_HEIGHTS: Final = {"stat": 4, "timeseries": 8, "table": 5}


class Unit(StrEnum):
    """Grafana's name of it."""

    COUNT = "short"
    WHOLE = "none"
    """A number of things that is not shortened to 1.2 K."""
    SECONDS = "s"
    PER_SECOND = "cps"
    SHARE = "percentunit"
    PERCENT = "percent"
    BYTES = "bytes"
    MONEY = "currency"
    """A number with two decimals: the currency is what the installation says, and a label of the series."""


class Kind(StrEnum):
    """How a panel shows its series."""

    GRAPH = "timeseries"
    NUMBER = "stat"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and how its series are called, in Grafana's form `{{label}}`."""

    expression: str
    legend: str = ""

    @property
    def promql(self) -> str:
        """On one line, with the chosen pools in the place of `POOL`."""
        return " ".join(self.expression.split()).replace("{POOL", f"{{{POOL}")


def quantile(share: float, histogram: str, *, by: str) -> str:
    """The expression for a quantile of the chosen pools' histogram, for each value of the labels `by`."""
    rate = f"rate({histogram}_bucket{{POOL}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le, {by}) ({rate}))"


def once(metric: str, *by: str) -> str:
    """The expression for a gauge of the chosen pools, once for each pool and value of the labels `by`.

    Two say it while another operator takes the lead, and all the time where a namespace has two collectors.
    """
    return f"max by ({', '.join(('namespace', 'pool', *by))}) ({metric}{{POOL}})"


def of_queues(gauge: str) -> str:
    """The expression for the sum over a pool's queues of what each collector of the namespace says of each of them."""
    return f"sum by (namespace, pool) ({once(gauge, 'queue')})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture. `about` says what it shows and what is wrong when it looks wrong."""

    title: str
    about: str
    unit: Unit
    queries: Sequence[Query]
    kind: Kind = Kind.GRAPH
    stacked: bool = False
    warn_at: float | None = None
    """From here on a number is red."""
    warn_below: float | None = None
    """Below this a number is red."""
    least: float | None = 0
    """The bottom of the axis; None: as low as the numbers."""
    most: float | None = None
    """The top of the axis."""
    runbook: str = ""
    """The page of `docs/runbooks` that helps on."""

    def to_json(self, *, number: int, x: int, y: int, width: int) -> dict[str, Any]:
        """As Grafana reads it, in its place."""
        links = [{"title": "Runbook", "url": f"{RUNBOOKS}/{self.runbook}.md", "targetBlank": True}]
        return {
            "id": number,
            "type": self.kind.value,
            "title": self.title,
            "description": self.about,
            "datasource": _SOURCE,
            "gridPos": {"x": x, "y": y, "w": width, "h": _HEIGHTS[self.kind]},
            "links": links if self.runbook else [],
            "targets": [self._target(index, query) for index, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": []},
            "options": self._options(),
            "transformations": self._transformations(),
        }

    def _target(self, index: int, query: Query) -> dict[str, Any]:
        at_once = self.kind is Kind.TABLE
        return {
            "refId": chr(ord("A") + index),
            "datasource": _SOURCE,
            "expr": query.promql,
            "legendFormat": query.legend or "__auto",
            "range": not at_once,
            "instant": at_once,
            "format": "table" if at_once else "time_series",
        }

    def _defaults(self) -> dict[str, Any]:
        steps: list[dict[str, Any]] = [{"color": "green" if self.warn_below is None else "red", "value": None}]
        if self.warn_below is not None:
            steps.append({"color": "green", "value": self.warn_below})
        if self.warn_at is not None:
            steps.append({"color": "red", "value": self.warn_at})
        money = self.unit is Unit.MONEY
        found: dict[str, Any] = {
            "unit": Unit.COUNT.value if money else self.unit.value,
            **({} if self.least is None else {"min": self.least}),
            "thresholds": {"mode": "absolute", "steps": steps},
        }
        if money:
            found["decimals"] = 2
        if self.most is not None:
            found["max"] = self.most
        if self.kind is Kind.GRAPH:
            marked = self.warn_at is not None or self.warn_below is not None
            found["custom"] = {
                "fillOpacity": 30 if self.stacked else 8,
                "lineWidth": 1,
                "showPoints": "never",
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "line" if marked else "off"},
            }
        return found

    def _options(self) -> dict[str, Any]:
        match self.kind:
            case Kind.GRAPH:
                legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
                return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
            case Kind.NUMBER:
                return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
            case Kind.TABLE:
                return {"showHeader": True}

    def _transformations(self) -> list[dict[str, Any]]:
        if self.kind is not Kind.TABLE:
            return []
        hidden = {"Time": True, "Value": True, "__name__": True, "instance": True, "job": True, "endpoint": True}
        return [{"id": "organize", "options": {"excludeByName": hidden}}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels side by side, all of the same width, under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """One page. `name` is that of its file, and part of its address in Grafana: it stays."""

    name: str
    title: str
    about: str
    rows: Sequence[Row]
    of_pools: bool = True
    """Whether one chooses namespaces and pools at its top."""
    since: str = "now-6h"

    def to_json(self, *, others: Sequence["Dashboard"]) -> dict[str, Any]:
        """As Grafana reads it, with links to the `others`."""
        links = [
            {"type": "link", "title": one.title, "url": f"/d/{one.uid}", "keepTime": True, "includeVars": True}
            for one in others
            if one is not self
        ]
        return {
            "uid": self.uid,
            "title": f"WorkerPool / {self.title}",
            "description": self.about,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": self.since, "to": "now"},
            "timezone": "browser",
            "links": links,
            "annotations": {"list": _annotations() if self.of_pools else []},
            "templating": {"list": _variables(of_pools=self.of_pools)},
            "panels": self._panels(),
        }

    @property
    def uid(self) -> str:
        """Part of its address in Grafana."""
        return f"workerpool-{self.name}"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All, in their order."""
        return tuple(panel for row in self.rows for panel in row.panels)

    def _panels(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        y = 0
        for row in self.rows:
            place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
            heading = {"id": len(found) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": []}
            found.append({**heading, "gridPos": place})
            y += 1
            width = COLUMNS // len(row.panels)
            for index, panel in enumerate(row.panels):
                found.append(panel.to_json(number=len(found) + 1, x=index * width, y=y, width=width))
            y += max(_HEIGHTS[panel.kind] for panel in row.panels)
        return found


def _variables(*, of_pools: bool) -> list[dict[str, Any]]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    if not of_pools:
        return [source]
    chosen = {"type": "query", "datasource": _SOURCE, "includeAll": True, "multi": True, "allValue": ".*", "refresh": 2}
    namespace = {"name": "namespace", "label": "Namespace", "query": "label_values(workerpool_info, namespace)"}
    pool = {
        "name": "pool",
        "label": "Pool",
        "query": 'label_values(workerpool_info{namespace=~"$namespace"}, pool)',
    }
    return [source, chosen | namespace, chosen | pool]


ANNOTATIONS: Final = (
    (
        "New version",
        "blue",
        Query(
            """count by (namespace, pool, version) (workerpool_version_info{POOL})
               unless count by (namespace, pool, version) (workerpool_version_info{POOL} offset 2m)"""
        ),
        "{{pool}}: version {{version}} is there",
    ),
    (
        "Canary rejected",
        "red",
        Query(
            """max by (namespace, pool) (workerpool_canary_rejected{POOL})
               > max by (namespace, pool) (workerpool_canary_rejected{POOL} offset 2m)"""
        ),
        "{{pool}}: the version that was tried is rejected",
    ),
)
"""What is drawn into every graph: (name, colour, when it is, text)."""


def _annotations() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "enable": True,
            "iconColor": color,
            "datasource": _SOURCE,
            "expr": query.promql,
            "step": "60s",
            "titleFormat": name,
            "textFormat": text,
        }
        for name, color, query, text in ANNOTATIONS
    ]

"""Objects in, HTML out. Every value is escaped by the templates' engine, and freed of what acts unseen."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from workerpool_operator.ui import chart, drains, places, verbs, views
from workerpool_operator.ui.home import Home
from workerpool_operator.ui.hub import Hub
from workerpool_operator.ui.room import Room
from workerpool_operator.ui.shared import lost_nodes
from workerpool_operator.ui.words import amount, plain, seconds

Json = dict[str, Any]

SECTIONS: Final = (
    "head",
    "actions",
    "charts",
    "placement",
    "rollout",
    "versions",
    "queues",
    "pods",
    "events",
    "conditions",
)
"""Of one pool's page: each is a template, and an element of that id."""
_MARKS: Final = {"good": "✓", "busy": "◐", "bad": "▲", "none": "○"}


class Pages:
    """Renders all pages of one server, whose paths begin with `root`."""

    def __init__(self, *, root: str, server: str, home: Home) -> None:
        self._shared = {"root": root, "server": server, "home": home}
        self._env = Environment(
            loader=PackageLoader("workerpool_operator.ui"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_shown,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters |= {"amount": amount, "seconds": seconds, "part": _part, "clock": _clock}
        self._env.globals |= {"marks": _MARKS, "HEIGHT": chart.HEIGHT, "WIDTH": chart.WIDTH}

    def page(self, template: str, **values: object) -> str:
        """A whole page."""
        return self._env.get_template(template).render(self._shared | values)

    def row(self, pool: Mapping[str, Any]) -> str:
        """A row of the table of pools."""
        return self._env.get_template("row.html").render(self._shared | {"line": views.pool_line(pool)})

    def banner(self, hub: Hub) -> str:
        """What is wrong with the whole page; an empty element when nothing is."""
        return self.page("banner.html", trouble=hub.trouble)

    def summary(self, hub: Hub) -> str:
        """The figures above the table of pools."""
        return self.page(
            "summary.html", totals=views.totals(hub.pools.objects.values()), hub=hub, namespace=hub.namespace
        )

    def section(self, name: str, room: Room, pool: Json, *, may_change: bool | None) -> str:
        """One part of a pool's page."""
        return self.page(f"pool/{name}.html", **self._values(name, room, pool, may_change=may_change))

    def _values(self, name: str, room: Room, pool: Json, *, may_change: bool | None) -> dict[str, object]:
        values: dict[str, object] = {"pool": pool}
        status = pool.get("status") or {}
        match name:
            case "head":
                line = views.pool_line(pool)
                values |= {
                    "line": line,
                    "throttle": verbs.throttle_of(pool),
                    "left_nodes": drains.in_force(pool),
                    "draining": status.get("drainingReplicas"),
                }
            case "actions":
                nodes = drains.nodes(room.pods.objects.values())
                values |= {"buttons": verbs.buttons(pool), "nodes": nodes, "may_change": may_change}
            case "charts":
                values |= self._charts(room)
            case "rollout":
                values |= {"rollout": views.rollout(pool)}
            case "placement":
                values |= {"view": places.placement(pool, room.pods.objects.values()), "feed": room.pods}
            case "versions" | "queues":
                values |= {name: status.get(name) or ()}
            case "pods":
                told = room.now
                lines = views.pods(
                    room.pods.objects.values(),
                    in_flight=told.in_flight if told else {},
                    rates=room.rates,
                    lost=lost_nodes(pool),
                )
                values |= {"lines": lines[: views.MOST_PODS], "left": len(lines) - views.MOST_PODS, "feed": room.pods}
            case "events":
                lines_ = views.events(room.events.objects.values())
                values |= {"lines": lines_[: views.MOST_EVENTS], "feed": room.events}
            case "conditions":
                values |= {"lines": views.conditions(pool)}
        return values

    @staticmethod
    def _charts(room: Room) -> dict[str, object]:
        now, points = time.monotonic(), room.series.points
        span = room.series.span(now=now)

        def one(name: str, title: str, show: Callable[..., str], *figures: str) -> dict[str, object]:
            drawn = chart.chart(*(points(figure) for figure in figures), now=now, span=span)
            return {"id": name, "title": title, "chart": drawn, "show": show, "second": "wanted" if figures[1:] else ""}

        shown = [
            one("depth", "Waiting jobs", amount, "depth"),
            one("workers", "Ready workers", amount, "ready", "desired"),
            one("wait", "Longest wait", seconds, "wait"),
            one("throughput", "Jobs per second", amount, "throughput"),
        ]
        return {"charts": shown, "silence": room.silence, "span": span}


def _shown(value: object) -> object:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _part(text: str) -> str:
    """One part of a path."""
    return quote(text, safe="")


def _clock(stamp: str) -> str:
    """A time of the API server, for people; as it is where it is none."""
    try:
        return f"{datetime.fromisoformat(stamp).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return stamp

"""Draws the dashboards as Grafana lays them out, filled from a real Prometheus: the pictures in `docs/images`.

python -m tests.component.dashboards.preview docs/images on-call scaling canary
"""

import argparse
import math
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from scripts.dashboards import ALL, Dashboard, Panel, Query
from scripts.dashboards.model import Kind, Unit
from tests.component.dashboards.server import Prometheus, serving

COLUMN_INCHES: Final = 0.62
ROW_INCHES: Final = 0.3
MOST_SERIES: Final = 4
"""In a legend: more would hide the picture."""
_SHORT: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def draw(page: Dashboard, prometheus: Prometheus, *, to: Path) -> None:
    """The whole page as one PNG."""
    panels = page.to_json(others=())["panels"]
    height = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels)
    figure = Figure(figsize=(24 * COLUMN_INCHES, (height + 2) * ROW_INCHES), dpi=75, facecolor="#fafafa")
    figure.text(0.01, 1 - 0.8 / (height + 2), f"WorkerPool / {page.title}", fontsize=15, weight="bold", va="center")
    known = {panel.title: panel for panel in page.panels}
    for one in panels:
        place = one["gridPos"]
        top = 1 - (place["y"] + 2) / (height + 2)
        if one["type"] == "row":
            figure.text(0.01, top - 0.4 / (height + 2), one["title"], fontsize=11, color="#555555", va="center")
            continue
        tall, wide = place["h"] / (height + 2), place["w"] / 24
        box = (place["x"] / 24 + 0.035, top - tall * 0.8, wide - 0.05, tall * 0.62)
        _fill(figure.add_axes(box), known[one["title"]], prometheus)
    figure.savefig(to)


def _fill(axes: Axes, panel: Panel, prometheus: Prometheus) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9)
    found = [(query, one) for query in panel.queries for one in prometheus.series(query)]
    match panel.kind:
        case Kind.GRAPH:
            _graph(axes, panel, found)
        case Kind.NUMBER:
            axes.axis("off")
            value = float(found[0][1]["values"][-1][1])
            bad = (panel.warn_at is not None and value >= panel.warn_at) or (
                panel.warn_below is not None and value < panel.warn_below
            )
            axes.text(0, 0.3, _written(value, panel.unit), fontsize=19, color="#c4162a" if bad else "#37872d")
        case Kind.TABLE:
            axes.axis("off")
            for line, (_, one) in enumerate(found[:MOST_SERIES]):
                told = "   ".join(f"{key}={text}" for key, text in one["metric"].items() if key != "__name__")
                axes.text(0, 0.85 - 0.17 * line, told, fontsize=8, family="monospace")


def _graph(axes: Axes, panel: Panel, found: list[tuple[Query, dict[str, Any]]]) -> None:
    lines = []
    for query, one in found:
        times = [float(at) for at, _ in one["values"]]
        lines.append((_called(query, one["metric"]), times, [float(value) for _, value in one["values"]]))
    if panel.stacked and lines and len({len(times) for _, times, _ in lines}) == 1:
        axes.stackplot(lines[0][1], [values for *_, values in lines], labels=[name for name, *_ in lines], alpha=0.6)
    else:
        for name, times, values in lines:
            axes.plot(times, values, label=name, linewidth=1)
    axes.set_ylim(bottom=panel.least, top=panel.most or 1.1 * max([axes.get_ylim()[1], panel.warn_at or 0]))
    if panel.warn_at is not None:
        axes.axhline(panel.warn_at, color="#c4162a", linewidth=0.8, linestyle="--")
    axes.yaxis.set_major_formatter(lambda value, _: _written(value, panel.unit))
    axes.xaxis.set_major_formatter(lambda at, _: f"{datetime.fromtimestamp(at, UTC):%H:%M}")
    axes.xaxis.set_major_locator(MultipleLocator(1800))
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, linewidth=0.3)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[:MOST_SERIES],
        labels[:MOST_SERIES],
        fontsize=6,
        ncols=2,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.12),
        frameon=False,
    )


def _called(query: Query, labels: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), query.legend)


def _written(value: float, unit: Unit) -> str:
    match unit:
        case Unit.SHARE:
            return f"{100 * value:.3g} %"
        case Unit.PERCENT:
            return f"{value:.3g} %"
        case Unit.SECONDS:
            return f"{value:.3g} s" if value >= 1 or value == 0 else f"{1000 * value:.3g} ms"
    if not math.isfinite(value):
        return "-"
    for size, letter in _SHORT:
        if abs(value) >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"


def main() -> None:
    """Draw those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the pictures go, as dashboard-NAME.png")
    parser.add_argument("names", nargs="*", choices=[page.name for page in ALL], help="default: all")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as prometheus:
        for page in ALL:
            if page.name in asked.names or not asked.names:
                draw(page, prometheus, to=asked.folder / f"dashboard-{page.name}.png")


if __name__ == "__main__":
    main()

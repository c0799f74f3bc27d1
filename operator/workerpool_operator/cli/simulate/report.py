"""What a simulation found: a table, a file of points, a plot."""

import csv
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from workerpool_operator.cli import plots
from workerpool_operator.cli.simulate import verdicts
from workerpool_operator.cli.simulate.model import TICK_SECONDS, Point, Run, changes, quantile
from workerpool_operator.cli.simulate.verdicts import Canary

_MOST_POINTS = 2000
"""Of a line in a plot; more cannot be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run, in a few numbers."""

    name: str
    jobs: float
    unfinished: float
    p50_wait_seconds: float
    p95_wait_seconds: float
    longest_wait_seconds: float
    deepest: float
    """Most jobs that waited at a time."""
    largest: int
    """Most pods."""
    pod_hours: float
    idle_share: float
    """Share of the slot-seconds that were paid for and not used."""
    changes: int
    """How often the wanted size changed."""
    cost: float | None
    unknown_seconds: float
    """How long the load has holes: the queue could not be read."""

    @classmethod
    def of(cls, run: Run, *, price: float | None) -> "Figures":
        """Of this run; `price` of a pod-hour."""
        points = run.points
        last = points[-1]
        paid = sum(point.pods for point in points) * TICK_SECONDS
        used = run.done * run.pods.job_seconds / run.pods.slots
        waits = (*run.waits, *run.left)
        return cls(
            name=run.name,
            jobs=sum(point.arrivals for point in points),
            unfinished=last.waiting + last.running,
            p50_wait_seconds=quantile(waits, 0.5),
            p95_wait_seconds=quantile(waits, 0.95),
            longest_wait_seconds=max((seconds for seconds, _ in waits), default=0.0),
            deepest=max(point.waiting for point in points),
            largest=max(point.pods for point in points),
            pod_hours=paid / 3600,
            idle_share=max(0.0, 1 - used / paid) if paid else 0.0,
            changes=sum(1 for _ in changes(points)),
            cost=None if price is None else price * paid / 3600,
            unknown_seconds=sum(TICK_SECONDS for point in points if not point.known),
        )


def table(found: Sequence[Figures]) -> Table:
    """A column for each run."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("")
    for one in found:
        made.add_column(one.name, justify="right")
    rows: dict[str, Callable[[Figures], str]] = {
        "jobs": lambda one: f"{one.jobs:,.0f}",
        "unfinished at the end": lambda one: f"{one.unfinished:,.0f}",
        "wait, median": lambda one: f"{one.p50_wait_seconds:.0f} s",
        "wait, p95": lambda one: f"{one.p95_wait_seconds:.0f} s",
        "wait, longest": lambda one: f"{one.longest_wait_seconds:.0f} s",
        "most jobs waiting": lambda one: f"{one.deepest:,.0f}",
        "most pods": lambda one: f"{one.largest}",
        "pod-hours": lambda one: f"{one.pod_hours:.2f}",
        "idle": lambda one: f"{one.idle_share:.0%}",
        "changes of size": lambda one: f"{one.changes}",
    }
    for name, cell in rows.items():
        made.add_row(name, *(cell(one) for one in found))
    if any(one.unknown_seconds for one in found):
        made.add_row("not known", *(f"{one.unknown_seconds:.0f} s" for one in found))
    if any(one.cost is not None for one in found):
        made.add_row("cost", *("" if one.cost is None else f"{one.cost:.2f}" for one in found))
    return made


def timeline(run: Run, *, rows: int = 20) -> Table:
    """The course of a run, in so many rows; each figure is the largest of its time."""
    made = Table(box=None, pad_edge=False, header_style="bold", title=run.name, title_justify="left")
    for column in ("UNTIL", "JOBS/S", "WAITING", "WANTED", "READY", "WAIT", "LIMITED BY"):
        made.add_column(column, justify="left" if column == "LIMITED BY" else "right")
    for some in _chunks(run.points, rows):
        rate = sum(point.arrivals for point in some) / (len(some) * TICK_SECONDS)
        limits = dict.fromkeys(limit for point in some for limit in point.limited_by)
        made.add_row(
            f"{some[-1].at:.0f} s",
            f"{rate:.1f}",
            f"{max(point.waiting for point in some):,.0f}",
            f"{max(point.desired for point in some)}",
            f"{max(point.ready for point in some)}",
            f"{max(point.wait for point in some):.0f} s",
            ", ".join(limits),
        )
    return made


def write_csv(runs: Sequence[Run], file: Path) -> None:
    """A row for each tick of each run."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["pool", "seconds", "arrivals", "waiting", "running", "desired", "pods", "ready", "wait"])
        for run in runs:
            for point in run.points:
                jobs = (point.arrivals, point.waiting, point.running)
                figures = (*jobs, point.desired, point.pods, point.ready, point.wait)
                writer.writerow([run.name, point.at, *(round(figure, 3) for figure in figures)])


def as_json(found: Sequence[Figures], canaries: Sequence[Sequence[Canary]] = ()) -> list[dict[str, Any]]:
    """All figures, and those of the canaries of each run that any were asked of."""
    figures = [asdict(one) for one in found]
    for one, tried in zip(figures, canaries, strict=False):
        one["canaries"] = verdicts.as_json(tried)
    return figures


def draw(runs: Sequence[Run], file: Path, *, price: float | None, canaries: Sequence[Canary] = ()) -> None:
    """Jobs waiting, pods, waits, what it has cost so far and what became of canaries, above each other."""
    rows = 5 if canaries else 4
    figure, (depth, size, wait, cost, *tried) = plots.new_figure(rows=rows, title="wpool simulate", height=2.4)
    for run, colour in zip(runs, itertools.cycle(plots.COLOURS), strict=False):
        points = run.points[:: max(1, len(run.points) // _MOST_POINTS)]
        times = [point.at for point in points]
        depth.plot(times, [point.waiting for point in points], color=colour, label=run.name)
        size.step(times, [point.desired for point in points], color=colour, where="post", label="wanted")
        size.step(times, [point.ready for point in points], color=colour, where="post", linestyle=":", label="ready")
        wait.plot(times, [point.wait for point in points], color=colour)
        cost.plot(times, _spent(run, points, price=price), color=colour)
    depth.set_ylabel("jobs waiting")
    size.set_ylabel("pods")
    wait.set_ylabel("oldest wait, s")
    cost.set_ylabel("pod-hours" if price is None else "cost")
    for panel in tried:
        verdicts.draw(panel, canaries)
    (cost, *tried)[-1].set_xlabel("seconds")
    depth.legend()
    size.legend()
    plots.save(figure, file)


def _spent(run: Run, points: Sequence[Point], *, price: float | None) -> list[float]:
    spent, total, sums = 0.0, [], iter(run.points)
    for point in points:
        for each in sums:
            spent += each.pods * TICK_SECONDS / 3600 * (1.0 if price is None else price)
            if each.at >= point.at:
                break
        total.append(spent)
    return total


def _chunks(points: Sequence[Point], rows: int) -> list[Sequence[Point]]:
    length = max(1, math.ceil(len(points) / rows))
    return [points[start : start + length] for start in range(0, len(points), length)]

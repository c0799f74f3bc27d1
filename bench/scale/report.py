"""What was measured as tables of docs/performance.md, between two marks; the rest of the page is people's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from bench.scale import growth
from bench.scale.rows import Cost, Figures, Row, cpu_by_phase, rows
from e2e.support.images import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- scale: written by `make bench-scale ARGS=--report` -->"
END: Final = "<!-- end of scale -->"


def write_into(page: Path, measured: Sequence[Figures]) -> None:
    """Put the report between the marks of the page, in place of what was there.

    Raises:
        ValueError: the page has not both marks, once each.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"{page} needs the lines {BEGIN!r} and {END!r}, once each")
    page.write_text(f"{before}{BEGIN}\n\n{report(measured)}\n{END}{after}")


def report(measured: Sequence[Figures]) -> str:
    """The rows of the file, then what each phase took for each object, how its CPU grows, and of which commits."""
    tables = [_rows(rows(measured)), _phases(measured), _growth(measured), _commits(measured)]
    return "\n".join(table for table in tables if table)


def _rows(made: Sequence[Row]) -> str:
    names = [one.name for one in fields(Row)]
    return _table(names, ([_cell(getattr(row, name)) for name in names] for row in made))


def _phases(measured: Sequence[Figures]) -> str:
    titles = ("system", "objects", "phase", "seconds", "CPU s", "requests an object", "lag p50 s", "lag p99 s")
    lines = list[list[str]]()
    for one in measured:
        at = [one.system, _cell(one.objects)]
        lines += [[*at, phase, *_cost(cost, one.objects)] for phase, cost in one.costs().items()]
        lines.append([*at, "rest", "", "", "", _cell(one.rest.lag.p50), _cell(one.rest.lag.p99)])
    return _table(titles, lines)


def _growth(measured: Sequence[Figures]) -> str:
    lines = list[list[str]]()
    for system in dict.fromkeys(one.system for one in measured):
        for phase, costs in cpu_by_phase(measured, system).items():
            lines.append([system, phase, _cell(growth.exponent(costs)), _cell(growth.steepest(costs))])
    return _table(("system", "CPU of", "exponent over all sizes", "steepest between two sizes"), lines)


def _commits(measured: Sequence[Figures]) -> str:
    """Figures that were kept may be of others than the last."""
    told = [f"{one.system} at {one.objects:,} of {one.commit}" for one in measured if one.commit]
    return f"Measured: {'; '.join(told)}.\n" if told else ""


def _cost(cost: Cost, objects: int) -> list[str]:
    each = cost.requests / objects
    return [_cell(one) for one in (cost.seconds, cost.cpu_seconds, each, cost.lag.p50, cost.lag.p99)]


def _cell(value: float | str | None) -> str:
    """Three digits that count; nothing where nothing is known."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.3g}"


def _table(titles: Iterable[str], lines: Iterable[Sequence[str]]) -> str:
    head = list(titles)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *lines))

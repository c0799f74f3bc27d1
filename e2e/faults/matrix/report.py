"""The rows as the table of docs/reliability.md, between two marks; the rest of the page is people's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from e2e.faults.matrix.ground import ROOT, Fault
from e2e.faults.matrix.rows import Row

PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- fault matrix: written by `make faults` -->"
END = "<!-- end of the fault matrix -->"
_COLUMNS = (
    "fault",
    "runs",
    "faults injected",
    "failures found",
    "converge p50 s",
    "p99 s",
    "max s",
    "jobs lost",
    "jobs duplicated",
    "orphans",
    "needless restarts",
    "API calls",
    "verdict",
)


def write_into(page: Path, rows: Mapping[str, Row], faults: Mapping[str, Fault]) -> None:
    """Put the report of these rows between the marks of the page.

    Raises:
        ValueError: the page has not both marks, once each.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"{page} needs the lines {BEGIN!r} and {END!r}, once each")
    page.write_text(f"{before}{BEGIN}\n\n{report(rows, faults)}\n{END}{after}")


def report(rows: Mapping[str, Row], faults: Mapping[str, Fault]) -> str:
    """Give the table, what was done for each of its rows, and the faults that have none."""
    shown = [rows[number] for number in faults if number in rows]
    lines = [_line(_COLUMNS), _line("---" for _ in _COLUMNS), *(_line(_cells(row)) for row in shown), ""]
    for row in shown:
        covered = ""
        if row.write_points_total is not None:
            covered = f" {row.write_points_covered} of {row.write_points_total} write points."
        lines += [f"- **{row.fault}**: {faults[row.fault].what}{covered}"]
    missing = [number for number in faults if number not in rows]
    if missing:
        lines += ["", f"Not in the table, because not tried by this suite to the end: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> Iterable[str]:
    figures = (
        row.runs,
        row.faults_injected,
        row.failures_found,
        row.converge_p50_seconds,
        row.converge_p99_seconds,
        row.converge_max_seconds,
        row.jobs_lost,
        row.jobs_duplicated,
        row.orphans,
        row.needless_restarts,
        row.api_calls,
    )
    return (row.fault, *("" if figure is None else f"{figure:,}" for figure in figures), row.verdict)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"

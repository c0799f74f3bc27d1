"""What a bench found: a table for people, CSV, JSON and a plot; and what has changed since an earlier one."""

import csv
import io
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from workerpool_operator.cli import plots
from workerpool_operator.cli.bench.modes import Mode
from workerpool_operator.cli.bench.run import Measured, Wanted
from workerpool_operator.cli.bench.statistics import FEWEST, Change, Summary
from workerpool_operator.cli.profile.classify import Bound, bound_of

COLUMNS = ("mode", "reps", "median_s", "p95_s", "min_s", "max_s")


class BaseError(Exception):
    """The base to compare with is no such file, or is one of other jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All modes."""

    wanted: Wanted
    measured: Measured

    @property
    def summaries(self) -> dict[str, Summary]:
        """By mode."""
        return {mode: Summary.of(times) for mode, times in self.measured.times.items()}

    @property
    def bound(self) -> Bound | None:
        """By CPU time of the sequential repetitions, so that a busy machine changes nothing; None: there are none."""
        return bound_of(statistics.median(self.measured.shares)) if self.measured.shares else None

    def to_csv(self) -> str:
        """A row for each mode."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(self._rows())
        return text.getvalue()

    def _rows(self) -> Iterator[list[Any]]:
        for mode, each in self.summaries.items():
            figures = (each.median, each.p95, each.least, each.most)
            yield [mode, each.reps, *(round(figure, 6) for figure in figures)]

    def to_json(self) -> dict[str, Any]:
        """The same with each repetition: what `--compare` reads."""
        return {
            **_identity(self.wanted),
            "verdict": self.bound.value if self.bound else None,
            "cpu_share": round(statistics.median(self.measured.shares), 4) if self.measured.shares else None,
            "stopped": self.measured.stopped,
            "failed": self.measured.failed,
            "modes": [dict(zip(COLUMNS, row, strict=True)) for row in self._rows()],
            "seconds": {mode: [round(each, 6) for each in times] for mode, times in self.measured.times.items()},
        }

    def table(self) -> Table:
        """For people."""
        title = f"{self.wanted.what}: {self.wanted.jobs} jobs, {self.wanted.width} at a time, {self.wanted.cores} cores"
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("mode", no_wrap=True)
        for name in ("reps", "median s", "p95 s", "min s", "max s", "gain"):
            table.add_column(name, justify="right", no_wrap=True)
        for mode, each in self.summaries.items():
            figures = [f"{figure:.3f}" for figure in (each.median, each.p95, each.least, each.most)]
            table.add_row(mode, str(each.reps), *figures, self._gain(mode))
        return table

    def verdict(self) -> Iterator[str]:
        """What it means, in sentences."""
        for mode, why in self.measured.failed.items():
            yield f"{mode}: left out, its jobs fail: {why}"
        if self.bound is None:
            return
        share = f"{100 * statistics.median(self.measured.shares):.0f} % of the time of its own is computing"
        advice = {
            Bound.IO: 'they wait: kind="io" for coroutines, kind="thread" for plain functions',
            Bound.CPU: 'they compute: kind="cpu", a process for each core; threads and the event loop bring nothing',
            Bound.MIXED: "they do both: `wpool profile` tells where to run them",
        }
        yield f"{self.bound}: {share}; {advice[self.bound]}."

    def _gain(self, mode: str) -> str:
        base = self.summaries.get(Mode.SEQUENTIAL.value)
        return f"{base.median / self.summaries[mode].median:.1f} x" if base else ""

    def plot(self, file: Path) -> None:
        """Every repetition, and the median of each mode.

        Raises:
            PlotError: see `plots`.
        """
        plots.check_wanted(file)
        figure, [axes] = plots.new_figure(rows=1, title=f"{self.wanted.what}: {self.wanted.jobs} jobs", height=4.0)
        for place, (mode, times) in enumerate(self.measured.times.items()):
            colour, marker = plots.COLOURS[place % len(plots.COLOURS)], plots.MARKERS[place % len(plots.MARKERS)]
            summary = self.summaries[mode]
            axes.bar(place, summary.median, width=0.6, color=colour, alpha=0.35)
            across = [place + 0.4 * (number / max(1, len(times) - 1) - 0.5) for number in range(len(times))]
            name = "each repetition" if place == 0 else None
            axes.scatter(across, times, s=14, color=colour, marker=marker, label=name)
            axes.hlines(summary.p95, place - 0.3, place + 0.3, color="#333333", label="P95" if place == 0 else "_")
            note: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 9}
            text = f"median {summary.median:.3g} s, {self._gain(mode)}"
            axes.annotate(text, (place, summary.most), xytext=(0, 6), **note)
        axes.set_xticks(range(len(self.measured.times)), list(self.measured.times))
        axes.set_ylabel("time of all jobs (s)")
        axes.set_ylim(bottom=0)
        axes.margins(y=0.15)
        axes.legend(frameon=False, loc="upper right")
        plots.save(figure, file)


def read_base(file: Path, wanted: Wanted) -> dict[str, Sequence[float]]:
    """The repetitions of an earlier bench.

    Raises:
        BaseError: it is no such file, or of other jobs, or has too few repetitions to tell anything.
    """
    try:
        content = json.loads(file.read_text())
        told = {name: content[name] for name in _identity(wanted)}
        seconds: dict[str, Sequence[float]] = {
            mode: [float(each) for each in times] for mode, times in content["seconds"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaseError(f"{file} is not what `wpool bench --json` writes: {error!r}") from error
    if told != _identity(wanted):
        raise BaseError(f"{file} is of other jobs: {told}, these are {_identity(wanted)}")
    if wanted.reps < FEWEST or any(not len(times) >= FEWEST for times in seconds.values()):
        raise BaseError(f"to compare, both need {FEWEST} repetitions of each mode at least")
    return seconds


def changes(found: Sequence[Change]) -> Iterator[str]:
    """One line for each mode."""
    for each in found:
        word = "REGRESSED" if each.regressed else "no regression"
        yield (
            f"{each.mode}: {each.base.median:.3f} s -> {each.now.median:.3f} s ({100 * (each.ratio - 1):+.0f} %), "
            f"fastest {each.base.least:.3f} s -> {each.now.least:.3f} s, by chance {each.chance:.3f}: {word}"
        )


def _identity(wanted: Wanted) -> dict[str, Any]:
    return {"what": wanted.what, "jobs": wanted.jobs, "width": wanted.width, "cores": wanted.cores}

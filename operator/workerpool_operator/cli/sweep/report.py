"""What a sweep found: a table for people, CSV, JSON and a plot."""

import csv
import dataclasses
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from workerpool_operator.cli import plots
from workerpool_operator.cli.sweep.knee import Level, knee
from workerpool_operator.cli.sweep.run import Swept
from workerpool_operator.cli.sweep.strategies import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All levels, and the knee of the bounded ones."""

    swept: Swept
    what: str
    """Title of what was called."""
    price: float | None
    """Of an hour of a pod, in whatever currency."""

    @property
    def knee(self) -> Level | None:
        """Where the bounded jobs have it."""
        return knee(self.swept.of(Strategy.BOUNDED))

    def to_json(self) -> dict[str, Any]:
        """Levels, and the knee's limit; null: none was seen."""
        found = self.knee
        return {
            "what": self.what,
            "stopped": self.swept.stopped,
            "knee": found.limit if found else None,
            "knee_throughput_per_second": round(found.throughput, 3) if found else None,
            "price_per_hour": self.price,
            "levels": [self._row(level) for level in self.swept.levels],
        }

    def to_csv(self) -> str:
        """A row for each strategy and limit."""
        text = io.StringIO()
        rows = [self._row(level) for level in self.swept.levels]
        writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["strategy"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def _row(self, level: Level) -> dict[str, Any]:
        names = {"throughput": "throughput_per_s", "cpu": "cpu_s_per_job", "switches": "switches_per_job"}
        names |= {name: f"{name}_s" for name in ("p50", "p95", "p99")}
        row = {names.get(name, name): value for name, value in dataclasses.asdict(level).items()}
        if self.price is not None:
            row["cost_per_million"] = level.cost(price=self.price)
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}

    def table(self) -> Table:
        """For people; the knee is marked. It fits into 80 columns."""
        table = Table(title=self.what, title_justify="left", box=None, pad_edge=False)
        any_failed = any(level.failed for level in self.swept.levels)
        columns = ["limit", "jobs/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "switches"]
        columns += ["failed"] if any_failed else []
        columns += ["per million"] if self.price is not None else []
        table.add_column("strategy", no_wrap=True)
        for name in columns:
            table.add_column(name, justify="right", no_wrap=True)
        for level in self.swept.levels:
            is_knee = level is self.knee
            cells = [level.strategy + (" *" if is_knee else ""), str(level.limit), f"{level.throughput:.1f}"]
            cells += [f"{1000 * value:.1f}" for value in (level.p50, level.p95, level.p99)]
            cells += [f"{1000 * level.cpu:.2f}", f"{level.switches:.1f}"]
            cells += [str(level.failed)] if any_failed else []
            cells += [f"{level.cost(price=self.price):.4g}"] if self.price is not None else []
            table.add_row(*cells, style="bold green" if is_knee else None)
        table.caption = "* the knee. CPU and context switches: of this process, per job"
        table.caption_justify = "left"
        return table

    def verdict(self) -> Iterator[str]:
        """What it means, in sentences."""
        found = self.knee
        if found is None:
            yield "No knee in this range: throughput still rises at its end, or latency does not. Try larger limits."
            return
        yield (
            f"Knee: {found.limit} at a time give {found.throughput:.1f} jobs/s at a p95 of {1000 * found.p95:.1f} ms; "
            "more only take longer."
        )
        if self.price is not None:
            yield f"There a million jobs cost {found.cost(price=self.price):.4g}."
        naive = self.swept.of(Strategy.NAIVE)[-1:]
        for each in naive:
            yield (
                f"Naive at {each.limit} against bounded at {found.limit}: {each.throughput:.1f} against "
                f"{found.throughput:.1f} jobs/s, p99 {1000 * each.p99:.1f} against {1000 * found.p99:.1f} ms, CPU "
                f"{1000 * each.cpu:.2f} against {1000 * found.cpu:.2f} ms per job."
            )

    def plot(self, file: Path) -> None:
        """Throughput and p95 over the limit.

        Raises:
            PlotError: see `plots`.
        """
        plots.check_wanted(file)
        figure, (above, below) = plots.new_figure(rows=2, title=f"Concurrency sweep: {self.what}")
        for strategy, colour, marker in zip(Strategy, plots.COLOURS, plots.MARKERS, strict=False):
            levels = self.swept.of(strategy)
            limits = [level.limit for level in levels]
            style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "label": strategy.value}
            above.plot(limits, [level.throughput for level in levels], **style)
            below.plot(limits, [1000 * level.p95 for level in levels], **style)
        found = self.knee
        for axes in (above, below):
            axes.set_ylim(bottom=0)
            if found:
                axes.axvline(found.limit, color="#555555", linestyle="--", label=f"knee: {found.limit} at a time")
        above.set_ylabel("throughput (jobs/s)")
        below.set_ylabel("p95 latency (ms)")
        below.set_xlabel("limit (jobs at a time)")
        above.legend(frameon=False, loc="lower right")
        plots.save(figure, file)

"""What the demo measured, and whether that is what it promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from e2e.demo.prepare import NAMESPACE, POOL
from e2e.demo.show import JOB_SECONDS, Shown
from workerpool_operator.cli.load.report import End, spread

LEAST_JOBS = 500
LEAST_READY = 5
LEAST_NODES = 2


@dataclass(frozen=True, kw_only=True)
class Result:
    """The demo's outcome."""

    shown: Shown
    provider: str
    nodes: int
    """How many nodes the cluster has."""
    setup: Mapping[str, float]
    """Seconds of each step of the set-up."""
    seconds_total: float

    def to_json(self) -> dict[str, Any]:
        """Give the figures; times in seconds. The reaction is from a burst's enqueue to a larger wanted size."""
        report = self.shown.report
        reaction = report.reaction
        return {
            "jobs_enqueued": report.jobs_enqueued,
            "jobs_done": report.jobs_done,
            "jobs_lost": report.jobs_lost,
            "jobs_interrupted": report.jobs_interrupted,
            "reaction_p50_seconds": _rounded(reaction.decisions.p50 if reaction else None),
            "reaction_p95_seconds": _rounded(reaction.decisions.p95 if reaction else None),
            "max_ready_replicas": self.shown.max_ready,
            "seconds_total": _rounded(self.seconds_total),
            "provider": self.provider,
        }

    def broken_promises(self) -> list[str]:
        """Name what did not go as the demo promises; empty when all went well."""
        return list(self._broken())

    def _broken(self) -> Iterator[str]:
        report = self.shown.report
        if report.end is not End.DONE:
            yield f"the load did not come to its end: {report.end}"
        if report.jobs_done is None:
            yield "no worker told of its jobs"
            return
        if report.jobs_lost:
            yield f"{report.jobs_lost} jobs were lost"
        if report.jobs_dead:
            yield f"{report.jobs_dead} jobs went to the dead letters"
        if report.jobs_interrupted:
            yield f"{report.jobs_interrupted} jobs were interrupted"
        if report.jobs_done < LEAST_JOBS:
            yield f"{report.jobs_done} jobs were done, fewer than {LEAST_JOBS}"
        if self.shown.max_ready < LEAST_READY:
            yield f"fewer than {LEAST_READY} workers were Ready at the peak"
        if self.shown.most_nodes < min(LEAST_NODES, self.nodes):
            yield "the workers were all on one node"

    def print(self, console: Console) -> None:
        """Show the figures and where to look next."""
        table = Table(title="What was measured", title_justify="left", show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        for row in self._rows():
            table.add_row(*row)
        console.print()
        console.print(table)
        for promise in self.broken_promises():
            console.print(f"NOT AS PROMISED: {promise}", style="bold red", highlight=False)
        console.print()
        console.print(_LOOK_AROUND, highlight=False, soft_wrap=True, markup=False)

    def _rows(self) -> Iterator[tuple[str, str]]:
        shown, report = self.shown, self.shown.report
        yield "jobs", f"{report.jobs_enqueued} sent, {report.jobs_done} done, of {JOB_SECONDS:g} s each"
        harm = f"{report.jobs_lost} lost, {report.jobs_interrupted} interrupted, {report.jobs_duplicated} done twice"
        yield "harm", f"{harm}, {report.jobs_dead} dead-lettered"
        yield "job wait", spread(report.waits)
        if reaction := report.reaction:
            yield "reaction", f"{spread(reaction.decisions)} from a burst to a larger wanted size"
            if reaction.first_ready is not None:
                yield "first worker", f"Ready {reaction.first_ready:.2f} s after the first job, from 0 workers"
        yield "workers", f"{shown.max_ready} Ready at the peak, on {shown.most_nodes} nodes"
        yield "back to zero", f"{shown.to_zero_seconds:.1f} s after the last job"
        yield "feeder's own lag", spread(report.lags)
        steps = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.setup.items())
        yield "times", f"{self.seconds_total:.0f} s in all: {steps}, the show {shown.seconds:.0f} s"
        yield "cluster", f"{self.provider}, {self.nodes} nodes"


_LOOK_AROUND = f"""\
Look around (cluster, operator and pool are still up):
  eval "$(uv run python -m e2e.cluster env)"
  kubectl --namespace {NAMESPACE} get wpool,pods
  kubectl --namespace {NAMESPACE} describe wpool {POOL}
  kubectl --namespace {NAMESPACE} get events --sort-by=.lastTimestamp
  kubectl explain wpool.spec --recursive
More load:
  kubectl --namespace {NAMESPACE} port-forward service/redis 6379 &
  uv run wpool load --url redis://127.0.0.1:6379/0 --stream {POOL} --rate 40 --duration 60 \\
      --pool {POOL} --namespace {NAMESPACE}
Remove it all:
  make demo-down"""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)

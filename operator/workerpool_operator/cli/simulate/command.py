"""The command `wpool simulate`: pools and a load in, tables, files and a plot out."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml
from rich.console import Console

from workerpool_operator.api import InvalidPoolError, WorkerPool, parse
from workerpool_operator.cli import plots
from workerpool_operator.cli.simulate import report
from workerpool_operator.cli.simulate.loads import Pattern, from_pattern, from_trace
from workerpool_operator.cli.simulate.model import TICK_SECONDS, Pods, simulate
from workerpool_operator.domain.rules import most_slots

HELP: Final = """Play a pool's scaling settings against a load, before anything is applied.

The size is decided by the very function that the operator uses, second by second, and carried out by a model: jobs take
`--job-seconds`, pods take `--start-seconds` until they can take jobs, and only pods without a job are taken away.
`--compare` plays a second pool beside it. A trace is a CSV with the columns `seconds` and `rate` (jobs per second from
then on); its last line only ends it. `--pattern daily` is working days, one like the other, for pools with
`scaling.predictive`: `--learn-seconds` says how much of the load lies before what is played. Nothing is asked of any
cluster.

Exit codes: 0 played; 2 wrong usage, a file that cannot be read.
"""

EPILOG: Final = """**Examples**

    wpool simulate -f pool.yaml --pattern burst --rate 50 --job-seconds 0.5

    wpool simulate -f pool.yaml --trace monday.csv --job-seconds 2 --start-seconds 30 --plot monday.png

    wpool simulate -f pool.yaml --pattern daily --seconds 345600 --learn-seconds 259200 --rate 20 --job-seconds 1

    wpool simulate -f pool.yaml --compare other.yaml --pattern peak --rate 20 --job-seconds 1 --price 0.12
"""

_MOST_SECONDS: Final = 86_400.0
_WEEK_SECONDS: Final = 604_800.0


def simulation(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    file: Annotated[Path, typer.Option("--file", "-f", exists=True, dir_okay=False, help="A WorkerPool, as YAML.")],
    job_seconds: Annotated[float, typer.Option(min=0.001, max=_MOST_SECONDS, help="Seconds that a job takes.")],
    compare: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Another WorkerPool, played beside it.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The load, as CSV.")] = None,
    pattern: Annotated[Pattern | None, typer.Option(help="The load, by a pattern.", show_default=False)] = None,
    rate: Annotated[float, typer.Option(min=0.001, max=100_000.0, help="Of the pattern: jobs per second.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=10.0, max=_WEEK_SECONDS, help="Of the pattern: how long.")] = 900.0,
    learn_seconds: Annotated[
        float,
        typer.Option(min=0.0, max=_WEEK_SECONDS, help="So much of the load is not played: only forecasts know of it."),
    ] = 0.0,
    start_seconds: Annotated[float, typer.Option(min=0.0, max=3600.0, help="Until a new pod can take jobs.")] = 10.0,
    slots: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Jobs of a pod at a time; by the pool's spec by default.")
    ] = None,
    price: Annotated[float | None, typer.Option(min=0.0, help="Of a pod-hour, in any currency.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row for each second to this file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Write a plot to this file (.png, .svg).")] = None,
) -> None:
    try:
        plots.check_wanted(plot_file)
        if (trace is None) == (pattern is None):
            raise ValueError("the load is either --trace or --pattern")  # noqa: TRY301
        jobs = from_trace(trace) if trace else from_pattern(pattern or Pattern.BURST, rate=rate, seconds=seconds)
        learned = int(learn_seconds / TICK_SECONDS)
        if learned >= len(jobs):
            raise ValueError("--learn-seconds leaves nothing of the load to play")  # noqa: TRY301
        pools = [read(each) for each in (file, compare) if each is not None]
    except (ValueError, OSError, plots.PlotError) as error:
        raise typer.BadParameter(str(error)) from error
    runs = [
        simulate(
            pool,
            jobs,
            pods=Pods(job_seconds=job_seconds, start_seconds=start_seconds, slots=slots or most_slots(pool)),
            name=str(each),
            learned=learned,
        )
        for pool, each in zip(pools, (file, compare), strict=False)
    ]
    found = [report.Figures.of(run, price=price) for run in runs]
    console = Console()
    for run in runs:
        console.print(report.timeline(run))
        for silent in run.silent:
            console.print(f"silent: {silent}", highlight=False, soft_wrap=True)
    console.print(report.table(found))
    if csv_file:
        report.write_csv(runs, csv_file)
    if json_file:
        json_file.write_text(json.dumps(report.as_json(found), indent=2) + "\n", "utf-8")
    if plot_file:
        report.draw(runs, plot_file, price=price)


def read(file: Path) -> WorkerPool:
    """The pool in a file.

    Raises:
        ValueError: there is none in it.
    """
    try:
        bodies = [body for body in yaml.safe_load_all(file.read_text("utf-8")) if body]
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: no YAML: {error}") from error
    found: list[dict[str, Any]] = [
        body for body in bodies if isinstance(body, dict) and body.get("kind") == "WorkerPool"
    ]
    if len(found) != 1:
        raise ValueError(f"{file}: has {len(found)} WorkerPools, and one is needed")
    body = found[0]
    try:
        return parse({**body, "metadata": {"namespace": "default", **(body.get("metadata") or {})}})
    except InvalidPoolError as error:
        raise ValueError(f"{file}: {error}") from error

"""The command `wpool bench`: options in, figures and an exit code out."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from workerpool import ConfigurationError
from workerpool.runtime.lanes.plan import cores as cores_here
from workerpool_operator.cli import plots
from workerpool_operator.cli.bench.modes import Mode, Origin
from workerpool_operator.cli.bench.report import BaseError, Report, changes, read_base
from workerpool_operator.cli.bench.run import Measured, Wanted, measure
from workerpool_operator.cli.bench.statistics import compare, confirmed
from workerpool_operator.cli.programs import SAMPLES, parse_payload
from workerpool_operator.cli.target import Capacity, local_target
from workerpool_operator.cli.terminal import Console

HELP: Final = """Run the same jobs sequentially, in threads, in the event loop and in processes.

Median, P95, min and max of `--reps` repetitions, and a verdict: I/O-bound, CPU-bound or mixed. Without PROGRAM and JOB,
jobs of `--sample`: `http` fetches from a local server, `compute` computes.

`--compare BASE` (a file of `--json`) tells whether a mode has become slower: by the test of Mann and Whitney, when
median and fastest repetition are both slower by more than `--tolerance`, and when a second measurement says so too.
Ctrl-C ends it after the repetition that runs, and reports what was measured.

Exit codes: 0 measured, and nothing has become slower; 1 something has, or no mode can run the jobs; 2 wrong usage; 130
stopped by Ctrl-C.
"""

EPILOG: Final = """**Examples**

    wpool bench --csv bench.csv --plot bench.png

    wpool bench app:worker resize --payload '{"w": 1}' --jobs 20 --reps 10 --json base.json

    wpool bench app:worker resize --payload '{"w": 1}' --jobs 20 --reps 10 --compare base.json
"""


class ExitCode(IntEnum):
    """What a shell learns. Stable: part of the command's interface."""

    OK = 0
    """Measured; nothing has become slower."""
    REGRESSED = 1
    """A mode has become slower, or none can run the jobs."""
    USAGE = 2
    """Options that make no sense, no such handler, a base of other jobs."""
    STOPPED = 130
    """Ctrl-C."""


class Sample(StrEnum):
    """Jobs of our own."""

    HTTP = "http"
    """50 ms of waiting for a local server."""
    COMPUTE = "compute"
    """50 ms of computing."""


def bench(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    program: Annotated[str, typer.Argument(help="package.module:name of a Worker.")] = "",
    job: Annotated[str, typer.Argument(help="A type of its jobs.")] = "",
    payload: Annotated[str, typer.Option(help="Payload, as JSON.")] = "{}",
    sample: Annotated[Sample, typer.Option(help="Jobs to run where no program is named.")] = Sample.HTTP,
    jobs: Annotated[int, typer.Option(min=1, max=10_000, help="Jobs of a repetition.")] = 10,
    reps: Annotated[int, typer.Option(min=1, max=50, help="Repetitions of each mode.")] = 5,
    width: Annotated[int, typer.Option(min=1, max=1000, help="Jobs at a time of threads and event loop.")] = 10,
    compare_with: Annotated[
        Path | None, typer.Option("--compare", exists=True, dir_okay=False, help="Figures of an earlier --json.")
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0.0, max=10.0, help="How much slower is no regression.")] = 0.1,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row for each mode to this file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all repetitions to this file.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Write a plot to this file (.png, .svg).")] = None,
) -> None:
    console, errors = Console(), Console(stderr=True)
    try:
        if bool(program) != bool(job):
            raise ValueError("name both, the program and the job, or neither")  # noqa: TRY301
        own = Origin(program=program, type=job, payload=parse_payload(payload)) if program else None
        plots.check_wanted(plot_file)
        wanted = _wanted(own, sample=sample, jobs=jobs, reps=reps, width=width)
        base = read_base(compare_with, wanted) if compare_with else None
    except (ValueError, plots.PlotError, BaseError) as error:
        raise typer.BadParameter(str(error)) from error
    try:
        report = Report(wanted=wanted, measured=asyncio.run(_run(wanted, errors)))
        _tell(report, console, csv_file=csv_file, json_file=json_file, plot_file=plot_file)
        if report.measured.stopped or not report.measured.times:
            raise typer.Exit(ExitCode.STOPPED if report.measured.stopped else ExitCode.REGRESSED)
        if base is None:
            return
        found = compare(report.measured.times, base, tolerance=tolerance)
        if any(each.regressed for each in found):
            errors.print("slower, it seems: measured once more to be sure")
            again = asyncio.run(_run(wanted, errors))
            found = confirmed(found, compare(again.times, base, tolerance=tolerance))
    except ConfigurationError as error:
        errors.print(f"wpool bench: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(ExitCode.USAGE) from error
    for line in changes(found):
        console.print(line, highlight=False, soft_wrap=True)
    raise typer.Exit(ExitCode.REGRESSED if any(each.regressed for each in found) else ExitCode.OK)


def _wanted(own: Origin | None, *, sample: Sample, jobs: int, reps: int, width: int) -> Wanted:
    if own:
        what, origins = f"{own.program} {own.type}", dict.fromkeys(Mode, own)
    else:
        what = f"sample {sample}"
        origins = {mode: _sample(mode, sample, {}) for mode in Mode}
    return Wanted(what=what, origins=origins, jobs=jobs, width=width, cores=cores_here(), reps=reps)


def _sample(mode: Mode, sample: Sample, payload: dict[str, Any]) -> Origin:
    plain = sample is Sample.HTTP and mode in {Mode.THREADED, Mode.PROCESS}
    return Origin(program=SAMPLES, type="http-plain" if plain else sample.value, payload=payload)


def _tell(
    report: Report, console: Console, *, csv_file: Path | None, json_file: Path | None, plot_file: Path | None
) -> None:
    console.print(report.table())
    for sentence in report.verdict():
        console.print(sentence, highlight=False, soft_wrap=True)
    if csv_file:
        csv_file.write_text(report.to_csv())
    if json_file:
        json_file.write_text(json.dumps(report.to_json(), indent=2) + "\n")
    if plot_file:
        report.plot(plot_file)


async def _run(wanted: Wanted, errors: Console) -> Measured:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _served(wanted) as ready:
        with errors.status("measuring") as status:

            def show(done: int, planned: int, mode: str) -> None:
                status.update(f"{done} of {planned}: {mode}")

            return await measure(ready, stop=stop, on_rep=show)


@contextlib.asynccontextmanager
async def _served(wanted: Wanted) -> AsyncIterator[Wanted]:
    """With the local server for the jobs that want one."""
    if wanted.what != f"sample {Sample.HTTP}":
        yield wanted
        return
    async with local_target(Capacity(at_once=wanted.jobs, seconds=0.05)) as url:
        origins = {mode: _sample(mode, Sample.HTTP, {"url": url}) for mode in wanted.origins}
        yield replace(wanted, origins=origins)

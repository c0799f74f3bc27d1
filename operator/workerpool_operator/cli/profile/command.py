"""The command `wpool profile`: options in, a verdict out."""

import asyncio
import json
import signal
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from workerpool import ConfigurationError
from workerpool.runtime.lanes.plan import cores as cores_here
from workerpool_operator.cli.profile.report import Profile, slo_sheet
from workerpool_operator.cli.profile.run import Measured, Order, run
from workerpool_operator.cli.programs import SAMPLES, parse_payload
from workerpool_operator.cli.target import Capacity, local_target
from workerpool_operator.cli.terminal import Console

HELP: Final = """Run a handler 5 to 20 times, and tell what it does with its time and where it should run.

PROGRAM is `package.module:name` of a `workerpool.Worker`, imported from this folder or from what is installed; JOB is
one of its types. Without them, a job that fetches from a local server is profiled. The handler does what it does: give
it a payload that may be done twenty times.

Of each run: wait, service (CPU time of all its threads and processes), the time in which no core was free, how long it
held the event loop, bytes over the network. The verdict, I/O-bound, CPU-bound or mixed, is by CPU time against waiting,
so it is the same on a busy machine. Ctrl-C ends it early and reports the runs that were made.

Exit codes: 0 measured; 1 every run failed; 2 wrong usage, or no such handler; 130 stopped before the first run.
"""

EPILOG: Final = """**Examples**

    wpool profile app:worker resize --payload '{"w": 1}' --runs 10

    wpool profile app:worker resize --rate 50 --csv runs.csv --json profile.json --slo slo.md

    wpool size --rate 50 --profile profile.json

    wpool profile
"""


class ExitCode(IntEnum):
    """What a shell learns. Stable: part of the command's interface."""

    OK = 0
    """There is a verdict."""
    JOBS_FAILED = 1
    """Every run failed."""
    USAGE = 2
    """Options that make no sense, or no such handler."""
    STOPPED = 130
    """Ctrl-C, before anything was measured."""


def profile(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    program: Annotated[str, typer.Argument(help="package.module:name of a Worker.")] = "",
    job: Annotated[str, typer.Argument(help="A type of its jobs.")] = "",
    payload: Annotated[str, typer.Option(help="Payload, as JSON.")] = "{}",
    runs: Annotated[int, typer.Option(min=5, max=20, help="Runs that are measured.")] = 10,
    warmup: Annotated[int, typer.Option(min=0, max=20, help="Runs before them that do not count.")] = 1,
    rate: Annotated[float | None, typer.Option(min=0.0001, help="Jobs per second to bear: how many workers.")] = None,
    cores: Annotated[
        float | None, typer.Option(min=0.01, help="Cores of a pod; those of this machine by default.")
    ] = None,
    availability: Annotated[float, typer.Option(min=0.5, max=1.0, help="Of the SLO sheet.")] = 0.999,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row for each run to this file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    slo_file: Annotated[Path | None, typer.Option("--slo", help="Write a sheet of objectives (Markdown).")] = None,
) -> None:
    console, errors = Console(), Console(stderr=True)
    if bool(program) != bool(job):
        raise typer.BadParameter("name both, the program and the job, or neither")
    try:
        asked = parse_payload(payload)
        order = Order(program=program, type=job, payload=asked, runs=runs, warmup=warmup)
        measured = asyncio.run(_run(order, errors))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except ConfigurationError as error:
        errors.print(f"wpool profile: {error}", style="red", highlight=False, markup=False)
        raise typer.Exit(ExitCode.USAGE) from error
    if measured.ended:
        errors.print(f"wpool profile: {measured.ended}", style="red", highlight=False, markup=False)
    if not measured.good:
        raise typer.Exit(_nothing_measured(measured, errors))
    found = Profile.of(measured, cores=cores or cores_here(), rate=rate)
    console.print(found.table())
    for file, text in (
        (csv_file, found.to_csv()),
        (json_file, json.dumps(found.to_json(), indent=2) + "\n"),
        (slo_file, slo_sheet(found, availability=availability)),
    ):
        if file:
            file.write_text(text)


def _nothing_measured(measured: Measured, errors: Console) -> ExitCode:
    if measured.samples:
        text = f"wpool profile: every run failed, the last one by {measured.samples[-1].error}"
        errors.print(text, style="red", highlight=False, markup=False)
    return ExitCode.STOPPED if measured.stopped and not measured.samples else ExitCode.JOBS_FAILED


async def _run(order: Order, errors: Console) -> Measured:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with errors.status("profiling") as status:

        def show(done: int) -> None:
            status.update(f"run {done} of {order.runs}")

        if order.program:
            return await run(order, stop=stop, on_run=show)
        async with local_target(Capacity()) as url:
            given: dict[str, Any] = {"url": url}
            sample = Order(program=SAMPLES, type="http", payload=given, runs=order.runs, warmup=order.warmup)
            return await run(sample, stop=stop, on_run=show)

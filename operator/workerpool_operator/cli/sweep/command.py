"""The command `wpool sweep`: options in, the knee out."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from workerpool import ConfigurationError
from workerpool_operator.cli import plots
from workerpool_operator.cli.programs import load, parse_payload
from workerpool_operator.cli.sweep.report import Report
from workerpool_operator.cli.sweep.run import Swept, calling
from workerpool_operator.cli.sweep.run import sweep as run_sweep
from workerpool_operator.cli.sweep.strategies import Call, JobsFailedError
from workerpool_operator.cli.target import Capacity, local_target
from workerpool_operator.cli.terminal import Console

HELP: Final = """Find how many jobs at a time what they call can take: the knee of throughput.

Naive (all at once), bounded (behind a semaphore) and batched (groups behind a semaphore) over a rising limit. The knee
is the smallest limit with 90 % of the best throughput, if p95 climbs beyond it.

Without PROGRAM and JOB, a local server is called that serves `--capacity` requests at a time and slows down when more
wait; with `--url`, your own. `--price` of an hour of a pod gives what a million jobs cost. Ctrl-C ends it early and
reports what was measured.

Exit codes: 0 measured; 1 all jobs of a level failed; 2 wrong usage; 130 stopped by Ctrl-C.
"""

EPILOG: Final = """**Examples**

    wpool sweep

    wpool sweep app:worker fetch --payload '{"page": 1}' --limits 1,2,4,8,16,32 --plot sweep.png

    wpool sweep --url http://127.0.0.1:8080/ --price 0.12 --csv sweep.csv
"""

DEFAULT_LIMITS: Final = "1,2,4,6,8,10,12,16,24,40"
_LARGEST: Final = 2000


class ExitCode(IntEnum):
    """What a shell learns. Stable: part of the command's interface."""

    OK = 0
    """Measured, with a knee or without."""
    JOBS_FAILED = 1
    """All jobs of a level failed."""
    USAGE = 2
    """Options that make no sense, no such handler, no matplotlib."""
    STOPPED = 130
    """Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be swept."""

    program: str
    job: str
    payload: Any
    url: str
    limits: Sequence[int]
    repeats: int
    capacity: Capacity


def sweep(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    program: Annotated[str, typer.Argument(help="package.module:name of a Worker.")] = "",
    job: Annotated[str, typer.Argument(help="A type of its jobs.")] = "",
    payload: Annotated[str, typer.Option(help="Payload, as JSON.")] = "{}",
    url: Annotated[str, typer.Option(help="Call this URL (GET) instead.")] = "",
    limits: Annotated[str, typer.Option(help="Jobs at a time, rising.")] = DEFAULT_LIMITS,
    repeats: Annotated[int, typer.Option(min=1, max=50, help="Measurements of each, of which the best counts.")] = 2,
    price: Annotated[float | None, typer.Option(min=0.0, help="Of an hour of a pod, in any currency.")] = None,
    capacity: Annotated[int, typer.Option(min=1, max=1000, help="Of the local server: requests at a time.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.001, max=10.0, help="Of the local server: what each takes.")] = 0.04,
    contention: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the local server: each that waits slows the others by so much.")
    ] = 0.02,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row for each level to this file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Write a plot to this file (.png, .svg).")] = None,
) -> None:
    console, errors = Console(), Console(stderr=True)
    try:
        wanted = Wanted(
            program=program,
            job=job,
            payload=parse_payload(payload),
            url=url,
            limits=parse_limits(limits),
            repeats=repeats,
            capacity=Capacity(at_once=capacity, seconds=seconds, contention=contention),
        )
        if bool(program) != bool(job) or (program and url):
            raise ValueError("name a program and one of its jobs, or --url, or nothing")  # noqa: TRY301
        plots.check_wanted(plot_file)
    except (ValueError, plots.PlotError) as error:
        raise typer.BadParameter(str(error)) from error
    try:
        swept = asyncio.run(_run(wanted, errors))
    except (ConfigurationError, JobsFailedError) as error:
        errors.print(f"wpool sweep: {error}", style="red", highlight=False, markup=False)
        code = ExitCode.USAGE if isinstance(error, ConfigurationError) else ExitCode.JOBS_FAILED
        raise typer.Exit(code) from error
    report = Report(swept=swept, what=_title(wanted), price=price)
    console.print(report.table())
    for sentence in report.verdict():
        console.print(sentence, highlight=False, soft_wrap=True)
    if csv_file:
        csv_file.write_text(report.to_csv())
    if json_file:
        json_file.write_text(json.dumps(report.to_json(), indent=2) + "\n")
    if plot_file:
        report.plot(plot_file)
    raise typer.Exit(ExitCode.STOPPED if swept.stopped else ExitCode.OK)


def parse_limits(text: str) -> list[int]:
    """Numbers with commas between them.

    Raises:
        ValueError: they are none, do not rise, or are too large.
    """
    try:
        found = [int(each) for each in text.split(",")]
    except ValueError:
        raise ValueError(f"--limits are numbers with commas between them, such as 1,2,4,8: {text!r}") from None
    if found[0] < 1 or found[-1] > _LARGEST or any(one >= next_one for one, next_one in pairwise(found)):
        raise ValueError(f"--limits have to rise, from 1 or more to at most {_LARGEST}: {text!r}")
    return found


def _title(wanted: Wanted) -> str:
    if wanted.program:
        return f"{wanted.program} {wanted.job}"
    if wanted.url:
        return f"GET {wanted.url}"
    return f"a local server that serves {wanted.capacity.at_once} requests at a time"


async def _run(wanted: Wanted, errors: Console) -> Swept:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _call(wanted) as call:
        with errors.status("sweeping") as status:

            def show(done: int, planned: int, what: str) -> None:
                status.update(f"{done} of {planned}: {what}")

            return await run_sweep(call, limits=wanted.limits, repeats=wanted.repeats, stop=stop, on_level=show)


@contextlib.asynccontextmanager
async def _call(wanted: Wanted) -> AsyncIterator[Call]:
    if wanted.program:
        program = load(wanted.program, job_type=wanted.job, payload=wanted.payload)
        async with calling(program, most=max(wanted.limits)) as call:
            yield call
    elif wanted.url:
        async with _fetching(wanted.url) as call:
            yield call
    else:
        async with local_target(wanted.capacity) as url, _fetching(url) as call:
            yield call


@contextlib.asynccontextmanager
async def _fetching(url: str) -> AsyncIterator[Call]:
    import aiohttp  # noqa: PLC0415  takes longer to import than all other commands need to run

    connector = aiohttp.TCPConnector(limit=0)  # the strategies set the bound
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def call() -> None:
            async with session.get(url, raise_for_status=True) as answer:
                await answer.read()

        yield call

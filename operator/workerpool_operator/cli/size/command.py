"""The command `wpool size`: options in, steps out."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from workerpool_operator.cli.size.steps import Answer, Wanted, answer
from workerpool_operator.cli.terminal import Console

HELP: Final = """How many workers, slots and pods a load needs, worked out step by step.

Workers = rate x job time (Little's law); slots of a pod = cores x (1 + wait / service). Each step is printed with its
formula and its numbers, and is left out where its input is not given. `--profile` reads job time, wait and service
from what `wpool profile --json` has measured.

Exit codes: 0 worked out; 2 wrong usage.
"""

EPILOG: Final = """**Examples**

    wpool size --rate 10 --job-seconds 0.5

    wpool size --cores 4 --wait 0.2 --service 0.05

    wpool size --rate 400 --job-seconds 0.25 --slots 20 --max-wait 1 --share 0.99

    wpool size --rate 50 --profile profile.json --cores 2
"""

_MOST: Final = 1e6
_MOST_IN_WORK: Final = 1e6
"""Beyond it the sums of Erlang C take minutes."""


def size(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    rate: Annotated[float | None, typer.Option(min=0.0001, max=_MOST, help="Jobs per second, at the peak.")] = None,
    job_seconds: Annotated[
        float | None, typer.Option(min=0.000001, max=_MOST, help="Seconds that a job takes; wait + service by default.")
    ] = None,
    wait: Annotated[float | None, typer.Option(min=0.0, max=_MOST, help="Seconds of it that it waits.")] = None,
    service: Annotated[float | None, typer.Option(min=0.0, max=_MOST, help="Seconds of it that it computes.")] = None,
    cores: Annotated[float | None, typer.Option(min=0.01, max=4096.0, help="Cores of a pod.")] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Jobs that a pod runs at a time; by the cores by default.")
    ] = None,
    utilisation: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of time that slots and cores may be busy.")
    ] = 0.8,
    max_wait: Annotated[float | None, typer.Option(min=0.0, max=_MOST, help="Seconds that jobs may wait.")] = None,
    share: Annotated[float, typer.Option(min=0.5, max=0.99999, help="Share of jobs that --max-wait is for.")] = 0.95,
    profile: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="What `wpool profile --json` wrote.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the steps to this file.")] = None,
) -> None:
    try:
        measured = _measured(profile) if profile else {}
        wait = measured.get("wait_seconds") if wait is None else wait
        service = measured.get("service_seconds") if service is None else service
        seconds = _seconds(job_seconds, wait=wait, service=service)
        if (rate or 0.0) * (seconds or 0.0) > _MOST_IN_WORK:
            raise ValueError(f"more than {_MOST_IN_WORK:,.0f} jobs in work at a time: no pool is that large")  # noqa: TRY301
        worked_out = answer(
            Wanted(
                rate=rate,
                seconds=seconds,
                wait=wait,
                service=service,
                cores=cores,
                slots=slots,
                utilisation=utilisation,
                max_wait=max_wait,
                share=share,
            )
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    _print(Console(), worked_out)
    if json_file:
        json_file.write_text(json.dumps(worked_out.to_json(), indent=2) + "\n")


def _seconds(given: float | None, *, wait: float | None, service: float | None) -> float | None:
    if given is not None or wait is None or service is None:
        return given
    return (wait + service) or None


def _measured(file: Path) -> dict[str, float]:
    try:
        content: Any = json.loads(file.read_text())
        return {name: float(content[name]) for name in ("wait_seconds", "service_seconds")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{file} is not what `wpool profile --json` writes: {why}") from error


def _print(console: Console, worked_out: Answer) -> None:
    for number, step in enumerate(worked_out.steps, start=1):
        console.print(Text(f"{number}. {step.title}", style="bold"))
        for line in (step.formula, step.numbers):
            console.print(Text(f"   {line}"), soft_wrap=True)
        console.print(Text(f"   -> {step.meaning}", style="green"), soft_wrap=True)

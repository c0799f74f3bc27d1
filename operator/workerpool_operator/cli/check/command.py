"""The command `wpool check`: files in, findings and an exit code out."""

import json
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from workerpool_operator.cli.check.files import UnreadableError, check_file, python_files
from workerpool_operator.cli.check.findings import Finding

HELP: Final = """Find in the source of workers what overloads, hangs or stalls them; nothing of it is run.

| Rule | Finds |
|---|---|
| `unbounded-gather` | `gather` over as many coroutines as there happen to be |
| `unbounded-tasks` | a task for each turn of a loop, without a bound |
| `missing-timeout` | calls that can wait for ever (requests, aiohttp, asyncpg, redis...), jobs without one |
| `blocking-call` | `time.sleep`, requests, subprocess, files... in the event loop |
| `dropped-task` | `create_task` whose result nobody holds |
| `lock-over-network` | a lock that is held while the network is waited for |

`# wpool: ignore[rule]` at the end of a line takes a finding back, and should say why.

Exit codes: 0 nothing found; 1 something found; 2 wrong usage, or a file that is not Python.
"""

EPILOG: Final = """**Examples**

    wpool check worker.py

    wpool check src/ --format github

    wpool check src/ --format json | jq '.[].rule'
"""


class ExitCode(IntEnum):
    """What a shell learns. Stable: part of the command's interface."""

    OK = 0
    """Nothing was found."""
    FOUND = 1
    """Something was found."""
    USAGE = 2
    """A file is missing, or is not Python."""


class Format(StrEnum):
    """How findings are written."""

    TEXT = "text"
    """For people and editors."""
    JSON = "json"
    """A list of objects."""
    GITHUB = "github"
    """Workflow commands: GitHub shows them at the changed lines."""


def check(  # noqa: D103  typer: the help text is HELP
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files, or folders with all Python in them.")],
    form: Annotated[Format, typer.Option("--format", help="How findings are written.")] = Format.TEXT,
) -> None:
    try:
        files = list(dict.fromkeys(python_files(paths)))
        found = [finding for file in files for finding in check_file(file)]
    except UnreadableError as error:
        typer.echo(f"wpool check: {error}", err=True)
        raise typer.Exit(ExitCode.USAGE) from error
    for line in _lines(found, form):
        typer.echo(line)
    typer.echo(f"{_count(len(found), 'finding')} in {_count(len(files), 'file')}", err=True)
    raise typer.Exit(ExitCode.FOUND if found else ExitCode.OK)


def _lines(found: list[Finding], form: Format) -> list[str]:
    match form:
        case Format.TEXT:
            return [finding.to_text() for finding in found]
        case Format.JSON:
            return [json.dumps([finding.to_json() for finding in found], indent=2)]
        case Format.GITHUB:
            return [finding.to_github() for finding in found]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")

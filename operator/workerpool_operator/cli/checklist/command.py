"""The command `wpool checklist`: a pool in, the list out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.padding import Padding
from rich.text import Text

from workerpool_operator.cli import cluster
from workerpool_operator.cli.checklist.checks import Point, State, points
from workerpool_operator.cli.cluster import ExitCode, asked, pool_of
from workerpool_operator.cli.hints import in_context
from workerpool_operator.cli.terminal import Console, one_line, say

HELP: Final = """The list to go through before a pool goes live: what the pool itself tells, and what only people know.

It only reads: takes `get` of the pool. Where no operator runs, which takes `list` of Deployments to see, a line on
standard error says that what it wrote may be old. `--output markdown` is for a ticket, with boxes to tick.

Exit codes: 0 nothing that could be looked at is open; 1 something is; 2 wrong usage; 3 the cluster, or the pool, cannot
be asked.
"""
EPILOG: Final = """**Examples**

    wpool checklist thumbs

    wpool checklist thumbs --namespace media --output markdown > go-live.md
"""
_SIGNS: Final = {State.DONE: ("ok  ", "green"), State.OPEN: ("OPEN", "bold red"), State.ASK: ("ask ", "yellow")}


class Output(StrEnum):
    """How the list is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def checklist(  # noqa: D103  typer: the help text is HELP
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = Output.TEXT,
    context: cluster.Context = None,
) -> None:
    body = asked(
        "checklist",
        lambda access: pool_of(access, namespace, pool),
        context=context,
        namespace=namespace,
        of_operator=True,
    )
    found = [replace(point, remedy=in_context(point.remedy, context)) for point in points(body)]
    match output:
        case Output.JSON:
            typer.echo(json.dumps([asdict(point) for point in found], indent=2))
        case Output.MARKDOWN:
            say(markdown(pool, found))
        case Output.TEXT:
            _print(found)
    if any(point.state is State.OPEN for point in found):
        raise typer.Exit(ExitCode.NOTHING)


def markdown(pool: str, found: Sequence[Point]) -> str:
    """With a box for each point."""
    lines = [f"# Go-live of {pool}", ""]
    for point in found:
        box = "x" if point.state is State.DONE else " "
        rest = f" ({one_line(point.remedy)})" if point.remedy else ""
        lines.append(f"- [{box}] {point.subject}: {one_line(point.text)}{rest}")
    return "\n".join(lines)


def _print(found: Sequence[Point]) -> None:
    console = Console(soft_wrap=True)
    for point in found:
        sign, style = _SIGNS[point.state]
        console.print(Text.assemble((sign, style), f"  {point.subject}: {one_line(point.text)}"))
        if point.remedy:
            console.print(Padding(Text(one_line(point.remedy), style="cyan"), (0, 0, 0, 6), expand=False))

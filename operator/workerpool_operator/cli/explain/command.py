"""The command `wpool explain`: a pool in, the screen out."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import asked, pool_of
from workerpool_operator.cli.explain.page import Page
from workerpool_operator.cli.get.rows import UNKNOWN
from workerpool_operator.cli.terminal import Console, folding

HELP: Final = """Why a pool has its size, why its canary has its verdict, and why its workers are where they are.

What each target asks for, what limits it, how old the readings are; the canary's verdict with the criterion that it
follows from, its figures, what is missing and what it waits for; the place, since when and until when.

Everything is from the pool's status, as the operator wrote it: at once when a decision changes, else within 30 s. Where
no operator runs, which takes `list` of Deployments to see, a line on standard error says that it may be old.
Takes `get` of workerpools. docs/reference/scaling.md says what the terms and limits mean.

Exit codes: 0 shown; 2 wrong usage; 3 the cluster cannot be asked, or there is no such pool.
"""

EPILOG: Final = """**Examples**

    wpool explain thumbs

    wpool explain thumbs --namespace media

    wpool explain thumbs --output json
"""


class Output(StrEnum):
    """How it is written."""

    TEXT = "text"
    JSON = "json"


def explain(  # noqa: D103  typer: the help text is HELP
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = Output.TEXT,
    context: cluster.Context = None,
) -> None:
    found = asked(
        "explain",
        lambda access: pool_of(access, namespace, pool),
        context=context,
        namespace=namespace,
        of_operator=True,
    )
    page = Page.of(found, now=datetime.now(UTC), context=context)
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(page), indent=2))
    else:
        show(page, folding())


def show(page: Page, console: Console) -> None:
    """Print the screen."""
    console.print(Text(page.title, style="bold"), soft_wrap=True)
    if page.terms:
        console.print(_terms(page))
    for number, (name, meaning) in enumerate(page.limits):
        console.print(f"{'then ' if number else ''}limited by {name}: {meaning}", highlight=False, soft_wrap=True)
    if page.queues:
        table = _table("queue", "waiting", "running", "oldest", "read")
        for queue in page.queues:
            table.add_row(queue.name, queue.waiting, queue.running, queue.oldest, queue.read)
        console.print(table)
    for line in filter(None, (page.forecast, page.budget, page.downstream)):
        console.print(line, highlight=False, soft_wrap=True)
    for title, lines in (("rollout", page.canary), ("place", page.place)):
        for number, line in enumerate(lines):
            console.print(Text(f"{'  ' if number else f'{title}: '}{line}"), soft_wrap=True)
    for trouble in page.troubles:
        console.print(Text(trouble, style="yellow"), soft_wrap=True)


def _terms(page: Page) -> Table:
    table = _table("asks for", "workers", "")
    for term in page.terms:
        said = "; ".join(filter(None, ("the most" if term.wins else "", term.why)))
        table.add_row(term.name, UNKNOWN if term.workers is None else str(term.workers), said)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.upper(), overflow="fold")
    return table

"""The command `wpool get`: options in, exit code out."""

import json
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import yaml
from rich.table import Table
from rich.text import Text

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode, asked
from workerpool_operator.cli.get.rows import Row
from workerpool_operator.cli.get.selector import selecting
from workerpool_operator.cli.terminal import Console, wide

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Show pools: a line each, or one as a live tree of its queues, versions and pods (`--watch`).

The tree shows each pod's jobs in flight and jobs per minute where you may `get` `pods/proxy`; all else takes `get`,
`list` and `watch` of workerpools and pods. `NO_COLOR=1` leaves colours out. Where no operator runs, which takes `list`
of Deployments to see, a line on standard error, or of the tree, says that what it wrote may be old.

Exit codes: 0 shown; 1 there is none; 2 wrong usage; 3 the cluster cannot be asked, or a pool that was named is not
there: those that are there are shown all the same.
"""

EPILOG: Final = """**Examples**

    wpool get

    wpool get --all-namespaces --output wide

    wpool get thumbs mails --namespace media

    wpool get thumbs --namespace media --watch

    wpool get thumbs --output yaml

    wpool get --selector team=media --output name
"""


class Output(StrEnum):
    """How pools are written."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def get(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    pools: Annotated[
        list[str] | None,
        cluster.pool_argument("Names of pools; all by default."),
    ] = None,
    namespace: cluster.Namespace = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Pools of all namespaces.")] = False,
    selector: Annotated[
        str,
        typer.Option("--selector", "-l", callback=selecting, help="Labels that pools must have.", show_default=False),
    ] = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="How they are written.")] = Output.TABLE,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow one pool until Ctrl-C.")] = False,
    context: cluster.Context = None,
) -> None:
    names = pools or []
    if names and (everywhere or selector):
        raise typer.BadParameter("name pools, or choose them by --all-namespaces and --selector")
    if watch:
        if len(names) != 1 or output is not Output.TABLE:
            raise typer.BadParameter("--watch follows one pool, as a tree: name it, and leave --output out")
        _follow(names[0], namespace, context)
        return

    async def question(access: "ClusterAccess") -> tuple[list[dict[str, Any]], list[str]]:
        where = None if everywhere else namespace or access.namespace
        found, missing = await _read(access, names, where, selector)
        if where is not None and not found:
            await cluster.expect_namespace(access, where)
        return found, missing

    found, missing = asked(
        "get", question, context=context, namespace=namespace, everywhere=everywhere, of_operator=True
    )
    if missing:
        if found:
            _write(found, output, everywhere=everywhere, alone=False)
        those = ", ".join(missing)
        cluster.fail("get", f"there is no {those}: `wpool get --all-namespaces` shows the pools that there are")
    if found or output in {Output.JSON, Output.YAML}:  # programs get a list, also an empty one
        _write(found, output, everywhere=everywhere, alone=len(names) == 1)
    if not found:
        Console(stderr=True).print(
            "no pools" + ("" if everywhere else " in this namespace: --all-namespaces shows all")
        )
        raise typer.Exit(ExitCode.NOTHING)


async def _read(
    access: "ClusterAccess", names: Sequence[str], namespace: str | None, selector: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Pools, and those that were named and are not there."""
    from workerpool_operator.kube import Kube, ObjectRef, errors, kinds  # noqa: PLC0415  see cluster.asked

    async with Kube(access) as kube:
        if names:
            there, missing = [], []
            for name in names:
                ref = ObjectRef(kinds.WORKER_POOL, namespace or "", name)
                try:
                    there.append(await kube.get(ref))
                except errors.NotFound:
                    missing.append(str(ref))
            return there, missing
        found = await kube.list(kinds.WORKER_POOL, namespace=namespace, label_selector=selector).all()
    return sorted(found, key=lambda pool: (pool["metadata"].get("namespace", ""), pool["metadata"]["name"])), []


def _write(pools: Sequence[dict[str, Any]], output: Output, *, everywhere: bool, alone: bool) -> None:
    match output:
        case Output.JSON:
            typer.echo(json.dumps(_listed(pools, alone=alone), indent=2))
        case Output.YAML:
            typer.echo(yaml.safe_dump(_listed(pools, alone=alone), sort_keys=False), nl=False)
        case Output.NAME:
            for pool in pools:
                typer.echo(f"workerpool.workerpool.dev/{pool['metadata']['name']}")
        case Output.TABLE | Output.WIDE:
            now = datetime.now(UTC)
            rows = [Row.of(pool, now=now) for pool in pools]
            wide().print(_table(rows, wide=output is Output.WIDE, everywhere=everywhere))


def _listed(pools: Sequence[dict[str, Any]], *, alone: bool) -> dict[str, Any]:
    """One that was named `alone` as it is, all else as kubectl lists it, also where one is found.

    Without who wrote which field, which nobody asked for.
    """
    shown = [
        {**pool, "metadata": {key: value for key, value in pool["metadata"].items() if key != "managedFields"}}
        for pool in pools
    ]
    return shown[0] if alone else {"apiVersion": "v1", "kind": "List", "items": shown}


def _table(rows: Sequence[Row], *, wide: bool, everywhere: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = ["namespace"] if everywhere else []
    columns += ["name", "ready", "workers", "desired", "depth", "in_flight", "version", "age"]
    columns += ["mode", "limited_by", "reason"] if wide else []
    for column in columns:
        table.add_column(column.upper().replace("_", " "), no_wrap=True, overflow="ignore")
    for row in rows:
        table.add_row(*(Text(getattr(row, column), style=_style(row, column)) for column in columns))
    return table


def _style(row: Row, column: str) -> str:
    return "red" if column == "ready" and row.ready != "True" else ""


def _follow(name: str, namespace: str | None, context: str | None) -> None:
    from workerpool_operator.cli.get.follow import follow  # noqa: PLC0415  see cluster.asked

    console = Console()

    def question(access: "ClusterAccess") -> Awaitable[None]:
        return follow(access, namespace or access.namespace, name, console, context=context)

    try:
        asked("get", question, context=context)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.OK) from None

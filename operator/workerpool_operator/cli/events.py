"""`wpool events`: what has happened to pools, and to what was made for them."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode, asked
from workerpool_operator.cli.get.rows import age
from workerpool_operator.cli.terminal import Console, folding, one_line, say

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

Json = Mapping[str, Any]

HELP: Final = """Show what has happened to pools, and with a pool's name to its Deployments and pods as well.

With `mode: keda` also to its ScaledObject and HPA. Kubernetes keeps events for an hour. `--follow` goes on with what
happens from now, a line for each, with `--output json` a JSON object. Takes `get` of the pool, and `list` of events,
with `--follow` also `watch`.

Exit codes: 0 shown; 1 there are none; 2 wrong usage; 3 the cluster, or the pool, cannot be asked.
"""
EPILOG: Final = """**Examples**

    wpool events

    wpool events thumbs --namespace media --warnings

    wpool events thumbs --follow

    wpool events --all-namespaces --output json

    wpool events --all-namespaces --follow --output json | jq 'select(.type == "Warning")'
"""
_POLL_SECONDS: Final = 0.5
_OF_ITS_NAME: Final = frozenset({"HorizontalPodAutoscaler", "PodDisruptionBudget", "ScaledObject"})
"""Kinds of which a pool has one, called as itself."""
_KEDA_HPA: Final = "keda-hpa-"
"""Before the name of a ScaledObject, in that of the HPA that KEDA makes of it."""


class Output(StrEnum):
    """How events are written."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event, of either of the two ways in which the API server keeps them."""

    namespace: str
    time: str
    """RFC 3339: when it was last seen."""
    count: int
    type: str
    reason: str
    kind: str
    name: str
    """Of the object that it is about."""
    message: str

    @classmethod
    def of(cls, event: Json) -> "Happening":
        """Of an `events.k8s.io/v1` Event; those of old reporters have only the deprecated fields."""
        series: Json = event.get("series") or {}
        about: Json = event.get("regarding") or {}
        times = (series.get("lastObservedTime"), event.get("deprecatedLastTimestamp"), event.get("eventTime"))
        return cls(
            namespace=str(event["metadata"].get("namespace", "")),
            time=str(next(filter(None, times), event["metadata"].get("creationTimestamp", ""))),
            count=int(series.get("count") or event.get("deprecatedCount") or 1),
            type=str(event.get("type", "")),
            reason=str(event.get("reason", "")),
            kind=str(about.get("kind", "")),
            name=str(about.get("name", "")),
            message=str(event.get("note") or ""),
        )


def events(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    pool: Annotated[
        str,
        cluster.pool_argument("Name of the pool; all by default."),
    ] = "",
    namespace: cluster.Namespace = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Pools of all namespaces.")] = False,
    warnings: Annotated[bool, typer.Option("--warnings", help="Only those that somebody should look at.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And what happens from now, until Ctrl-C.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How they are written.")] = Output.TABLE,
    context: cluster.Context = None,
) -> None:
    if everywhere and pool:
        raise typer.BadParameter("--all-namespaces does not go with a pool: a pool is in one namespace")

    async def question(access: "ClusterAccess") -> int:
        where = None if everywhere else namespace or access.namespace
        if pool:
            await cluster.pool_of(access, where, pool)
        if follow:
            await _follow(access, where, pool, Follower(output=output, warnings=warnings))
        found = await read(access, where, pool, warnings=warnings)
        if where is not None and not (pool or found):
            await cluster.expect_namespace(access, where)
        return _written(found, output, everywhere=everywhere)

    try:
        shown = asked("events", question, context=context)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.OK) from None
    if not shown:
        Console(stderr=True).print("no events: Kubernetes keeps them for an hour", soft_wrap=True)
        raise typer.Exit(ExitCode.NOTHING)


async def read(access: "ClusterAccess", namespace: str | None, pool: str, *, warnings: bool = False) -> list[Happening]:
    """Oldest first. `pool` empty: about all pools."""
    from workerpool_operator.kube import Kube, kinds  # noqa: PLC0415  see cluster.asked

    async with Kube(access) as kube:
        listing = kube.list(kinds.EVENT, namespace=namespace, field_selector=_fields(pool, warnings=warnings))
        found = [Happening.of(event) async for event in listing]
    return sorted((one for one in found if about(one, pool)), key=lambda one: when(one.time))


def _fields(pool: str, *, warnings: bool) -> str:
    """What the API server can choose: a single pool's are about objects of several kinds, which it cannot."""
    return ",".join(([] if pool else ["regarding.kind=WorkerPool"]) + (["type=Warning"] if warnings else []))


def about(happening: Happening, pool: str) -> bool:
    """Whether it is about this pool, or what was made for it; `pool` empty: about any pool itself."""
    if happening.kind == "WorkerPool":
        return not pool or happening.name == pool
    if happening.kind in _OF_ITS_NAME:
        return bool(pool) and happening.name in {pool, f"{_KEDA_HPA}{pool}"}
    # Its Deployments, and so their ReplicaSets and pods, are named by version and revision.
    return bool(pool) and re.match(rf"{re.escape(pool)}-[0-9a-f]{{8}}-[0-9a-f]{{6}}(-|$)", happening.name) is not None


def when(stamp: str) -> datetime:
    """A time of the API server; the beginning of time where it has none."""
    try:
        return datetime.fromisoformat(stamp).astimezone(UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """How those that come are written."""

    output: Output
    warnings: bool

    def write(self, one: Happening, *, everywhere: bool) -> None:
        """A line."""
        if self.output is Output.JSON:
            typer.echo(json.dumps(asdict(one)))
            return
        name = f"{one.namespace}/{one.name}" if everywhere else one.name
        say(f"{when(one.time):%H:%M:%S} {one.type:7} {one.reason} {one.kind}/{name}: {_line(one)}")


async def _follow(access: "ClusterAccess", namespace: str | None, pool: str, follower: Follower) -> None:
    from workerpool_operator.cli.mirror import Mirror  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.kube import Kube, kinds  # noqa: PLC0415

    errors = Console(stderr=True, soft_wrap=True)
    told: set[tuple[str, int]] = set()
    trouble = ""
    fields = _fields(pool, warnings=follower.warnings)
    async with Kube(access) as kube, Mirror(access, kube, kinds.EVENT, namespace=namespace, fields=fields) as mirror:
        while True:
            now = {name: Happening.of(event) for name, event in mirror.objects.items()}
            new = [one for name, one in now.items() if (name, one.count) not in told and about(one, pool)]
            told = {(name, one.count) for name, one in now.items()}
            for one in sorted(new, key=lambda one: when(one.time)):
                follower.write(one, everywhere=namespace is None)
            if mirror.error and mirror.error != trouble:
                trouble = mirror.error
                errors.print(f"{trouble}; looked at again", style="yellow", markup=False, highlight=False)
            await asyncio.sleep(_POLL_SECONDS)


def _line(one: Happening) -> str:
    return one_line(one.message) + (f" (x{one.count})" if one.count > 1 else "")


def _written(found: Sequence[Happening], output: Output, *, everywhere: bool) -> int:
    if output is Output.JSON:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    elif found:
        folding().print(table(found, now=datetime.now(UTC), everywhere=everywhere))
    return len(found)


def table(found: Sequence[Happening], *, now: datetime, everywhere: bool = False) -> Table:
    """For people."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in [*(["NAMESPACE"] if everywhere else []), "LAST", "TYPE", "REASON", "ABOUT", "MESSAGE"]:
        shown.add_column(column, overflow="fold")
    for one in found:
        style = "yellow" if one.type == "Warning" else ""
        cells = [age(one.time or None, now=now), one.type, one.reason, f"{one.kind}/{one.name}", _line(one)]
        shown.add_row(*(Text(cell, style=style) for cell in ([one.namespace] if everywhere else []) + cells))
    return shown

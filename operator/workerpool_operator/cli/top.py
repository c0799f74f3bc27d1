"""`wpool top`: the pools with the most work, or the workers of one pool with what they do and use."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode, asked
from workerpool_operator.cli.get.rows import UNKNOWN, Row, known
from workerpool_operator.cli.terminal import Console, wide

if TYPE_CHECKING:
    from workerpool_operator.cli.get.figures import Figures
    from workerpool_operator.kube import ClusterAccess

Json = Mapping[str, Any]

HELP: Final = """Show which pools have the most work, or what each worker of one pool does and uses.

Pools are told from their status and come by what waits. Workers tell their jobs, CPU and memory themselves: two
readings of up to 100 of them (ready ones first), three seconds apart, through the API server, which takes `get` of
`pods/proxy`. More are not shown. Where no operator runs, which takes `list` of Deployments to see, a line on standard
error says that what it wrote of the pools may be old.

Exit codes: 0 shown; 1 there is nothing to show; 2 wrong usage; 3 the cluster, or the pool, cannot be asked.
"""
EPILOG: Final = """**Examples**

    wpool top

    wpool top --all-namespaces

    wpool top thumbs --namespace media
"""
_APART_SECONDS: Final = 3.0
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One pod, with its last two readings where it told."""

    name: str
    state: str
    now: "Figures | None" = None
    before: "Figures | None" = None


def top(  # noqa: D103  typer: the help text is HELP, and options are arguments
    pool: Annotated[
        str,
        cluster.pool_argument("Name of the pool; all by default."),
    ] = "",
    namespace: cluster.Namespace = None,
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Pools of all namespaces.")] = False,
    context: cluster.Context = None,
) -> None:
    if pool and everywhere:
        raise typer.BadParameter("--all-namespaces does not go with a pool")

    async def question(access: "ClusterAccess") -> tuple[Table, str]:
        if pool:
            workers, trouble = await _workers(access, namespace or access.namespace, pool)
            return workers_table(workers), trouble
        from workerpool_operator.kube import Kube, kinds  # noqa: PLC0415  see cluster.asked

        async with Kube(access) as kube:
            where = None if everywhere else namespace or access.namespace
            pools = await kube.list(kinds.WORKER_POOL, namespace=where).all()
        if where is not None and not pools:
            await cluster.expect_namespace(access, where)
        return pools_table(pools, everywhere=everywhere), ""

    table, trouble = asked(
        "top", question, context=context, namespace=namespace, everywhere=everywhere, of_operator=True
    )
    if trouble:
        cluster.remark(trouble)
    if not table.row_count:
        Console(stderr=True).print("no workers" if pool else "no pools")
        raise typer.Exit(ExitCode.NOTHING)
    wide().print(table)


async def _workers(access: "ClusterAccess", namespace: str, name: str) -> tuple[list[Worker], str]:
    from workerpool_operator.cli.get.figures import MOST, PodFigures  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.cli.pods import pod_state  # noqa: PLC0415
    from workerpool_operator.domain.desired.names import POOL_LABEL  # noqa: PLC0415
    from workerpool_operator.kube import Kube, kinds  # noqa: PLC0415

    await cluster.pool_of(access, namespace, name)
    async with Kube(access) as kube:
        listing = kube.list(kinds.POD, namespace=namespace, label_selector=f"{POOL_LABEL}={name}")
        found = {pod["metadata"]["name"]: pod_state(pod) async for pod in listing}
    # Those that run first: only they can tell.
    states = dict(sorted(found.items(), key=lambda one: (one[1] != "Ready", one[0]))[:MOST])
    figures = PodFigures(access, namespace=namespace)
    await figures.read(states)
    if figures.now:
        await asyncio.sleep(_APART_SECONDS)
        await figures.read(states)
    left_out = f"{len(states)} of {len(found)} workers are shown" if len(found) > len(states) else ""
    return [
        Worker(name=pod, state=state, now=figures.now.get(pod), before=figures.before.get(pod))
        for pod, state in states.items()
    ], "; ".join(filter(None, (left_out, figures.trouble)))


def workers_table(workers: Sequence[Worker]) -> Table:
    """The busiest first."""
    table = _table("WORKER", "STATE", "IN FLIGHT", "JOBS/MIN", "CPU %", "MEMORY MiB")
    for one in sorted(workers, key=lambda one: (-one.now.in_flight if one.now else 1, one.name)):
        if one.now is None:
            figures = [UNKNOWN] * 4
        else:
            rate = one.now.per_minute(one.before)
            figures = [str(one.now.in_flight), UNKNOWN if rate is None else f"{rate:.0f}"]
            figures += [f"{one.now.cpu_percent:.0f}", f"{one.now.memory_bytes / _MEBIBYTE:.0f}"]
        table.add_row(*(Text(cell) for cell in (one.name, one.state, *figures)))
    return table


def pools_table(pools: Sequence[Json], *, everywhere: bool) -> Table:
    """Those first in which the most jobs wait."""
    table = _table(
        *(["NAMESPACE"] if everywhere else []), "POOL", "DEPTH", "OLDEST", "IN FLIGHT", "WORKERS", "LIMITED BY"
    )
    now = datetime.now(UTC)

    def depth(pool: Json) -> int:
        return int(((pool.get("status") or {}).get("scaling") or {}).get("depth") or 0)

    for pool in sorted(pools, key=lambda pool: (-depth(pool), pool["metadata"]["name"])):
        row = Row.of(pool, now=now)
        ages = [queue.get("oldestAgeSeconds") for queue in (pool.get("status") or {}).get("queues") or ()]
        oldest = max((one for one in ages if one is not None), default=None)
        cells = [row.name, row.depth, known(oldest) + ("" if oldest is None else "s"), row.in_flight, row.workers]
        table.add_row(*(Text(cell) for cell in ([row.namespace] if everywhere else []) + [*cells, row.limited_by]))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ignore")
    return table

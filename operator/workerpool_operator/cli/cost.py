"""`wpool cost`: what pools have used, and what of it sat idle, from the figures that a Prometheus has kept."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from workerpool_operator.cli import prometheus
from workerpool_operator.cli.cluster import ExitCode, TroubleError, fail
from workerpool_operator.cli.terminal import Console, one_line, wide

HELP: Final = """Show what pools have used: worker-hours of each version, how much of that was idle, and the price.

Idle is a worker without a job; one with several slots by the share of them that is free. The figures are the operator's
(`workerpool_worker_seconds_total` and `_idle_`), from a Prometheus that scrapes it; without one, nobody has kept them.
Prices are the chart's `cost.workerHour` and `cost.pools`.

Exit codes: 0 shown; 1 no figures within the window; 2 wrong usage; 3 the Prometheus cannot be asked.
"""
EPILOG: Final = """**Examples**

    kubectl port-forward --namespace monitoring service/prometheus 9090 &

    wpool cost --prometheus http://127.0.0.1:9090

    wpool cost thumbs --namespace media --window 30d --output json
"""
_SECONDS: Final = "sum by (namespace, pool, version) (increase({metric}{{{chosen}}}[{window}]))"
_PRICE: Final = (
    "max by (namespace, pool, currency) (last_over_time(workerpool_worker_hour_price{{{chosen}}}[{window}]))"
)
_HOUR: Final = 3_600.0


class Output(StrEnum):
    """How it is written."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Of one version of a pool."""

    namespace: str
    pool: str
    version: str
    worker_hours: float
    idle_hours: float
    cost: float | None
    """None: the price is not known."""
    currency: str

    @property
    def idle_percent(self) -> float:
        """Of the worker-hours."""
        return 100 * min(1.0, self.idle_hours / self.worker_hours)


def cost(  # noqa: D103  typer: the help text is HELP, and options are arguments
    pools: prometheus.Pools = None,
    address: prometheus.Address = prometheus.ADDRESS,
    window: prometheus.Window = prometheus.WINDOW,
    namespace: prometheus.Namespace = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = Output.TABLE,
) -> None:
    try:
        found = lines(lambda query: prometheus.ask(address, query), pools or [], namespace=namespace, window=window)
    except TroubleError as error:
        fail("cost", str(error))
    if output is Output.JSON:
        typer.echo(json.dumps([asdict(line) for line in found], indent=2))
    if not found:
        Console(stderr=True).print(
            f"no worker-seconds within {window}: does this Prometheus scrape the operator (chart value "
            "monitoring.enabled), and is there such a pool?"
        )
        raise typer.Exit(ExitCode.NOTHING)
    if output is Output.TABLE:
        wide().print(table(found))


def lines(
    ask: Callable[[str], prometheus.Vector], pools: Sequence[str], *, namespace: str | None, window: str
) -> list[Line]:
    """The most expensive first, by worker-hours where prices are not known."""
    chosen = prometheus.selectors(pools, namespace=namespace)

    def seconds(metric: str) -> prometheus.Vector:
        return ask(_SECONDS.format(metric=metric, chosen=chosen, window=window))

    idle = {_key(labels): value for labels, value in seconds("workerpool_worker_idle_seconds_total")}
    prices = {
        (labels["namespace"], labels["pool"]): (value, labels.get("currency", ""))
        for labels, value in ask(_PRICE.format(chosen=chosen, window=window))
    }
    found = []
    for labels, value in seconds("workerpool_worker_seconds_total"):
        if value <= 0:
            continue
        where, hours = _key(labels), value / _HOUR
        price, currency = prices.get(where[:2], (None, ""))
        found.append(
            Line(
                namespace=where[0],
                pool=where[1],
                version=where[2],
                worker_hours=round(hours, 4),
                idle_hours=round(idle.get(where, 0.0) / _HOUR, 4),
                cost=None if price is None else round(hours * price, 4),
                currency=currency,
            )
        )
    return sorted(found, key=lambda line: (-(line.cost or 0.0), -line.worker_hours))


def _key(labels: dict[str, str]) -> tuple[str, str, str]:
    return labels["namespace"], labels["pool"], labels.get("version", "")


def table(found: Sequence[Line]) -> Table:
    """For people; with a sum for each currency."""
    shown = Table(box=box.SIMPLE)
    for name in ("NAMESPACE", "POOL", "VERSION"):
        shown.add_column(name)
    for name in ("WORKER-HOURS", "IDLE", "COST"):
        shown.add_column(name, justify="right")
    for line in found:
        idle = f"{line.idle_percent:.0f} %"
        cells = (line.namespace, line.pool, line.version, f"{line.worker_hours:,.2f}", idle, _money(line))
        shown.add_row(*(Text(one_line(cell)) for cell in cells))
    shown.add_section()
    totals: dict[str, float] = {}
    for line in found:
        if line.cost is not None:
            totals[line.currency] = totals.get(line.currency, 0.0) + line.cost
    hours, idle_hours = sum(line.worker_hours for line in found), sum(line.idle_hours for line in found)
    money = ", ".join(f"{amount:,.2f} {currency}".strip() for currency, amount in totals.items()) or "-"
    shown.add_row("all", "", "", f"{hours:,.2f}", f"{100 * min(1.0, idle_hours / hours):.0f} %", money)
    return shown


def _money(line: Line) -> str:
    return "-" if line.cost is None else f"{line.cost:,.2f} {line.currency}".strip()

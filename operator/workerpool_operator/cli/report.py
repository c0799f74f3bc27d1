"""`wpool report`: what pools have done in a week, and how that differs from the week before, from a Prometheus."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from workerpool_operator.cli import prometheus
from workerpool_operator.cli.cluster import ExitCode, TroubleError, fail
from workerpool_operator.cli.terminal import Console, one_line, say, wide

HELP: Final = """Report what pools have done in a week: jobs, failures, waits, workers, cost and the alerts that fired.

Beside the jobs stands how many more or fewer they were than in the time before. `SLO USED` is how much went wrong of
what may in such a time by `spec.slo` (100 %: just as much), `SLO LEFT` what is left of 30 days, each of the promise
that fares worst. The figures come from a Prometheus that scrapes workers and operator and evaluates the chart's rules;
what it does not have is `-`. `--output markdown` is for a mail or a ticket.

Exit codes: 0 shown; 1 no figures within the window; 2 wrong usage; 3 the Prometheus cannot be asked.
"""
EPILOG: Final = """**Examples**

    wpool report --prometheus http://127.0.0.1:9090

    wpool report thumbs --namespace media --window 4w --output markdown > october.md
"""
_BY: Final = "sum by (namespace, pool)"
_QUANTILE: Final = (
    "histogram_quantile(0.95, sum by (namespace, pool, le) (rate({metric}_bucket{{{chosen}}}[{window}])))"
)
_QUERIES: Final[Mapping[str, str]] = {
    "jobs": _BY + " (increase(jobs_processed_total{{{chosen}}}[{window}]))",
    "jobs_before": _BY + " (increase(jobs_processed_total{{{chosen}}}[{window}] offset {window}))",
    "failed_attempts": _BY + " (increase(jobs_failed_total{{{chosen}}}[{window}]))",
    "dead": _BY + " (increase(jobs_dead_lettered_total{{{chosen}}}[{window}]))",
    "redelivered": _BY + " (increase(jobs_redelivered_total{{{chosen}}}[{window}]))",
    "interrupted": _BY + " (increase(workerpool_jobs_interrupted_total{{{chosen}}}[{window}]))",
    "wait_p95_seconds": _QUANTILE.replace("{metric}", "job_wait_seconds"),
    "time_p95_seconds": _QUANTILE.replace("{metric}", "job_processing_seconds"),
    "most_workers": "max by (namespace, pool) (max_over_time(workerpool_replicas{{{chosen}}}[{window}]))",
    "size_changes": _BY + " (increase(workerpool_scale_actions_total{{{chosen}}}[{window}]))",
    "worker_seconds": _BY + " (increase(workerpool_worker_seconds_total{{{chosen}}}[{window}]))",
    "idle_seconds": _BY + " (increase(workerpool_worker_idle_seconds_total{{{chosen}}}[{window}]))",
    "slo_used": "max by (namespace, pool) (sum_over_time(pool:slo_bad:sum30m{{{chosen}}}[{window}:30m])"
    " / (sum_over_time(pool:slo_total:sum30m{{{chosen}}}[{window}:30m]) > 0)"
    " / on (namespace, pool, slo) (1 - pool:slo_objective:max{{{chosen}}}))",
    "slo_left": "min by (namespace, pool) (pool:slo_budget_left:ratio30d{{{chosen}}})",
    "price": "max by (namespace, pool) (last_over_time(workerpool_worker_hour_price{{{chosen}}}[{window}]))",
}
_MARKED: Final = re.compile(r"[\\`*_\[\]<>|&]")
"""What means something in Markdown, and in the HTML that is made of it."""
_ALERTS: Final = (
    'sum by (namespace, pool, alertname) (count_over_time(ALERTS{{alertstate="firing",pool!=""{more}}}[{window}]))'
)
_HOUR: Final = 3_600.0

Key = tuple[str, str]


class Output(StrEnum):
    """How it is written."""

    TABLE = "table"
    MARKDOWN = "markdown"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """Of one pool; None: the Prometheus does not know."""

    namespace: str
    pool: str
    jobs: float | None
    change_percent: float | None
    """Of the jobs, against as long a time before."""
    failed_attempts: float | None
    dead: float | None
    redelivered: float | None
    """Taken over from workers that no longer held them."""
    interrupted: float | None
    """Handed back by workers that had to go before these had ended."""
    wait_p95_seconds: float | None
    time_p95_seconds: float | None
    slo_used_percent: float | None
    """Of what may go wrong in such a time by `spec.slo`, what did: of the promise that fared worst."""
    slo_left_percent: float | None
    """Of what may go wrong in 30 days, what is left now; below 0 the promise is broken."""
    most_workers: float | None
    size_changes: float | None
    worker_hours: float | None
    idle_percent: float | None
    cost: float | None
    alerts: tuple[str, ...]
    """Names of those that fired."""


def report(  # noqa: D103  typer: the help text is HELP, and options are arguments
    pools: prometheus.Pools = None,
    address: prometheus.Address = prometheus.ADDRESS,
    window: prometheus.Window = prometheus.WINDOW,
    namespace: prometheus.Namespace = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = Output.TABLE,
) -> None:
    try:
        found = weeks(lambda query: prometheus.ask(address, query), pools or [], namespace=namespace, window=window)
    except TroubleError as error:
        fail("report", str(error))
    if output is Output.JSON:
        typer.echo(json.dumps([asdict(week) for week in found], indent=2))
    if not found:
        why = f"no figures within {window}: does this Prometheus scrape workers and operator, and is there such a pool?"
        Console(stderr=True, soft_wrap=True).print(why)
        raise typer.Exit(ExitCode.NOTHING)
    match output:
        case Output.TABLE:
            wide().print(table(found))
        case Output.MARKDOWN:
            say(markdown(found, window=window))
        case Output.JSON:
            pass


def weeks(
    ask: Callable[[str], prometheus.Vector], pools: Sequence[str], *, namespace: str | None, window: str
) -> list[Week]:
    """Those with the most jobs first."""
    chosen = prometheus.selectors(pools, namespace=namespace)

    def figures(query: str) -> dict[Key, float]:
        answer = ask(query.format(chosen=chosen, window=window))
        return {_key(labels): value for labels, value in answer if math.isfinite(value)}

    by = {name: figures(query) for name, query in _QUERIES.items()}
    alerts: dict[Key, set[str]] = {}
    for labels, _ in ask(_ALERTS.format(more=f",{chosen}" if chosen else "", window=window)):
        alerts.setdefault(_key(labels), set()).add(labels["alertname"])
    keys = {key for name in ("jobs", "worker_seconds", "most_workers") for key in by[name] if key[1]}
    found = [_week(key, {name: values.get(key) for name, values in by.items()}, alerts.get(key, set())) for key in keys]
    return sorted(found, key=lambda week: (-(week.jobs or 0.0), week.namespace, week.pool))


def _week(key: Key, of: Mapping[str, float | None], alerts: set[str]) -> Week:
    jobs, before, seconds, idle, price = (
        of[name] for name in ("jobs", "jobs_before", "worker_seconds", "idle_seconds", "price")
    )
    hours = None if seconds is None else seconds / _HOUR
    return Week(
        namespace=key[0],
        pool=key[1],
        jobs=_rounded(jobs, 0),
        change_percent=_rounded(100 * (jobs - before) / before, 1) if jobs is not None and before else None,
        failed_attempts=_rounded(of["failed_attempts"], 0),
        dead=_rounded(of["dead"], 0),
        redelivered=_rounded(of["redelivered"], 0),
        interrupted=_rounded(of["interrupted"], 0),
        wait_p95_seconds=_rounded(of["wait_p95_seconds"], 3),
        time_p95_seconds=_rounded(of["time_p95_seconds"], 3),
        slo_used_percent=_percent(of["slo_used"]),
        slo_left_percent=_percent(of["slo_left"]),
        most_workers=_rounded(of["most_workers"], 0),
        size_changes=_rounded(of["size_changes"], 0),
        worker_hours=_rounded(hours, 2),
        idle_percent=_rounded(100 * min(1.0, (idle or 0.0) / seconds), 1) if seconds else None,
        cost=_rounded(hours * price, 2) if hours is not None and price is not None else None,
        alerts=tuple(sorted(alerts)),
    )


def _key(labels: Mapping[str, str]) -> Key:
    return labels.get("namespace", ""), labels.get("pool", "")


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


_COLUMNS: Final = (
    ("JOBS", "jobs", "{:,.0f}"),
    ("CHANGE", "change_percent", "{:+.0f} %"),
    ("FAILED", "failed_attempts", "{:,.0f}"),
    ("DEAD", "dead", "{:,.0f}"),
    ("REDELIVERED", "redelivered", "{:,.0f}"),
    ("INTERRUPTED", "interrupted", "{:,.0f}"),
    ("WAIT P95", "wait_p95_seconds", "{:,.2f} s"),
    ("TIME P95", "time_p95_seconds", "{:,.2f} s"),
    ("SLO USED", "slo_used_percent", "{:,.0f} %"),
    ("SLO LEFT", "slo_left_percent", "{:,.0f} %"),
    ("MOST WORKERS", "most_workers", "{:,.0f}"),
    ("SIZE CHANGES", "size_changes", "{:,.0f}"),
    ("WORKER-HOURS", "worker_hours", "{:,.1f}"),
    ("IDLE", "idle_percent", "{:.0f} %"),
    ("COST", "cost", "{:,.2f}"),
)


def _cells(week: Week) -> list[str]:
    said = [getattr(week, name) for _, name, _ in _COLUMNS]
    shown = ["-" if value is None else form.format(value) for value, (_, _, form) in zip(said, _COLUMNS, strict=True)]
    return [week.namespace, week.pool, *shown, ", ".join(week.alerts) or "none"]


def table(found: Sequence[Week]) -> Table:
    """For people."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("NAMESPACE", "POOL", *(title for title, _, _ in _COLUMNS), "ALERTS"):
        shown.add_column(title, justify="left" if title in {"NAMESPACE", "POOL", "ALERTS"} else "right")
    for week in found:
        shown.add_row(*(Text(one_line(cell)) for cell in _cells(week)))
    return shown


def markdown(found: Sequence[Week], *, window: str) -> str:
    """For a mail or a ticket."""
    titles = ["Namespace", "Pool", *(title.capitalize() for title, _, _ in _COLUMNS), "Alerts"]
    rows = [f"| {' | '.join(map(_plain, _cells(week)))} |" for week in found]
    head = f"# Pools, the last {window}\n\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}"
    return "\n".join([head, *rows])


def _plain(cell: str) -> str:
    """A cell whose signs are only signs."""
    return _MARKED.sub(r"\\\g<0>", one_line(cell))

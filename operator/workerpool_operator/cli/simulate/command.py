"""The command `wpool simulate`: pools and a load in, tables, files and a plot out."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from workerpool_operator.api import InvalidPoolError, WorkerPool, parse, parse_budget
from workerpool_operator.api.crd import BUDGET, POOL
from workerpool_operator.api.pool import API_VERSION
from workerpool_operator.cli import plots
from workerpool_operator.cli.lint.read import documents, why_unread
from workerpool_operator.cli.simulate import report, verdicts
from workerpool_operator.cli.simulate.canary import Wish, wished
from workerpool_operator.cli.simulate.deciding import TICK_SECONDS, Arrivals, Pods
from workerpool_operator.cli.simulate.loads import Pattern, from_pattern, from_trace
from workerpool_operator.cli.simulate.model import Budget, Played, Run, together
from workerpool_operator.cli.simulate.rivals import DECIDERS, Rival
from workerpool_operator.cli.simulate.verdicts import Tried
from workerpool_operator.cli.terminal import Console
from workerpool_operator.domain.rules import most_slots

HELP: Final = """Play a pool's scaling and canary settings against a load, before anything is applied.

The size is decided by the very function that the operator uses, second by second, and carried out by a model: jobs take
`--job-seconds`, pods take `--start-seconds` until they can take jobs, and only pods without a job are taken away.
`--compare` plays another file beside it, `--against` what an HPA or KEDA would have done by their own rules with the
same bounds. A file may hold several pools, and the WorkerPoolBudgets that they share.

A trace is a CSV with the columns `seconds` and `rate` (jobs per second from then on), and `pool` where each has a load
of its own. Its last line only ends it. Where a rate is empty nobody knows it: the queue cannot be read then, and the
size is held. `--pattern daily` is working days, one like the other, for pools with `scaling.predictive`:
`--learn-seconds` says how much of the load lies before what is played. Nothing is asked of any cluster.

`--canary-ratio` brings a new version that fails so many times as often as the stable one (1: an equally good one), and
plays the rollout `--runs` times with the operator's own steps and judge, failures being left to chance: how likely it
is promoted, rejected or neither when the load ends, how long that takes, and how many jobs it fails by then.

Exit codes: 0 played; 2 wrong usage, a file that cannot be read, or in which something would be refused (`wpool lint`).
"""

EPILOG: Final = """**Examples**

    wpool simulate -f pool.yaml --pattern burst --rate 50 --job-seconds 0.5

    wpool simulate -f pool.yaml --trace monday.csv --job-seconds 2 --start-seconds 30 --plot monday.png

    wpool simulate -f pool.yaml --pattern daily --seconds 345600 --learn-seconds 259200 --rate 20 --job-seconds 1

    wpool simulate -f pool.yaml --compare other.yaml --pattern peak --rate 20 --job-seconds 1 --price 0.12

    wpool simulate -f pool.yaml --against keda --against hpa --pattern burst --rate 50 --job-seconds 0.5

    wpool simulate -f pools-and-budget.yaml --trace loads.csv --job-seconds 2

    wpool simulate -f pool.yaml --pattern steady --seconds 7200 --job-seconds 1 --canary-ratio 1 --canary-ratio 5
"""

_MOST_SECONDS: Final = 86_400.0
_WEEK_SECONDS: Final = 604_800.0


def simulation(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    file: Annotated[
        Path, typer.Option("--file", "-f", exists=True, dir_okay=False, help="WorkerPools and budgets, as YAML.")
    ],
    job_seconds: Annotated[float, typer.Option(min=0.001, max=_MOST_SECONDS, help="Seconds that a job takes.")],
    compare: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Other ones, played beside.")
    ] = None,
    against: Annotated[list[Rival] | None, typer.Option(help="What these would have done.", show_default=False)] = None,
    trace: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="The load, as CSV.")] = None,
    pattern: Annotated[Pattern | None, typer.Option(help="The load, by a pattern.", show_default=False)] = None,
    rate: Annotated[float, typer.Option(min=0.001, max=100_000.0, help="Of the pattern: jobs per second.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=10.0, max=_WEEK_SECONDS, help="Of the pattern: how long.")] = 900.0,
    learn_seconds: Annotated[
        float,
        typer.Option(min=0.0, max=_WEEK_SECONDS, help="So much of the load is not played: only forecasts know of it."),
    ] = 0.0,
    start_seconds: Annotated[float, typer.Option(min=0.0, max=3600.0, help="Until a new pod can take jobs.")] = 10.0,
    slots: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Jobs of a pod at a time; by the pool's spec by default.")
    ] = None,
    price: Annotated[float | None, typer.Option(min=0.0, help="Of a pod-hour, in any currency.")] = None,
    canary_ratio: Annotated[
        list[float] | None,
        typer.Option(min=0.0, max=1000.0, help="A new version fails so many times as often.", show_default=False),
    ] = None,
    canary_at: Annotated[
        float, typer.Option(min=0.0, max=_WEEK_SECONDS, help="It comes so many seconds after the load's begin.")
    ] = 0.0,
    failure_rate: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of first attempts that the stable version fails.")
    ] = 0.01,
    runs: Annotated[int, typer.Option(min=1, max=100_000, help="How often each rollout is played.")] = 200,
    seed: Annotated[int, typer.Option(help="Of their chances: the same one gives the same figures.")] = 1,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a row for each second to this file.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", help="Write a plot to this file (.png, .svg).")] = None,
) -> None:
    try:
        plots.check_wanted(plot_file)
        if (trace is None) == (pattern is None):
            raise ValueError("the load is either --trace or --pattern")  # noqa: TRY301
        files = [read(each) for each in (file, compare) if each is not None]
        pods = functools.partial(_pods, job_seconds=job_seconds, start_seconds=start_seconds, slots=slots)
        load = functools.partial(_load, trace=trace, pattern=pattern or Pattern.BURST, rate=rate, seconds=seconds)
        sets = [each.played(load, pods, among=len(files)) for each in files]
        learned, ticks = int(learn_seconds / TICK_SECONDS), max(len(one.arrivals) for played in sets for one in played)
        if learned >= ticks:
            raise ValueError("--learn-seconds leaves nothing of the load to play")  # noqa: TRY301
        wish = Wish(ratio=1.0, failure_rate=failure_rate, at=max(canary_at, learn_seconds), runs=runs, seed=seed)
        wishes = wished(canary_ratio or (), wish, until=ticks * TICK_SECONDS)
    except (ValueError, OSError, plots.PlotError) as error:
        raise typer.BadParameter(str(error)) from error
    own = [
        (run, one.pool)
        for played, each in zip(sets, files, strict=True)
        for run, one in zip(together(played, budgets=each.budgets, learned=learned), played, strict=True)
    ]
    rivalled = [_rivalled(one, rival, learned=learned) for rival in against or () for one in sets[0]]
    played_runs = [run for run, _ in own] + rivalled
    found = [report.Figures.of(run, price=price) for run in played_runs]
    tried = [verdicts.tried(run, pool, wishes) for run, pool in own] if wishes else []
    _show(played_runs, found, files)
    _show_canaries(tried)
    canaries = [one.canaries for one in tried]
    if csv_file:
        report.write_csv(played_runs, csv_file)
    if json_file:
        json_file.write_text(json.dumps(report.as_json(found, canaries), indent=2) + "\n", "utf-8")
    if plot_file:
        report.draw(played_runs, plot_file, price=price, canaries=[one for each in canaries for one in each])


def _show(runs: Sequence[Run], found: Sequence[report.Figures], files: Sequence["Settings"]) -> None:
    console = Console()
    for run in runs:
        console.print(report.timeline(run))
        for silent in run.silent:
            console.print(f"silent: {silent}", highlight=False, soft_wrap=True)
    console.print(report.table(found))
    for each in files:
        for missing in each.without:
            console.print(
                f"{each.file}: budget {missing} is not in it: played without", highlight=False, soft_wrap=True
            )


def _show_canaries(tried: Sequence[Tried]) -> None:
    console = Console()
    for each in tried:
        console.print()
        if each.canaries:
            console.print(verdicts.title(each), style="italic", highlight=False, soft_wrap=True)
            console.print(verdicts.table(each))
        for note in verdicts.notes(each):
            console.print(note, highlight=False, soft_wrap=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is in a file."""

    file: Path
    pools: tuple[WorkerPool, ...]
    budgets: Mapping[str, Budget]

    @property
    def without(self) -> list[str]:
        """Budgets that pools name, and that are not there."""
        named = {pool.spec.scaling.budget.name for pool in self.pools if pool.spec.scaling.budget is not None}
        return sorted(named - self.budgets.keys())

    def played(
        self, load: Callable[[str], Arrivals], pods: Callable[[WorkerPool], Pods], *, among: int
    ) -> list[Played]:
        """Its pools, each with its load. A file of one pool gives it its name."""
        one = len(self.pools) == 1
        names = [str(self.file) if one else f"{self.file}: {pool.name}" for pool in self.pools]
        if among == 1 and not one:
            names = [pool.name for pool in self.pools]
        return [
            Played(pool=pool, arrivals=load(pool.name), pods=pods(pool), name=name)
            for pool, name in zip(self.pools, names, strict=True)
        ]


def _load(pool: str, *, trace: Path | None, pattern: Pattern, rate: float, seconds: float) -> Arrivals:
    return from_trace(trace, pool=pool) if trace else from_pattern(pattern, rate=rate, seconds=seconds)


def _pods(pool: WorkerPool, *, job_seconds: float, start_seconds: float, slots: int | None) -> Pods:
    return Pods(job_seconds=job_seconds, start_seconds=start_seconds, slots=slots or most_slots(pool))


def _rivalled(played: Played, rival: Rival, *, learned: int) -> Run:
    theirs = replace(played, name=f"{rival.value}: {played.name}", decider=DECIDERS[rival])
    return together([theirs], learned=learned)[0]


def read(file: Path) -> Settings:
    """The pools in a file, and the budgets.

    Raises:
        ValueError: there is no pool in it, or something that the API server would refuse: it would never be played.
    """
    from workerpool_operator.cli.lint.verdict import definition, examine  # noqa: PLC0415  it brings an interpreter of CEL

    try:
        found = list(documents(file.read_text("utf-8")))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{file}: no YAML: {why_unread(error)}") from error
    ours = [(each, of) for each in found if (of := definition(each.body)) is not None]
    if against := [f"{of.kind} {fault}" for each, of in ours for fault in examine(each, of) if not fault.warning]:
        raise ValueError(f"{file}: the API server would refuse it: {'; '.join(against)}")
    try:
        pools = tuple(parse(_placed(each.body)) for each, of in ours if of is POOL)
        budgets = [parse_budget(each.body) for each, of in ours if of is BUDGET]
    except InvalidPoolError as error:
        raise ValueError(f"{file}: {error}") from error
    if not pools:
        raise ValueError(f"{file}: has no WorkerPool of {API_VERSION}, and one is needed")
    if len({pool.name for pool in pools}) < len(pools):
        raise ValueError(f"{file}: two WorkerPools have the same name")
    shared = {one.name: Budget(seats=one.spec.max_replicas, max_priority=one.spec.max_priority) for one in budgets}
    return Settings(file=file, pools=pools, budgets=shared)


def _placed(body: Mapping[str, Any]) -> dict[str, Any]:
    return {**body, "metadata": {"namespace": "default", **body["metadata"]}}

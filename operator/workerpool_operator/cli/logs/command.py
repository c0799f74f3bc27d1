"""The command `wpool logs`: options in, lines out."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode, TroubleError, asked
from workerpool_operator.cli.logs.kept import Sought
from workerpool_operator.cli.logs.lines import Choice, Level, Line
from workerpool_operator.cli.terminal import Console, say

if TYPE_CHECKING:
    from workerpool_operator.cli.logs.loki import Loki
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Show what the workers of a pool have written, all of them together, in the order of time.

Up to 500 workers are read, of the newest, each with its last lines (`--tail`): of those that `--level` and `--job`
choose. Of each worker its last 50,000 lines are looked through, which is about what a node keeps, and the newest 50,000
lines of all (at most 32 MiB) are shown; it is said when there are more. `--follow` goes on with what they write from
now, up to 200 of them at a time; who comes meanwhile is followed too, and so is a container that lived for a moment.

Lines of workers that are gone, or whose node does not answer, come from Loki, where one is named by `--loki` or
`WPOOL_LOKI` (`WPOOL_LOKI_TENANT`, `WPOOL_LOKI_TOKEN` where it asks for them): those of the last hour, or of `--since`.
It is asked by the namespace, which its streams have in the label `namespace` or `k8s_namespace_name`; another one is
named by `--loki-label` or `WPOOL_LOKI_LABEL`. Without a Loki they are gone with their pods. How to get lines there:
docs/how-to/ship-logs.md.

`--job`, `--level` and what a line says of itself need lines in the JSON of this SDK (docs/reference/logs.md). Takes
`get` of the pool and of pods/log, and `list` of pods.

Exit codes: 0 shown; 1 there are no such lines; 2 wrong usage; 3 the cluster, or the pool, cannot be asked.
"""
EPILOG: Final = """**Examples**

    wpool logs thumbs --namespace media

    wpool logs thumbs --follow --level warning

    wpool logs thumbs --since 2h --job 4711 --loki http://127.0.0.1:3100

    wpool logs thumbs --version 3f2a9c1d --output json | jq 'select(.attempt > 1)'
"""
MOST_PODS: Final = 500
DEFAULT_TAIL: Final = 100
_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])")
LOKI_SPAN: Final = timedelta(hours=1)
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


LokiAddress = Annotated[
    str, typer.Option(envvar="WPOOL_LOKI", help="Address of a Loki that has the lines of gone workers.")
]
LokiLabel = Annotated[
    str,
    typer.Option(
        envvar="WPOOL_LOKI_LABEL",
        help="Label of its streams that has the namespace. By default namespace and k8s_namespace_name.",
        show_default=False,
    ),
]


class Output(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"
    RAW = "raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted."""

    sought: Sought
    follow: bool
    loki: "Loki | None"


def logs(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And what they write from now, until Ctrl-C.")] = False,
    version: Annotated[str, typer.Option(help="Only workers of this version (its hash).", show_default=False)] = "",
    worker: Annotated[str, typer.Option(callback=cluster.named, help="Only this pod.", show_default=False)] = "",
    job: Annotated[str, typer.Option("--job", help="Only lines about the job with this id.", show_default=False)] = "",
    level: Annotated[str, typer.Option(help="Only lines at least as bad: debug, info, warning, error.")] = "",
    since: Annotated[str, typer.Option(help="Only lines of the last 90s, 10m, 2h or 3d.", show_default=False)] = "",
    tail: Annotated[
        int | None,
        typer.Option(
            min=-1,
            help="Last lines of each worker, -1 for all. By default 100, with --since or --job all.",
            show_default=False,
        ),
    ] = None,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="Of the containers before their last restart.")
    ] = False,
    loki: LokiAddress = "",
    loki_label: LokiLabel = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="How they are written.")] = Output.TEXT,
    context: cluster.Context = None,
) -> None:
    if follow and previous:
        raise typer.BadParameter("what was before a restart does not go on: leave --follow or --previous out")
    begin = moment(since)
    choice = Choice(version=version, worker=worker, job_id=job, level=_level(level))
    lines = _tail(tail, limited=begin is not None or bool(job))
    sought = Sought(choice=choice, since=begin, tail=lines, previous=previous)
    wanted = Asked(sought=sought, follow=follow, loki=named_loki(loki, loki_label))
    printer = Printer(choice, output)

    async def question(access: "ClusterAccess") -> None:
        await collect(access, namespace or access.namespace, pool, wanted, printer)

    try:
        asked("logs", question, context=context)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.OK) from None
    if not printer.shown:
        printer.trouble("no such lines")
        raise typer.Exit(ExitCode.NOTHING)


class Printer:
    """Writes the lines that are wanted."""

    def __init__(self, choice: Choice, output: Output) -> None:
        self.shown = 0
        self._told: set[str] = set()
        self._choice = choice
        self._output = output
        self._console = Console(soft_wrap=True)
        self._errors = Console(stderr=True, soft_wrap=True)

    def show(self, line: Line) -> None:
        """One of them."""
        if not self._choice.wants(line):
            return
        self.shown += 1
        match self._output:
            case Output.JSON:
                typer.echo(line.as_json())
            case Output.RAW:
                say(line.text)
            case Output.TEXT:
                self._console.print(line.for_people(today=datetime.now(UTC).date()), highlight=False)

    def trouble(self, text: str) -> None:
        """Why something is missing."""
        self._errors.print(text, style="yellow", markup=False, highlight=False)

    def trouble_once(self, text: str) -> None:
        """The same, for what is so for many workers."""
        if text not in self._told:
            self._told.add(text)
            self.trouble(text)


async def collect(access: "ClusterAccess", namespace: str, pool: str, wanted: Asked, printer: Printer) -> None:
    """Write what there is, and go on if that is wanted.

    Raises:
        KubeError: the pool or its pods cannot be read.
    """
    from workerpool_operator.cli.logs.pods import Follower, PodLogs  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.cli.logs.silent import has_log, was_restarted, why_silent  # noqa: PLC0415
    from workerpool_operator.domain.desired.names import VERSION_LABEL  # noqa: PLC0415
    from workerpool_operator.kube import Kube  # noqa: PLC0415

    await cluster.pool_of(access, namespace, pool)
    sought = wanted.sought

    def chosen(pod: Mapping[str, Any]) -> bool:
        name, labels = pod["metadata"]["name"], pod["metadata"].get("labels") or {}
        choice = sought.choice
        return choice.worker in {"", name} and choice.version in {"", labels.get(VERSION_LABEL, "")}

    ask = Ask(namespace=namespace, pool=pool, loki=wanted.loki)
    async with Kube(access) as kube:
        pods = PodLogs(access, kube, namespace=namespace, pool=pool)
        if wanted.follow:
            there = frozenset({pod["metadata"]["name"] async for pod in pods.pods() if has_log(pod)})
            for line in await ask.gone(sought, there, trouble=printer.trouble_once):
                printer.show(line)

            async def kept(worker: str) -> Sequence[Line]:
                only = replace(sought, choice=replace(sought.choice, worker=worker))
                return await ask.gone(only, frozenset(), trouble=printer.trouble_once)

            follower = Follower(show=printer.show, trouble=printer.trouble, kept=kept)
            await pods.follow(sought, follower, chosen=chosen)
        found = [pod async for pod in pods.pods() if chosen(pod)]
        readable = [pod for pod in found if (was_restarted(pod) if sought.previous else has_log(pod))]
        read = newest(readable, MOST_PODS, printer.trouble)
        reading = await pods.read(read, sought, trouble=printer.trouble)
    if sought.previous and found and not readable:
        printer.trouble("none of these workers has been restarted: there is no container before the one that is there")
    for sentence in [] if sought.previous else why_silent(pod for pod in found if not has_log(pod)):
        printer.trouble(sentence)
    there = frozenset({pod["metadata"]["name"] for pod in read} - reading.unread.keys())
    gone = await ask.gone(sought, there, trouble=printer.trouble)
    for line in sorted([*gone, *reading.lines], key=lambda line: line.at):
        printer.show(line)


def newest(pods: Sequence[Mapping[str, Any]], most: int, trouble: Callable[[str], None]) -> list[Mapping[str, Any]]:
    """So many of them; `trouble` is told when there are more."""
    found = sorted(
        pods, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]), reverse=True
    )
    if len(found) > most:
        trouble(f"only the newest {most} of {len(found)} workers are read: choose by --version or --worker")
    return found[:most]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who is asked for lines of workers that are gone."""

    namespace: str
    pool: str
    loki: "Loki | None"

    async def gone(self, sought: Sought, there: frozenset[str], *, trouble: Callable[[str], None]) -> Sequence[Line]:
        """What workers wrote of whom nothing can be read any more. Without a Loki, or an answer, the others are shown.

        Args:
            sought: which lines.
            there: the pods that have told theirs themselves.
            trouble: is told what is missing.
        """
        now = datetime.now(UTC)
        if self.loki is None or sought.previous:
            return []
        from workerpool_operator.cli.logs.loki import MOST, Wanted  # noqa: PLC0415  see cluster.asked

        asked = Wanted(namespace=self.namespace, pool=self.pool, choice=sought.choice, without=there)
        try:
            found = await self.loki.lines(asked, since=sought.since or now - LOKI_SPAN, until=now)
        except TroubleError as error:
            trouble(f"{error}. Lines of workers that are gone are missing")
            return []
        if len(found) == MOST:
            trouble(f"only the newest {MOST:,} lines of Loki are read: choose by --since, --job, --version or --worker")
        return _tails([line for line in found if line.worker not in there], sought.tail)


def _tails(lines: Sequence[Line], most: int | None) -> list[Line]:
    """The last lines of each worker, in the order of time."""
    if most is None:
        return list(lines)
    kept, seen = list[Line](), dict[str, int]()
    for line in reversed(lines):
        seen[line.worker] = seen.get(line.worker, 0) + 1
        if seen[line.worker] <= most:
            kept.append(line)
    return kept[::-1]


def named_loki(url: str, label: str) -> "Loki | None":
    """The one that is named by options and the environment.

    Raises:
        typer.BadParameter: what is named cannot be a label.
    """
    if label and not _LABEL.fullmatch(label):
        raise typer.BadParameter("--loki-label is the name of a label: letters, digits and _")
    if not url:
        return None
    from workerpool_operator.cli.logs.loki import LABELS, Loki  # noqa: PLC0415  see cluster.asked

    tenant, token = (os.environ.get(f"WPOOL_LOKI_{name}", "") for name in ("TENANT", "TOKEN"))
    return Loki(url=url, tenant=tenant, token=token, labels=(label,) if label else LABELS)


def _tail(wanted: int | None, *, limited: bool) -> int | None:
    if wanted is None:
        return None if limited else DEFAULT_TAIL
    return None if wanted < 0 else wanted


def moment(since: str) -> datetime | None:
    """When that was; None: nothing is said.

    Raises:
        typer.BadParameter: it is no such span.
    """
    if not since:
        return None
    if (found := _SPAN.fullmatch(since)) is None:
        raise typer.BadParameter("--since is how far back, as a number and s, m, h or d: such as 10m")
    try:
        return datetime.now(UTC) - timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise typer.BadParameter(f"--since {since} is before all time") from None


def _level(text: str) -> Level | None:
    if not text:
        return None
    try:
        return Level[text.upper()]
    except KeyError:
        known = ", ".join(level.name.lower() for level in Level)
        raise typer.BadParameter(f"--level is one of {known}") from None

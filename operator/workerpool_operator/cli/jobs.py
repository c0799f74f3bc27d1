"""`wpool job status`: what has become of one job."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode, TroubleError, asked
from workerpool_operator.cli.examples import examples
from workerpool_operator.cli.job_state import Found, Seen, State, told
from workerpool_operator.cli.logs import command as logs_command
from workerpool_operator.cli.logs.kept import Sought
from workerpool_operator.cli.logs.lines import Choice, Line
from workerpool_operator.cli.terminal import Console, one_line, say

if TYPE_CHECKING:
    from workerpool_operator.cli.logs.loki import Loki
    from workerpool_operator.cli.logs.pods import PodLogs
    from workerpool_operator.kube import ClusterAccess

Json = Mapping[str, Any]

HELP: Final = """Look for single jobs of a pool."""


_examples: Final = partial(examples, "job")

EPILOG: Final = _examples("status thumbs 4711")
STATUS_HELP: Final = """Tell what has become of a job: state, attempt, version and last error, and how that is known.

It asks three: the pool's running workers what they are doing (the newest 50 of them, by `exec`), the dead letters (by a
Job, as `wpool dlq`), and what workers have logged of the job: the newest 500 that are there, each by its last 50,000
lines, and those that are gone by Loki, where one is named as for `wpool logs`. Who cannot be asked, and why, is said.

Brokers do not find a job by its id, and workers on the SDK log how an attempt ended only when it went wrong, or when
one went wrong before it. So of a job that waits for its first attempt, or is done without any trouble, nothing is
known; of one whose handler has logged something, that it has started.

Exit codes: 0 told; 1 nothing is known of it, as far as could be looked; 2 wrong usage; 3 the cluster, or the pool,
cannot be asked.
"""
STATUS_EPILOG: Final = _examples(
    "status thumbs 4711",
    "status thumbs 4711 --namespace media --output json",
    "status thumbs 4711 --loki http://127.0.0.1:3100 --since 7d",
)
_MOST_ASKED: Final = 50
_KEPT: Final = 1_000
"""Lines about the job of each worker."""
_DUMP_SECONDS: Final = 10.0

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help=HELP + "\n\nExit codes: 0 told; see each.")


class Output(StrEnum):
    """How it is written."""

    TEXT = "text"
    JSON = "json"


@app.command("status", help=STATUS_HELP, epilog=STATUS_EPILOG)
def status(  # noqa: D103, PLR0917  typer: the help text is STATUS_HELP, and options are arguments
    pool: cluster.Pool,
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    namespace: cluster.Namespace = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = Output.TEXT,
    timeout: Annotated[float, typer.Option(min=5, max=3600, help="Seconds that the Job may take.")] = 120.0,
    since: Annotated[str, typer.Option(help="How far back Loki is asked: 90s, 10m, 2h or 3d.")] = "1d",
    loki: logs_command.LokiAddress = "",
    loki_label: logs_command.LokiLabel = "",
    context: cluster.Context = None,
) -> None:
    errors = Console(stderr=True, soft_wrap=True)
    past = Past(loki=logs_command.named_loki(loki, loki_label), since=logs_command.moment(since))

    async def question(access: "ClusterAccess") -> Found:
        where = namespace or access.namespace
        await cluster.pool_of(access, where, pool)
        look = Look(
            access=access,
            namespace=where,
            pool=pool,
            job=job,
            trouble=lambda text: errors.print(text, style="yellow", markup=False, highlight=False),
        )
        return told(job, await look.everywhere(past, seconds=timeout))

    found = asked("job status", question, context=context)
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        for name, value in asdict(found).items():
            if value not in {"", None}:
                say(f"{name.replace('_', ' ') + ':':12} {one_line(str(value))}")
    if found.state is State.UNKNOWN:
        raise typer.Exit(ExitCode.NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Who knows what workers that are gone have written, and how far back it is asked."""

    loki: "Loki | None"
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Looks for one job. `trouble` is told whoever cannot be asked; the others count."""

    access: "ClusterAccess"
    namespace: str
    pool: str
    job: str
    trouble: Callable[[str], None]

    async def everywhere(self, past: Past, *, seconds: float) -> Seen:
        """What all of them say. `seconds`: how long the dead letters may take."""
        from workerpool_operator.cli.logs.pods import PodLogs  # noqa: PLC0415  see cluster.asked
        from workerpool_operator.kube import Kube, KubeError  # noqa: PLC0415

        async with Kube(self.access) as kube:
            logs = PodLogs(self.access, kube, namespace=self.namespace, pool=self.pool)
            pods: list[Json] = []
            unlisted = ""
            try:
                pods = [pod async for pod in logs.pods()]
            except KubeError as error:
                unlisted = self._why(error)
            (lines, unread), (letters, unasked), (running, unseen) = await asyncio.gather(
                self._lines(logs, pods, past), self._letters(seconds=seconds), self._running(pods)
            )
        why = {"running": unlisted or unseen, "letters": unasked, "lines": unlisted or unread}
        what = {"running": "workers", "letters": "dead letters", "lines": "logs"}
        for name in filter(why.get, why):
            self.trouble(f"the {what[name]} cannot all be asked: {why[name]}")
        known = {name: reason for name, reason in why.items() if reason}
        return Seen(running=running, letters=letters, lines=lines, unseen=known, of_gone=past.loki is not None)

    async def _lines(self, logs: "PodLogs", pods: Sequence[Json], past: Past) -> tuple[list[Line], str]:
        from workerpool_operator.cli.logs.silent import has_log  # noqa: PLC0415

        sought = Sought(choice=Choice(job_id=self.job), tail=_KEPT)
        read = logs_command.newest([pod for pod in pods if has_log(pod)], logs_command.MOST_PODS, self.trouble)
        reading = await logs.read(read, sought, trouble=lambda _: None)
        ask = logs_command.Ask(namespace=self.namespace, pool=self.pool, loki=past.loki)
        there = frozenset({pod["metadata"]["name"] for pod in read} - reading.unread.keys())
        missing: list[str] = []
        gone = await ask.gone(replace(sought, since=past.since), there, trouble=missing.append)
        if reading.unread:
            reason = next(iter(reading.unread.values()))
            missing.insert(0, f"{len(reading.unread)} of {len(read)} logs cannot be read: {reason}")
        return sorted([*gone, *reading.lines], key=lambda line: line.at), "; ".join(missing)

    async def _letters(self, *, seconds: float) -> tuple[Sequence[Json], str]:
        from workerpool_operator.cli.dlq.run import Where, run  # noqa: PLC0415
        from workerpool_operator.kube import KubeError  # noqa: PLC0415

        where = Where(namespace=self.namespace, pool=self.pool, seconds=seconds)
        try:
            return await run(self.access, where, ["show", f"--job-id={self.job}"]), ""
        except (TroubleError, KubeError) as error:
            return [], self._why(error)

    async def _running(self, pods: Sequence[Json]) -> tuple[list[Json], str]:
        """Dumps of the newest workers that answer, and why others do not: they may have no SDK."""
        from workerpool_operator.cli.logs.silent import container_runs  # noqa: PLC0415

        there = [pod for pod in pods if container_runs(pod)]
        turn = asyncio.Semaphore(8)
        chosen = logs_command.newest(there, _MOST_ASKED, lambda _: None)
        found = await asyncio.gather(*(self._dumped(pod, turn) for pod in chosen))
        refused = [why for _, why in found if why]
        why = f"{len(refused)} of {len(there)} workers did not answer: {refused[0]}" if refused else ""
        if len(there) > len(chosen):
            why += ("; " if why else "") + f"only the newest {len(chosen)} of {len(there)} workers were asked"
        return [dump for dumps, _ in found for dump in dumps], why

    async def _dumped(self, pod: Json, turn: asyncio.Semaphore) -> tuple[list[Json], str]:
        from workerpool_operator.cli.look.remote import Target, run_in  # noqa: PLC0415
        from workerpool_operator.kube import KubeError  # noqa: PLC0415

        target = Target(self.namespace, pod["metadata"]["name"])
        command = ["python", "-m", "workerpool.introspect", "dump"]
        try:
            async with turn:
                text = await run_in(self.access, target, command, seconds=_DUMP_SECONDS)
            return [json.loads(line) for line in text.splitlines()], ""
        except (TroubleError, KubeError) as error:
            return [], self._why(error)
        except ValueError:
            return [], f"{target}: what it says is no dump"

    def _why(self, error: Exception) -> str:
        return cluster.sentence(error, server=self.access.server)

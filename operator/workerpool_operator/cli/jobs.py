"""`wpool job status`: what has become of one job."""

import asyncio
import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode, TroubleError, asked
from workerpool_operator.cli.logs.lines import Choice, Line
from workerpool_operator.cli.terminal import Console, one_line, say

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

Json = Mapping[str, Any]

HELP: Final = """Look for single jobs of a pool."""


def _examples(*words: str) -> str:
    return "**Examples**\n\n" + "\n\n".join(f"    wpool job {one}" for one in words) + "\n"


EPILOG: Final = _examples("status thumbs 4711")
STATUS_HELP: Final = """Tell what has become of a job: state, attempt, version and last error, and how that is known.

It asks three: the pool's running workers what they are doing (up to 50 of them, by `exec`, where you may), the dead
letters (by a Job, as `wpool dlq`), and what workers that are there have logged of the job. Brokers do not find a job by
its id, and workers log one only when something goes wrong: so of one that waits for its first attempt, or is done
without any trouble, nothing is known.

Exit codes: 0 told; 1 nothing is known of it; 2 wrong usage; 3 the cluster, or the pool, cannot be asked.
"""
STATUS_EPILOG: Final = _examples("status thumbs 4711", "status thumbs 4711 --namespace media --output json")
_MOST_ASKED: Final = 50
_MOST_READ: Final = 500
_DUMP_SECONDS: Final = 10.0

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help=HELP + "\n\nExit codes: 0 told; see each.")


class State(StrEnum):
    """Where a job is."""

    RUNNING = "running"
    DEAD = "dead"
    """Among the dead letters."""
    RETRIED = "to be retried"
    """Its last attempt that is known of failed, and another one follows or has followed."""
    UNKNOWN = "unknown"


class Output(StrEnum):
    """How it is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is known of a job; empty where it is not."""

    job_id: str
    state: State
    by: str
    """How that is known."""
    type: str = ""
    attempt: int | None = None
    version: str = ""
    worker: str = ""
    queue: str = ""
    last_error: str = ""
    at: str = ""
    """RFC 3339: when it was so."""


@app.command("status", help=STATUS_HELP, epilog=STATUS_EPILOG)
def status(  # noqa: D103, PLR0917  typer: the help text is STATUS_HELP, and options are arguments
    pool: cluster.Pool,
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    namespace: cluster.Namespace = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = Output.TEXT,
    timeout: Annotated[float, typer.Option(min=5, max=3600, help="Seconds that the Job may take.")] = 120.0,
    context: cluster.Context = None,
) -> None:
    errors = Console(stderr=True, soft_wrap=True)

    async def question(access: "ClusterAccess") -> Found:
        where = namespace or access.namespace
        await cluster.pool_of(access, where, pool)
        return await look(
            access,
            where,
            pool,
            job,
            seconds=timeout,
            trouble=lambda text: errors.print(text, style="yellow", markup=False, highlight=False),
        )

    found = asked("job status", question, context=context)
    if output is Output.JSON:
        typer.echo(json.dumps(asdict(found), indent=2))
    else:
        for name, value in asdict(found).items():
            if value not in {"", None}:
                say(f"{name.replace('_', ' ') + ':':12} {one_line(str(value))}")
    if found.state is State.UNKNOWN:
        raise typer.Exit(ExitCode.NOTHING)


async def look(access: "ClusterAccess", namespace: str, pool: str, job: str, *, seconds: float, trouble: Any) -> Found:
    """Ask all three. Whoever cannot be asked is told as trouble; the others count."""
    from workerpool_operator.cli.dlq.run import Where, run  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.cli.logs.pods import PodLogs, container_runs, has_log  # noqa: PLC0415
    from workerpool_operator.kube import Kube, KubeError  # noqa: PLC0415
    from workerpool_operator.kube.podlog import Want  # noqa: PLC0415

    async def dead() -> Sequence[Json]:
        try:
            words = ["show", f"--job-id={job}"]
            return await run(access, Where(namespace=namespace, pool=pool, seconds=seconds), words)
        except (TroubleError, KubeError) as error:
            trouble(f"the dead letters cannot be asked: {error}")
            return []

    async with Kube(access) as kube:
        logs = PodLogs(access, kube, namespace=namespace, pool=pool)
        pods = [pod async for pod in logs.pods() if has_log(pod)]
        reading, letters, running = await asyncio.gather(
            logs.read(pods[:_MOST_READ], Want(), trouble=trouble),
            dead(),
            _running(access, namespace, [pod for pod in pods if container_runs(pod)][:_MOST_ASKED]),
        )
    return told(job, running=running, letters=letters, lines=reading.lines)


async def _running(access: "ClusterAccess", namespace: str, pods: Sequence[Json]) -> list[Json]:
    """Dumps of the workers that answer: who may not run anything there, or has no SDK, learns nothing from them."""
    from workerpool_operator.cli.look.remote import Target, run_in  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.kube import KubeError  # noqa: PLC0415

    turn = asyncio.Semaphore(8)

    async def one(pod: Json) -> list[Json]:
        target = Target(namespace, pod["metadata"]["name"])
        command = ["python", "-m", "workerpool.introspect", "dump"]
        with contextlib.suppress(TroubleError, KubeError, ValueError):
            async with turn:
                text = await run_in(access, target, command, seconds=_DUMP_SECONDS)
            return [json.loads(line) for line in text.splitlines()]
        return []

    return [dump for dumps in await asyncio.gather(*(one(pod) for pod in pods)) for dump in dumps]


def told(job: str, *, running: Iterable[Json], letters: Iterable[Json], lines: Sequence[Line]) -> Found:
    """What follows from it all: what is now counts more than what was logged."""
    about = [line for line in lines if Choice(job_id=job).wants(line)]
    failed = next((line for line in reversed(about) if (line.fields or {}).get("error")), None)
    error = str((failed.fields or {})["error"]) if failed else ""
    for dump in running:
        for one in dump.get("jobs") or ():
            if str(one.get("job_id", "")) == job:
                process = dump.get("process") or {}
                return Found(
                    job_id=job, state=State.RUNNING, by="its worker says so", type=str(one.get("type", "")),
                    attempt=one.get("attempt"), version=str(process.get("version", "")),
                    worker=str(process.get("worker", "")), last_error=error, queue=str(one.get("queue", "")),
                )  # fmt: skip
    for letter in letters:
        if letter.get("job_id") == job:
            return Found(
                job_id=job, state=State.DEAD, by=f"it is a dead letter: {letter['reason']}",
                type=str(letter["type"]), attempt=letter["attempts"], version=str(letter["version"]),
                worker=str(letter["worker"]), queue=str(letter["queue"]), last_error=str(letter["error"]),
                at=datetime.fromtimestamp(letter["died_at"], UTC).isoformat(),
            )  # fmt: skip
    if failed is not None:
        fields = failed.fields or {}
        return Found(
            job_id=job, state=State.RETRIED, by=f"a worker logged: {fields.get('event', '')}",
            type=str(fields.get("job_type", "")), attempt=fields.get("attempt"), version=failed.version,
            worker=failed.worker, last_error=error, at=failed.at.isoformat(),
        )  # fmt: skip
    why = "no worker runs it, it is no dead letter, and nobody has logged a failure of it"
    return Found(job_id=job, state=State.UNKNOWN, by=why)

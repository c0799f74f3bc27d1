"""The commands `wpool dlq ...`: options in, tables out."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.table import Table
from rich.text import Text

from workerpool_operator.cli import cluster, consent
from workerpool_operator.cli.cluster import ExitCode, asked
from workerpool_operator.cli.examples import examples
from workerpool_operator.cli.terminal import Console, one_line, say, wide

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

Json = dict[str, Any]

HELP: Final = """Look at a pool's dead letters, let them wait again, or delete them.

A short Kubernetes Job does it in the pool's namespace, with the pool's own credentials: they are mounted there and
never reach your machine. It runs the image of the namespace's collector, satisfies Pod Security `restricted`, and is
deleted at its end; `redrive` and `purge` that are ended before it say how much they have done. Takes your own right to
`create` and `delete` jobs and to `get` pods/log, the pool and the Deployment workerpool-collector, and to `list` pods.

Exit codes: 0 shown or done; 1 there are no such dead letters, or you said no; 2 wrong usage; 3 the cluster, the pool or
its queue cannot be asked.
"""


_examples: Final = partial(examples, "dlq")

EPILOG: Final = _examples("list thumbs", "show thumbs 4711", "redrive thumbs --reason max_attempts --dry-run")

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help=HELP)


class Output(StrEnum):
    """How dead letters are written."""

    TABLE = "table"
    JSON = "json"


Queue = Annotated[str, typer.Option(help="Only this queue of the pool; all by default.", show_default=False)]
Reason = Annotated[
    str, typer.Option(help="Only jobs that died for this: max_attempts, rejected, expired, ...", show_default=False)
]
Version = Annotated[
    str,
    typer.Option(
        "--version", help="Only what this version of the workers gave up: a canary's, say.", show_default=False
    ),
]
JobId = Annotated[str, typer.Option("--job", help="Only the job with this id.", show_default=False)]
Timeout = Annotated[float, typer.Option(min=5, max=3600, help="Seconds that the Job may take, its start included.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count what it would be.")]


@app.command("list", epilog=_examples("list thumbs", "list thumbs -n media --reason rejected --output json"))
def list_them(  # noqa: PLR0917  typer: options are arguments
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    queue: Queue = "",
    reason: Reason = "",
    version: Version = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The oldest so many of each queue.")] = 100,
    output: Annotated[Output, typer.Option("--output", "-o", help="How they are written.")] = Output.TABLE,
    timeout: Timeout = 120,
    context: cluster.Context = None,
) -> None:
    """List dead letters, oldest first, without their payloads."""
    words = ["list", *_chosen(queue, reason, "", version), "--limit", str(limit)]
    found = _run("dlq list", pool, words, namespace=namespace, seconds=timeout, context=context)
    letters = [one for one in found if "job_id" in one]
    if output is Output.JSON:
        typer.echo(json.dumps(letters, indent=2))
    if not letters:
        _none()
    if output is Output.TABLE:
        wide().print(table(letters))
    for one in found:
        if one.get("more"):
            Console(stderr=True).print(f"queue {one['queue']} has more: --limit", style="yellow", markup=False)


@app.command("show", epilog=_examples("show thumbs 4711", "show thumbs 4711 --output json"))
def show(  # noqa: PLR0917  typer: options are arguments
    pool: cluster.Pool,
    job: Annotated[str, typer.Argument(help="The job's id.", show_default=False)],
    namespace: cluster.Namespace = None,
    queue: Queue = "",
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = Output.TABLE,
    timeout: Timeout = 120,
    context: cluster.Context = None,
) -> None:
    """Show one dead job: why and where it died, its traceback and its payload. The payload passes the Job's log."""
    words = ["show", *_chosen(queue, "", job, "")]
    found = _run("dlq show", pool, words, namespace=namespace, seconds=timeout, context=context)
    letters = [one for one in found if "job_id" in one]
    if output is Output.JSON:
        typer.echo(json.dumps(letters, indent=2))
    if not letters:
        _none()
    if output is Output.TABLE:
        for letter in letters:
            for key, value in letter.items():
                if value not in ("", None):
                    say(f"{key + ':':14} {_moment(value) if key == 'died_at' else value}")
            say("")


@app.command(
    "redrive",
    epilog=_examples(
        "redrive thumbs --job 4711", "redrive thumbs --reason max_attempts --dry-run", "redrive thumbs --yes"
    ),
)
def redrive(  # noqa: PLR0917  typer: options are arguments
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    queue: Queue = "",
    reason: Reason = "",
    version: Version = "",
    job: JobId = "",
    dry_run: DryRun = False,
    yes: consent.Yes = False,
    timeout: Timeout = 300,
    context: cluster.Context = None,
) -> None:
    """Let dead jobs wait again, in their order and as if never tried. Interrupted, it goes on when asked again.

    Without `--job`, `--reason` and `--version` it asks first, with their number: all of them at once may be more than
    what the workers call can bear. `wpool throttle` slows them down.
    """
    words = ["redrive", *_chosen(queue, reason, job, version)]

    def moved(*more: str) -> list[Json]:
        return _run("dlq redrive", pool, [*words, *more], namespace=namespace, seconds=timeout, context=context)

    if consent.asks("redrive", yes=yes or bool(reason or job or version), dry_run=dry_run):
        consent.somebody_there("redrive of all dead letters")
        if not (letters := _count(moved("--dry-run"))):
            _none()
        consent.ask("redrive", yes=False, pool=pool, letters=letters, which=f"in queue {queue} " if queue else "")
    found = moved(*(["--dry-run"] if dry_run else []))
    _counted(found, "would wait again" if dry_run else "wait again")


@app.command(
    "purge", epilog=_examples("purge thumbs --reason expired --dry-run", "purge thumbs --reason expired --yes")
)
def purge(  # noqa: PLR0917  typer: options are arguments
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    queue: Queue = "",
    reason: Reason = "",
    version: Version = "",
    job: JobId = "",
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: Timeout = 300,
    context: cluster.Context = None,
) -> None:
    """Delete dead jobs for good, after asking."""
    chosen = _chosen(queue, reason, job, version)
    consent.ask("purge", yes=yes, dry_run=dry_run, pool=pool, which=" ".join(chosen) or "all of them")
    words = ["purge", *chosen, *(["--dry-run"] if dry_run else [])]
    found = _run("dlq purge", pool, words, namespace=namespace, seconds=timeout, context=context)
    _counted(found, "would be deleted" if dry_run else "deleted")


def _chosen(queue: str, reason: str, job: str, version: str) -> list[str]:
    wanted = {"--queue": queue, "--reason": reason, "--job-id": job, "--version": version}
    return [f"{option}={value}" for option, value in wanted.items() if value]


def _run(
    command: str, pool: str, words: Sequence[str], *, namespace: str | None, seconds: float, context: str | None
) -> list[Json]:
    async def question(access: "ClusterAccess") -> list[Json]:
        from workerpool_operator.cli.dlq.run import Where, run  # noqa: PLC0415  see cluster.asked

        where = Where(namespace=namespace or access.namespace, pool=pool, seconds=seconds)
        return await run(access, where, words)

    with Console(stderr=True).status("a Job in the pool's namespace asks its queue"):
        return asked(command, question, context=context)


def _counted(found: Sequence[Json], what: str) -> None:
    counts = {str(one["queue"]): int(one["count"]) for one in found if "count" in one}
    for queue, count in counts.items():
        say(f"queue {queue}: {count} {what}")
    if not sum(counts.values()):
        raise typer.Exit(ExitCode.NOTHING)


def _count(found: Sequence[Json]) -> int:
    return sum(int(one["count"]) for one in found if "count" in one)


def _none() -> NoReturn:
    Console(stderr=True).print("no such dead letters")
    raise typer.Exit(ExitCode.NOTHING)


def _moment(seconds: Any) -> str:
    return f"{datetime.fromtimestamp(float(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"


def table(letters: Sequence[Json]) -> Table:
    """For people."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("QUEUE", "JOB", "TYPE", "REASON", "ATTEMPTS", "DIED", "VERSION", "ERROR"):
        found.add_column(column)
    for one in letters:
        cells = [one["queue"], one["job_id"], one["type"], one["reason"], one["attempts"], _moment(one["died_at"])]
        found.add_row(*(Text(one_line(str(cell))) for cell in (*cells, one["version"], one["error"])))
    return found

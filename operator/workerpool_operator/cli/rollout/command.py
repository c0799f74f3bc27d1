"""The commands `wpool rollout ...`: options in, exit code out."""

import json
from collections.abc import Awaitable, Callable
from enum import IntEnum, StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar

import typer
from rich.table import Table

from workerpool_operator.cli import cluster, consent
from workerpool_operator.cli.cluster import ExitCode, asked
from workerpool_operator.cli.examples import examples
from workerpool_operator.cli.interrupts import leaves
from workerpool_operator.cli.rollout.state import End, Known, NoRolloutError, lines, meant, rollout_of
from workerpool_operator.cli.terminal import Console, say, wide
from workerpool_operator.domain.rollout.commands import Verb

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

T = TypeVar("T")

HELP: Final = """Show how far a pool's new version is, wait for its end, or decide about it.

What decides is written to the pool as the annotation `workerpool.dev/command`, for the version that is being tried at
that moment, and `promote` for its step: it does nothing to a later one. It needs your own right to `patch` the pool.
The operator's answer is waited for; a dry run (`--dry-run`) has the API server check the command, and cannot know that
answer.

Exit codes: 0 shown, done, or promoted; 1 the pool has no rollout, or (`history`) no versions, or you said no; 2 wrong
usage; 3 the cluster, or the pool, cannot be asked, or no operator runs that would decide (`status`); 4 the version was
rejected (`status`); 5 not in time, or no operator runs that would answer; 6 the operator refused the command.
"""

ANSWER_SECONDS: Final = 30.0


_examples: Final = partial(examples, "rollout")

EPILOG: Final = _examples("get thumbs", "status thumbs --timeout 7200", "abort thumbs")

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help=HELP)


class RolloutExit(IntEnum):
    """What a pipeline learns beyond the codes of all commands. Stable."""

    REJECTED = 4
    """The version that the pool asks for was tried and went."""
    LATE = 5
    """It was not decided, or not answered, in time."""
    REFUSED = 6
    """The operator refused the command."""


class Output(StrEnum):
    """How a rollout is written."""

    TEXT = "text"
    JSON = "json"


@app.command("get", epilog=_examples("get thumbs", "get thumbs --output json", "get thumbs --namespace media --watch"))
def get(
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again at each change, until Ctrl-C.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = Output.TEXT,
    context: cluster.Context = None,
) -> None:
    """Show the rollout: step, weight, shares of workers and jobs, verdict and what it follows from.

    As JSON it is `status.rollout` as it stands; with `--watch` a line for each change.
    """

    def shown(rollout: dict[str, Any]) -> list[str]:
        if output is Output.TEXT or not rollout:
            return lines(rollout)
        return json.dumps(rollout, indent=None if watch else 2).splitlines()

    async def show(access: "ClusterAccess") -> bool:
        from workerpool_operator.cli.rollout import ask  # noqa: PLC0415  see cluster.asked

        where = namespace or access.namespace
        if not watch:
            return _write(shown(rollout_of(await cluster.pool_of(access, where, pool))))
        before: list[str] = []
        async for body in ask.changes(access, where, pool):
            if (now := shown(rollout_of(body))) != before:
                before = now
                _write([*now, ""] if output is Output.TEXT else now)
        return True

    try:
        there = asked("rollout get", show, context=context)
    except KeyboardInterrupt:
        if watch:
            raise typer.Exit(ExitCode.OK) from None
        raise
    if not there:
        Console(stderr=True).print("no rollout: the pool's strategy is Rolling, or the operator has not seen it yet")
        raise typer.Exit(ExitCode.NOTHING)


@app.command("status", epilog=_examples("status thumbs --timeout 7200"))
def status(
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds; 0 waits for as long as it takes.")] = 0.0,
    context: cluster.Context = None,
) -> None:
    """Wait until the version that the pool asks for is promoted (exit code 0) or rejected (4)."""

    async def wait(access: "ClusterAccess") -> End:
        from workerpool_operator.cli.rollout import ask  # noqa: PLC0415  see cluster.asked

        return await ask.wait_for_end(access, namespace or access.namespace, pool, seconds=timeout)

    end = _answered("rollout status", wait, context=context)
    typer.echo(end)
    if end is End.REJECTED:
        raise typer.Exit(RolloutExit.REJECTED)


@app.command("history", epilog=_examples("history thumbs"))
def history(pool: cluster.Pool, namespace: cluster.Namespace = None, context: cluster.Context = None) -> None:
    """List the versions that are known, and what each is to the pool now. Takes `list` of controllerrevisions."""

    async def list_them(access: "ClusterAccess") -> list[Known]:
        from workerpool_operator.cli.rollout import ask  # noqa: PLC0415  see cluster.asked

        return await ask.known(access, namespace or access.namespace, pool)

    found = asked("rollout history", list_them, context=context)
    if not found:
        Console(stderr=True).print("no versions: the operator has not made any of this pool yet", soft_wrap=True)
        raise typer.Exit(ExitCode.NOTHING)
    table = Table("VERSION", "ROLE", "IMAGE", "SINCE", box=None, pad_edge=False, header_style="bold")
    for one in found:
        table.add_row(one.version, one.role, one.image, one.created)
    wide().print(table)


@app.command("promote", epilog=_examples("promote thumbs", "promote thumbs --full --yes", "promote thumbs --dry-run"))
def promote(  # noqa: PLR0917  typer: options are arguments
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    full: Annotated[bool, typer.Option("--full", help="Not this step alone: make it the stable version now.")] = False,
    dry_run: consent.DryRun = False,
    yes: consent.Yes = False,
    context: cluster.Context = None,
) -> None:
    """End this step as if it were passed; the last one makes the new version the stable one. `--full` asks first."""
    verb = Verb.PROMOTE_FULL if full else Verb.PROMOTE
    _tell(verb, pool, namespace=namespace, dry_run=dry_run, yes=yes, context=context)


@app.command("abort", epilog=_examples("abort thumbs", "abort thumbs --dry-run", "abort thumbs --yes"))
def abort(
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    yes: consent.Yes = False,
    context: cluster.Context = None,
) -> None:
    """Go back to the stable version. The new one is not tried again by itself. It asks first."""
    _tell(Verb.ABORT, pool, namespace=namespace, dry_run=dry_run, yes=yes, context=context)


@app.command("retry", epilog=_examples("retry thumbs", "retry thumbs --dry-run"))
def retry(
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    context: cluster.Context = None,
) -> None:
    """Try a version again that was rejected."""
    _tell(Verb.RETRY, pool, namespace=namespace, dry_run=dry_run, yes=True, context=context)


@app.command("undo", epilog=_examples("undo thumbs", "undo thumbs --dry-run", "undo thumbs --yes"))
def undo(
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    yes: consent.Yes = False,
    context: cluster.Context = None,
) -> None:
    """Go back to the version before, also after a rollout, although the pool asks for the new one. It asks first."""
    _tell(Verb.UNDO, pool, namespace=namespace, dry_run=dry_run, yes=yes, context=context)


@app.command("pause", epilog=_examples("pause thumbs", "pause thumbs --dry-run"))
def pause(
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    context: cluster.Context = None,
) -> None:
    """Stay at this step until `resume`. A version that fails still goes."""
    _tell(Verb.PAUSE, pool, namespace=namespace, dry_run=dry_run, yes=True, context=context)


@app.command("resume", epilog=_examples("resume thumbs", "resume thumbs --dry-run"))
def resume(
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    context: cluster.Context = None,
) -> None:
    """Go on, after `pause` or in a step that waits for it."""
    _tell(Verb.RESUME, pool, namespace=namespace, dry_run=dry_run, yes=True, context=context)


def _tell(verb: Verb, pool: str, *, namespace: str | None, dry_run: bool, yes: bool, context: str | None) -> None:
    command, version = f"rollout {verb.partition('-')[0]}", ""
    if consent.asks(verb, yes=yes, dry_run=dry_run):
        consent.somebody_there(verb)

        async def which(access: "ClusterAccess") -> str:
            return meant(await cluster.pool_of(access, namespace, pool))

        version = _answered(command, which, context=context)
        consent.ask(verb, yes=yes, pool=pool, version=version)

    async def tell(access: "ClusterAccess") -> list[str]:
        from workerpool_operator.cli.rollout import ask  # noqa: PLC0415  see cluster.asked

        where = namespace or access.namespace
        told = await ask.tell(access, where, pool, verb, version=version, dry_run=dry_run)
        if dry_run:
            return [consent.rehearsed(pool, f"tell the operator to {verb} version {told.version}")]
        stands = f"It is written, and is answered all the same: `wpool rollout get {pool} -n {where}` shows the rollout"
        with leaves(stands):
            await ask.expect_answers(access, where)
            return lines(await ask.wait_for_answer(access, where, pool, command=told.id, seconds=ANSWER_SECONDS))

    _write(_answered(command, tell, context=context))


def _answered(command: str, question: Callable[["ClusterAccess"], Awaitable[T]], *, context: str | None) -> T:
    """The answer of the cluster; exits with a code of its own where it came too late, or is a refusal."""

    async def ask_it(access: "ClusterAccess") -> T | tuple[IntEnum, str]:
        from workerpool_operator.cli.rollout import ask  # noqa: PLC0415  see cluster.asked

        try:
            return await question(access)
        except ask.NotInTimeError as error:
            return RolloutExit.LATE, cluster.with_note(str(error), await cluster.older(access))
        except ask.RefusedError as error:
            return RolloutExit.REFUSED, str(error)
        except NoRolloutError as error:
            return ExitCode.NOTHING, cluster.with_note(str(error), await cluster.older(access))

    answer = asked(command, ask_it, context=context)
    if isinstance(answer, tuple):
        _fail(command, *answer)
    return answer


def _fail(command: str, code: IntEnum, why: str) -> NoReturn:
    Console(stderr=True).print(f"wpool {command}: {why}", style="red", highlight=False, markup=False)
    raise typer.Exit(code)


def _write(shown: list[str]) -> bool:
    for line in shown:
        say(line)
    return bool(shown)

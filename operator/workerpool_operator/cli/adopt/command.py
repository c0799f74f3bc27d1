"""The command `wpool adopt`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import yaml

from workerpool_operator.api import InvalidPoolError, parse
from workerpool_operator.cli import cluster
from workerpool_operator.cli.adopt.queues import EXAMPLE, parse_queue
from workerpool_operator.cli.adopt.translate import Adoption, NotAdoptableError, Wish, translate
from workerpool_operator.cli.cluster import TroubleError, asked, confirmed
from workerpool_operator.cli.hints import in_context
from workerpool_operator.cli.terminal import Console, one_line

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Write a WorkerPool from a running Deployment, and let it take over the work.

Image, environment, resources, volumes, placement and labels are read; the queues are said with `--queue`, as no
Deployment tells them. The pool goes to standard output, and what of the Deployment is not in it to standard error:
nothing is changed. Where that is more than nothing, `--leave-out` says that it may be.

`--apply` hands over gently: the pool is made and grows to as many workers as the Deployment has pods; once these are
ready the Deployment is taken down, some pods at a time, and kept at 0 for the way back. Each worker is replaced once,
as no pod can change hands: its template and a Deployment's selector cannot be changed. The old pods stop as they always
do, by SIGTERM and within their grace period. Interrupted, it goes on where it was when run again. `--dry-run` has the
API server check the pool, and writes nothing.

Exit codes: 0 written, or taken over; 1 there is something that a pool cannot take over, or nobody agreed; 2 wrong
usage; 3 the cluster, or the Deployment, cannot be asked, or somebody else holds its size; 4 not done in time.
"""

EPILOG: Final = f"""**Examples**

    wpool adopt deployment/thumbs --queue {EXAMPLE} > pool.yaml

    wpool adopt deployment/thumbs --queue {EXAMPLE} --apply --dry-run

    wpool adopt deployment/thumbs --queue {EXAMPLE} --max 20 --apply --yes --timeout 900
"""
NOT_IN_TIME: Final = 4


def adopt(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    target: Annotated[str, typer.Argument(help="deployment/NAME.", show_default=False)],
    queue: Annotated[
        list[str] | None, typer.Option(help="KIND,field=value,... once for each queue.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Option(callback=cluster.named, help="The pool's, by default the Deployment's.")
    ] = None,
    container: Annotated[str | None, typer.Option(help="Which of several is the worker.", show_default=False)] = None,
    least: Annotated[int | None, typer.Option("--min", min=0, max=100_000, help="minReplicas.")] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, max=100_000, help="maxReplicas.")] = None,
    leave_out: Annotated[bool, typer.Option("--leave-out", help="Do without what a pool cannot take over.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Make the pool, and take the Deployment down.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --apply: have it checked only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    timeout: Annotated[float, typer.Option(min=1.0, max=86_400.0, help="Seconds for all of --apply.")] = 1800.0,
    namespace: cluster.Namespace = None,
    context: cluster.Context = None,
) -> None:
    if dry_run and not apply:
        raise typer.BadParameter("--dry-run is for --apply: without it nothing is written anyway")
    deployment = cluster.checked(_deployment(target))
    try:
        queues = [parse_queue(text, name=f"q{n}" if n > 1 else "main") for n, text in enumerate(_said(queue), 1)]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    wish = Wish(queues=queues, name=name or "", container=container or "", minimum=least, maximum=most)
    made, where, blocked = asked("adopt", lambda access: _read(access, namespace, deployment, wish), context=context)
    if made.left_out and not leave_out:
        _tell(f"a pool cannot take over: {', '.join(made.left_out)}. Change that, or say --leave-out")
        raise typer.Exit(cluster.ExitCode.NOTHING)
    _explain(made)
    if not apply:
        typer.echo(yaml.safe_dump(made.pool, sort_keys=False, default_flow_style=False), nl=False)
        return
    if blocked:
        _tell(blocked)
        raise typer.Exit(cluster.ExitCode.NOTHING)
    if dry_run:
        asked("adopt", lambda access: _checked(access, made), context=context)
        typer.echo(f"{where}/{made.pool['metadata']['name']}: the API server would take it; nothing was written")
        return
    confirmed(f"Make pool {made.pool['metadata']['name']} in {where}, and take Deployment {deployment} to 0?", yes=yes)

    async def hand_over(access: "ClusterAccess") -> str:
        await cluster.expect_operator(access, where, but="nothing was done")  # a pool without one gets no workers
        return await _hand_over(access, made, where, deployment, seconds=timeout, context=context)

    late = asked("adopt", hand_over, context=context, for_operator=True, expected=True)
    if late:
        _tell(late)
        raise typer.Exit(NOT_IN_TIME)


def _deployment(target: str) -> str:
    kind, slash, name = target.partition("/")
    if not slash or kind.lower() not in {"deployment", "deployments", "deploy", "deployment.apps"} or not name:
        raise typer.BadParameter(f"{one_line(target)!r}: only a Deployment can be adopted, written deployment/NAME")
    return name


def _said(queues: Sequence[str] | None) -> Sequence[str]:
    if queues:
        return queues
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"no Deployment tells its queue: say it, such as --queue {EXAMPLE}")
    said: str = typer.prompt(f"Its queue, such as {EXAMPLE}", err=True)
    return [said]


async def _read(access: "ClusterAccess", namespace: str | None, name: str, wish: Wish) -> tuple[Adoption, str, str]:
    """The pool, its namespace, and what is in the way of taking the Deployment down."""
    from workerpool_operator.cli.adopt.handover import blocked_by, blocked_by_name, found  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.kube import Kube  # noqa: PLC0415

    where = namespace or access.namespace
    async with Kube(access) as kube:
        deployment, autoscaler = await found(kube, where, name)
        made = _translated(deployment, autoscaler, wish)
        blocked = blocked_by(autoscaler, scaling=made.pool["spec"]["scaling"])
        blocked = blocked or await blocked_by_name(kube, where, made.pool["metadata"]["name"])
    return made, where, blocked


def _translated(deployment: dict[str, Any], autoscaler: dict[str, Any] | None, wish: Wish) -> Adoption:
    try:
        made = translate(deployment, wish, autoscaler=autoscaler)
        parse({**made.pool, "metadata": {**made.pool["metadata"], "uid": "", "resourceVersion": "", "generation": 1}})
    except (NotAdoptableError, InvalidPoolError) as error:
        raise TroubleError(str(error)) from None
    return made


async def _checked(access: "ClusterAccess", made: Adoption) -> None:
    from workerpool_operator.kube import Kube  # noqa: PLC0415  see cluster.asked

    async with Kube(access) as kube:
        await kube.create(made.pool, dry_run=True, strict=True)


async def _hand_over(
    access: "ClusterAccess", made: Adoption, where: str, name: str, *, seconds: float, context: str | None
) -> str:
    """Why it is not done yet; empty: it is."""
    from workerpool_operator.cli.adopt.handover import Handover, NotInTimeError  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.kube import Kube, ObjectRef, kinds  # noqa: PLC0415

    async with Kube(access) as kube:
        deployment = ObjectRef(kinds.DEPLOYMENT, where, name)

        def tell(step: str) -> None:
            typer.echo(in_context(step, context))

        try:
            await Handover(kube=kube, deployment=deployment, pool=made.pool, tell=tell).run(seconds=seconds)
        except NotInTimeError as error:
            return str(error)
    return ""


def _explain(made: Adoption) -> None:
    for what in made.left_out:
        _tell(f"left out: {what}")
    for note in made.notes:
        _tell(f"note: {note}")


def _tell(what: Any) -> None:
    Console(stderr=True).print(one_line(str(what)), highlight=False, markup=False, soft_wrap=True)

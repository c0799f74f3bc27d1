"""What all commands that ask a cluster share: which cluster and namespace, and what is said when it does not answer."""

import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar

import typer

from workerpool_operator.cli import exits, interrupts
from workerpool_operator.cli.hints import in_context
from workerpool_operator.cli.pool_names import complete
from workerpool_operator.cli.terminal import Console, one_line

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

T = TypeVar("T")
ExitCode = exits.ExitCode

PROGRAM: Final = "wpool"
"""As whom commands write: `metadata.managedFields` tell it."""
_NETWORK: Final = (ConnectionError, TimeoutError, socket.gaierror, ssl.SSLError)
_OF_THE_CLUSTER: Final = ("namespaces", "nodes")
"""Of what may be missing, what is in no namespace."""
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def checked(value: Any) -> Any:
    """A name, or some, that an object can have: others never leave this machine, as they would ask something else.

    Raises:
        typer.BadParameter: one that is none; an empty one is what an unset variable of a shell leaves.
    """
    for name in [value] if isinstance(value, str) else value or []:
        if not _NAME.fullmatch(name):
            raise typer.BadParameter(
                f"{one_line(name)!r} is no name: names have a-z, 0-9, '-' and '.', at most 253 of them, and begin and "
                "end with a letter or digit"
            )
    return value


def named(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    """Check what was typed; what an option is by default means whatever its command takes it for."""
    source = ctx.get_parameter_source(param.name or "")
    return value if source is not None and source.name == "DEFAULT" else checked(value)


Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", callback=named, help="By default that of the kubeconfig's context.", show_default=False
    ),
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.", show_default=False)]


def pool_argument(meaning: str) -> Any:
    """An argument that names pools: checked, and completed by the shell."""
    return typer.Argument(callback=named, autocompletion=complete, help=meaning, show_default=False)


Pool = Annotated[str, pool_argument("Name of the pool.")]


class TroubleError(Exception):
    """Why a command cannot do what was asked, and what to do about it: shown as it is."""


def asked(
    command: str,
    question: Callable[["ClusterAccess"], Awaitable[T]],
    *,
    context: str | None,
    namespace: str | None = None,
    everywhere: bool = False,
    of_operator: bool = False,
    for_operator: bool = False,
    expected: bool = False,
    dry_run: bool = False,
) -> T:
    """The answer of the cluster to `question`; where there is none, says why and exits.

    `namespace`: of what is asked about, by default the context's; `everywhere`: of all namespaces.

    `of_operator`: what is shown is what the operator has written, and old where there is none: a line says so.

    `for_operator`: what is written is for the operator to do. One that is older may not know it, and there may be
    none, which is said then, unless the question has looked for one itself (`expected`); not in a `dry_run`, which
    writes nothing.

    Where the command is ended while it waits, it says what goes on without it, see `interrupts.leaves`.
    """
    # Imported here because it brings the Kubernetes client, which takes a second.
    import aiohttp  # noqa: PLC0415

    from workerpool_operator.kube import AccessError, ClusterAccess, KubeError  # noqa: PLC0415

    server, note = "", ""

    async def ask() -> T:
        nonlocal server, note
        access = await ClusterAccess.find(context=context, program=PROGRAM)
        server = access.server
        try:
            answer = await question(access)
            if of_operator or for_operator:
                where = None if everywhere else namespace or access.namespace
                note = await (
                    _done(access, where, looks=not (expected or dry_run)) if for_operator else _shown(access, where)
                )
        except TroubleError:
            note = await older(access)
            raise
        return answer

    try:
        answer = interrupts.run(ask)
    except interrupts.EndedError as ended:
        _end(command, ended, context=context)
    except TroubleError as error:
        fail(command, in_context(with_note(str(error), note), context))
    except (AccessError, KubeError) as error:
        fail(command, in_context(sentence(error, server=server), context))
    except (aiohttp.ClientError, *_NETWORK) as error:
        if isinstance(error, BrokenPipeError) and not isinstance(error, aiohttp.ClientError):
            raise  # nobody reads what is written here: see cli.pipe, as for all that is about files
        fail(command, f"{server} does not answer: {str(error) or type(error).__name__}")
    if note:
        remark(in_context(note, context))
    return answer


def remark(text: str) -> None:
    """A line on standard error, beside what is shown."""
    Console(stderr=True).print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)


async def _done(access: "ClusterAccess", namespace: str | None, *, looks: bool) -> str:
    """What is to be said of an operator for which something was written."""
    if looks:
        with interrupts.leaves("It is written, and an operator that runs does it all the same"):
            await expect_operator(access, namespace)
    return await older(access)


async def _shown(access: "ClusterAccess", namespace: str | None) -> str:
    """That what is shown may be old; empty where an operator runs."""
    from workerpool_operator.cli import standing  # noqa: PLC0415  see asked

    return await standing.shown_by_nobody(access, namespace)


async def older(access: "ClusterAccess") -> str:
    """Whether the operator here is older than this command: a sentence that says so; empty where it is not."""
    from workerpool_operator.cli import older  # noqa: PLC0415  see asked

    return await older.older(access)


async def expect_operator(
    access: "ClusterAccess", namespace: str | None, *, but: str = "it is written, and nothing is done"
) -> None:
    """Go on only if an operator looks after the namespace (None: after any), or that cannot be seen.

    Raises:
        TroubleError: none runs; it says what has become of what was asked (`but`), why, and what to do.
    """
    from workerpool_operator.cli import standing  # noqa: PLC0415  see asked

    if why := await standing.nobody(access, namespace):
        raise TroubleError(f"{but}: {why}")


def with_note(said: str, note: str) -> str:
    """What is said, and a note behind it if there is one."""
    return f"{said}{'' if said[-1:] in '.?!' else '.'} {note}" if note else said


def sentence(error: Exception, *, server: str) -> str:
    """What the API server's refusal means to a person, and what to do about it."""
    from workerpool_operator.kube import AccessError, KubeError, errors, kinds  # noqa: PLC0415  see asked

    said = error.detail if isinstance(error, KubeError) and error.detail else str(error)
    match error:
        case AccessError():
            then = "`kubectl config get-contexts` shows what there is; --context and KUBECONFIG choose"
        case errors.KindNotServed():
            then = "Is the operator installed in this cluster? docs: charts/workerpool-operator/README.md"
        case errors.NotFound(resource="" | kinds.WORKER_POOL.plural):
            then = "`wpool get --all-namespaces` shows the pools that there are"
        case errors.Conflict() if not isinstance(error, errors.AlreadyExists):
            then = "Others write it at the same moment, each time: run this again"
        case errors.NotFound():
            everywhere = "" if error.resource in _OF_THE_CLUSTER else " --all-namespaces"
            then = f"`kubectl get {error.resource}{everywhere}` shows those that there are"
        case errors.Unavailable() | errors.RequestTimeout():
            then = f"Is {server} the cluster that you mean? `kubectl config current-context` tells"
        case errors.UnknownField():
            return _unknown_field(said)
        case errors.Forbidden():
            return f"you may not do this: {said}. Ask for that right, or choose another --namespace or --context"
        case errors.Unauthorized():
            return f"{server} does not accept your credentials: {said}. Log in again, or choose another --context"
        case _:
            return str(error)
    return f"{error}. {then}"


def _unknown_field(said: str) -> str:
    unknown = ", ".join(re.findall(r'unknown field "([^"]+)"', said)) or "such field"
    return (
        f"nothing was written: the resource definition in this cluster is older than this wpool, and has no {unknown}. "
        "Apply crds/ of this release and upgrade the operator, or use the wpool of its release"
    )


async def pool_of(access: "ClusterAccess", namespace: str | None, name: str) -> dict[str, Any]:
    """A WorkerPool; `namespace` None: that of the context.

    Raises:
        KubeError: it cannot be read, or there is none.
        TroubleError: there is not even such a namespace.
    """
    from workerpool_operator.kube import Kube, ObjectRef, kinds  # noqa: PLC0415  see asked

    where = namespace or access.namespace
    async with Kube(access) as kube, within(access, where):
        return await kube.get(ObjectRef(kinds.WORKER_POOL, where, name))


@contextlib.asynccontextmanager
async def within(access: "ClusterAccess", namespace: str) -> AsyncIterator[None]:
    """For what is asked of a namespace: where something is missing, that may be the namespace.

    Raises:
        TroubleError: it is; see `expect_namespace`.
    """
    from workerpool_operator.kube import errors  # noqa: PLC0415  see asked

    try:
        yield
    except errors.KindNotServed:
        raise
    except errors.NotFound:
        await expect_namespace(access, namespace)
        raise


async def expect_namespace(access: "ClusterAccess", namespace: str) -> None:
    """Go on only if there is such a namespace, or that cannot be seen: not every user may.

    Raises:
        TroubleError: there is none.
    """
    from workerpool_operator.kube import Kube, KubeError, ObjectRef, errors, kinds  # noqa: PLC0415  see asked

    try:
        async with Kube(access) as kube:
            await kube.get(ObjectRef(kinds.NAMESPACE, "", namespace))
    except errors.NotFound:
        raise TroubleError(
            f"there is no namespace {namespace}: `kubectl get namespaces` shows those that there are"
        ) from None
    except KubeError:
        return


async def patch_pool(
    access: "ClusterAccess", namespace: str | None, name: str, patch: dict[str, Any], *, dry_run: bool = False
) -> None:
    """Merge this into a WorkerPool; see `writing.write`."""
    from workerpool_operator.cli.writing import write  # noqa: PLC0415  see asked
    from workerpool_operator.kube import Kube, ObjectRef, kinds  # noqa: PLC0415

    where = namespace or access.namespace
    async with Kube(access) as kube, within(access, where):
        await write(kube, ObjectRef(kinds.WORKER_POOL, where, name), patch, dry_run=dry_run)


def fail(command: str, why: str) -> NoReturn:
    """Say why, and exit."""
    _red(f"wpool {command}: {why}")
    raise typer.Exit(ExitCode.UNREACHABLE)


def _end(command: str, ended: interrupts.EndedError, *, context: str | None) -> NoReturn:
    if left := str(ended):
        _red(f"wpool {command}: interrupted. {in_context(left, context)}")
    raise typer.Exit(ended.status)


def _red(text: str) -> None:
    Console(stderr=True).print(text, style="red", highlight=False, markup=False, soft_wrap=True)


def confirmed(question: str, *, yes: bool) -> None:
    """Go on only if a person says so, or has said `--yes`; without a terminal to ask on, that is wrong usage."""
    if yes:
        return
    if not somebody_is_there():
        raise typer.BadParameter(f"{one_line(question)} Nobody can be asked here: say --yes")
    if not typer.confirm(one_line(question)):
        typer.echo("nothing was done", err=True)
        raise typer.Exit(ExitCode.NOTHING)


def somebody_is_there() -> bool:
    """Whether a person sits at a terminal, who can be asked."""
    import sys  # noqa: PLC0415

    return sys.stdin.isatty()

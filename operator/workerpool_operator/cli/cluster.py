"""What all commands that ask a cluster share: which cluster and namespace, and what is said when it does not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.console import Console

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

T = TypeVar("T")

Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="By default that of the kubeconfig's context.", show_default=False),
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.", show_default=False)]


class ExitCode(IntEnum):
    """What a shell learns. Stable: part of the commands' interface."""

    OK = 0
    NOTHING = 1
    """It answered, and there is nothing to show."""
    USAGE = 2
    UNREACHABLE = 3
    """The cluster, or what was asked for in it, cannot be asked."""


class TroubleError(Exception):
    """Why a command cannot do what was asked, and what to do about it: shown as it is."""


def asked(command: str, question: Callable[["ClusterAccess"], Awaitable[T]], *, context: str | None) -> T:
    """The answer of the cluster to `question`; where there is none, says why and exits."""
    # Imported here because it brings the Kubernetes client, which takes a second.
    from workerpool_operator.kube import AccessError, ClusterAccess, KubeError, errors  # noqa: PLC0415

    async def ask() -> T:
        return await question(await ClusterAccess.find(context=context))

    try:
        return asyncio.run(ask())
    except errors.KindNotServed as error:
        fail(command, f"{error}. Is the operator installed in this cluster? docs: charts/workerpool-operator/README.md")
    except (TroubleError, KubeError, AccessError) as error:
        fail(command, str(error))


async def pool_of(access: "ClusterAccess", namespace: str | None, name: str) -> dict[str, Any]:
    """A WorkerPool; `namespace` None: that of the context.

    Raises:
        KubeError: it cannot be read, or there is none.
    """
    from workerpool_operator.kube import Kube, ObjectRef, kinds  # noqa: PLC0415  see asked

    async with Kube(access) as kube:
        return await kube.get(ObjectRef(kinds.WORKER_POOL, namespace or access.namespace, name))


def fail(command: str, why: str) -> NoReturn:
    """Say why, and exit."""
    Console(stderr=True).print(f"wpool {command}: {why}", style="red", highlight=False, markup=False)
    raise typer.Exit(ExitCode.UNREACHABLE)

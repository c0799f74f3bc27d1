"""The commands `wpool rollout ...`: options in, exit code out."""

import uuid
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode, TroubleError, asked, pool_of
from workerpool_operator.domain.rollout.commands import COMMAND_ANNOTATION, Command, Verb, said

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Show how far a pool's new version is, or decide about it.

Without a verb it shows the rollout. `promote` ends this step as if it were passed, the last one by making the new
version the stable one; `promote-full` does that at once. `abort` goes back, and the version is not tried again by
itself; `retry` tries it again. `undo` goes back to the version before, also after a rollout. `pause` stays at this step
until `resume`.

A command is written to the pool as the annotation `workerpool.dev/command`, for the version that is being tried at that
moment: it does nothing to a later one. It needs your own right to `patch` the pool.

Exit codes: 0 shown, or written; 1 the pool has no rollout; 2 wrong usage; 3 the cluster, or the pool, cannot be asked.
"""

EPILOG: Final = """**Examples**

    wpool rollout thumbs --namespace media

    wpool rollout thumbs promote

    wpool rollout thumbs abort --namespace media
"""

_SHOWN: Final = (
    ("stable", "stable"),
    ("canary", "canary"),
    ("step", "step"),
    ("weight", "weight"),
    ("share of the jobs", "jobShare"),
    ("verdict", "verdict"),
    ("by", "cause"),
    ("waits", "wait"),
    ("signal", "signal"),
    ("ratio", "ratio"),
    ("from", "ratioLow"),
    ("to", "ratioHigh"),
    ("would have been found", "minimumDetectableRatio"),
    ("jobs", "jobs"),
    ("failures", "failures"),
    ("measured s", "measuredSeconds"),
    ("rejected", "rejected"),
    ("last command", "commandId"),
)


def rollout(  # noqa: D103  typer: the help text is HELP, and options are arguments
    pool: Annotated[str, typer.Argument(help="Name of the pool.", show_default=False)],
    verb: Annotated[Verb | None, typer.Argument(help="What to do.", show_default=False)] = None,
    namespace: cluster.Namespace = None,
    context: cluster.Context = None,
) -> None:
    if verb is not None:
        typer.echo(
            asked("rollout", lambda access: tell(access, namespace or access.namespace, pool, verb), context=context)
        )
        return
    found = asked("rollout", lambda access: read(access, namespace or access.namespace, pool), context=context)
    if not found:
        Console(stderr=True).print("no rollout: the pool's strategy is Rolling, or the operator has not seen it yet")
        raise typer.Exit(ExitCode.NOTHING)
    for line in lines(found):
        typer.echo(line)


async def read(access: "ClusterAccess", namespace: str, name: str) -> dict[str, Any]:
    """The rollout's status; empty where there is none."""
    body = await pool_of(access, namespace, name)
    status: dict[str, Any] = body.get("status", {}).get("rollout", {})
    return status


async def tell(access: "ClusterAccess", namespace: str, name: str, verb: Verb) -> str:
    """Write the command, and give it back. It names its version, so it does nothing to one that came meanwhile."""
    from workerpool_operator.kube import Kube, ObjectRef, kinds  # noqa: PLC0415  see cluster.asked

    async with Kube(access) as kube:
        ref = ObjectRef(kinds.WORKER_POOL, namespace, name)
        text = said(Command(verb=verb, version=meant(await kube.get(ref)), id=uuid.uuid4().hex[:8]))
        await kube.merge_patch(ref, {"metadata": {"annotations": {COMMAND_ANNOTATION: text}}})
    return text


def meant(body: dict[str, Any]) -> str:
    """The version that a command is for: the one that is tried, else the one that the pool asks for.

    Raises:
        TroubleError: the operator has yet to say which that is.
    """
    status = body.get("status", {})
    rollout: dict[str, Any] | None = status.get("rollout")
    if rollout is None:
        raise TroubleError("the pool has no rollout: set spec.rollout.strategy to Canary")
    if status.get("observedGeneration") != body["metadata"].get("generation"):
        raise TroubleError("the operator has not seen the pool's newest change yet: try again in a moment")
    return str(rollout.get("canary") or rollout.get("wanted") or "")


def lines(status: dict[str, Any]) -> list[str]:
    """A rollout's status, for people."""
    shown = [(label, status.get(field)) for label, field in _SHOWN]
    return [
        f"{label:22} {', '.join(value) if isinstance(value, list) else value}"
        for label, value in shown
        if value not in (None, "", 0, [])
    ]

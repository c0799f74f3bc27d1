"""`wpool stop` and `wpool start`: whether a pool has workers at all, by its `spec.suspend`."""

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workerpool_operator.cli import cluster, consent
from workerpool_operator.cli.cluster import TroubleError, asked
from workerpool_operator.cli.hints import where
from workerpool_operator.cli.interrupts import leaves

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

STOP_HELP: Final = """Stop a pool: its workers finish their jobs and go, and what is enqueued waits.

Stronger than minReplicas, schedules and all else that asks for workers; `wpool start` ends it. It sets `spec.suspend`,
so what applies the pool from Git may undo it. It asks first, and needs your own right to `patch` the pool.

Exit codes: 0 written, with `--wait` also done; 1 you said no; 2 wrong usage; 3 the cluster, or the pool, cannot be
asked, no operator runs that would do it, or it was not done in time.
"""
STOP_EPILOG: Final = """**Examples**

    wpool stop thumbs

    wpool stop thumbs --dry-run

    wpool stop thumbs --namespace media --yes --wait --timeout 600
"""
START_HELP: Final = """Start a pool that was stopped: it has as many workers again as its queues ask for.

It needs your own right to `patch` the pool.

Exit codes: 0 written; 2 wrong usage; 3 the cluster, or the pool, cannot be asked, or no operator runs that would do it.
"""
START_EPILOG: Final = """**Examples**

    wpool start thumbs

    wpool start thumbs --namespace media --dry-run
"""


def stop(  # noqa: D103, PLR0917  typer: the help text is STOP_HELP, and options are arguments
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until no worker is left.")] = False,
    timeout: Annotated[float, typer.Option(min=1, max=86_400, help="Of --wait: seconds.")] = 600.0,
    dry_run: consent.DryRun = False,
    yes: consent.Yes = False,
    context: cluster.Context = None,
) -> None:
    consent.ask("stop", yes=yes, dry_run=dry_run, pool=pool)

    async def question(access: "ClusterAccess") -> None:
        await suspend(access, namespace, pool, wanted=True, dry_run=dry_run)
        if wait and not dry_run:
            place = namespace or access.namespace
            with leaves(stays(place, pool)):
                await cluster.expect_operator(access, place)
                await until_empty(access, place, pool, seconds=timeout)

    asked("stop", question, context=context, namespace=namespace, for_operator=True, expected=wait, dry_run=dry_run)
    done = f"{pool}: stopped" if wait else f"{pool}: its workers finish their jobs and go; jobs wait"
    would = "be stopped: its workers finish their jobs and go, and jobs wait"
    consent.tell(pool, done=done, would=would, dry_run=dry_run)


def start(  # noqa: D103  typer: the help text is START_HELP
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    context: cluster.Context = None,
) -> None:
    async def question(access: "ClusterAccess") -> None:
        await suspend(access, namespace, pool, wanted=False, dry_run=dry_run)

    asked("start", question, context=context, namespace=namespace, for_operator=True, dry_run=dry_run)
    here = where(namespace=namespace, context=context)
    done = f"{pool}: started; wpool get {pool}{here} --watch shows its workers come"
    would = "be started: as many workers come as its queues ask for"
    consent.tell(pool, done=done, would=would, dry_run=dry_run)


async def suspend(
    access: "ClusterAccess", namespace: str | None, name: str, *, wanted: bool, dry_run: bool = False
) -> None:
    """Write it.

    Raises:
        KubeError: it may not be written; UnknownField: the resource definition of this cluster is older.
    """
    await cluster.patch_pool(access, namespace, name, {"spec": {"suspend": wanted}}, dry_run=dry_run)


async def until_empty(
    access: "ClusterAccess",
    namespace: str,
    name: str,
    *,
    seconds: float,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Wait until the operator has seen the change and no worker is left. `tell` hears how many are, on each change.

    Raises:
        TroubleError: that was not so in time, or somebody has started the pool again; the message says what is.
    """
    import asyncio  # noqa: PLC0415

    from workerpool_operator.cli.rollout.ask import changes  # noqa: PLC0415  see cluster.asked

    status: dict[str, object] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for body in changes(access, namespace, name):
                status = body.get("status") or {}
                if not (body.get("spec") or {}).get("suspend"):
                    raise TroubleError(
                        f"somebody has started {name} again meanwhile, or what applies it from Git has: spec.suspend "
                        f"is no longer set, and {_left(status)}"
                    )
                seen = status.get("observedGeneration") == body["metadata"].get("generation")
                if seen and not status.get("replicas") and not status.get("drainingReplicas"):
                    return
                tell(f"{name}: {_left(status)}")
    raise TroubleError(
        f"{name} is suspended, and not empty after {seconds:g} s: {_left(status)}. Does the operator run?"
    )


def stays(namespace: str, name: str) -> str:
    """What goes on with a pool that was stopped when nobody waits for its end any more."""
    here = where(namespace=namespace)
    return (
        f"{name} stays stopped: its workers finish their jobs and go. `wpool get {name}{here} --watch` shows how far "
        f"they are, `wpool start {name}{here}` starts it again"
    )


def _left(status: Mapping[str, object]) -> str:
    return f"{status.get('replicas', 0)} workers, {status.get('drainingReplicas', 0)} more finish their jobs"

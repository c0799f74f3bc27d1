"""`wpool throttle` and `wpool restart`: what a person on call says of a pool, as an annotation of the pool.

What is in Git does not undo it, and it needs no more than the person's own right to `patch` the pool.
"""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workerpool_operator.cli import cluster, consent
from workerpool_operator.cli.cluster import TroubleError, asked, pool_of
from workerpool_operator.cli.hints import where
from workerpool_operator.domain.desired import RESTART_ANNOTATION
from workerpool_operator.domain.scaling import THROTTLE, Throttle

if TYPE_CHECKING:
    from workerpool_operator.api import WorkerPool
    from workerpool_operator.kube import ClusterAccess

THROTTLE_HELP: Final = """Let a pool's workers begin fewer jobs per second for a while, all of them together.

It reaches running workers within seconds, restarts none, and ends by itself, by the API server's clock; `--off` ends it
now. The pool's own `delivery.rateLimitPerSecond` goes on counting where it is lower. Jobs wait meanwhile, and are lost
nowhere.

Exit codes: 0 written; 2 wrong usage; 3 the cluster, or the pool, cannot be asked, its workers can keep no rate, or no
operator runs that would do it.
"""
TAKEN_UP_SECONDS: Final = 10.0
"""How long an operator is waited for that has a restart before it. It is written, and comes to it, in any case."""

THROTTLE_EPILOG: Final = """**Examples**

    wpool throttle thumbs 5 --minutes 30

    wpool throttle thumbs 5 --dry-run

    wpool throttle thumbs --off --namespace media
"""
RESTART_HELP: Final = """Replace all workers of a pool by new ones of the same image, as a new version would.

For what pods read only when they start: a Secret, a ConfigMap, an image whose tag has moved. Busy workers end their
jobs first. `wpool get POOL --watch` shows how far it is. It asks first, and returns when the operator has begun: so
`wpool rollout status POOL` after it waits for the end of this restart.

Exit codes: 0 written; 1 you said no; 2 wrong usage; 3 the cluster, or the pool, cannot be asked, or no operator runs
that would do it.
"""
RESTART_EPILOG: Final = """**Examples**

    wpool restart thumbs --namespace media

    wpool restart thumbs --dry-run

    wpool restart thumbs --yes
"""


def throttle(  # noqa: D103, PLR0917  typer: the help text is THROTTLE_HELP, and options are arguments
    pool: cluster.Pool,
    rate: Annotated[
        float | None,
        typer.Argument(min=0.001, max=999_999.0, help="Jobs per second, such as 5 or 0.5.", show_default=False),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=10_080.0, help="For how long.")] = 15.0,
    off: Annotated[bool, typer.Option("--off", help="End it now.")] = False,
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    context: cluster.Context = None,
) -> None:
    if (rate is None) != off:
        raise typer.BadParameter("say either how many jobs per second, or --off")

    async def write(access: "ClusterAccess") -> "Throttle | None":
        if rate is None:
            await annotate(access, namespace, pool, {THROTTLE: None}, dry_run=dry_run)
            return None
        return await slow_down(access, namespace, pool, per_second=rate, minutes=minutes, dry_run=dry_run)

    said = asked("throttle", write, context=context, namespace=namespace, for_operator=True, dry_run=dry_run)
    if said is None:
        done, would = f"{pool}: no throttle any more", "have no throttle any more"
    else:
        most = f"at most {said.per_second:g} jobs per second until {said.until:%Y-%m-%d %H:%M:%S} UTC"
        done, would = f"{pool}: {most}", f"begin {most}"
    consent.tell(pool, done=done, would=would, dry_run=dry_run)


def restart(  # noqa: D103  typer: the help text is RESTART_HELP
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    yes: consent.Yes = False,
    context: cluster.Context = None,
) -> None:
    consent.ask("restart", yes=yes, dry_run=dry_run, pool=pool)
    said: dict[str, str | None] = {RESTART_ANNOTATION: datetime.now(UTC).isoformat(timespec="milliseconds")}

    async def write(access: "ClusterAccess") -> None:
        from workerpool_operator.cli.rollout.ask import wait_for_another  # noqa: PLC0415  see cluster.asked
        from workerpool_operator.cli.rollout.state import rollout_of  # noqa: PLC0415
        from workerpool_operator.kube import errors  # noqa: PLC0415

        before = ""
        with contextlib.suppress(errors.Forbidden):  # who may write a pool and not read it waits for nothing
            before = rollout_of(await pool_of(access, namespace, pool)).get("wanted", "")
        await annotate(access, namespace, pool, said, dry_run=dry_run)
        if before and not dry_run:  # who asks for the rollout next must not be told of the one before
            await wait_for_another(access, namespace or access.namespace, pool, before, seconds=TAKEN_UP_SECONDS)

    asked("restart", write, context=context, namespace=namespace, for_operator=True, dry_run=dry_run)
    here = where(namespace=namespace, context=context)
    done = f"{pool}: its workers are replaced; wpool get {pool}{here} --watch shows how far that is"
    consent.tell(pool, done=done, would="have its workers replaced by new ones", dry_run=dry_run)


async def slow_down(
    access: "ClusterAccess",
    namespace: str | None,
    name: str,
    *,
    per_second: float,
    minutes: float,
    dry_run: bool = False,
) -> Throttle:
    """Write the throttle, and give it. It ends by the API server's clock: this machine's may be wrong.

    Raises:
        TroubleError: the workers of this pool cannot keep a rate together, so the annotation would say nothing.
    """
    from workerpool_operator.kube import Kube, clock  # noqa: PLC0415  see cluster.asked

    if not keeps_rates(await pool_of(access, namespace, name)):
        raise TroubleError(f"{name}: workers of a queue of this kind cannot keep a rate together")
    async with Kube(access) as kube:
        until = await clock.now(kube) + timedelta(minutes=minutes)
    said = Throttle(per_second=round(per_second, 3), until=until)
    await annotate(access, namespace, name, {THROTTLE: str(said)}, dry_run=dry_run)
    return said


def keeps_rates(body: dict[str, Any]) -> bool:
    """Whether the workers of the pool can."""
    from workerpool_operator import api  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.domain.rules import paceable  # noqa: PLC0415

    try:
        pool: WorkerPool = api.parse(body)
    except api.InvalidPoolError as error:
        raise TroubleError(f"the pool is of other rules than this wpool's: {error}") from None
    return paceable(pool)


async def annotate(
    access: "ClusterAccess",
    namespace: str | None,
    name: str,
    annotations: dict[str, str | None],
    *,
    dry_run: bool = False,
) -> None:
    """Set annotations of a pool; None takes one away."""
    await cluster.patch_pool(access, namespace, name, {"metadata": {"annotations": annotations}}, dry_run=dry_run)

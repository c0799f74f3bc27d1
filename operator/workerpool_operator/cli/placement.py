"""`wpool migrate` and `wpool reassign`: where a pool's workers belong, said by a person."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workerpool_operator.api import PLACE_ANNOTATION, PLACE_SAID_ANNOTATION, label_fault
from workerpool_operator.cli import cluster, consent
from workerpool_operator.cli.cluster import TroubleError, asked, pool_of
from workerpool_operator.cli.hints import where
from workerpool_operator.cli.oncall import annotate
from workerpool_operator.cli.places import home_of, labels
from workerpool_operator.domain.placement import PRIMARY, SECONDARY

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

MIGRATE_HELP: Final = """Move a pool's workers to its primary or secondary place, one at a time, idle ones first.

It is an annotation of the pool, so what is in Git does not undo it; it holds until the next migrate. With
`placement.failback: Manual` it also lets workers come back to the place that they belong to, after each failover anew.
It asks first.

Exit codes: 0 written; 1 you said no; 2 wrong usage; 3 the cluster, or the pool, cannot be asked, the pool has no such
place, or no operator runs that would do it.
"""
MIGRATE_EPILOG: Final = """**Examples**

    wpool migrate thumbs --to secondary

    wpool migrate thumbs --to secondary --dry-run

    wpool migrate thumbs --to primary --namespace media --yes
"""
REASSIGN_HELP: Final = """Give a pool another primary place: its workers move there, one at a time, idle ones first.

It changes `spec.placement.primary.nodeSelector`: a pool that is kept in Git is changed there instead. It asks first,
and says so where no node has such labels now, if you may list nodes.

Exit codes: 0 written; 1 you said no; 2 wrong usage; 3 the cluster, or the pool, cannot be asked, refuses the change, or
no operator runs that would do it.
"""
REASSIGN_EPILOG: Final = """**Examples**

    wpool reassign thumbs --primary topology.kubernetes.io/zone=west-1

    wpool reassign thumbs --primary disk=ssd,gpu=none --namespace media --dry-run
"""


def migrate(  # noqa: D103, PLR0917  typer: the help text is MIGRATE_HELP, and options are arguments
    pool: cluster.Pool,
    to: Annotated[str, typer.Option(help="primary or secondary.", show_default=False)],
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    yes: consent.Yes = False,
    context: cluster.Context = None,
) -> None:
    if to not in {PRIMARY, SECONDARY}:
        raise typer.BadParameter("write --to primary or --to secondary")
    consent.ask("migrate", yes=yes, dry_run=dry_run, pool=pool, place=to)

    async def write(access: "ClusterAccess") -> None:
        await move(access, namespace, pool, to=to, dry_run=dry_run)

    asked("migrate", write, context=context, namespace=namespace, for_operator=True, dry_run=dry_run)
    here = where(namespace=namespace, context=context)
    done = f"{pool}: its workers belong to the {to} place; wpool get {pool}{here} --watch shows how far they are"
    consent.tell(pool, done=done, would=f"have its workers move to the {to} place", dry_run=dry_run)


def reassign(  # noqa: D103, PLR0917  typer: the help text is REASSIGN_HELP, and options are arguments
    pool: cluster.Pool,
    primary: Annotated[str, typer.Option(help="Labels of the nodes: key=value,...", show_default=False)],
    namespace: cluster.Namespace = None,
    dry_run: consent.DryRun = False,
    yes: consent.Yes = False,
    context: cluster.Context = None,
) -> None:
    try:
        selector = labels_of(primary)
    except LabelsError as error:
        raise typer.BadParameter(str(error)) from None

    if consent.asks("reassign", yes=yes, dry_run=dry_run):
        consent.somebody_there("reassign")
    if asked("reassign", lambda access: no_node_has(access, selector), context=context):
        cluster.remark(none_has(selector))
    consent.ask("reassign", yes=yes, dry_run=dry_run, pool=pool)

    async def write(access: "ClusterAccess") -> str:
        return await change_primary(access, namespace, pool, selector=selector, dry_run=dry_run)

    home = asked("reassign", write, context=context, namespace=namespace, for_operator=True, dry_run=dry_run)
    here = where(namespace=namespace, context=context)
    if home == SECONDARY:
        then = f"its workers stay in the secondary one, until wpool migrate {pool} --to primary{here}"
        would = f"have {primary} as its primary place; its workers stay in the secondary one, where they belong now"
    else:
        then = f"wpool get {pool}{here} --watch shows how far its workers are"
        would = f"have {primary} as its primary place, and move there"
    consent.tell(pool, done=f"{pool}: its primary place is {primary}; {then}", would=would, dry_run=dry_run)


class LabelsError(ValueError):
    """What was written is no list of labels; the text says what to write."""


def labels_of(text: str) -> dict[str, str]:
    """The labels in `key=value,key=value`.

    Raises:
        LabelsError: it is something else.
    """
    labels: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not (key and equals) or "=" in value or "!" in key or key in labels:
            raise LabelsError(f"{part.strip()!r} is no label of a node: write key=value,...")
        if fault := label_fault(key, value):
            raise LabelsError(f"{part.strip()!r} is no label of a node: {fault}")
        labels[key] = value
    return labels


async def move(access: "ClusterAccess", namespace: str | None, name: str, *, to: str, dry_run: bool = False) -> None:
    """Write the annotation, and when it was said: by the API server's clock, as this machine's may be wrong.

    Raises:
        TroubleError: the pool has no such place.
    """
    from workerpool_operator.kube import Kube, clock  # noqa: PLC0415  see cluster.asked

    placement = (await pool_of(access, namespace, name))["spec"].get("placement")
    if placement is None or (to == SECONDARY and SECONDARY not in placement):
        raise TroubleError(f"{name} has no {to} place: set spec.placement.{to}.nodeSelector")
    async with Kube(access) as kube:
        said_at = (await clock.now(kube)).isoformat(timespec="seconds")
    await annotate(access, namespace, name, {PLACE_ANNOTATION: to, PLACE_SAID_ANNOTATION: said_at}, dry_run=dry_run)


async def change_primary(
    access: "ClusterAccess", namespace: str | None, name: str, *, selector: dict[str, str], dry_run: bool = False
) -> str:
    """Write the selector in the place of the one that is there, onto the pool as it was read.

    Gives what the pool calls the place that its workers belong to; that may be the other one.

    Raises:
        KubeError: see `writing.rewrite`.
    """
    from workerpool_operator.cli.writing import rewrite  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.kube import Kube, ObjectRef, kinds  # noqa: PLC0415

    home = PRIMARY

    def replaced(body: dict[str, Any]) -> dict[str, Any]:
        nonlocal home
        home = home_of(body) or PRIMARY
        primary = (body["spec"].get("placement") or {}).get(PRIMARY) or {}
        gone: dict[str, Any] = dict.fromkeys(primary.get("nodeSelector", {}))
        return {"spec": {"placement": {PRIMARY: {"nodeSelector": gone | selector}}}}

    async with Kube(access) as kube:
        await rewrite(
            kube,
            ObjectRef(kinds.WORKER_POOL, namespace or access.namespace, name),
            replaced,
            dry_run=dry_run,
        )
    return home


def none_has(selector: Mapping[str, str]) -> str:
    """What follows from that."""
    return f"no node has {labels(selector)} now: workers get no place there before one has"


async def no_node_has(access: "ClusterAccess", selector: Mapping[str, str]) -> bool:
    """Whether no node has these labels; False where its user may not see that."""
    from workerpool_operator.kube import Kube, errors, kinds  # noqa: PLC0415  see cluster.asked

    wanted = ",".join(f"{key}={value}" for key, value in selector.items())
    async with Kube(access) as kube:
        try:
            async for _ in kube.list(kinds.NODE, label_selector=wanted, chunk=1):
                return False
        except errors.Forbidden:
            return False
    return True

"""`wpool drain`: options in, exit code out."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from workerpool_operator.cli import cluster, consent, switch
from workerpool_operator.cli.cluster import asked, named
from workerpool_operator.cli.hints import where
from workerpool_operator.cli.interrupts import leaves
from workerpool_operator.cli.terminal import say

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Empty a pool, or a node, of workers: idle ones go first, and no job is interrupted.

`wpool drain POOL` stops the pool, as `wpool stop` does, and waits until no worker is left; jobs wait in the queues
until `wpool start`.

`wpool drain --node NODE` cordons the node, so that nothing new comes onto it, and has the workers of all pools leave
it; with POOL only those of that pool. Each pool goes on with as many workers as before: one at a time ends its jobs,
takes no more and goes, and the next one follows when another has taken its place elsewhere. A node without workers is
cordoned too. After `--timeout` the rest stay, and the node stays cordoned: `kubectl uncordon NODE` ends that.

It needs your own right to `patch` the pools; for a node also to `list` pods, to `get` the node and, where it is not
cordoned yet, to `patch` it. Ctrl-C (and SIGTERM) gives a node up as `--timeout` does, and says so; a pool stays
stopped. Asked again, it goes on. When it is given up is written down by the API server's clock.

Exit codes: 0 nothing is left, or there was nothing; 1 you said no; 2 wrong usage; 3 the cluster, or what was named in
it, cannot be asked, no operator runs that would do it, or it was not done in time.
"""
EPILOG: Final = """**Examples**

    wpool drain thumbs --namespace media

    wpool drain --node worker-7 --dry-run

    wpool drain --node worker-7 --yes --timeout 3600
"""


def drain(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    pool: Annotated[
        str | None,
        cluster.pool_argument("Name of the pool."),
    ] = None,
    node: Annotated[
        str | None, typer.Option(callback=named, help="Of this node; by default of any.", show_default=False)
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            callback=named,
            help="Of the pools. By default that of the kubeconfig's context; for a node without POOL all.",
            show_default=False,
        ),
    ] = None,
    dry_run: consent.DryRun = False,
    yes: consent.Yes = False,
    timeout: Annotated[float, typer.Option(min=1, max=86_400, help="Seconds until it is given up.")] = 600.0,
    context: cluster.Context = None,
) -> None:
    if pool is None and node is None:
        raise typer.BadParameter("name a pool, or a node by --node, or both")
    if node is not None:
        _drain_node(node, pool, namespace=namespace, dry_run=dry_run, yes=yes, timeout=timeout, context=context)
    elif pool is not None:
        _drain_pool(pool, namespace=namespace, dry_run=dry_run, yes=yes, timeout=timeout, context=context)


def _drain_pool(
    pool: str, *, namespace: str | None, dry_run: bool, yes: bool, timeout: float, context: str | None
) -> None:
    body = asked("drain", lambda access: cluster.pool_of(access, namespace, pool), context=context)
    workers = (body.get("status") or {}).get("replicas", 0)
    consent.ask("drain", yes=yes, dry_run=dry_run, pool=pool, workers=workers)

    async def empty(access: "ClusterAccess") -> None:
        await switch.suspend(access, namespace, pool, wanted=True, dry_run=dry_run)
        if not dry_run:
            place = namespace or access.namespace
            with leaves(switch.stays(place, pool)):
                await cluster.expect_operator(access, place)
                await switch.until_empty(access, place, pool, seconds=timeout, tell=say)

    asked("drain", empty, context=context, for_operator=True, expected=True, dry_run=dry_run)
    here = where(namespace=namespace, context=context)
    done = f"{pool}: no worker is left; wpool start {pool}{here} starts it again"
    consent.tell(pool, done=done, would=f"be stopped: {workers} workers finish their jobs and go", dry_run=dry_run)


def _drain_node(
    node: str,
    pool: str | None,
    *,
    namespace: str | None,
    dry_run: bool,
    yes: bool,
    timeout: float,
    context: str | None,
) -> None:
    from workerpool_operator.cli.drain import node as draining  # noqa: PLC0415  see cluster.asked

    def narrowed(access: "ClusterAccess") -> draining.Target:
        within = namespace or (access.namespace if pool else None)
        return draining.Target(node=node, namespace=within, pool=pool)

    there = asked("drain", lambda access: draining.look(access, narrowed(access)), context=context)
    if there:
        consent.ask("drain-node", yes=yes, dry_run=dry_run, node=node, workers=draining.told(there))
    else:
        consent.ask("cordon-node", yes=yes, dry_run=dry_run, node=node)

    async def leave(access: "ClusterAccess") -> None:
        if dry_run:
            await draining.rehearse(access, narrowed(access), there)
        else:
            if there:
                await cluster.expect_operator(access, namespace, but="nothing was done")
            await draining.drain(access, narrowed(access), seconds=timeout, tell=say)

    asked("drain", leave, context=context, for_operator=True, expected=True, dry_run=dry_run)
    whose, uncordon = pool or "a pool", f"kubectl uncordon {node}{where(context=context)} ends that"
    if there:
        done = f"{node}: no worker of {whose} is left; it is cordoned, {uncordon}"
        would = f"be cordoned, and these leave it: {draining.told(there)}"
    else:
        done = f"{node}: no worker of {whose} was there, so nothing was to be moved; it is cordoned, {uncordon}"
        would = f"be cordoned; no worker of {whose} is there, so nothing is to be moved"
    consent.tell(node, done=done, would=would, dry_run=dry_run)

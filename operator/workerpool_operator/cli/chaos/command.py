"""`wpool chaos`: options in, exit code out."""

import asyncio
import contextlib
import json
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from workerpool.broker import BrokerError
from workerpool.errors import ConfigurationError
from workerpool_operator.cli import cluster, hints
from workerpool_operator.cli.chaos.judge import Row
from workerpool_operator.cli.chaos.marks import ALLOWED, ALLOWED_LABEL, MEANS, allows
from workerpool_operator.cli.chaos.play import Jobs, Play
from workerpool_operator.cli.chaos.probe import Uncounted, Wish, probing
from workerpool_operator.cli.chaos.table import SCENARIOS, Reach, Scenario
from workerpool_operator.cli.cluster import TroubleError, asked, confirmed, named
from workerpool_operator.cli.terminal import one_line, say

if TYPE_CHECKING:
    from workerpool_operator.cli.chaos.hands.ground import Ground
    from workerpool_operator.kube import ClusterAccess

STOP: Final = "stop"
MOST_SECONDS: Final = 600.0

HELP: Final = (
    """Break something on purpose, and see whether what is expected of it holds.

It waits until the pool is Ready, full and at work, breaks one thing, looks on, puts it back, and waits until all is as
before; then it holds what it saw against what was expected. Nothing is broken unless it was allowed: by the label
`workerpool.dev/chaos=allowed` on the pool or on its namespace; where more than one pool is hit, on the namespace, the
node or the operator's namespace. Ctrl-C, an error and the end of its time put back what was broken. Should it be killed
itself, `wpool chaos stop POOL` puts back what is left, which carries a label.

Jobs are counted one by one only where it feeds them itself, by `--url` and `--stream`, as `wpool load` does: to the
reference worker's job type `sleep`. Without them it looks on at the pool's own work, and says `null` for jobs lost.

It uses the Kubernetes API with your own rights: `get` and `list` of the pool and its pods, and what a scenario does
itself (`create` of pods/exec; `delete` of pods; NetworkPolicies, Services, Jobs and pods; `patch` of nodes).

Scenarios:

"""
    + "\n".join(f"- `{one.name}`: {one.breaks}." for one in SCENARIOS.values())
    + """

Exit codes: 0 it was as expected; 1 it was not, or you said no; 2 wrong usage; 3 the cluster cannot be asked, or it is
not allowed, or could not be broken; 130 stopped by Ctrl-C, and put back.
"""
)
EPILOG: Final = """**Examples**

    kubectl label wpool thumbs workerpool.dev/chaos=allowed

    wpool chaos worker-killed thumbs --dry-run

    wpool chaos worker-killed thumbs --url redis://127.0.0.1:6379/0 --stream thumbs --json chaos.json

    wpool chaos broker-partitioned thumbs --namespace media --for 60 --yes

    wpool chaos slow-downstream thumbs --service prices --delay-ms 2000

    wpool chaos stop thumbs --namespace media
"""


class ExitCode(IntEnum):
    """What a shell learns. Stable: part of the command's interface."""

    OK = 0
    NOT_AS_EXPECTED = 1
    USAGE = 2
    UNREACHABLE = 3
    """It cannot be asked, is not allowed, or could not be broken."""
    STOPPED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What was asked for."""

    scenario: Scenario
    pool: str
    namespace: str | None
    operator_namespace: str
    options: dict[str, Any]
    jobs: Wish | None


def chaos(  # noqa: D103, PLR0917  typer: the help text is HELP, and options are arguments
    scenario: Annotated[str, typer.Argument(help="What to break, or `stop`.", show_default=False)],
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    seconds: Annotated[
        float | None,
        typer.Option("--for", min=5, max=MOST_SECONDS, help="Seconds that it stays broken.", show_default=False),
    ] = None,
    url: Annotated[str, typer.Option(help="Redis to feed jobs to.", envvar="WPOOL_URL", show_envvar=True)] = "",
    stream: Annotated[str, typer.Option(help="The stream that jobs are fed to.")] = "",
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Jobs per second that are fed.")] = 5.0,
    delay_ms: Annotated[int, typer.Option(min=1, max=60_000, help="Of a delay: each way.")] = 300,
    service: Annotated[str, typer.Option(callback=named, help="Of a delay: the Service that is led through it.")] = "",
    broker: Annotated[str, typer.Option(help="Of broker-killed: label selector of its pods.")] = "",
    node: Annotated[str, typer.Option(callback=named, help="Of node-lost; by default the one with most workers.")] = "",
    path: Annotated[str, typer.Option(help="Of disk-full: the folder in the worker.")] = "",
    most_mib: Annotated[int, typer.Option(min=1, help="Of disk-full: refuse a larger file system.")] = 1024,
    table: Annotated[str, typer.Option(help="Of database-lock-held.")] = "workerpool.jobs",
    operator_namespace: Annotated[
        str, typer.Option(callback=named, help="Where the operator runs.")
    ] = "workerpool-system",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say who would be hit.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the outcome to this file.")] = None,
    context: cluster.Context = None,
) -> None:
    if scenario == STOP:
        _stop(pool, namespace, operator_namespace=operator_namespace, dry_run=dry_run, context=context)
        return
    if scenario not in SCENARIOS:
        raise typer.BadParameter(f"{one_line(scenario)!r} is none; there are {', '.join(SCENARIOS)}, and stop")
    if bool(url) != bool(stream):
        raise typer.BadParameter("--url and --stream belong together")
    found = SCENARIOS[scenario]
    if seconds is not None and found.heals_itself:
        raise typer.BadParameter(f"{scenario} strikes once, and lasts until it has healed: leave --for out")
    wish = _Wish(
        scenario=found,
        pool=pool,
        namespace=namespace,
        operator_namespace=operator_namespace,
        options={
            "seconds": seconds or found.seconds or 30.0,
            "milliseconds": delay_ms,
            "service": service,
            "node": node,
            "broker": broker,
            "path": path,
            "most_mib": most_mib,
            "table": table,
        },
        jobs=Wish(url=url, stream=stream, rate=rate) if url else None,
    )
    for line in asked("chaos", lambda access: _before(access, wish), context=context):
        say(line)
    if dry_run:
        say("nothing was broken: a dry run")
        return
    confirmed(f"Break it, in {pool}?", yes=yes)
    try:
        row = asked("chaos", lambda access: _played(access, wish), context=context)
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("stopped, and put back")
        raise typer.Exit(ExitCode.STOPPED) from None
    _show(row, json_file)


def _show(row: Row, json_file: Path | None) -> None:
    say(f"expected: {row.expected}")
    say(f"observed: {row.observed}")
    say("as expected" if row.ok else f"NOT as expected: docs/runbooks/{SCENARIOS[row.scenario].runbook}.md")
    if json_file:
        json_file.write_text(json.dumps([row.to_json()], indent=2) + "\n")
    if not row.ok:
        raise typer.Exit(ExitCode.NOT_AS_EXPECTED)


def _stop(pool: str, namespace: str | None, *, operator_namespace: str, dry_run: bool, context: str | None) -> None:
    async def question(access: "ClusterAccess") -> list[str]:
        from workerpool_operator.cli.chaos.cleanup import leftovers, undo  # noqa: PLC0415  see cluster.asked
        from workerpool_operator.kube import Kube  # noqa: PLC0415

        async with Kube(access) as kube:
            places = (namespace or access.namespace, operator_namespace)
            found = await leftovers(kube, places, pool=pool, nodes=True)
            return [f"{ref}: would be put back" for ref, _ in found] if dry_run else await undo(kube, found)

    done = asked("chaos", question, context=context)
    for line in done or [f"{pool}: nothing is left of a play"]:
        say(line)


async def _before(access: "ClusterAccess", wish: _Wish) -> list[str]:
    """Who would be hit.

    Raises:
        TroubleError: it is not allowed, or an earlier play has left something.
    """
    from workerpool_operator.cli.chaos.cleanup import leftovers  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.cli.chaos.hands.choose import blast_radius  # noqa: PLC0415

    async with _ground(access, wish) as ground:
        await _assert_allowed(ground, wish.scenario)
        places = (ground.namespace, ground.operator_namespace)
        left = await leftovers(ground.kube, places, pool=wish.pool, nodes=wish.scenario.reach is Reach.NODE)
        if left:
            raise TroubleError(
                f"an earlier play has left {', '.join(str(ref) for ref, _ in left)}: "
                f"`wpool chaos stop {wish.pool}{hints.where(namespace=ground.namespace)}` first"
            )
        lines = await blast_radius(wish.scenario.name, ground)
    lasts = "until it has healed" if wish.scenario.heals_itself else f"for {wish.options['seconds']:g} s"
    return [*lines, f"lasts {lasts}", f"expected: {wish.scenario.expected}"]


async def _assert_allowed(ground: "Ground", scenario: Scenario) -> None:
    from workerpool_operator.kube import ObjectRef, errors, kinds  # noqa: PLC0415  see cluster.asked

    async def of(ref: ObjectRef) -> bool:
        try:
            return allows(await ground.kube.get(ref))
        except errors.Forbidden:
            return False

    pool = await ground.kube.get(ObjectRef(kinds.WORKER_POOL, ground.namespace, ground.pool))
    if scenario.reach is Reach.NODE:
        from workerpool_operator.cli.chaos.hands.node import chosen  # noqa: PLC0415

        name = await chosen(ground)
        allowed, what = await of(ObjectRef(kinds.NODE, "", name)), f"node {name}"
    elif scenario.reach is Reach.OPERATOR:
        where = ground.operator_namespace
        allowed, what = await of(ObjectRef(kinds.NAMESPACE, "", where)), f"namespace {where}"
    else:
        allowed = await of(ObjectRef(kinds.NAMESPACE, "", ground.namespace))
        allowed = allowed or (scenario.reach is Reach.POOL and allows(pool))
        what = f"wpool {ground.pool}" if scenario.reach is Reach.POOL else f"namespace {ground.namespace}"
    if not allowed:
        raise TroubleError(
            f"nothing was broken: {scenario.name} has to be allowed on {MEANS[scenario.reach]}. "
            f"`kubectl label {what} {ALLOWED_LABEL}={ALLOWED}`, by someone who may decide that, does it"
        )


async def _played(access: "ClusterAccess", wish: _Wish) -> Row:
    from workerpool_operator.cli.chaos.eyes import watching  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.cli.chaos.hands.choose import hands_for  # noqa: PLC0415

    me = asyncio.current_task()
    assert me is not None
    if threading.current_thread() is threading.main_thread():  # signals come to no other
        for number in (signal.SIGTERM, signal.SIGHUP):  # the latter is a terminal that was closed
            asyncio.get_running_loop().add_signal_handler(number, me.cancel)
    async with contextlib.AsyncExitStack() as stack:
        ground = await stack.enter_async_context(_ground(access, wish))
        await _assert_allowed(ground, wish.scenario)
        hands = await hands_for(wish.scenario.name, ground)
        eyes = await stack.enter_async_context(
            watching(access, namespace=ground.namespace, pool=wish.pool, figures=wish.jobs is None)
        )
        jobs = await stack.enter_async_context(_jobs(wish.jobs))
        play = Play(
            scenario=wish.scenario, hands=hands, eyes=eyes, jobs=jobs, seconds=wish.options["seconds"], tell=say
        )
        return await play.run()


@contextlib.asynccontextmanager
async def _jobs(wish: Wish | None) -> AsyncIterator[Jobs]:
    if wish is None:
        yield Uncounted()
        return
    async with contextlib.AsyncExitStack() as stack:
        try:
            probe = await stack.enter_async_context(probing(wish))
        except (BrokerError, ConfigurationError) as error:
            raise TroubleError(f"nothing was broken: jobs cannot be fed: {error}") from error
        yield probe


@contextlib.asynccontextmanager
async def _ground(access: "ClusterAccess", wish: _Wish) -> "AsyncIterator[Ground]":
    from workerpool_operator.cli.chaos.hands.ground import Ground, Options  # noqa: PLC0415  see cluster.asked
    from workerpool_operator.kube import Kube  # noqa: PLC0415

    async with Kube(access) as kube:
        yield Ground(
            access=access,
            kube=kube,
            namespace=wish.namespace or access.namespace,
            pool=wish.pool,
            operator_namespace=wish.operator_namespace,
            options=Options(**wish.options),
        )

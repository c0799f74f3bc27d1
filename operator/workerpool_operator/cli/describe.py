"""`wpool describe`: all that is known of one pool, on one page."""

from collections import Counter
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from workerpool_operator.cli import cluster, events
from workerpool_operator.cli.cluster import asked
from workerpool_operator.cli.explain.page import Page
from workerpool_operator.cli.get.rows import UNKNOWN, Row, age, known
from workerpool_operator.cli.hints import where
from workerpool_operator.cli.pods import pod_state
from workerpool_operator.cli.rollout.state import lines, rollout_of
from workerpool_operator.cli.terminal import Console, folding

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

Json = Mapping[str, Any]

HELP: Final = """Show all that is known of a pool: what was asked for, its size and why, queues, versions, rollout,
place, pods, conditions, what a person on call has said, and its latest events.

Takes `get` of the pool; without `list` of pods or events those are left out, and that is said. Where no operator runs,
which takes `list` of Deployments to see, a line on standard error says that what it wrote may be old.

Exit codes: 0 shown; 2 wrong usage; 3 the cluster, or the pool, cannot be asked.
"""
EPILOG: Final = """**Examples**

    wpool describe thumbs

    wpool describe thumbs --namespace media
"""
_MOST_EVENTS: Final = 10
_OURS: Final = "workerpool.dev/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A pool and what is around it."""

    pool: Json
    pods: Mapping[str, int] | str
    """How many by state, or why they are not known."""
    events: Sequence[events.Happening] | str


def describe(  # noqa: D103  typer: the help text is HELP
    pool: cluster.Pool,
    namespace: cluster.Namespace = None,
    context: cluster.Context = None,
) -> None:
    def question(access: "ClusterAccess") -> Awaitable[Seen]:
        return look(access, namespace or access.namespace, pool)

    seen = asked("describe", question, context=context, namespace=namespace, of_operator=True)
    show(seen, folding(), now=datetime.now(UTC), context=context)


async def look(access: "ClusterAccess", namespace: str, name: str) -> Seen:
    """Read it.

    Raises:
        KubeError: the pool cannot be read.
    """
    from workerpool_operator.domain.desired.names import POOL_LABEL  # noqa: PLC0415
    from workerpool_operator.kube import Kube, ObjectRef, errors, kinds  # noqa: PLC0415  see cluster.asked

    pods: Mapping[str, int] | str
    happened: Sequence[events.Happening] | str
    async with Kube(access) as kube:
        async with cluster.within(access, namespace):
            body = await kube.get(ObjectRef(kinds.WORKER_POOL, namespace, name))
        listing = kube.list(kinds.POD, namespace=namespace, label_selector=f"{POOL_LABEL}={name}")
        try:
            pods = Counter([pod_state(pod) async for pod in listing])
        except errors.Forbidden:
            pods = "you may not list pods here"
    try:
        happened = (await events.read(access, namespace, name))[-_MOST_EVENTS:]
    except errors.Forbidden:
        happened = "you may not list events here"
    return Seen(pool=body, pods=pods, events=happened)


def show(seen: Seen, console: Console, *, now: datetime, context: str | None = None) -> None:
    """Print the page."""
    for title, told in _sections(seen, now=now, context=context):
        console.print(Text(f"{title}:", style="bold"))
        for part in told:
            shown = Text(part) if isinstance(part, str) else part
            console.print(Padding(shown, (0, 0, 0, 2), expand=False))


def _sections(seen: Seen, *, now: datetime, context: str | None) -> Iterator[tuple[str, Sequence[str | Table]]]:
    pool, page = seen.pool, Page.of(seen.pool, now=now, context=context)
    row = Row.of(pool, now=now)
    yield (
        f"{row.namespace}/{row.name}",
        [f"Ready={row.ready}, {row.workers} ready, {row.age} old", page.title.partition(": ")[2]],
    )
    yield "Asked for", list(_asked_for(pool.get("spec") or {}))
    if said := list(_said(pool["metadata"])):
        yield "Said by a person", said
    if page.limits:
        yield "Limited by", [f"{name}: {meaning}" for name, meaning in page.limits]
    yield (
        "Queues",
        [
            f"{queue.name}: {queue.waiting} waiting, {queue.running} running, oldest {queue.oldest}, read {queue.read}"
            for queue in page.queues
        ]
        or ["not read yet"],
    )
    yield "Versions", list(_versions(pool.get("status") or {})) or ["none yet"]
    if rollout := rollout_of(pool):
        yield "Rollout", list(lines(rollout))
    if page.place:
        yield "Place", page.place
    pods = seen.pods
    told = pods if isinstance(pods, str) else ", ".join(f"{count} {state}" for state, count in sorted(pods.items()))
    yield "Pods", [told or "none"]
    yield "Conditions", [_conditions(pool, now=now, context=context)]
    happened = seen.events
    yield "Events", [happened if isinstance(happened, str) else _events(happened, now=now)]


def _asked_for(spec: Json) -> Iterator[str]:
    worker, scaling = spec.get("worker") or {}, spec.get("scaling") or {}
    yield f"image {worker.get('image', UNKNOWN)}, {worker.get('maxWorkers', UNKNOWN)} jobs of a worker at a time"
    bounds = f"{scaling.get('minReplicas', UNKNOWN)} to {scaling.get('maxReplicas', UNKNOWN)} workers"
    yield f"{bounds}, mode {scaling.get('mode', UNKNOWN)}" + ("; suspended" if spec.get("suspend") else "")
    yield f"new versions: {(spec.get('rollout') or {}).get('strategy', UNKNOWN)}"
    for queue in spec.get("queues") or ():
        kind = next((key for key in queue if key not in {"name", "credentials", "tls"}), UNKNOWN)
        where = queue.get(kind) or {}
        yield f"queue {queue.get('name')}: {kind} {where.get('url', '') if isinstance(where, Mapping) else ''}"


def _said(metadata: Json) -> Iterator[str]:
    for key, value in sorted((metadata.get("annotations") or {}).items()):
        if key.startswith(_OURS):
            yield f"{key.removeprefix(_OURS)}: {value}"


def _versions(status: Json) -> Iterator[str]:
    for one in status.get("versions") or ():
        counts = f"{one.get('readyReplicas', 0)}/{one.get('replicas', 0)} ready, {known(one.get('inFlight'))} in flight"
        yield f"{one.get('hash')} ({one.get('role') or UNKNOWN}) {one.get('image', '')}: {counts}"


def _conditions(pool: Json, *, now: datetime, context: str | None) -> Table | str:
    found = (pool.get("status") or {}).get("conditions") or ()
    if not found:
        here = where(namespace=pool["metadata"].get("namespace"), context=context)
        return f"none: the operator has not seen this pool. Does it run? `wpool doctor{here}` tells"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"):
        table.add_column(column, overflow="fold")
    for one in found:
        since = age(one.get("lastTransitionTime"), now=now)
        cells = (one["type"], one["status"], since, one.get("reason", ""), one.get("message", ""))
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table


def _events(found: Sequence[events.Happening], *, now: datetime) -> Table | str:
    return events.table(found, now=now) if found else "none within the last hour"

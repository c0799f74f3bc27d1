"""kopf, used for what it is good at: long-lived watches that mark keys as due.

Only `on.event` handlers, which leave no annotations and no finalizers on anybody's objects: `kubectl delete` works
while the operator is down. They decide nothing. Children are watched where somebody may interfere with a running
pool; the rest of what the operator owns is compared at each resync.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Protocol, cast

import kopf

from workerpool_operator.kube import ClusterAccess, kinds, lists_anew
from workerpool_operator.kube.kinds import Kind

WATCHED: Final = (
    kinds.WORKER_POOL,
    kinds.WORKER_POOL_BUDGET,
    kinds.NAMESPACE,
    kinds.DEPLOYMENT,
    kinds.CONTROLLER_REVISION,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.HORIZONTAL_POD_AUTOSCALER,
)
EVERYBODYS: Final = frozenset({kinds.WORKER_POOL, kinds.WORKER_POOL_BUDGET, kinds.NAMESPACE})
"""Of these all count, whoever made them."""
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGER: Final = "workerpool-operator"
RELOGIN_PAUSE_SECONDS: Final = 1.0
_LIST_CHUNK: Final = 500


class Sink(Protocol):
    """Where observed objects go."""

    def observed(self, kind: Kind, body: dict[str, Any]) -> None:
        """An object is like this now."""

    def deleted(self, kind: Kind, body: dict[str, Any]) -> None:
        """An object is gone; this was its last state."""

    def knows(self, kind: Kind, body: Mapping[str, Any]) -> bool:
        """Whether this object has been observed."""

    def lost(self, kind: Kind, body: dict[str, Any]) -> None:
        """An object is no longer marked as the operator's."""


class Backoffs:
    """Delays between attempts to reach the API server: growing to a cap, and never ending.

    kopf iterates anew for each request, and gives a request up when the delays run out; after a minute of outage an
    operator with a finite list has lost its watches for good.
    """

    def __init__(self, *first: float, cap: float) -> None:
        self._first = first
        self._cap = cap

    def __iter__(self) -> Iterator[float]:
        return itertools.chain(self._first, itertools.repeat(self._cap))


def registry(sink: Sink, *, access: ClusterAccess) -> kopf.OperatorRegistry:
    """The handlers: a login, and one event handler for each watched kind."""
    handlers = kopf.OperatorRegistry()
    logins = itertools.count()

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.AiohttpSession:
        if next(logins):
            await asyncio.sleep(RELOGIN_PAUSE_SECONDS)
        return kopf.AiohttpSession(server=access.server, aiohttp_session=access.watch_session(lists_anew))

    for kind in WATCHED:
        _watch(kind, sink, handlers=handlers)
    return handlers


class NoDiffs(kopf.DiffBaseStorage):
    """No last-handled state: nothing here asks what changed.

    kopf builds it for every event all the same, with deep copies that are a quarter of the CPU of a start over
    thousands of objects.
    """

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        """Nothing."""
        del body, extra_fields
        return cast("kopf.BodyEssence", {})

    def fetch(self, *, body: kopf.Body) -> None:
        """Nothing."""

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Store nothing."""


class NoProgress(kopf.ProgressStorage):
    """No handlers' progress: event handlers are not retried, the work queue does that."""

    def fetch(self, *, key: Any, body: kopf.Body) -> Any:
        """Nothing."""
        del key, body

    def store(self, *, key: Any, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Store nothing."""

    def purge(self, *, key: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing to purge."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Touch nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        """As it is."""
        return essence


def settings() -> kopf.OperatorSettings:
    """Kopf's settings: nothing posted, nothing persisted, outages of any length survived."""
    result = kopf.OperatorSettings()
    result.persistence.diffbase_storage = NoDiffs()
    result.persistence.progress_storage = NoProgress()
    result.posting.enabled = False
    result.scanning.disabled = True
    result.networking.error_backoffs = Backoffs(0.1, 0.2, 0.5, 1, 2, cap=3)
    result.networking.connect_timeout = 4
    result.networking.request_timeout = 30
    result.watching.chunk_size = _LIST_CHUNK
    result.watching.connect_timeout = 4
    result.watching.reconnect_backoff = 0.2
    result.watching.server_timeout = 300
    result.queueing.idle_timeout = 0.1
    result.queueing.error_delays = Backoffs(1, 2, 5, cap=10)
    return result


async def watch(
    handlers: kopf.OperatorRegistry,
    *,
    identity: str,
    ready: asyncio.Event,
    stop: asyncio.Event,
    namespaces: Collection[str] = (),
    spawned: Callable[[], None] = lambda: None,
) -> None:
    """Watch these namespaces, or all, until `stop` is set, as `identity`.

    What belongs to no namespace is watched in any case. One that is not there, or may not be read, is tried again for
    ever, and holds up none of the others.

    `spawned()` is called as soon as kopf runs, which then has the process' signals: at SIGTERM it would end by itself,
    before everything else, and cancel whatever it finds in the loop.

    Left to itself, kopf asks for a user name, which a container with nothing but a user id does not have.
    """
    logging.getLogger("kopf").setLevel(logging.WARNING)
    not_its_own = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=handlers,
        settings=settings(),
        identity=cast("Any", identity),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=tuple(namespaces),
        ready_flag=ready,
        stop_flag=stop,
    )
    spawned()
    await kopf.run_tasks(tasks, ignored=not_its_own)


def _watch(kind: Kind, sink: Sink, *, handlers: kopf.OperatorRegistry) -> None:
    """Also an object whose label somebody takes away is news: else it would stay known as it was before."""

    def concerns(body: kopf.Body, **_: Any) -> bool:
        return _marked(kind, body) or sink.knows(kind, body)

    @kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, when=concerns)
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        body = dict(event["object"])
        if event["type"] == "DELETED":
            sink.deleted(kind, body)
        elif _marked(kind, body):
            sink.observed(kind, body)
        else:
            sink.lost(kind, body)


def _marked(kind: Kind, body: Mapping[str, Any]) -> bool:
    return kind in EVERYBODYS or body["metadata"].get("labels", {}).get(MANAGED_BY_LABEL) == MANAGER

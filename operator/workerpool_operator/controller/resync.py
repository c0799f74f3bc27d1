"""The periodic comparison with everything that is: one paginated LIST a kind, spread over the period.

A watch that broke may have lost a deletion; what the operator owns but does not watch may have been edited. The same
listing fills the store before a new leader plans anything: planning from half a store would take running workers for
missing ones. An operator that looks after some namespaces only lists each by itself, and one that may not be read (its
Role is gone, perhaps the namespace itself) is closed: nothing is planned in it until all of it has been listed again,
and the others do not wait for it.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

import structlog

from workerpool_operator.controller.store import Store
from workerpool_operator.controller.watches import EVERYBODYS, MANAGED_BY_LABEL, MANAGER
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.domain.snapshot import Absence
from workerpool_operator.kube import Kube, errors, kinds
from workerpool_operator.kube.kinds import Kind
from workerpool_operator.kube.listing import Entry

RESYNC_SECONDS: Final = 300.0
RETRY_SECONDS: Final = 5.0
LISTED: Final = (
    kinds.WORKER_POOL_BUDGET,
    kinds.NAMESPACE,
    kinds.WORKER_POOL,
    kinds.DEPLOYMENT,
    kinds.CONTROLLER_REVISION,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.HORIZONTAL_POD_AUTOSCALER,
    kinds.SERVICE_ACCOUNT,
    kinds.SERVICE,
    kinds.CONFIG_MAP,
    kinds.ROLE_BINDING,
    kinds.NETWORK_POLICY,
    kinds.PROMETHEUS_RULE,
    kinds.SCALED_OBJECT,
)
SOON_SECONDS: Final = 15.0
"""Of a kind that matters and may not be there to be watched, and of a namespace that is closed."""

_TAKEN_AT_ONCE: Final = 100
"""Objects of a page, until others have their turn: what is new is packed, and the first time all of it is."""
AGAIN_SECONDS: Final = 1.0
"""An optional kind that was refused is asked for again so soon, then after twice as long, and so on up to the period:
rights may have been away for a moment only, and pools say until then that they are."""

_log = structlog.get_logger(__name__)


class Resync:
    """Lists what the operator owns into the store; `changed(kind, namespace, name, pool)` hears of differences."""

    def __init__(
        self,
        kube: Kube,
        store: Store,
        *,
        changed: Callable[[Kind, str, str, str], None],
        period: float = RESYNC_SECONDS,
        namespaces: Collection[str] = (),
    ) -> None:
        """Prepare; nothing is listed yet. `namespaces`: the only ones that count; without any, all do."""
        self._kube = kube
        self._store = store
        self._changed = changed
        self._period = period
        self._namespaces = tuple(namespaces)
        self._closed: set[str] = set()
        self._refused = asyncio.Event()
        """Set when an optional kind has been refused that was not before."""

    def closed(self, namespace: str) -> bool:
        """Whether nothing may be planned in the namespace, because it may not be read."""
        return namespace in self._closed

    async def everything(self) -> None:
        """List all kinds, now. Raises the first error: a store with holes is worth nothing."""
        self._closed.clear()
        for kind in LISTED:
            await self._list(kind)

    async def run(self) -> None:
        """List one kind after the other, for ever, each once a period; and closed namespaces more often."""
        async with asyncio.TaskGroup() as loops:
            loops.create_task(self._run_kinds())
            loops.create_task(self._run_reopening())
            loops.create_task(self._run_refused())

    async def _run_kinds(self) -> None:
        while True:
            for kind in LISTED:
                await asyncio.sleep(self._period / len(LISTED))
                await self._try(kind)

    async def _run_refused(self) -> None:
        delay = self._period
        while True:
            try:
                async with asyncio.timeout(delay):
                    await self._refused.wait()
            except TimeoutError:
                for kind in LISTED:
                    if self._store.absence(kind) is Absence.FORBIDDEN:
                        await self._try(kind)
                delay = min(2 * delay, self._period)
            else:
                self._refused.clear()
                delay = min(AGAIN_SECONDS, self._period)

    async def run_soon(self, kind: Kind, *, while_: Callable[[], bool]) -> None:
        """List one kind more often, for ever, whenever `while_()` says so."""
        while True:
            await asyncio.sleep(min(SOON_SECONDS, self._period))
            if while_():
                await self._try(kind)

    async def _run_reopening(self) -> None:
        while True:
            await asyncio.sleep(min(SOON_SECONDS, self._period))
            for namespace in sorted(self._closed):
                await self._reopen(namespace)

    async def _reopen(self, namespace: str) -> None:
        try:
            for kind in LISTED:
                if kind.namespaced and not kind.optional:
                    await self._compare_in(kind, namespace)
        except errors.KubeError as error:
            _log.debug("namespace_still_closed", namespace=namespace, error=str(error))
            return
        self._closed.discard(namespace)
        _log.info("namespace_open", namespace=namespace)
        for name in list(self._store.names(kinds.WORKER_POOL, namespace)):
            self._changed(kinds.WORKER_POOL, namespace, name, "")

    async def _try(self, kind: Kind) -> None:
        try:
            await self._list(kind)
        except errors.KubeError as error:
            _log.warning("resync_failed", kind=kind.kind, error=str(error))

    async def _list(self, kind: Kind) -> None:
        """List one kind. A cluster may do without an optional one, now or from some day on."""
        try:
            await self._compare(kind)
        except (errors.KindNotServed, errors.Forbidden) as error:
            if not kind.optional:
                raise
            self._use(kind, Absence.FORBIDDEN if isinstance(error, errors.Forbidden) else Absence.NOT_SERVED)
        else:
            if kind.optional:
                self._use(kind, None)

    def _use(self, kind: Kind, absence: Absence | None) -> None:
        """Every pool hears when an optional kind has come or gone."""
        if absence is Absence.NOT_SERVED:
            self._store.drop_kind(kind)
        if not self._store.set_absence(kind, absence):
            return
        _log.info("optional_kind", kind=kind.kind, absence=absence)
        if absence is Absence.FORBIDDEN:
            self._refused.set()
        for namespace in self._store.namespaces(kinds.WORKER_POOL):
            for name in list(self._store.names(kinds.WORKER_POOL, namespace)):
                self._changed(kinds.WORKER_POOL, namespace, name, "")

    async def _compare(self, kind: Kind) -> None:
        if not (self._namespaces and kind.namespaced):
            await self._compare_in(kind, None)
            return
        for namespace in self._namespaces:
            if namespace in self._closed:
                continue
            try:
                await self._compare_in(kind, namespace)
            except errors.Forbidden as error:
                if kind.optional and await self._readable(namespace):
                    raise
                self._closed.add(namespace)
                _log.warning("namespace_closed", namespace=namespace, error=str(error))

    async def _readable(self, namespace: str) -> bool:
        """Whether it is only the optional kind that may not be read there."""
        try:
            async for _ in self._kube.list(kinds.WORKER_POOL, namespace=namespace, chunk=1):
                break
        except errors.Forbidden:
            return False
        return True

    async def _compare_in(self, kind: Kind, namespace: str | None) -> None:
        selector = "" if kind in EVERYBODYS else f"{MANAGED_BY_LABEL}={MANAGER}"
        listing = self._kube.entries(kind, namespace=namespace, label_selector=selector)
        seen: set[tuple[str, str]] = set()
        async for entry in listing:
            self._take(kind, entry, seen)
            if not len(seen) % _TAKEN_AT_ONCE:
                await asyncio.sleep(0)
        listed_at = int(listing.resource_version or 0)
        for where, name, stored in self._store.drop_unseen(kind, seen, listed_at=listed_at, within=namespace):
            self._changed(kind, where, name, stored.pool)

    def _take(self, kind: Kind, entry: Entry, seen: set[tuple[str, str]]) -> None:
        key = (entry.namespace, entry.name)
        seen.add(key)
        known = self._store.get(kind, *key)
        if known is not None and known.uid == entry.uid and known.version >= int(entry.resource_version):
            return  # so nearly all of them are, each time
        body = entry.read()
        if self._store.put(kind, body):
            self._changed(kind, *key, body["metadata"].get("labels", {}).get(POOL_LABEL, ""))

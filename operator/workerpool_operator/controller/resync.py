"""The periodic comparison with everything that is: one paginated LIST a kind, spread over the period.

A watch that broke may have lost a deletion; what the operator owns but does not watch may have been edited. The same
listing fills the store before a new leader plans anything: planning from half a store would take running workers for
missing ones.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from workerpool_operator.controller.store import Store
from workerpool_operator.controller.watches import EVERYBODYS, MANAGED_BY_LABEL, MANAGER
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.domain.snapshot import Absence
from workerpool_operator.kube import Kube, errors, kinds
from workerpool_operator.kube.kinds import Kind

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
"""Of a kind that matters and may not be there to be watched."""

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
    ) -> None:
        self._kube = kube
        self._store = store
        self._changed = changed
        self._period = period

    async def everything(self) -> None:
        """List all kinds, now. Raises the first error: a store with holes is worth nothing."""
        for kind in LISTED:
            await self._list(kind)

    async def run(self) -> None:
        """List one kind after the other, for ever, each once a period."""
        while True:
            for kind in LISTED:
                await asyncio.sleep(self._period / len(LISTED))
                await self._try(kind)

    async def run_soon(self, kind: Kind, *, while_: Callable[[], bool]) -> None:
        """List one kind more often, for ever, whenever `while_()` says so."""
        while True:
            await asyncio.sleep(min(SOON_SECONDS, self._period))
            if while_():
                await self._try(kind)

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
        for namespace in self._store.namespaces(kinds.WORKER_POOL):
            for name in list(self._store.names(kinds.WORKER_POOL, namespace)):
                self._changed(kinds.WORKER_POOL, namespace, name, "")

    async def _compare(self, kind: Kind) -> None:
        selector = "" if kind in EVERYBODYS else f"{MANAGED_BY_LABEL}={MANAGER}"
        listing = self._kube.list(kind, label_selector=selector)
        seen: set[tuple[str, str]] = set()
        async for body in listing:
            self._take(kind, body, seen)
        gone = self._store.drop_unseen(kind, seen, listed_at=int(listing.resource_version or 0))
        for namespace, name, stored in gone:
            self._changed(kind, namespace, name, stored.pool)

    def _take(self, kind: Kind, body: dict[str, Any], seen: set[tuple[str, str]]) -> None:
        metadata = body["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        seen.add(key)
        if self._store.put(kind, body):
            self._changed(kind, *key, metadata.get("labels", {}).get(POOL_LABEL, ""))

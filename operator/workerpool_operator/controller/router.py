"""From an object that changed to the key that must look at it.

Echoes of the operator's own writes stop here, and so does what others write all the time and nothing follows from.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from workerpool_operator.controller.keys import BudgetKey, NamespaceKey, PoolKey
from workerpool_operator.controller.queue import WorkQueue
from workerpool_operator.controller.store import Store, same_autoscaling, same_labels, same_request
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import kinds
from workerpool_operator.kube.kinds import Kind

_SAME: Final[Mapping[Kind, Callable[[Mapping[str, Any], Mapping[str, Any]], bool]]] = {
    kinds.WORKER_POOL: same_request,
    kinds.HORIZONTAL_POD_AUTOSCALER: same_autoscaling,
    kinds.NAMESPACE: same_labels,
}
"""Of kinds whose status is written all the time: (before, after) -> whether no plan follows from the difference."""


class Router:
    """Takes observed objects into the store and marks what is due. The watches' sink."""

    def __init__(self, store: Store, queue: WorkQueue) -> None:
        self._store = store
        self._queue = queue

    def observed(self, kind: Kind, body: dict[str, Any]) -> None:
        """An object is like this now."""
        metadata = body["metadata"]
        before = self._store.get(kind, metadata.get("namespace", ""), metadata["name"])
        if not self._store.put(kind, body):
            return
        if before is not None and kind in _SAME and _SAME[kind](before.unpack(), body):
            return
        pool = metadata.get("labels", {}).get(POOL_LABEL, "")
        self._mark(kind, metadata.get("namespace", ""), metadata["name"], pool)
        if before is not None and before.pool not in ("", pool):
            self._queue.mark(PoolKey(metadata.get("namespace", ""), before.pool))  # it has lost a child

    def deleted(self, kind: Kind, body: dict[str, Any]) -> None:
        """An object is gone; this was its last state.

        Also an echo counts here: what goes last (a revision after its Deployment) waits for the news that the one
        before is gone, and the operator's own deletion has taken it out of the store already.
        """
        metadata = body["metadata"]
        namespace, pool = metadata.get("namespace", ""), metadata.get("labels", {}).get(POOL_LABEL, "")
        self._store.drop(kind, namespace, metadata["name"], uid=metadata["uid"])
        self._mark(kind, namespace, metadata["name"], pool)

    def gone(self, key: PoolKey, uid: str) -> None:
        """This very pool is not there any more, and that has not been told."""
        if self._store.drop(kinds.WORKER_POOL, key.namespace, key.name, uid=uid):
            self._mark(kinds.WORKER_POOL, key.namespace, key.name, "")

    def knows(self, kind: Kind, body: Mapping[str, Any]) -> bool:
        """Whether an object of this name is known."""
        metadata = body["metadata"]
        return self._store.get(kind, metadata.get("namespace", ""), metadata["name"]) is not None

    def lost(self, kind: Kind, body: dict[str, Any]) -> None:
        """An object is there, and no longer marked as the operator's: for its pool it is missing."""
        metadata = body["metadata"]
        before = self._store.get(kind, metadata.get("namespace", ""), metadata["name"])
        if before is not None and self._store.lose(kind, body):
            self._mark(kind, metadata.get("namespace", ""), metadata["name"], before.pool)

    def listed(self, kind: Kind, namespace: str, name: str, pool: str) -> None:
        """A resync found an object changed or gone."""
        self._mark(kind, namespace, name, pool)

    def stream_changed(self, namespace: str, pool: str) -> None:
        """A collector said something new about a pool."""
        self._queue.mark(PoolKey(namespace, pool))

    def mark_everything(self) -> None:
        """All pools and all namespaces are due."""
        for namespace in self._store.namespaces(kinds.WORKER_POOL):
            self._queue.mark(NamespaceKey(namespace))
            for name in self._store.names(kinds.WORKER_POOL, namespace):
                self._queue.mark(PoolKey(namespace, name))
        self._mark_budgets()

    def _mark_budgets(self) -> None:
        for name in self._store.names(kinds.WORKER_POOL_BUDGET, ""):
            self._queue.mark(BudgetKey(name))

    def _mark(self, kind: Kind, namespace: str, name: str, pool: str) -> None:
        if kind == kinds.WORKER_POOL_BUDGET:
            self._queue.mark(BudgetKey(name))
        elif kind == kinds.NAMESPACE:
            self._mark_budgets()  # who may use one may depend on the namespace's labels
        elif kind == kinds.WORKER_POOL:
            self._queue.mark(PoolKey(namespace, name))
            self._queue.mark(NamespaceKey(namespace))
        elif pool:
            self._queue.mark(PoolKey(namespace, pool))
        else:
            self._queue.mark(NamespaceKey(namespace))

"""What the process that answers knows: the operator's pools, their values, and who leads, as last told."""

import time
from collections.abc import Callable, Collection

from workerpool_operator.metrics_api.messages import Role, Update
from workerpool_operator.serve.values import Value


class Mirror:
    """A copy. It knows by itself when a value or the lead has run out, however long the operator says nothing."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pools: dict[str, dict[str, Value | None]] = {}
        self._role = Role()

    def take(self, update: Update) -> None:
        """The operator has told this."""
        for (namespace, pool), value in update.there.items():
            self._pools.setdefault(namespace, {})[pool] = value
        for namespace, pool in update.gone:
            pools = self._pools.get(namespace, {})
            pools.pop(pool, None)
            if not pools:
                self._pools.pop(namespace, None)
        if update.role is not None:
            self._role = update.role

    @property
    def open(self) -> bool:
        """Whether this replica has begun to lead, and has told which pools there are."""
        return self._role.open

    def leads(self) -> bool:
        """Whether this replica leads, at this very moment."""
        return self._clock() < self._role.leads_until

    def leader(self) -> str:
        """host:port of the replica that leads; empty while none is known."""
        return self._role.leader

    def pools(self, namespace: str) -> Collection[str]:
        """Names of the pools in the namespace."""
        return self._pools.get(namespace, {}).keys()

    def get(self, namespace: str, pool: str) -> Value | None:
        """The pool's value, or None where there is none that may be believed now."""
        value = self._pools.get(namespace, {}).get(pool)
        return value if value is not None and value.fresh_until >= self._clock() else None

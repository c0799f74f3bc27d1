"""Whether nodes live, by their Leases in `kube-node-lease`: asked only of nodes that some pool has not heard from.

A kubelet renews its node's Lease every quarter of its duration (10 s of 40 s). Clocks of nodes are not compared with
ours: a Lease stands still when it has been read the same for one and a half of these intervals by our own clock. A time
in which it could not be read proves nothing, so only the span between two readings counts. One that is not there
belongs to a node that is gone.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from workerpool_operator.kube import ObjectRef, errors, kinds

LEASE_NAMESPACE: Final = "kube-node-lease"
READ_SECONDS: Final = 4.0
"""The same Lease is read at most this often, for however many pools."""
REFUSED_SECONDS: Final = 60.0
"""After a refusal nobody is asked for so long."""
FORGET_SECONDS: Final = 300.0
_DURATION: Final = 40
"""`leaseDurationSeconds` of a kubelet that was told nothing else."""
_STANDS_AFTER: Final = 0.375
"""Of the duration: one and a half intervals."""
_MOST_AT_ONCE: Final = 16

_log = structlog.get_logger(__name__)


class Reader(Protocol):
    """What reads one object."""

    async def get(self, ref: ObjectRef) -> Mapping[str, Any]:
        """The object. Raises KubeError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    renewed: str
    since: float
    """When it was first read like this."""
    read_at: float
    stands_after: float


class NodeLeases:
    """The Leases of nodes that somebody has asked about."""

    def __init__(self, kube: Reader, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self._known: dict[str, _Reading] = {}
        self._refused_until = 0.0

    async def of(self, nodes: Collection[str]) -> Mapping[str, bool] | None:
        """Node -> whether its Lease stands still, of those that are known; None: they may not be read."""
        now = self._clock()
        self._known = {node: one for node, one in self._known.items() if now - one.read_at < FORGET_SECONDS}
        due = [node for node in sorted(nodes) if self._is_due(node, now=now)]
        for start in range(0, len(due), _MOST_AT_ONCE):
            if self._clock() < self._refused_until:
                break
            await asyncio.gather(*(self._read(node) for node in due[start : start + _MOST_AT_ONCE]))
        if self._clock() < self._refused_until:
            return None
        read = {node: self._known[node] for node in nodes if node in self._known}
        return {node: one.read_at - one.since >= one.stands_after for node, one in read.items()}

    def _is_due(self, node: str, *, now: float) -> bool:
        known = self._known.get(node)
        return known is None or now - known.read_at >= READ_SECONDS

    async def _read(self, node: str) -> None:
        try:
            spec = (await self._kube.get(ObjectRef(kinds.LEASE, LEASE_NAMESPACE, node))).get("spec", {})
        except errors.NotFound:
            spec = {}
        except errors.Forbidden as error:
            self._refused_until = self._clock() + REFUSED_SECONDS
            _log.warning("node_leases_not_readable", error=str(error))
            return
        except errors.KubeError as error:
            _log.info("node_lease_not_read", node=node, error=str(error))
            return
        now, renewed = self._clock(), str(spec.get("renewTime", ""))
        before = self._known.get(node)
        self._known[node] = _Reading(
            renewed=renewed,
            since=before.since if before is not None and before.renewed == renewed else now,
            read_at=now,
            stands_after=_STANDS_AFTER * float(spec.get("leaseDurationSeconds") or _DURATION),
        )

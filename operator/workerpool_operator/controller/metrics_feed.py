"""What the process that answers HPAs has to be told of the operator: its pools, their values, and who leads."""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from workerpool_operator.controller.store import Store
from workerpool_operator.kube import kinds
from workerpool_operator.metrics_api.messages import BEAT_SECONDS, Role, Update
from workerpool_operator.serve.values import PoolId, ValueBoard

GATHER_SECONDS: Final = 0.05
"""How long what changes is gathered before it is told. Workers do not come faster than that, nor do HPAs look."""


class Lead(Protocol):
    """What a Lease says of this replica and of the others."""

    @property
    def leads_until(self) -> float:
        """Until when this replica leads, monotonic seconds."""

    @property
    def holder_address(self) -> str:
        """Where the leader is reached; empty while none is known."""


class Changes:
    """Pools of which there may be news, until somebody asks."""

    def __init__(self) -> None:
        self._pools: set[PoolId] = set()
        self._news = asyncio.Event()

    def note(self, pools: Iterable[PoolId] = ()) -> None:
        """There may be news of these pools, or of who leads."""
        self._pools.update(pools)
        self._news.set()

    def take(self) -> set[PoolId]:
        """Those of which there may be news since the last time."""
        self._news.clear()
        taken, self._pools = self._pools, set()
        return taken

    async def wait(self, *, seconds: float) -> None:
        """Return when there is news, or after so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return
        await asyncio.sleep(GATHER_SECONDS)


class Feed:
    """Tells one process, which begins by knowing nothing. Everything is compared with what it has been told."""

    def __init__(self, *, store: Store, board: ValueBoard, lead: Lead, changes: Changes) -> None:
        self._store = store
        self._board = board
        self._lead = lead
        self._changes = changes
        self._told: set[PoolId] = set()
        self._role: Role | None = None
        self._compare_at = 0.0

    async def run(self, writer: asyncio.StreamWriter) -> None:
        """Tell what is there and what changes, until cancelled. Raises ConnectionError when nobody listens."""
        while True:
            for line in self.lines(now=asyncio.get_running_loop().time()):
                writer.write(line)
                await writer.drain()
            await self._changes.wait(seconds=BEAT_SECONDS)

    def lines(self, *, now: float) -> Iterator[bytes]:
        """What is news at this moment, `now` in monotonic seconds."""
        pools = self._changes.take()
        if now >= self._compare_at:
            # Of pools that come and go nobody tells us.
            pools |= self._pools() ^ self._told
            self._compare_at = now + BEAT_SECONDS
        there = {pool: self._board.get(*pool) for pool in pools if self._exists(pool)}
        gone = [pool for pool in pools & self._told if pool not in there]
        role = Role(self._lead.leads_until, self._board.open, self._lead.holder_address)
        self._told.update(there)
        self._told.difference_update(gone)
        if there or gone or role != self._role:
            self._role = role
            yield from Update(there=there, gone=gone, role=role).lines()

    def _exists(self, pool: PoolId) -> bool:
        return self._store.get(kinds.WORKER_POOL, *pool) is not None

    def _pools(self) -> set[PoolId]:
        return {
            (namespace, name)
            for namespace in self._store.namespaces(kinds.WORKER_POOL)
            for name in self._store.names(kinds.WORKER_POOL, namespace)
        }

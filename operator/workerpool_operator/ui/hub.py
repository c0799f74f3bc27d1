"""What the page knows of the cluster: pools and budgets always, one pool's pods and events while somebody looks."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.kube import ClusterAccess, Kube, KubeError, ObjectRef, kinds
from workerpool_operator.ui import views
from workerpool_operator.ui.feed import AWAY_SECONDS, Bell, Feed, Pulse, Standing
from workerpool_operator.ui.home import LOCAL, Home
from workerpool_operator.ui.room import Room
from workerpool_operator.ui.shared import Mirror

Json = dict[str, Any]

_RIGHTS_SECONDS: Final = 30.0
_LINGER_SECONDS: Final = 30.0
"""A pool's history stays so long after the last one has looked: a page that is loaded again goes on with it."""


@dataclass(frozen=True, slots=True)
class Rights:
    """What the user may do in a namespace."""

    change: bool
    """Patch pools."""
    at: float


PROGRAM: Final = "wpool-ui"
"""As whom the page writes: `metadata.managedFields` tell it."""


class Hub:
    """Use `running` as a context; afterwards nothing of it is left."""

    def __init__(self, access: ClusterAccess, kube: Kube, *, namespace: str | None, home: Home = LOCAL) -> None:
        """`namespace` None: all of them, and where they may not be listed, that of the context."""
        self.access = access
        self.kube = kube
        self.namespace = namespace
        self.home = home
        self.bell = Bell()
        self.narrowed = False
        """Whether all pools were asked for, and only those of one namespace may be read."""
        self.pools = Feed("pools", self._open_pools, bell=self.bell)
        self.budgets = Feed("budgets", self._open_budgets, bell=self.bell)
        self.pulse = Pulse(kube, home=home, bell=self.bell, on_return=self._reopen)
        self.standing = Standing(access, namespace=namespace, bell=self.bell)
        self._rooms: dict[tuple[str, str], Room] = {}
        self._rights: dict[str, Rights] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch pools and budgets."""
        tasks = [asyncio.create_task(part.run()) for part in (self.pulse, self.standing, self.budgets)]
        tasks += [asyncio.create_task(self._follow_pools()), asyncio.create_task(self._tidy())]
        try:
            yield
        finally:
            for room in self._rooms.values():
                tasks.append(room.stop())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow_pools(self) -> None:
        """All pools; those of the context's namespace where the others may not be listed."""
        everywhere = {"verb": "list", "group": kinds.WORKER_POOL.group, "resource": kinds.WORKER_POOL.plural}
        while self.namespace is None:
            try:
                if not await self.kube.may(everywhere):
                    self.namespace, self.narrowed = self.access.namespace, True
                break
            except KubeError:
                await asyncio.sleep(AWAY_SECONDS)
        await self.pools.run()

    @property
    def trouble(self) -> str:
        """What is wrong with all that is shown; empty while nothing is."""
        return self.pulse.trouble or self.standing.trouble

    @property
    def table(self) -> dict[str, Json]:
        """All pools, by the keys of their rows."""
        return {views.key_of(pool): pool for pool in self.pools.objects.values()}

    def pool(self, namespace: str, name: str) -> Json | None:
        """The pool as it is now; None where there is none."""
        found = self.pools.objects.get(name if self.namespace else f"{namespace}/{name}")
        return found if found and found["metadata"].get("namespace") == namespace else None

    def room(self, namespace: str, name: str) -> Room:
        """What is known of a pool beside itself; it is looked at from now on."""
        key = (namespace, name)
        room = self._rooms.get(key)
        if room is None:
            room = Room(self.access, self.kube, namespace=namespace, name=name, bell=self.bell)
            room.start(lambda: self.pool(namespace, name))
            self._rooms[key] = room
        room.seen_at = time.monotonic()
        return room

    async def rights(self, namespace: str) -> Rights | None:
        """What the user may do there; None while it cannot be told."""
        known = self._rights.get(namespace)
        if known is None or time.monotonic() - known.at > _RIGHTS_SECONDS:
            try:
                patch = {"verb": "patch", "group": kinds.WORKER_POOL.group, "resource": kinds.WORKER_POOL.plural}
                may = await self.kube.may({**patch, "namespace": namespace})
            except KubeError:
                return known
            known = self._rights[namespace] = Rights(may, time.monotonic())
        return known

    async def fresh(self, namespace: str, name: str) -> Json:
        """The pool, read now: what a button acts on."""
        return await self.kube.get(ObjectRef(kinds.WORKER_POOL, namespace, name))

    def _open_pools(self, on_change: Any) -> Mirror:
        return Mirror(self.access, self.kube, kinds.WORKER_POOL, namespace=self.namespace, on_change=on_change)

    def _open_budgets(self, on_change: Any) -> Mirror:
        return Mirror(self.access, self.kube, kinds.WORKER_POOL_BUDGET, namespace=None, on_change=on_change)

    def _reopen(self) -> None:
        for feed in (self.pools, self.budgets, *(feed for room in self._rooms.values() for feed in room.feeds)):
            feed.reopen()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(5)
            latest = time.monotonic() - _LINGER_SECONDS
            for key, room in list(self._rooms.items()):
                if room.seen_at < latest:
                    del self._rooms[key]
                    room.stop().cancel()

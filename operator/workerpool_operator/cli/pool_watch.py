"""A pool and its pods, live, with their history.

The Kubernetes client takes more than a second to import: so this module is imported only where a pool is watched.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from workerpool_operator.cli.load.reaction import PoolHistory
from workerpool_operator.cli.mirror import Mirror
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds


@dataclass(slots=True, kw_only=True)
class PoolWatch:
    """A pool and its pods, live."""

    history: PoolHistory
    pool: Mirror
    pods: Mirror

    @property
    def status(self) -> Mapping[str, Any]:
        """The pool's status as it is now."""
        pool = next(iter(self.pool.objects.values()), {})
        return pool.get("status") or {}


@contextlib.asynccontextmanager
async def watch_pool(access: ClusterAccess, *, namespace: str, name: str) -> AsyncIterator[PoolWatch]:
    """Follow a pool and its pods.

    Raises:
        NotFound: there is no such pool.
        KubeError: the API server refuses to tell of the pool or its pods.
    """
    history = PoolHistory()
    async with contextlib.AsyncExitStack() as stack:
        kube = await stack.enter_async_context(Kube(access))
        await kube.get(ObjectRef(kinds.WORKER_POOL, namespace, name))
        pool = Mirror(
            access,
            kube,
            kinds.WORKER_POOL,
            namespace=namespace,
            name=name,
            on_change=lambda at: history.see_pool(pool.objects.get(name), at=at),
        )
        pods = Mirror(
            access,
            kube,
            kinds.POD,
            namespace=namespace,
            label_selector=f"{POOL_LABEL}={name}",
            on_change=lambda at: history.see_pods(list(pods.objects.values()), at=at),
        )
        await stack.enter_async_context(pool)
        await stack.enter_async_context(pods)
        yield PoolWatch(history=history, pool=pool, pods=pods)

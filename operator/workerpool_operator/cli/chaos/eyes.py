"""Looks at a pool and its pods through the Kubernetes API, with the user's own rights.

Imported only where a cluster is asked: the Kubernetes client takes a second.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp

from workerpool_operator.cli.chaos.judge import Sight
from workerpool_operator.cli.get.figures import PodFigures
from workerpool_operator.domain.desired import POOL_LABEL
from workerpool_operator.kube import ClusterAccess, Kube, KubeError, ObjectRef, kinds

Json = Mapping[str, Any]

_SECONDS: Final = 5.0


class KubeEyes:
    """Looks at one pool. `figures`: also count the jobs that its workers tell of in their metrics."""

    def __init__(self, access: ClusterAccess, kube: Kube, *, namespace: str, pool: str, figures: bool) -> None:
        self._kube = kube
        self._ref = ObjectRef(kinds.WORKER_POOL, namespace, pool)
        self._figures = PodFigures(access, namespace=namespace) if figures else None
        self._ended = 0.0
        self._told: dict[str, float] = {}

    async def look(self) -> Sight:
        """See `Eyes`."""
        try:
            async with asyncio.timeout(_SECONDS):
                body, pods = await asyncio.gather(self._kube.get(self._ref), self._pods())
        except (KubeError, TimeoutError, aiohttp.ClientError, OSError) as error:
            return Sight(time.monotonic(), trouble=str(error) or "the API server does not answer")
        ready = [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]
        done = await self._done(ready)
        status = body.get("status") or {}
        seen = status.get("observedGeneration") == body["metadata"].get("generation")
        return Sight(
            time.monotonic(),
            ready=seen and condition(body, "Ready"),
            reachable=condition(body, "QueueReachable"),
            desired=(status.get("scaling") or {}).get("desired") or 0,
            workers={pod["metadata"]["uid"]: restarts(pod) for pod in ready},
            done=done,
        )

    async def _pods(self) -> list[dict[str, Any]]:
        selector = f"{POOL_LABEL}={self._ref.name}"
        return await self._kube.list(kinds.POD, namespace=self._ref.namespace, label_selector=selector).all()

    async def _done(self, pods: list[dict[str, Any]]) -> float | None:
        """Attempts that ended, of all workers together: counters begin anew with a container, this sum does not."""
        if self._figures is None:
            return None
        with contextlib.suppress(aiohttp.ClientError, OSError):
            await self._figures.read(pod["metadata"]["name"] for pod in pods)
        for name, now in self._figures.now.items():
            before = self._told.get(name, now.ended)
            self._ended += now.ended - before if now.ended >= before else now.ended
            self._told[name] = now.ended
        return self._ended if self._told else None


def condition(body: Json, name: str) -> bool:
    """Whether a condition of an object is True."""
    conditions = (body.get("status") or {}).get("conditions") or ()
    return any(one["type"] == name and one["status"] == "True" for one in conditions)


def is_ready(pod: Json) -> bool:
    """Whether a pod is Ready."""
    return condition(pod, "Ready")


def restarts(pod: Json) -> int:
    """How often the containers of a pod were started again."""
    return sum(one.get("restartCount", 0) for one in (pod.get("status") or {}).get("containerStatuses") or ())


@contextlib.asynccontextmanager
async def watching(access: ClusterAccess, *, namespace: str, pool: str, figures: bool) -> AsyncIterator[KubeEyes]:
    """Eyes with a connection of their own."""
    async with Kube(access, timeout_seconds=_SECONDS) as kube:
        yield KubeEyes(access, kube, namespace=namespace, pool=pool, figures=figures)

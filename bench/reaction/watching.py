"""Looks on while a scaler works: which pods are Ready, and how many are wanted. The same watch for every scaler."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.reaction.figures import Ready
from workerpool_operator.cli.load.reaction import Series, Step, is_ready
from workerpool_operator.cli.mirror import Mirror
from workerpool_operator.kube import ClusterAccess, Kube, kinds


@dataclass(kw_only=True)
class Watch:
    """Pods and Deployments that one label selects, by the monotonic clock."""

    present: int = 0
    """Pods that are there, whatever their state."""
    _ready: list[Ready] = field(default_factory=list)
    _wanted: Series = field(default_factory=Series)

    def see_pods(self, pods: Mapping[str, Mapping[str, Any]], at: float) -> None:
        """Take in all pods as they are now."""
        self.present = len(pods)
        names = frozenset(name for name, pod in pods.items() if is_ready(pod))
        if not self._ready or self._ready[-1].pods != names:
            self._ready.append(Ready(at=at, pods=names))

    def see_deployments(self, deployments: Mapping[str, Mapping[str, Any]], at: float) -> None:
        """Take in all Deployments as they are now."""
        self._wanted.put(at, sum(int(one["spec"].get("replicas", 1)) for one in deployments.values()))

    def rests(self, size: int) -> bool:
        """Whether so many are wanted, so many pods are there, and all of them are Ready."""
        ready = len(self._ready[-1].pods) if self._ready else 0
        return self._wanted.now == self.present == ready == size

    def ready(self, *, since: float) -> list[Ready]:
        """Which pods were Ready, with times that count from this moment."""
        return [Ready(at=step.at - since, pods=step.pods) for step in self._ready]

    def sizes(self, *, since: float) -> list[Step]:
        """How many were wanted, with times that count from this moment."""
        return [Step(step.at - since, step.value) for step in self._wanted.steps]


@contextlib.asynccontextmanager
async def watching(access: ClusterAccess, *, namespace: str, selector: str) -> AsyncIterator[Watch]:
    """Follow them for as long as the context lasts."""
    watch = Watch()
    async with contextlib.AsyncExitStack() as stack:
        kube = await stack.enter_async_context(Kube(access))
        where = {"namespace": namespace, "label_selector": selector}
        pods = Mirror(access, kube, kinds.POD, **where, on_change=lambda at: watch.see_pods(pods.objects, at))
        sizes = Mirror(
            access, kube, kinds.DEPLOYMENT, **where, on_change=lambda at: watch.see_deployments(sizes.objects, at)
        )
        await stack.enter_async_context(pods)
        await stack.enter_async_context(sizes)
        yield watch

"""What the watches on Deployments, pods and HPAs say, kept so that each event costs the same at any number of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.pools.stage import Sizes

Json = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, kw_only=True)
class Workers:
    """One Deployment of a pool."""

    image: str
    wanted: int
    there: int
    """Pods that exist, ready or not."""
    ready: int


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Where every pool is to go: so many ready workers of this image, and none of another."""

    image: str
    size: int

    def reached(self, workers: list[Workers]) -> bool:
        """Whether a pool with these Deployments is there."""
        ours = [one for one in workers if one.image == self.image]
        others = [one for one in workers if one.image != self.image]
        sums = (sum(one.wanted for one in ours), sum(one.there for one in ours), sum(one.ready for one in ours))
        return sums == (self.size,) * 3 and not any(one.wanted or one.there for one in others)


@dataclass(kw_only=True)
class Pools(Sizes):
    """All pools by their Deployments, and which of them are where they are to go."""

    goal: Goal
    arrived: set[Key] = field(default_factory=set)
    """Namespace and name of the pools that have reached the goal."""
    _pools: dict[Key, dict[str, Workers]] = field(default_factory=dict)

    def hear(self, event: str, deployment: Json) -> None:
        """Take in one event of a watch on Deployments."""
        super().hear(event, deployment)
        pool = self.pool_of(deployment)
        if not pool:
            return
        metadata = deployment["metadata"]
        key = metadata["namespace"], pool
        known = self._pools.setdefault(key, {})
        if event == "DELETED":
            known.pop(metadata["name"], None)
        else:
            known[metadata["name"]] = _workers(deployment)
        self._look(key)

    def aim(self, goal: Goal) -> None:
        """From now on, all are to go there."""
        self.goal = goal
        for key in self._pools:
            self._look(key)

    def _look(self, key: Key) -> None:
        if self.goal.reached(list(self._pools[key].values())):
            self.arrived.add(key)
        else:
            self.arrived.discard(key)


@dataclass(kw_only=True)
class Pods:
    """The worker pods that run, by pool. `changed` is called for a pool when one comes or goes."""

    pool_of: Callable[[Json], str]
    changed: Callable[[Key], None] = lambda _: None
    _pods: dict[Key, dict[str, str]] = field(default_factory=dict)

    def hear(self, event: str, pod: Json) -> None:
        """Take in one event of a watch on pods."""
        pool = self.pool_of(pod)
        if not pool:
            return
        metadata = pod["metadata"]
        key, uid = (metadata["namespace"], pool), metadata["uid"]
        known = self._pods.setdefault(key, {})
        runs = event != "DELETED" and pod.get("status", {}).get("phase") == "Running"
        if runs == (uid in known):
            return
        if runs:
            known[uid] = metadata["name"]
        else:
            del known[uid]
        self.changed(key)

    def of(self, key: Key) -> dict[str, str]:
        """Those of a pool: uid -> name."""
        return self._pods.get(key, {})


@dataclass(kw_only=True)
class Names:
    """What there is of a kind."""

    there: set[Key] = field(default_factory=set)

    def hear(self, event: str, body: Json) -> None:
        """Take in one event of a watch."""
        key = body["metadata"]["namespace"], body["metadata"]["name"]
        if event == "DELETED":
            self.there.discard(key)
        else:
            self.there.add(key)


def _workers(deployment: Json) -> Workers:
    spec, status = deployment["spec"], deployment.get("status", {})
    return Workers(
        image=str(spec["template"]["spec"]["containers"][0]["image"]),
        wanted=int(spec["replicas"]),
        there=int(status.get("replicas", 0)),
        ready=int(status.get("readyReplicas", 0)),
    )

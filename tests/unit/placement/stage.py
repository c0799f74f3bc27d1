"""A pool with two places on nodes that live and die, reconciled by the real plan, in no time at all.

Pods are what Kubernetes would make of the Deployments: a pod waits without a node where its place has no live one, a
dead node's pods stay ready for `NOTICED` and are evicted after `EVICTED` (their Deployment replaces them then).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.unit.domain.builders import WALL, child, memory, pool, snapshot
from workerpool_operator import api
from workerpool_operator.domain import desired
from workerpool_operator.domain.placement import Seen, Sighting, look
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.scaling import Pod, Report
from workerpool_operator.domain.snapshot import Child, Memory, PodList, Snapshot
from workerpool_operator.domain.status import build

NOTICED: Final = 45.0
EVICTED: Final = 60.0
LEASE_STANDS: Final = 20.0
PRIMARY: Final = {"zone": "a"}
SECONDARY: Final = {"zone": "b"}


def placed(**more: Any) -> dict[str, Any]:
    """`spec.placement`."""
    return {"primary": {"nodeSelector": PRIMARY}, "secondary": {"nodeSelector": SECONDARY}} | more


@dataclass(slots=True)
class Worker:
    """One pod."""

    name: str
    deployment: str
    zone: str
    node: str = ""
    born: float = 0.0
    heard: float = 0.0
    going: bool = False
    cost: int = 0


@dataclass(slots=True)
class Stage:
    """The cluster and the pool. Node -> zone; `dead` since when."""

    spec: dict[str, Any]
    size: int
    nodes: dict[str, str] = field(default_factory=lambda: {"a1": "a", "b1": "b"})
    dead: dict[str, float] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    now: float = 1_000.0
    readable: bool = True
    start_seconds: float = 2.0
    memory: Memory = field(default_factory=lambda: memory(status_written_at=0.0))
    deployments: dict[str, Child] = field(default_factory=dict)
    revisions: dict[str, Child] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    fenced: frozenset[str] = frozenset()
    fence_id: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    interrupted: int = 0
    _names: Iterator[int] = field(default_factory=itertools.count)

    def pool(self) -> api.WorkerPool:
        """As it stands in the cluster."""
        spec = self.spec | {"replicas": self.size}
        made = pool(status=self.status, **({"scaling": {"mode": "manual"}} | spec))
        return made.changed(metadata=made.metadata.changed(annotations=self.annotations))

    def snapshot(self, *, pods: bool = False) -> Snapshot:
        """What the operator sees."""
        of = self.pool()
        leases = {node: self._silent(node) >= LEASE_STANDS for node in self.nodes} if self.readable else None
        seen = Seen(sightings=tuple(self._sighting(one) for one in self.workers), leases=leases, listening=True)
        return snapshot(
            of,
            deployments=dict(self.deployments),
            revisions=dict(self.revisions),
            reports={one.name: self._report(one) for one in self.workers if one.heard},
            places=look(of, self.deployments, seen, before=self.memory.held, now=self.now),
            memory=self.memory,
            now=self.now,
            pods=self._pods() if pods else None,
        )

    def look(self, *, writes: int | None = None) -> Plan:
        """One reconcile. `writes`: die after so many of its writes, and lose the memory."""
        seen = self.snapshot()
        todo = plan(seen)
        if todo.wants_pods:
            seen = self.snapshot(pods=True)
            todo = plan(seen)
        assert not todo.wants_pods
        if todo.fence is not None:
            self.fenced, self.fence_id = todo.fence.pods, todo.fence.fence_id
        for count, apply in enumerate(todo.applies):
            if count == writes:
                break
            self._apply(apply.body)
        if writes is not None and writes <= len(todo.applies):
            self.memory = memory()
            return todo
        for mark in todo.marks:
            for one in self.workers:
                one.cost = (mark.cost or 0) if one.name == mark.uid else one.cost
        for delete in todo.deletes:
            self._delete(delete.kind, delete.name)
        self.memory = todo.memory
        self.status = build(seen, todo, refusals=()).to_json()
        return todo

    def run(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass, with a look each `step`."""
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.kubernetes()
            self.look()
            self.kubernetes()

    def kubernetes(self) -> None:
        """The controllers, the scheduler and the kubelets."""
        for one in self.workers:
            if one.node and self._silent(one.node) >= EVICTED:
                one.going = True
        self.workers = [one for one in self.workers if not (one.going and one.node not in self.dead)]
        for name, deployment in self.deployments.items():
            self._replicate(name, deployment)
        live = {zone: node for node, zone in self.nodes.items() if node not in self.dead}
        for one in self.workers:
            one.node = one.node or (live.get(one.zone, "") if one.zone else next(iter(live.values()), ""))
            if one.node and one.node not in self.dead and self.now - one.born >= self.start_seconds:
                one.heard = self.now
        self.deployments = {name: self._counted(name, one) for name, one in self.deployments.items()}

    def sizes(self) -> dict[str, int]:
        """Role of the place -> what its Deployments ask for, of all versions."""
        keys = {desired.place_key(PRIMARY): "primary", desired.place_key(SECONDARY): "secondary"}
        found: dict[str, int] = {}
        for one in self.deployments.values():
            role = keys.get(one.place, one.place)
            found[role] = found.get(role, 0) + one.replicas
        return {role: size for role, size in found.items() if size}

    def alive(self) -> int:
        """Workers that can take jobs."""
        return sum(1 for one in self.workers if one.heard == self.now and not one.going)

    def lose(self, *nodes: str) -> None:
        """As by a power cut."""
        self.dead |= dict.fromkeys(nodes, self.now)

    def bring_back(self, *nodes: str) -> None:
        """They come up again; what was being deleted there ends."""
        for node in nodes:
            del self.dead[node]

    def _delete(self, kind: str, name: str) -> None:
        for one in self.workers if kind == "Pod" else ():
            if one.name == name:
                one.going = True
                self.interrupted += one.name not in self.fenced
        {"Deployment": self.deployments, "ControllerRevision": self.revisions}.get(kind, {}).pop(name, None)

    def _silent(self, node: str) -> float:
        return self.now - self.dead[node] if node in self.dead else 0.0

    def _replicate(self, name: str, deployment: Child) -> None:
        there = [one for one in self.workers if one.deployment == name and not one.going]
        zone = {desired.place_key(PRIMARY): "a", desired.place_key(SECONDARY): "b"}.get(deployment.place, "")
        for _ in range(deployment.replicas - len(there)):
            self.workers.append(Worker(f"{name}-{next(self._names)}", name, zone, born=self.now))
        order = sorted(there, key=lambda one: (bool(one.node), self._ready(one), one.cost))
        for one in order[: max(0, len(there) - deployment.replicas)]:
            one.going = True
            self.interrupted += bool(one.heard == self.now and one.name not in self.fenced)
        self.workers = [one for one in self.workers if not (one.going and one.node not in self.dead)]

    def _ready(self, one: Worker) -> bool:
        return bool(one.heard) and (not one.node or self._silent(one.node) < NOTICED)

    def _counted(self, name: str, deployment: Child) -> Child:
        there = [one for one in self.workers if one.deployment == name and not one.going]
        status = {"replicas": len(there), "readyReplicas": sum(map(self._ready, there))}
        return replace(deployment, body={**deployment.body, "status": status})

    def _apply(self, body: Any) -> None:
        name = body["metadata"]["name"]
        if body["kind"] == "Deployment":
            self.deployments[name] = child(body, ready=0)
        elif body["kind"] == "ControllerRevision":
            self.revisions[name] = child(body)

    def _sighting(self, one: Worker) -> Sighting:
        return Sighting(
            uid=one.name,
            deployment=one.deployment,
            node=one.node,
            silent_seconds=self.now - (one.heard or one.born),
            terminating=one.going,
        )

    def _report(self, one: Worker) -> Report:
        age = self.now - one.heard
        fence = self.fence_id if one.name in self.fenced and not age else ""
        return Report(
            uid=one.name,
            age=age,
            in_flight=0,
            fence=fence,
            fenceable=True,
            connected=age < 5,
            pod=one.name,
            version=one.deployment.split("-")[1],
        )

    def _pods(self) -> PodList:
        return PodList(
            active=tuple(
                Pod(
                    name=one.name,
                    uid=one.name,
                    deployment=one.deployment,
                    assigned=bool(one.node),
                    pending=not one.heard,
                    ready=self._ready(one),
                    created=f"2026-01-01T00:00:{int(one.born) % 60:02}Z",
                    cost=one.cost,
                    running=bool(one.heard),
                    node=one.node,
                )
                for one in self.workers
                if not one.going
            ),
            terminating=frozenset(one.name for one in self.workers if one.going),
        )


__all__ = ["PRIMARY", "SECONDARY", "WALL", "Stage", "placed"]

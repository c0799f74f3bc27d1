"""F10 in numbers: half of two hundred fake nodes (KWOK) are lost at once, with all workers of a pool on them.

Real are the scheduler, the nodes' Leases and what Kubernetes makes of them; played are kubelets and streams.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import yaml

from e2e.cluster import kwok
from e2e.cluster.arguments import Extra
from e2e.cluster.processes import tail
from e2e.faults.collector import Script, Seat
from e2e.faults.lane import Lane
from e2e.faults.matrix import told
from e2e.faults.matrix.ground import Ground, apply
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import POOL, QUEUE, Stage, pool_body
from e2e.faults.witness import Witness
from e2e.support.wait import NotInTimeError, until

NODES: Final = 100
"""In each place."""
WORKERS: Final = 200
_TIMEOUT_SECONDS: Final = 30
_START_SECONDS: Final = 30.0
_MADE_SECONDS: Final = 180.0
_REPEAT_SECONDS: Final = 2.0
_ZONE: Final = "zone"
_DOOMED, _SAFE = "doomed", "safe"
"""Zones, and the crews that play their kubelets."""
_FAST: Final = ("--kube-api-qps=1000", "--kube-api-burst=2000")


@dataclass(kw_only=True)
class _Fleet:
    """What a collector would know of the workers: those on lost nodes are heard no more."""

    witness: Witness
    namespace: str
    lost: Mapping[str, float] = field(default_factory=dict)
    """Node -> since when."""

    def pods(self, pool: str) -> dict[str, str]:
        seats = self.witness.seats(self.namespace, pool)
        return {uid: name for uid, (name, node, ready) in seats.items() if ready or node in self.lost}

    def seat(self, uid: str) -> Seat | None:
        found = self.witness.seats(self.namespace, POOL).get(uid)
        if found is None:
            return None
        name, node, _ = found
        since = self.lost.get(node)
        silent = 0.0 if since is None else time.monotonic() - since
        return Seat(node=node, deployment=name.rsplit("-", 2)[0], silent_seconds=silent)

    def ready_elsewhere(self) -> int:
        """On nodes that live."""
        seats = self.witness.seats(self.namespace, POOL).values()
        return sum(1 for _, node, ready in seats if ready and node not in self.lost)


async def lose_half(ground: Ground) -> Trial:
    """Have them made up for in the other place, within the pool's timeout and the time to start."""
    extra = Extra(controller_manager_args=_FAST, scheduler_args=_FAST)
    plane = ground.plane("kwok", extra=extra, scheduler=True)
    for first, zone in ((0, _DOOMED), (NODES, _SAFE)):
        await asyncio.to_thread(kwok.start, plane, crew=zone)
        bodies = yaml.safe_load_all(kwok.nodes(NODES, first=first, crew=zone, labels={_ZONE: zone}))
        await asyncio.to_thread(apply, plane, list(bodies))
    async with ground.lane(plane=plane, kubelet=False) as lane, lane.stage("many-nodes") as stage:
        fleet = _Fleet(witness=lane.witness, namespace=stage.namespace)
        stage.collector.pods, stage.collector.seat = fleet.pods, fleet.seat
        stage.collector.repeat_seconds = _REPEAT_SECONDS
        requests, ledger = lane.requests, lane.witness.open(stage.namespace)
        await _make(lane, stage, fleet)

        kwok.stop(plane, crew=_DOOMED)
        began = time.monotonic()
        fleet.lost = {f"kwok-{number}": began for number in range(NODES)}
        broken = await _made_up_for(lane, stage, fleet)
        took = time.monotonic() - began
        if ledger.deleted or len(ledger.created) > 2 * WORKERS:
            broken.append(f"{len(ledger.created)} workers were made and {len(ledger.deleted)} ended")
        return Trial(
            name=f"{NODES} of {2 * NODES} nodes lost, with {WORKERS} workers",
            injected=NODES,
            converged_seconds=None if broken else took,
            broken=tuple(broken),
            needless_restarts=max(0, len(ledger.created) - 2 * WORKERS) + len(ledger.deleted),
            api_calls=lane.requests - requests,
        )


async def _make(lane: Lane, stage: Stage, fleet: _Fleet) -> None:
    body = pool_body(stage, POOL)
    body["spec"]["scaling"] |= {"minReplicas": WORKERS, "maxReplicas": WORKERS}
    body["spec"]["placement"] = {
        "primary": {"nodeSelector": {_ZONE: _DOOMED}},
        "secondary": {"nodeSelector": {_ZONE: _SAFE}},
        "failoverTimeoutSeconds": _TIMEOUT_SECONDS,
    }
    stage.collector.say(POOL, Script(queue=QUEUE))
    await lane.kube.create(body)

    async def made() -> bool:
        return fleet.ready_elsewhere() == WORKERS

    await until(made, seconds=_MADE_SECONDS, what=f"{WORKERS} workers on {NODES} nodes", pause=0.5)


async def _made_up_for(lane: Lane, stage: Stage, fleet: _Fleet) -> list[str]:
    async def made() -> bool:
        return fleet.ready_elsewhere() == WORKERS

    try:
        within = _TIMEOUT_SECONDS + _START_SECONDS
        await until(made, seconds=within, what=f"{WORKERS} workers in the other place", pause=0.2)
    except NotInTimeError as error:
        found = f"{fleet.ready_elsewhere()} workers are there"
        return [f"{error}; {found}; the end of the operator's log:\n{tail(lane.operator.log)}"]
    return await told.missing(lane.kube, stage.ref(POOL), "FailedOver", seconds=_START_SECONDS)

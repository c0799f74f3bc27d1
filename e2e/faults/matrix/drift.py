"""F8: somebody changes or deletes what the operator made."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

from e2e.faults import endstate
from e2e.faults.lane import CALM_SECONDS, Lane
from e2e.faults.matrix import course
from e2e.faults.matrix.ground import RESYNC_SECONDS, Ground
from e2e.faults.matrix.rows import Trial
from e2e.faults.scenarios import POOL, Stage
from e2e.support.wait import NotInTimeError, until
from workerpool_operator.domain.desired import COLLECTOR_NAME, POOL_LABEL
from workerpool_operator.kube import errors, kinds, ref_of
from workerpool_operator.kube.kinds import Kind

Json = dict[str, Any]

_AT_ONCE_SECONDS = 5.0
_MANAGER_LABEL = "app.kubernetes.io/managed-by"
_IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "worker", "image": "worker:other"}]}}}}


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One thing that somebody does."""

    name: str
    kind: Kind
    patch: Json | None = None
    """None: the object is deleted."""
    collectors: bool = False
    """It is one of the collector's, and not of the pool's workers."""
    watched: bool = True
    """The operator hears of it at once; else the comparison finds it."""
    restarts: bool = False
    """Kubernetes itself replaces workers for it."""


_SHARED = (
    kinds.SERVICE_ACCOUNT,
    kinds.ROLE_BINDING,
    kinds.CONFIG_MAP,
    kinds.SERVICE,
    kinds.NETWORK_POLICY,
)
_DEPLOYMENT = kinds.DEPLOYMENT
DRIFTS = (
    Drift(name="the workers' Deployment deleted", kind=_DEPLOYMENT, restarts=True),
    Drift(name="its size changed", kind=_DEPLOYMENT, patch={"spec": {"replicas": 4}}, restarts=True),
    Drift(name="its image changed", kind=_DEPLOYMENT, patch=_IMAGE, restarts=True),
    Drift(name="its pool's label taken", kind=_DEPLOYMENT, patch={"metadata": {"labels": {POOL_LABEL: None}}}),
    Drift(name="its manager's label taken", kind=_DEPLOYMENT, patch={"metadata": {"labels": {_MANAGER_LABEL: None}}}),
    Drift(name="its owner taken", kind=_DEPLOYMENT, patch={"metadata": {"ownerReferences": []}}),
    Drift(name="the ControllerRevision deleted", kind=kinds.CONTROLLER_REVISION),
    Drift(name="the disruption budget deleted", kind=kinds.POD_DISRUPTION_BUDGET),
    Drift(
        name="the disruption budget changed",
        kind=kinds.POD_DISRUPTION_BUDGET,
        patch={"spec": {"maxUnavailable": 7, "minAvailable": None}},
    ),
    Drift(name="the collector's Deployment deleted", kind=_DEPLOYMENT, collectors=True),
    *(
        Drift(name=f"the collector's {kind.kind} deleted", kind=kind, collectors=True, watched=False)
        for kind in _SHARED
    ),
    Drift(
        name="the collector's ConfigMap changed",
        kind=kinds.CONFIG_MAP,
        patch={"data": {"ca.crt": "none"}},
        collectors=True,
        watched=False,
    ),
    Drift(
        name="the collector's NetworkPolicy changed",
        kind=kinds.NETWORK_POLICY,
        patch={"spec": {"ingress": [], "egress": []}},
        collectors=True,
        watched=False,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Drifts:
    """F8."""

    number: str = "F8"
    what: str = (
        "Each object that the operator makes for a pool and its collector deleted, and labels, owner, image, size and "
        "contents changed. What is watched is put back at once, all else by the comparison, every 15 s here. Time to "
        "converge: from the drift until all was seen to be as before, with what Kubernetes itself does for it. Workers "
        "that it replaces when their Deployment is deleted or changed are not called needless."
    )
    pods: bool = False
    points: None = None

    async def trials(self, ground: Ground) -> AsyncGenerator[Trial, None]:
        """Try each, on one pool."""
        drifts = DRIFTS[3:8:4] if ground.depth.short else DRIFTS
        async with ground.lane() as lane, course.resting(ground, lane) as stage:
            for drift in drifts:
                trial = await _try(lane, stage, drift)
                yield trial
                if trial.broken:
                    break  # the next one would start from something else


async def _try(lane: Lane, stage: Stage, drift: Drift) -> Trial:
    before = _comparable(await lane.state(stage))
    ledger, requests = lane.witness.open(stage.namespace), lane.requests
    target = await _target(lane, stage, drift)
    lane.forget_writes()
    began = time.monotonic()
    struck = await _strike(lane, drift, target)
    broken = [] if struck else ["the fault never struck"]
    after = Aftermath(began=began)

    async def back() -> bool:
        state = _comparable(await lane.state(stage))
        same = not endstate.difference(before, state)
        if same and drift.patch is None:
            same = await _is_another(lane, target)
        writes = [write.at for write in lane.writes(stage)]
        return after.looked(state, same=same, writes=writes, now=time.monotonic())

    try:
        await until(back, seconds=60, what="all is as it was")
    except NotInTimeError as error:
        broken.append(f"{error}:\n{endstate.difference(before, after.state)}")
    else:
        broken += after.late(_AT_ONCE_SECONDS if drift.watched else RESYNC_SECONDS + _AT_ONCE_SECONDS)
    needless = 0 if drift.restarts else len(ledger.created) + len(ledger.deleted)
    if needless:
        broken.append(f"{needless} workers were made or ended")
    return Trial(
        name=drift.name,
        injected=int(struck),
        converged_seconds=after.converged,
        broken=tuple(broken),
        orphans=sum(1 for pool in endstate.owners(after.state) if pool != POOL),
        needless_restarts=needless,
        api_calls=lane.requests - requests,
    )


@dataclass(kw_only=True)
class Aftermath:
    """What comes after a drift. Times by the monotonic clock; it began when the fault was put in."""

    began: float
    state: list[str] = field(default_factory=list)
    """As it was seen last."""
    _same_since: float | None = None
    _last_write: float | None = None

    @property
    def converged(self) -> float | None:
        """Seconds from the fault until all was seen to be as before it, and stayed so; None: it was not."""
        return None if self._same_since is None else self._same_since - self.began

    def looked(self, state: list[str], *, same: bool, writes: Sequence[float], now: float) -> bool:
        """Take in a look, and when the operator has written; gives whether all is as it was, and calm."""
        self.state, self._last_write = state, max(writes, default=None)
        if not same:
            self._same_since = None
        elif self._same_since is None:
            self._same_since = now
        calm_since = max([self._same_since or now, *writes])
        return same and now - calm_since >= CALM_SECONDS

    def late(self, limit: float) -> list[str]:
        """What is wrong with when the operator wrote; what Kubernetes does after that is not its time.

        Nothing comes back without a write of its own.
        """
        if self._last_write is None:
            return ["all is as it was, and the operator has written nothing"]
        took = self._last_write - self.began
        return [f"put back after {took:.1f} s, not within {limit:g} s"] if took > limit else []


async def _strike(lane: Lane, drift: Drift, target: Json) -> bool:
    """Do it; gives whether anything is different by it."""
    ref, metadata = ref_of(target), target["metadata"]
    if drift.patch is not None:
        patched = await lane.kube.merge_patch(ref, drift.patch)
        return bool(patched["metadata"]["resourceVersion"] != metadata["resourceVersion"])
    await lane.kube.delete(ref, uid=metadata["uid"])
    try:
        found = await lane.kube.get(ref)
    except errors.NotFound:
        return True
    return bool(found["metadata"]["uid"] != metadata["uid"])


async def _is_another(lane: Lane, target: Json) -> bool:
    """Whether one was made in the place of this object, which was deleted."""
    try:
        found = await lane.kube.get(ref_of(target))
    except errors.NotFound:
        return False
    return bool(found["metadata"]["uid"] != target["metadata"]["uid"])


async def _target(lane: Lane, stage: Stage, drift: Drift) -> Json:
    """Find the one object that is meant."""
    bodies = await lane.kube.list(drift.kind, namespace=stage.namespace, label_selector=_MANAGER_LABEL).all()
    [body] = [one for one in bodies if (one["metadata"]["name"] == COLLECTOR_NAME) is drift.collectors]
    return body


def _comparable(state: Sequence[str]) -> list[str]:
    """Leave out what may differ and means the same.

    The Deployment controller keeps an empty ReplicaSet of each template that there was; and a ControllerRevision that
    is stored anew is taken from the Deployment that runs, with the defaults that the API server has filled in.
    """
    objects = [json.loads(line) for line in state]
    for one in objects:
        if one["kind"] == "ControllerRevision":
            one["data"] = sorted(one["data"])
    return [json.dumps(one, sort_keys=True) for one in objects if one["kind"] != "ReplicaSet"]

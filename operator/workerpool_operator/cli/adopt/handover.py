"""A pool takes a Deployment's work over: the pool grows first, then the Deployment shrinks, and nobody is cut off.

The pods themselves cannot change hands. A pool's workers are of its own template (labels, contract, token, checks), a
container's environment cannot be changed while it runs, and a Deployment's selector can never be: so each worker is
replaced once. Both work on the same queue meanwhile. Every step follows from what is found, so that whoever is
interrupted runs the command again; how many workers there have to be stands on the pool (`force-active`) until the end.

Imported only where a cluster is asked.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from workerpool_operator.cli.adopt.translate import ADOPTED_FROM
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.hints import where
from workerpool_operator.cli.interrupts import EndedError
from workerpool_operator.cli.writing import write
from workerpool_operator.domain.desired import MANAGED_BY_LABEL, MANAGER, POOL_LABEL
from workerpool_operator.domain.scaling.overrides import FORCE_ACTIVE
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

Json: TypeAlias = dict[str, Any]
POLL_SECONDS: Final = 1.0
STEPS: Final = 4
"""A Deployment is taken down in about so many."""
_NAMED_LIKE_THE_POOL: Final = (
    kinds.POD_DISRUPTION_BUDGET,
    kinds.HORIZONTAL_POD_AUTOSCALER,
    kinds.PROMETHEUS_RULE,
)
"""What the operator makes by the pool's name, and does not take from whoever has made one of that name."""


class NotInTimeError(Exception):
    """It is not done yet, and can be gone on with; the text says how far it is."""


async def found(kube: Kube, namespace: str, name: str) -> tuple[Json, Json | None]:
    """The Deployment, and the HPA that scales it.

    Raises:
        TroubleError: it is nothing to adopt.
        KubeError: it cannot be read.
    """
    deployment = await kube.get(ObjectRef(kinds.DEPLOYMENT, namespace, name))
    metadata = deployment["metadata"]
    if "deletionTimestamp" in metadata:
        raise TroubleError(f"Deployment {name} is being deleted")
    for owner in metadata.get("ownerReferences", ()):
        if owner.get("controller"):
            raise TroubleError(
                f"Deployment {name} belongs to {owner['kind']} {owner['name']}, which would undo every change of it"
            )
    scalers = await kube.list(kinds.HORIZONTAL_POD_AUTOSCALER, namespace=namespace).all()
    wanted = {"kind": "Deployment", "name": name}
    for scaler in scalers:
        target = scaler["spec"]["scaleTargetRef"]
        if {key: target.get(key) for key in wanted} == wanted:
            return deployment, scaler
    return deployment, None


def blocked_by(autoscaler: Json | None, *, scaling: Json) -> str:
    """Why the Deployment cannot be taken down while this scales it; empty: nothing is in the way.

    `scaling`: the pool's, with bounds that are known only as long as the autoscaler is there.
    """
    if autoscaler is None:
        return ""
    name = autoscaler["metadata"]["name"]
    owners = [f"{one['kind']} {one['name']}" for one in autoscaler["metadata"].get("ownerReferences", ())]
    what = owners[0] if owners else f"HorizontalPodAutoscaler {name}"
    return (
        f"{what} scales the Deployment, and would start again what is taken down: delete it, and run this again with "
        f"--min {scaling['minReplicas']} --max {scaling['maxReplicas']}, its bounds"
    )


async def blocked_by_name(kube: Kube, namespace: str, pool: str) -> str:
    """Whose name an object of the pool's would need; empty: nobody's. What may not be read, the operator tells of."""
    for kind in _NAMED_LIKE_THE_POOL:
        with suppress(errors.NotFound, errors.Forbidden):
            labels = (await kube.get(ObjectRef(kind, namespace, pool)))["metadata"].get("labels", {})
            if (labels.get(MANAGED_BY_LABEL), labels.get(POOL_LABEL)) != (MANAGER, pool):
                return (
                    f"there is a {kind.kind} {pool}, and the pool's own would have that name: delete it, make it anew "
                    "by another name, or choose another --name for the pool"
                )
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """One Deployment, one pool. `tell` hears of each step."""

    kube: Kube
    deployment: ObjectRef
    pool: Json
    tell: Callable[[str], None]

    @property
    def _pool(self) -> ObjectRef:
        return ObjectRef(kinds.WORKER_POOL, self.deployment.namespace, self.pool["metadata"]["name"])

    async def run(self, *, seconds: float) -> None:
        """Make the pool, wait for its workers, take the Deployment down, and let the pool find its own size.

        Raises:
            TroubleError: there is another pool of that name, or somebody else sets the Deployment's size.
            NotInTimeError: `seconds` are over.
            EndedError: the command was interrupted.
            KubeError: a write or a reading was refused.
        """
        stage = "the pool is being made"
        try:
            async with asyncio.timeout(seconds):
                workers = await self._made()
                stage = f"the pool has not {workers} ready workers yet; of the Deployment nothing was taken away"
                await self._ready(workers)
                stage = "the Deployment is being taken down"
                await self._taken_down(workers)
        except TimeoutError:
            raise NotInTimeError(f"not done within {seconds:g} s: {stage}. Run it again to go on") from None
        except asyncio.CancelledError:
            raise EndedError(f"Pool and Deployment stay as they are now ({stage}). {self._ways}") from None
        await write(self.kube, self._pool, {"metadata": {"annotations": {FORCE_ACTIVE: None}}})
        here = where(namespace=self.deployment.namespace)
        self.tell(
            f"the pool sizes itself now; kubectl delete deployment {self.deployment.name}{here} when you are content"
        )

    @property
    def _ways(self) -> str:
        here = where(namespace=self.deployment.namespace)
        return (
            f"Run it again to go on; `kubectl scale deployment {self.deployment.name}{here} --replicas=NUMBER` and "
            f"`kubectl delete workerpool {self._pool.name}{here}` go back"
        )

    async def _made(self) -> int:
        """The pool is there, with as many workers forced as the Deployment has. How many that are."""
        replicas = int((await self.kube.get(self.deployment))["spec"].get("replicas", 1))
        workers = min(replicas, int(self.pool["spec"]["scaling"]["maxReplicas"]))
        metadata = self.pool["metadata"]
        forced = {**metadata["annotations"], FORCE_ACTIVE: str(workers)}
        try:
            await self.kube.create({**self.pool, "metadata": {**metadata, "annotations": forced}}, strict=True)
        except errors.AlreadyExists:
            return await self._gone_on_with(workers)
        self.tell(f"pool {metadata['name']}: made, with at least {workers} workers")
        return workers

    async def _gone_on_with(self, workers: int) -> int:
        annotations = (await self.kube.get(self._pool))["metadata"].get("annotations", {})
        if annotations.get(ADOPTED_FROM) != self.deployment.name:
            raise TroubleError(f"there is a WorkerPool {self._pool.name} already: choose another --name, or delete it")
        forced = str(annotations.get(FORCE_ACTIVE, ""))
        if forced.isdecimal():
            self.tell(f"pool {self._pool.name}: there already, gone on with")
            return max(int(forced), workers)
        patch = {"metadata": {"annotations": {FORCE_ACTIVE: str(workers)}}}
        await write(self.kube, self._pool, patch)
        return workers

    async def _ready(self, workers: int) -> None:
        while True:
            if await self._has(workers):
                self.tell(f"pool {self._pool.name}: {workers} workers are ready")
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _has(self, workers: int) -> bool:
        body = await self.kube.get(self._pool)
        status = body.get("status") or {}
        current = status.get("observedGeneration") == body["metadata"]["generation"]
        return bool(current and status.get("readyReplicas", 0) >= workers)

    async def _taken_down(self, workers: int) -> None:
        """Some at a time, and the next only when those are gone and the pool is still whole."""
        step, wanted = max(1, workers // STEPS), None
        while True:
            body = await self.kube.get(self.deployment)
            size = int(body["spec"].get("replicas", 1))
            if wanted is not None and size > wanted:
                raise TroubleError(
                    f"somebody else has set the Deployment to {size} pods again (Git, an autoscaler?): "
                    "stop that, and run this again"
                )
            if not await self._stopped(body, size):
                await asyncio.sleep(POLL_SECONDS)
                continue
            if size == 0:
                return
            if not await self._has(workers):
                await self._ready(workers)
            wanted = max(0, size - step)
            version, uid = body["metadata"]["resourceVersion"], body["metadata"]["uid"]
            patch = {"spec": {"replicas": wanted}}
            try:
                await self.kube.merge_patch(self.deployment, patch, uid=uid, resource_version=version)
            except errors.Conflict:  # its status has moved: looked at again
                wanted = None
            else:
                self.tell(f"Deployment {self.deployment.name}: {size} -> {wanted}")

    async def _stopped(self, body: Json, size: int) -> bool:
        """Whether no more of its pods are there than it asks for, those that still stop included."""
        status = body.get("status") or {}
        if status.get("observedGeneration") != body["metadata"]["generation"]:
            return False
        if status.get("replicas", 0) > size or status.get("terminatingReplicas", 0):
            return False
        labels = body["spec"]["selector"].get("matchLabels", {})
        if not labels:
            return True
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = await self.kube.list(kinds.POD, namespace=self.deployment.namespace, label_selector=selector).all()
        alive = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}]
        return len(alive) <= size

"""Carries a plan out: tries every write, gathers what was refused, never stops half-way because of one of them.

The order is the plan's: revisions before the Deployments made of them, deletions last. Each answer goes into the
store at once, so the next plan sees it even when the watch is behind.
"""

import asyncio
import functools
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from workerpool_operator.api import API_VERSION, KIND, WorkerPool, WorkerPoolStatus
from workerpool_operator.controller.store import Store, same_request
from workerpool_operator.domain.drift import covers
from workerpool_operator.domain.objects import Apply, Delete
from workerpool_operator.domain.plan import Mark
from workerpool_operator.domain.shields import ANNOTATIONS, ShieldOrder
from workerpool_operator.domain.snapshot import DELETION_COST_ANNOTATION
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds
from workerpool_operator.kube.kinds import Kind

_COMPARED = ("spec", "data", "rules", "roleRef", "subjects", "revision")
_NO_STATE: Final = "1"
"""A resourceVersion that no object has: etcd's first revision is empty. Applied with it, only a new object is made."""
_REMEMBERED: Final = 10_000
"""Rewritten objects that are remembered; one that is forgotten is applied once more."""
_DELETED_KINDS: Mapping[str, Kind] = {
    kinds.DEPLOYMENT.kind: kinds.DEPLOYMENT,
    kinds.CONTROLLER_REVISION.kind: kinds.CONTROLLER_REVISION,
    kinds.PROMETHEUS_RULE.kind: kinds.PROMETHEUS_RULE,
    kinds.HORIZONTAL_POD_AUTOSCALER.kind: kinds.HORIZONTAL_POD_AUTOSCALER,
    kinds.SCALED_OBJECT.kind: kinds.SCALED_OBJECT,
    kinds.CONFIG_MAP.kind: kinds.CONFIG_MAP,
    kinds.POD.kind: kinds.POD,
}
_MADE_BY_PEOPLE: Final[Mapping[Kind, str]] = {
    kinds.HORIZONTAL_POD_AUTOSCALER: "delete it, or set scaling.mode to another than hpa",
    kinds.SCALED_OBJECT: "delete it, or set scaling.mode to another than keda",
    kinds.CONFIG_MAP: "delete it, or set scaling.mode to another than keda",
    kinds.POD_DISRUPTION_BUDGET: "delete it, or make it anew by another name",
    kinds.PROMETHEUS_RULE: "rename it, or set alerts.enabled to false",
}
"""An object of these may have been made by a person, for something else of this name, which would silently lose it.
What to do then."""
OPTIONAL_RETRY_SECONDS: Final = 60.0
"""How long a refusal of an optional object is taken as said, unless another one is wanted by then."""


class TakenForMissing(errors.Conflict):
    """The object was there all the time, and was not recognised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A write that was refused."""

    what: str
    error: errors.KubeError
    optional: bool = False
    """Whether the pool does without what was to be written."""
    repeated: bool = False
    """From memory: the server was not asked again."""

    @property
    def overtaken(self) -> bool:
        """The object had changed since it was observed: nothing is wrong, the next look starts from what it is.

        A name that something else has taken is another matter: that may last.
        """
        return isinstance(self.error, errors.Conflict) and not isinstance(self.error, errors.AlreadyExists)

    @property
    def blind(self) -> bool:
        """The plan did not know of the object: what it says of the pool, no workers for example, is not so."""
        return isinstance(self.error, TakenForMissing)


@dataclass(frozen=True, slots=True)
class _Refused:
    """An optional object that was refused, and what was wanted of it."""

    wanted: str
    until: float
    failure: Failure


@dataclass(slots=True)
class Executor:
    """Writes plans to the cluster through one client."""

    kube: Kube
    store: Store
    clock: Callable[[], float] = time.monotonic
    _refused: dict[ObjectRef, _Refused] = field(default_factory=dict)
    _settled: dict[ObjectRef, tuple[str, str]] = field(default_factory=dict)
    """(what was applied, what the server made of it) where it rewrites values, `1000m` to `1` for example."""

    async def apply_all(self, applies: tuple[Apply, ...]) -> list[Failure]:
        """Apply in order. A Deployment whose revision could not be stored waits: its template must be on record."""
        failures: list[Failure] = []
        unrecorded: set[str] = set()
        for apply in applies:
            ref = kinds.ref_of(apply.body)
            if ref.kind == kinds.DEPLOYMENT and ref.name in unrecorded:
                continue
            write = functools.partial(self._apply, ref, apply)
            failure = await self._write(ref, write, wanted=apply.body)
            if failure is not None:
                failures.append(failure)
                if ref.kind == kinds.CONTROLLER_REVISION:
                    unrecorded.add(ref.name)
        return failures

    async def mark_all(self, namespace: str, marks: tuple[Mark, ...]) -> list[Failure]:
        """Write deletion costs, all at once."""
        costs = [(mark.pod, mark.uid, None if mark.cost is None else str(mark.cost)) for mark in marks]
        return await self._annotate_all(
            namespace, [(pod, uid, {DELETION_COST_ANNOTATION: cost}) for pod, uid, cost in costs]
        )

    async def shield_all(self, pool: WorkerPool, orders: tuple[ShieldOrder, ...]) -> list[Failure]:
        """Write or take away what keeps busy workers' nodes, all at once. A key that the pool sets is left alone."""
        keys = ANNOTATIONS.keys() - pool.spec.worker.pod_annotations.keys()
        up, down = {key: ANNOTATIONS[key] for key in keys}, dict.fromkeys(keys)
        said = [(order.pod, order.uid, up if order.up else down) for order in orders if keys]
        return await self._annotate_all(pool.namespace, said)

    async def _annotate_all(
        self, namespace: str, wanted: Iterable[tuple[str, str, Mapping[str, str | None]]]
    ) -> list[Failure]:
        """Pods by name and uid. One that is gone by now needs none."""
        results = await asyncio.gather(
            *(
                self._try(f"Pod {namespace}/{pod}", self._annotate(namespace, pod, uid, said))
                for pod, uid, said in wanted
            )
        )
        return [failure for failure in results if failure is not None]

    async def delete_all(self, namespace: str, deletes: tuple[Delete, ...]) -> list[Failure]:
        """Delete exactly the objects that were observed."""
        failures: list[Failure] = []
        for delete in deletes:
            ref = ObjectRef(_DELETED_KINDS[delete.kind], namespace, delete.name)
            write = functools.partial(self._delete, ref, delete)
            failure = await self._write(ref, write, wanted={})
            failures += [failure] if failure is not None else []
        return failures

    async def set_size(self, pool: WorkerPool, size: int) -> Failure | None:
        """Write spec.replicas, onto exactly the pool that was observed."""
        ref = ObjectRef(kinds.WORKER_POOL, pool.namespace, pool.name)
        return await self._try(f"{ref}: spec.replicas", self._patch_pool(ref, pool, {"spec": {"replicas": size}}))

    async def write_status(self, pool: WorkerPool, status: WorkerPoolStatus) -> Failure | None:
        """Replace the pool's status. What was left out is gone."""
        ref = ObjectRef(kinds.WORKER_POOL, pool.namespace, pool.name)
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": pool.name, "namespace": pool.namespace, "uid": pool.uid},
            "status": status.to_json(),
        }
        return await self._try(f"{ref}: status", self._apply_status(ref, body))

    async def _write(
        self, ref: ObjectRef, write: Callable[[], Awaitable[None]], *, wanted: Mapping[str, Any]
    ) -> Failure | None:
        """Write. A refusal of what is optional is repeated from memory for a while: a busy pool asks every second."""
        if not ref.kind.optional:
            return await self._try(str(ref), write())
        wish, known = _digest(wanted), self._refused.pop(ref, None)
        if known is not None and known.wanted == wish and self.clock() < known.until:
            self._refused[ref] = known
            return replace(known.failure, repeated=True)
        failure = await self._try(str(ref), write())
        if failure is None:
            return None
        failure = replace(failure, optional=True)
        if not failure.overtaken:
            self._refused[ref] = _Refused(wish, self.clock() + OPTIONAL_RETRY_SECONDS, failure)
            while len(self._refused) > _REMEMBERED:
                del self._refused[next(iter(self._refused))]
        return failure

    async def _apply(self, ref: ObjectRef, apply: Apply) -> None:
        wanted = _digest(apply.body)
        observed = self.store.get(ref.kind, ref.namespace, ref.name)
        if observed is not None and self._settled.get(ref) == (wanted, _digest(_compared(observed.unpack()))):
            return
        body = dict(apply.body)
        version = _NO_STATE if apply.only_new else apply.resource_version
        if version:
            body["metadata"] = {**body["metadata"], "resourceVersion": version}
        try:
            answer = await self.kube.apply(body)
        except errors.Conflict as error:
            if apply.only_new and await self._recover(ref, apply.body):
                raise TakenForMissing(str(ref)) from error
            raise
        self.store.put(ref.kind, answer)
        if not covers(answer, apply.body):
            self._settled[ref] = (wanted, _digest(_compared(answer)))
            while len(self._settled) > _REMEMBERED:
                del self._settled[next(iter(self._settled))]

    async def _recover(self, ref: ObjectRef, wanted: Mapping[str, Any]) -> bool:
        """An object that was taken for missing is there: make it recognisable, and leave its size to the next plan.

        False: it has gone meanwhile.

        One that is being deleted, or that a former pool of this name has left behind, is not touched: it will be gone.
        """
        # A list of one: the operator's rights hold list and no get.
        named = self.kube.list(ref.kind, namespace=ref.namespace, field_selector=f"metadata.name={ref.name}")
        found = next(iter(await named.all()), None)
        if found is None:
            return False
        self.store.put(ref.kind, found)
        metadata, owned = found["metadata"], wanted["metadata"]["ownerReferences"]
        owners, mine = metadata.get("ownerReferences", ()), {own["uid"] for own in owned}
        others = [one for one in owners if one["uid"] not in mine]
        if "deletionTimestamp" in metadata or any(one.get("controller") for one in others):
            raise errors.AlreadyExists(f"{ref} is on its way out, or belongs to something else")
        labelled = covers(metadata.get("labels"), wanted["metadata"]["labels"])
        remedy = _MADE_BY_PEOPLE.get(ref.kind)
        if remedy and not (labelled or len(others) < len(owners)):
            raise errors.NameTaken(f"somebody made one of that name: {remedy}")
        patch = {"metadata": {"labels": wanted["metadata"]["labels"], "ownerReferences": [*others, *owned]}}
        answer = await self.kube.merge_patch(ref, patch, uid=metadata["uid"])
        self.store.put(ref.kind, answer)
        return True

    async def _patch_pool(self, ref: ObjectRef, pool: WorkerPool, patch: dict[str, Any]) -> None:
        answer = await self.kube.merge_patch(ref, patch, uid=pool.uid, resource_version=pool.metadata.resource_version)
        self._take_pool(ref, answer)

    async def _apply_status(self, ref: ObjectRef, body: dict[str, Any]) -> None:
        try:
            answer = await self.kube.apply(body, subresource="status")
        except errors.Conflict:
            return  # another has taken its name
        self._take_pool(ref, answer)

    def _take_pool(self, ref: ObjectRef, answer: Mapping[str, Any]) -> None:
        """Take the answer in, unless it tells of a wish that has not been seen yet.

        A person may have changed the pool a moment before our write. If the store learnt of that here, the watch's
        event would look like an echo, and nobody would act on the change.
        """
        known = self.store.get(ref.kind, ref.namespace, ref.name)
        if known is not None and same_request(known.unpack(), answer):
            self.store.put(ref.kind, answer)

    async def _annotate(self, namespace: str, pod: str, uid: str, annotations: Mapping[str, str | None]) -> None:
        try:
            ref = ObjectRef(kinds.POD, namespace, pod)
            await self.kube.merge_patch(ref, {"metadata": {"annotations": annotations}}, uid=uid)
        except (errors.NotFound, errors.Conflict):
            return

    async def _delete(self, ref: ObjectRef, delete: Delete) -> None:
        try:
            await self.kube.delete(ref, uid=delete.uid, resource_version=delete.resource_version or None)
        except errors.Conflict:
            if delete.resource_version:
                raise  # it has changed; without a version, it is another object by now
        self.store.drop(ref.kind, ref.namespace, ref.name, uid=delete.uid)

    @staticmethod
    async def _try(what: str, write: Awaitable[None]) -> Failure | None:
        try:
            await write
        except errors.NotLeader:
            raise
        except errors.KubeError as error:
            return Failure(what=what, error=error)
        return None


def _compared(body: Mapping[str, Any]) -> dict[str, Any]:
    """What an apply can change and nothing else writes on its own."""
    metadata = body.get("metadata", {})
    kept = {key: metadata.get(key) for key in ("labels", "annotations", "ownerReferences")}
    return {"metadata": kept, **{key: body[key] for key in _COMPARED if key in body}}


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=16).hexdigest()

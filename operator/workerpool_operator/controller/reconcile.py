"""One pool, brought a step closer: observe, plan, execute, say so once.

May be cut off after any write and run again. A failed write is gathered, not raised: the status still tells of it,
and the key comes back with backoff.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from workerpool_operator import api
from workerpool_operator.api import ScalingMode, WorkerPool
from workerpool_operator.controller.accounts import Accounts
from workerpool_operator.controller.execute import OPTIONAL_RETRY_SECONDS, Executor, Failure
from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.controller.ledger import Ledger
from workerpool_operator.controller.nodes import NodeLeases
from workerpool_operator.controller.observe import observe, sightings
from workerpool_operator.controller.orders import delivery_of, shares_of
from workerpool_operator.controller.pods import pods_of
from workerpool_operator.controller.presence import is_there, mends
from workerpool_operator.controller.queue import Outcome
from workerpool_operator.controller.refusals import refusals
from workerpool_operator.controller.shown import canary_series, failed_over, place_series, roles
from workerpool_operator.controller.store import Store, Stored
from workerpool_operator.controller.streams import Streams
from workerpool_operator.controller.values import Values
from workerpool_operator.domain import status as status_of
from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.domain.desired import RuleSettings
from workerpool_operator.domain.judging import Refusal
from workerpool_operator.domain.monitoring import objectives, thresholds
from workerpool_operator.domain.placement import may_fail_over, suspects
from workerpool_operator.domain.plan import Plan, plan
from workerpool_operator.domain.rules import rate_of
from workerpool_operator.domain.scaling import History, ScaleInMemory
from workerpool_operator.domain.scaling import Outcome as DecisionOutcome
from workerpool_operator.domain.snapshot import Memory, PodList, Snapshot
from workerpool_operator.domain.usage import usage
from workerpool_operator.kube import EventRecorder, EventType, Kube, ObjectRef, errors, kinds
from workerpool_operator.metrics import Direction, OperatorMetrics, PoolSeries

_log = structlog.get_logger(__name__)

OVERTAKEN_SECONDS: Final = 0.1
"""A write onto an outdated state is made again this soon; the watch brings the newer one meanwhile."""


@dataclass(slots=True, kw_only=True)
class PoolReconciler:
    """Reconciles pools. `memories` is all it keeps between two runs, and a new leader starts without."""

    kube: Kube
    store: Store
    streams: Streams
    values: Values
    facts: Callable[[], ClusterFacts]
    rules: RuleSettings
    executor: Executor
    gone: Callable[[PoolKey, str], None]
    """Hears (key, uid) of a pool that is not there any more, before the news of that comes."""
    events: EventRecorder
    metrics: OperatorMetrics
    ledger: Ledger = field(default_factory=Ledger)
    epoch: int = 0
    memories: dict[PoolKey, Memory] = field(default_factory=dict)
    with_keda: set[PoolKey] = field(default_factory=set)
    """Pools in mode keda."""
    _uids: dict[PoolKey, str] = field(default_factory=dict)
    _nodes: NodeLeases = field(init=False)
    _accounts: Accounts = field(init=False)

    def __post_init__(self) -> None:
        """Nodes and service accounts are asked about through the same client."""
        self._nodes = NodeLeases(self.kube)
        self._accounts = Accounts(kube=self.kube)

    def begin_term(self, epoch: int) -> None:
        """This replica leads from now on: what it remembers from an earlier term is void."""
        self.epoch = epoch
        self.memories.clear()
        self.with_keda.clear()
        self.ledger.begin_term()

    async def reconcile(self, key: PoolKey) -> Outcome:
        """Bring one pool a step closer, and say when to look again."""
        stored = self.store.get(kinds.WORKER_POOL, key.namespace, key.name)
        if stored is None:
            self._forget(key)
            return Outcome()
        body = stored.unpack()
        try:
            pool = api.parse(body)
        except api.InvalidPoolError as error:
            return self._not_understood(key, stored, error=str(error))
        if pool.being_deleted:
            return Outcome()
        if self._uids.setdefault(key, pool.uid) != pool.uid:
            self._forget(key)  # another pool has its name now; the news of both came at once
            self._uids[key] = pool.uid
        with structlog.contextvars.bound_contextvars(namespace=key.namespace, pool=key.name):
            return await self._reconcile(key, pool)

    async def _reconcile(self, key: PoolKey, pool: WorkerPool) -> Outcome:
        term = self.epoch
        (self.with_keda.add if pool.spec.scaling.mode is ScalingMode.KEDA else self.with_keda.discard)(key)
        try:
            snapshot, todo = await self._plan(key, pool)
            if mends(pool, todo.applies) and not await is_there(self.kube, pool):
                self.gone(key, pool.uid)
                return Outcome()
        except errors.KubeError as error:
            _log.warning("not_observed", error=str(error))
            return Outcome(failed=True)
        self.ledger.claim(key, todo.claim, snapshot.seats)  # before the first write: from now on it may be in use
        self._publish(key, pool, todo)
        self._order(key, snapshot, todo)
        failures, tellable = await self._execute(key, snapshot, todo)
        if self.epoch != term:
            return Outcome(look_again=OVERTAKEN_SECONDS)  # led anew meanwhile: what this plan remembers is void
        memory = todo.memory
        if todo.marks:
            memory = replace(memory, scale_in=memory.scale_in.marks_written(_now()))
        refused_writes = {failure.what for failure in failures}
        unshielded = frozenset(one.uid for one in todo.shields if f"Pod {key.namespace}/{one.pod}" in refused_writes)
        memory = replace(memory, shields=memory.shields.without(unshielded))
        if memory.seats is not None and any(what.startswith("Deployment ") for what in refused_writes):
            memory = replace(memory, seats=memory.seats.unanswered(now=_now()))
        self.memories[key] = memory
        refused = refusals(failures)
        for failure in failures:
            log = _log.debug if failure.overtaken or failure.repeated else _log.warning
            log("write_refused", what=failure.what, error=str(failure.error))
        again: float | None = None
        if tellable and not any(failure.blind for failure in failures):
            done = tuple(s for s in todo.scaled if f"Deployment {key.namespace}/{s.deployment}" not in refused_writes)
            kept = "" if f"Pod {key.namespace}/{todo.restarted or todo.drained}" in refused_writes else None
            told = todo if kept is None else replace(todo, restarted=kept, drained=kept)
            told = replace(told, scaled=done)
            refused_status, again = await self._tell(key, snapshot, told, refused=refused)
            failures += refused_status
        pressing = [failure for failure in failures if failure.overtaken or not failure.optional]
        if pressing and all(failure.overtaken for failure in pressing):
            return Outcome(look_again=OVERTAKEN_SECONDS)
        looks = [one for one in (again, todo.look_again) if one is not None]
        looks += [OPTIONAL_RETRY_SECONDS] if failures else []
        return Outcome(look_again=min(looks, default=None), failed=bool(pressing))

    async def _plan(self, key: PoolKey, pool: WorkerPool) -> tuple[Snapshot, Plan]:
        memory = self.memories.get(key) or self._fresh_memory()
        leases, usable = await self._leases(key, pool), await self._account_usable(key, pool)
        snapshot = self._observe(key, pool, memory=memory, leases=leases, account_usable=usable)
        todo = plan(snapshot)
        if not todo.wants_pods:
            return snapshot, todo
        pods = await pods_of(self.kube, key)
        snapshot = self._observe(key, pool, memory=memory, leases=leases, account_usable=usable, pods=pods)
        return snapshot, plan(snapshot)

    async def _account_usable(self, key: PoolKey, pool: WorkerPool) -> bool:
        """Whether the workers may have the service account that the pool names."""
        name = pool.spec.worker.service_account_name
        return name is None or await self._accounts.usable(key.namespace, name)

    async def _leases(self, key: PoolKey, pool: WorkerPool) -> Mapping[str, bool] | None:
        """Of the nodes whose workers are not heard, where workers may go elsewhere."""
        if not may_fail_over(pool):
            return {}
        return await self._nodes.of(suspects(sightings(self.streams.view(key.namespace, key.name))))

    def _observe(
        self,
        key: PoolKey,
        pool: WorkerPool,
        *,
        memory: Memory,
        leases: Mapping[str, bool] | None,
        account_usable: bool,
        pods: PodList | None = None,
    ) -> Snapshot:
        return observe(
            key,
            pool=pool,
            facts=self.facts(),
            store=self.store,
            view=self.streams.view(key.namespace, key.name),
            memory=memory,
            rules=self.rules,
            seats=self.ledger.seats(self.store, pool),
            now=_now(),
            leases=leases,
            account_usable=account_usable,
            pods=pods,
        )

    def _publish(self, key: PoolKey, pool: WorkerPool, todo: Plan) -> None:
        """The number for the metrics API. One that is only held says nothing: the last one stays till it is stale."""
        match todo.decision.outcome:
            case DecisionOutcome.ACTIVE | DecisionOutcome.PARTIAL:
                queues = [queue.name for queue in pool.spec.queues]
                self.values.publish(key.namespace, key.name, todo.decision.desired, queues=queues)
            case DecisionOutcome.MANUAL:
                self.values.withdraw(key.namespace, key.name)

    def _order(self, key: PoolKey, snapshot: Snapshot, todo: Plan) -> None:
        """Orders by the stream. They are level-triggered: repeating them does nothing."""
        pool, rate = snapshot.pool, rate_of(snapshot.pool, wall=snapshot.wall_time)
        take_rates = todo.versions.take_rates if todo.versions else {}
        delivery = delivery_of(pool.spec, rate=rate, take_rates=take_rates)
        shares = todo.memory.shares
        self.streams.settings(key.namespace, key.name, delivery, shares_of(shares))
        if shares.serial and snapshot.memory.scale_in.epoch == self.epoch:  # ordered, whatever becomes of the writes
            self.memories[key] = replace(snapshot.memory, shares=shares)
        if todo.fence is not None:
            self.streams.fence(key.namespace, key.name, todo.fence.fence_id, sorted(todo.fence.pods))
            if todo.read_now:
                self.streams.read_now(key.namespace, key.name, todo.fence.fence_id)

    async def _execute(self, key: PoolKey, snapshot: Snapshot, todo: Plan) -> tuple[list[Failure], bool]:
        """All writes but the status. Also whether the status may be written.

        Once it names a new mode, spec.replicas is read as that mode reads it. So it has to say what it should before.
        """
        pool = snapshot.pool
        failures = await self.executor.apply_all(todo.applies)
        failures += await self.executor.mark_all(key.namespace, todo.marks)
        failures += await self.executor.delete_all(key.namespace, todo.deletes)
        failures += await self.executor.shield_all(pool, todo.shields)
        if todo.replicas is None:
            return failures, True
        failure = await self.executor.set_size(pool, todo.replicas)
        if failure is None:
            return failures, True
        scaling = pool.status.scaling
        return [*failures, failure], scaling is not None and scaling.mode == snapshot.mode

    async def _tell(
        self, key: PoolKey, snapshot: Snapshot, todo: Plan, *, refused: tuple[Refusal, ...]
    ) -> tuple[list[Failure], float | None]:
        """The one status write, if it is worth one by now; then the events and the metrics of what changed.

        Also in how many seconds it will be.
        """
        before, pool = snapshot.pool.status, snapshot.pool
        after = status_of.build(snapshot, todo, refusals=refused)
        self._show(snapshot, after, todo)
        memory, now = self.memories[key], _now()
        worth = status_of.write_after(before, after, took=memory.status_took)
        since = math.inf if memory.status_written_at is None else now - memory.status_written_at
        failure, again = None, None
        if worth is not None and since >= worth:
            failure = await self.executor.write_status(pool, after)
            # None: led anew meanwhile. What failed has told nothing, and is written again at the next look.
            if failure is None and (kept := self.memories.get(key)) is not None:
                self.memories[key] = replace(kept, status_written_at=now, status_took=_now() - now)
            if failure is not None and type(failure.error) is errors.NotFound:
                self.gone(key, pool.uid)
                return [], None
        elif worth is not None and worth < status_of.QUIET_WRITE_SECONDS:
            again = worth - since  # the counts may have come to rest by now, and nothing else would bring a look
        ref = ObjectRef(kinds.WORKER_POOL, key.namespace, key.name)
        for told in status_of.announcements(snapshot, todo, after):
            kind = EventType.WARNING if told.warning else EventType.NORMAL
            _log.info("event", reason=str(told.reason), message=told.message)
            self.events.emit(ref, uid=pool.uid, type=kind, reason=told.reason, message=told.message)
        return [failure] if failure else [], again

    def _show(self, snapshot: Snapshot, after: api.WorkerPoolStatus, todo: Plan) -> None:
        pool, scaling = snapshot.pool, after.scaling
        assert scaling is not None
        self.metrics.pools.show(
            pool.namespace,
            pool.name,
            PoolSeries(
                desired=None if todo.decision.outcome is DecisionOutcome.HELD else scaling.desired,
                replicas=after.replicas,
                mode=scaling.mode,
                limited_by=scaling.limited_by,
                versions=roles(after),
                stuck=len(todo.care.findings.stuck),
                canary=canary_series(todo.versions),
                places=place_series(snapshot, after),
                usage=usage(snapshot),
                thresholds=thresholds(pool),
                objectives=objectives(pool),
            ),
        )
        if failed_over(snapshot):
            self.metrics.pools.failed_over(pool.namespace, pool.name)
        for scaled in todo.scaled:
            direction = Direction.UP if scaled.after > scaled.before else Direction.DOWN
            self.metrics.pools.scaled(pool.namespace, pool.name, direction)

    def _fresh_memory(self) -> Memory:
        now = _now()
        return Memory(history=History(since=now, active_at=now), scale_in=ScaleInMemory(epoch=self.epoch))

    def _forget(self, key: PoolKey) -> None:
        self.memories.pop(key, None)
        self.with_keda.discard(key)
        self._uids.pop(key, None)
        self.ledger.withdraw(key)
        self.streams.forget(key.namespace, key.name)
        self.values.withdraw(key.namespace, key.name)
        self.metrics.pools.remove(key.namespace, key.name)

    def _not_understood(self, key: PoolKey, stored: Stored, *, error: str) -> Outcome:
        """A resource of other rules than this program's: leave its workers alone and say so."""
        _log.error("pool_not_understood", namespace=key.namespace, pool=key.name, error=error)
        ref = ObjectRef(kinds.WORKER_POOL, key.namespace, key.name)
        self.events.emit(
            ref, uid=stored.uid, type=EventType.WARNING, reason=api.Reason.INVALID_SPEC, message=error[:512]
        )
        return Outcome()


def _now() -> float:
    return time.monotonic()

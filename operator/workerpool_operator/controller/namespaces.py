"""The collector that the pools of a namespace share: its objects, and the list of pools that it is told.

The list goes by the stream at once. The Deployment changes only when credentials do, and then after the changes have
calmed down: each new pod template restarts the collector.
"""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import structlog

from workerpool_operator import api
from workerpool_operator.api import PredictiveMode, WorkerPool
from workerpool_operator.controller.execute import Executor
from workerpool_operator.controller.keys import NamespaceKey
from workerpool_operator.controller.queue import Outcome
from workerpool_operator.controller.store import Store
from workerpool_operator.controller.streams import Streams
from workerpool_operator.domain import desired
from workerpool_operator.domain.drift import covers
from workerpool_operator.domain.objects import Apply
from workerpool_operator.kube import kinds
from workerpool_operator.protocol import PoolConfig, Predictive

DEBOUNCE_SECONDS: Final = 2.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class NamespaceReconciler:
    """Reconciles one namespace's collector."""

    store: Store
    streams: Streams
    executor: Executor
    collector: desired.CollectorSettings
    ca_file: Path
    _waiting: dict[str, tuple[Any, float]] = field(default_factory=dict)
    """Namespace -> (pod template wanted, since when), while it calms down."""

    async def reconcile(self, key: NamespaceKey) -> Outcome:
        """Bring the collector of one namespace a step closer."""
        pools = self._pools(key.namespace)
        self.streams.send_config(key.namespace, tuple(_config(pool) for pool in pools))
        if not pools:
            self._waiting.pop(key.namespace, None)
            return Outcome()  # the collector's objects belong to the pools, and go with the last one
        settings = replace(self.collector, ca_pem=self.ca_file.read_text())
        objects = desired.collector(key.namespace, pools=pools, settings=settings)
        applies, wait = self._applies(key.namespace, objects)
        failures = await self.executor.apply_all(applies)
        for failure in failures:
            _log.warning("write_refused", namespace=key.namespace, what=failure.what, error=str(failure.error))
        return Outcome(look_again=wait, failed=bool(failures))

    def _pools(self, namespace: str) -> list[WorkerPool]:
        pools: list[WorkerPool] = []
        for _, stored in sorted(self.store.names(kinds.WORKER_POOL, namespace).items()):
            try:
                pool = api.parse(stored.unpack())
            except api.InvalidPoolError:
                continue  # its own reconcile tells of it
            if not pool.being_deleted:
                pools.append(pool)
        return pools

    def _applies(self, namespace: str, objects: tuple[dict[str, Any], ...]) -> tuple[tuple[Apply, ...], float | None]:
        applies: list[Apply] = []
        wait: float | None = None
        for body in objects:
            ref = kinds.ref_of(body)
            stored = self.store.get(ref.kind, ref.namespace, ref.name)
            observed = stored.unpack() if stored else None
            if observed is not None and covers(observed, body):
                continue
            if observed is not None and ref.kind == kinds.DEPLOYMENT:
                wait = self._calm_down(namespace, body["spec"]["template"], observed)
                if wait is not None:
                    continue
            applies.append(Apply(body=body))
        return tuple(applies), wait

    def _calm_down(self, namespace: str, template: Any, observed: dict[str, Any]) -> float | None:
        """Seconds until a changed pod template may be applied; None: now."""
        if covers(observed["spec"]["template"], template):
            return None
        now = time.monotonic()
        wanted, since = self._waiting.get(namespace, (None, now))
        if wanted != template:
            since = now
        self._waiting[namespace] = (template, since)
        left = since + DEBOUNCE_SECONDS - now
        if left > 0:
            return left
        del self._waiting[namespace]
        return None


def _config(pool: WorkerPool) -> PoolConfig:
    return PoolConfig(
        name=pool.name,
        uid=pool.uid,
        max_workers=pool.spec.worker.max_workers,
        queues=tuple(queue.to_json() for queue in pool.spec.queues),
        predictive=_predictive(pool),
    )


def _predictive(pool: WorkerPool) -> Predictive | None:
    wanted = pool.spec.scaling.predictive
    if wanted.mode is PredictiveMode.DISABLED:
        return None
    return Predictive(season_seconds=wanted.season_seconds, horizon_seconds=wanted.horizon_seconds)

"""The reconciler of pools as the operator puts it together, without what a test has no interest in."""

from collections.abc import Mapping
from typing import Any, cast

from workerpool_operator.controller.execute import Executor
from workerpool_operator.controller.reconcile import PoolReconciler
from workerpool_operator.controller.store import Store
from workerpool_operator.controller.streams import Streams
from workerpool_operator.domain.cluster import ClusterFacts
from workerpool_operator.domain.desired import RuleSettings
from workerpool_operator.kube import EventRecorder, Kube
from workerpool_operator.metrics import OperatorMetrics
from workerpool_operator.serve.values import ValueBoard


class _NoEvents:
    def emit(self, *_: Any, **__: Any) -> None:
        """Nobody reads."""


def pool_reconciler(*, kube: object, store: Store, streams: Streams, **parts: Any) -> PoolReconciler:
    """A reconciler on this API server. `kube`: what answers as `Kube` does; `parts`: other parts that are not usual."""
    server = cast("Kube", kube)
    usual: Mapping[str, Any] = {
        "values": ValueBoard(),
        "facts": ClusterFacts,
        "rules": RuleSettings(),
        "executor": Executor(kube=server, store=store),
        "gone": lambda *_: None,
        "events": cast("EventRecorder", _NoEvents()),
        "metrics": OperatorMetrics(),
    }
    return PoolReconciler(kube=server, store=store, streams=streams, **{**usual, **parts})

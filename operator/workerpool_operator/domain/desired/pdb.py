"""The PodDisruptionBudget of a pool: what maintenance of nodes may take away at the same time."""

from typing import Any

from workerpool_operator.api import WorkerPool
from workerpool_operator.domain.desired.names import POOL_LABEL, metadata, worker_labels


def disruption_budget(pool: WorkerPool) -> dict[str, Any]:
    """The budget, over all versions of the pool's workers."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(pool, pool.name, labels=worker_labels(pool)),
        "spec": {
            "maxUnavailable": pool.spec.disruption.max_unavailable,
            "selector": {"matchLabels": {POOL_LABEL: pool.name}},
            # A worker that does not get ready does no work: it must not keep a node from being emptied.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }

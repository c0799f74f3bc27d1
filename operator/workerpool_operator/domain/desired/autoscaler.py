"""The HPA of a pool in mode hpa. It adds nothing to what the operator decides: all limits act there, once.

It scales the WorkerPool, never a Deployment: the operator hears of a smaller size first, chooses idle workers, and
splits one total between versions.
"""

from typing import Any, Final

from workerpool_operator.api import API_VERSION, KIND, WorkerPool
from workerpool_operator.domain.desired.names import metadata, worker_labels
from workerpool_operator.domain.metric import METRIC, METRIC_POOL_LABEL

_POLICY_SECONDS: Final = 15


def autoscaler(pool: WorkerPool, *, exact: bool, granted: int | None = None) -> dict[str, Any]:
    """The HPA. `exact`: without the band in which it does nothing, where Kubernetes serves that field.

    `granted`: what the pool's budget lets it have, if that is known. Less than minReplicas would make the HPA ask for
    more than it will ever see.
    """
    scaling = pool.spec.scaling
    least = scaling.min_replicas if granted is None else min(scaling.min_replicas, granted)
    metric = {"name": METRIC, "selector": {"matchLabels": {METRIC_POOL_LABEL: pool.name}}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(pool, pool.name, labels=worker_labels(pool)),
        "spec": {
            "scaleTargetRef": {"apiVersion": API_VERSION, "kind": KIND, "name": pool.name},
            # 0 is the operator's own: an HPA needs a feature gate to go there, and then waits for itself to come back.
            "minReplicas": max(1, least),
            "maxReplicas": scaling.max_replicas,
            "metrics": [
                {
                    "type": "External",
                    "external": {"metric": metric, "target": {"type": "AverageValue", "averageValue": "1"}},
                }
            ],
            "behavior": behavior(pool, exact=exact),
        },
    }


def behavior(pool: WorkerPool, *, exact: bool) -> dict[str, Any]:
    """An HPA's `behavior` by which it does what it reads, at once and, where that is served, exactly."""
    at_once: dict[str, Any] = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": pool.spec.scaling.max_replicas, "periodSeconds": _POLICY_SECONDS}],
    }
    if exact:
        at_once["tolerance"] = "0"
    return {"scaleUp": at_once, "scaleDown": at_once}

"""The ScaledObject of a pool in mode keda, and the ConfigMap from which KEDA reads what the operator has decided.

KEDA's scaler `kubernetes-resource` (KEDA 2.19 and later) reads one number out of a ConfigMap. So the API server says
who may write and read it, over connections that both trust already: no port, no certificate, no credential of a
tenant, and no use of the one place for external metrics, which is KEDA's own. `metrics-api` verifies a private CA only
beside a client certificate, and its tokens need a Secret or settings of the cluster's KEDA; `external` authenticates
nobody without client certificates.

What is not known is written as a word, which KEDA refuses to take for a number: it holds the size.
"""

from typing import Any, Final

from workerpool_operator.api import API_VERSION, KIND, WorkerPool
from workerpool_operator.domain.desired.autoscaler import behavior
from workerpool_operator.domain.desired.names import MANAGED_BY_LABEL, metadata, worker_labels

KEDA_API_VERSION: Final = "keda.sh/v1alpha1"
ANSWER_KEY: Final = "desiredReplicas"
UNKNOWN: Final = "unknown"
_NEVER: Final = 2**31 - 1
"""The largest value of the field: seconds, and workers, that are never reached."""
_EXCLUDED_LABELS: Final = "scaledobject.keda.sh/hpa-excluded-labels"


def answer_name(pool: WorkerPool) -> str:
    """Name of the ConfigMap with the answer."""
    return f"{pool.name}-size"


def answer(pool: WorkerPool, desired: int | None) -> dict[str, Any]:
    """The ConfigMap with the number of workers that are wanted; None: it is not known."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(pool, answer_name(pool), labels=worker_labels(pool)),
        "data": {ANSWER_KEY: UNKNOWN if desired is None else str(desired)},
    }


def scaled_object(pool: WorkerPool, *, exact: bool) -> dict[str, Any]:
    """The ScaledObject. `exact`: without the band in which KEDA's HPA does nothing, where Kubernetes serves that field.

    To and from 0 the operator goes alone, so KEDA must never find a reason to: by this trigger nothing is ever active,
    which is what takes KEDA from 0, and the time after which it would go there never ends. KEDA's HPA does the rest,
    and is not asked to keep a minimum that the answer keeps already.
    """
    made = metadata(pool, pool.name, labels=worker_labels(pool))
    # KEDA copies labels to its HPA, and that one is not the operator's.
    made["annotations"] = {_EXCLUDED_LABELS: MANAGED_BY_LABEL}
    return {
        "apiVersion": KEDA_API_VERSION,
        "kind": "ScaledObject",
        "metadata": made,
        "spec": {
            "scaleTargetRef": {"apiVersion": API_VERSION, "kind": KIND, "name": pool.name},
            "minReplicaCount": 0,
            "maxReplicaCount": pool.spec.scaling.max_replicas,
            "initialCooldownPeriod": _NEVER,
            "cooldownPeriod": _NEVER,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior(pool, exact=exact)}},
            "triggers": [
                {
                    "type": "kubernetes-resource",
                    "metricType": "AverageValue",
                    "metadata": {
                        "resourceKind": "ConfigMap",
                        "resourceName": answer_name(pool),
                        "key": ANSWER_KEY,
                        "targetValue": "1",
                        "activationTargetValue": str(_NEVER),
                    },
                }
            ],
        },
    }

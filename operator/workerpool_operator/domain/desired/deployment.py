"""The Deployment of one version and revision of a pool's workers, in one place.

Its template never changes, so the Deployment controller's own rolling update is never used: it would pick pods without
asking which are busy. The operator moves counts between Deployments instead.
"""

from collections.abc import Mapping
from typing import Any, Final

from workerpool_operator.api import WorkerPool
from workerpool_operator.domain.desired.names import (
    POOL_LABEL,
    REVISION_LABEL,
    VERSION_LABEL,
    metadata,
    worker_labels,
)
from workerpool_operator.domain.desired.places import PLACE_LABEL

PROGRESS_DEADLINE_SECONDS: Final = 600
_HISTORY: Final = 1
"""Old ReplicaSets kept: there are none, unless somebody changed the template and it was put back."""


def deployment(pool: WorkerPool, *, name: str, template: Mapping[str, Any], replicas: int) -> dict[str, Any]:
    """The Deployment of a stored template, with every field that the operator owns."""
    labels = template["metadata"]["labels"]
    identity = {label: labels[label] for label in (VERSION_LABEL, REVISION_LABEL, PLACE_LABEL) if label in labels}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(pool, name, labels=worker_labels(pool) | identity),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {POOL_LABEL: pool.name} | identity},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "minReadySeconds": 0,
            "revisionHistoryLimit": _HISTORY,
            "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
            "template": template,
        },
    }

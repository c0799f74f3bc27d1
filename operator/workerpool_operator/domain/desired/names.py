"""Names, labels and owner references of everything that is made for a pool.

They are deterministic: any replica of the operator, at any time, means the same object.
"""

from typing import Any, Final

from workerpool_operator.api import API_VERSION, KIND, MAX_NAME, WorkerPool

MANAGER: Final = "workerpool-operator"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
POOL_LABEL: Final = "workerpool.dev/pool"
VERSION_LABEL: Final = "workerpool.dev/version"
REVISION_LABEL: Final = "workerpool.dev/revision"
RESTART_ANNOTATION: Final = "workerpool.dev/restart"
USABLE_LABEL: Final = "workerpool.dev/usable"
"""`true` on a ServiceAccount: pools of its namespace may name it for their workers."""
WORKER: Final = "worker"
COLLECTOR: Final = "collector"
COLLECTOR_NAME: Final = "workerpool-collector"
"""Of every object of a namespace's collector, and of the ClusterRole that the chart makes for it."""
DELETION_COST: Final = -1000
"""`controller.kubernetes.io/pod-deletion-cost` of the workers that were chosen to go."""


class RenderError(ValueError):
    """No valid object can be made of the pool; the text says which field is wrong and what to write."""


def revision_name(pool: WorkerPool, *, version: str, revision: str) -> str:
    """Name of the Deployment, and of the ControllerRevision that it is made of.

    Raises:
        RenderError: the pool's name is too long for it.
    """
    if len(pool.name) > MAX_NAME:
        raise RenderError(f"metadata.name has {len(pool.name)} characters: give the pool a name of at most {MAX_NAME}")
    return f"{pool.name}-{version}-{revision}"


def worker_labels(pool: WorkerPool) -> dict[str, str]:
    """Labels of all that is made for one pool."""
    return {MANAGED_BY_LABEL: MANAGER, COMPONENT_LABEL: WORKER, POOL_LABEL: pool.name}


def selector(pool: WorkerPool) -> str:
    """The one label selector that spans all worker pods of a pool (`status.selector`)."""
    return f"{POOL_LABEL}={pool.name}"


def owner(pool: WorkerPool, *, controller: bool = True) -> dict[str, Any]:
    """The pool as an owner reference: what it owns goes with it, also while the operator is down."""
    reference: dict[str, Any] = {"apiVersion": API_VERSION, "kind": KIND, "name": pool.name, "uid": pool.uid}
    return reference | ({"controller": True, "blockOwnerDeletion": True} if controller else {})


def metadata(pool: WorkerPool, name: str, *, labels: dict[str, str]) -> dict[str, Any]:
    """Metadata of an object that this pool alone owns."""
    return {"name": name, "namespace": pool.namespace, "labels": labels, "ownerReferences": [owner(pool)]}

"""The kinds that the operator or `wpool` reads or writes, and how their URLs are built.

There is no discovery: the set is small and fixed, it is what the RBAC rules name, and a start that waits for
forty discovery documents is slower and has one more way to fail. A kind that the cluster does not serve shows
as :class:`~workerpool_operator.kube.errors.KindNotServed` on first use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object, as the API server serves it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    optional: bool = False
    """A cluster may lack it, or keep it from the operator, which then does without."""

    @property
    def api_version(self) -> str:
        """What stands in an object's `apiVersion`, for example `apps/v1` or `v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, *, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """URL path of the collection, of one object or of its subresource; every part is escaped.

        A namespaced kind without `namespace` gives the collection over all namespaces.
        """
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)

    def __str__(self) -> str:
        return self.kind


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Names one object. `namespace` is empty for a cluster-scoped kind."""

    kind: Kind
    namespace: str
    name: str

    def path(self, subresource: str = "") -> str:
        """URL path of the object, or of its subresource."""
        return self.kind.path(namespace=self.namespace, name=self.name, subresource=subresource)

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.kind} {where}{self.name}"


WORKER_POOL: Final = Kind("workerpool.dev", "v1alpha1", "workerpools", "WorkerPool")
WORKER_POOL_BUDGET: Final = Kind(
    "workerpool.dev", "v1alpha1", "workerpoolbudgets", "WorkerPoolBudget", namespaced=False, optional=True
)
DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
CONTROLLER_REVISION: Final = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
POD: Final = Kind("", "v1", "pods", "Pod")
SERVICE: Final = Kind("", "v1", "services", "Service")
CONFIG_MAP: Final = Kind("", "v1", "configmaps", "ConfigMap")
SERVICE_ACCOUNT: Final = Kind("", "v1", "serviceaccounts", "ServiceAccount")
NAMESPACE: Final = Kind("", "v1", "namespaces", "Namespace", namespaced=False, optional=True)
NODE: Final = Kind("", "v1", "nodes", "Node", namespaced=False)
ROLE_BINDING: Final = Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
NETWORK_POLICY: Final = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
POD_DISRUPTION_BUDGET: Final = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
HORIZONTAL_POD_AUTOSCALER: Final = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
PROMETHEUS_RULE: Final = Kind("monitoring.coreos.com", "v1", "prometheusrules", "PrometheusRule", optional=True)
JOB: Final = Kind("batch", "v1", "jobs", "Job")
SCALED_OBJECT: Final = Kind("keda.sh", "v1alpha1", "scaledobjects", "ScaledObject", optional=True)
LEASE: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")
EVENT: Final = Kind("events.k8s.io", "v1", "events", "Event")
TOKEN_REVIEW: Final = Kind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
ACCESS_REVIEW: Final = Kind(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)

SELF_ACCESS_REVIEW: Final = Kind(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
SELF_SUBJECT_REVIEW: Final = Kind(
    "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False
)

KINDS: Final = (
    WORKER_POOL,
    WORKER_POOL_BUDGET,
    DEPLOYMENT,
    CONTROLLER_REVISION,
    POD,
    SERVICE,
    CONFIG_MAP,
    SERVICE_ACCOUNT,
    NAMESPACE,
    NODE,
    ROLE_BINDING,
    NETWORK_POLICY,
    POD_DISRUPTION_BUDGET,
    HORIZONTAL_POD_AUTOSCALER,
    PROMETHEUS_RULE,
    JOB,
    SCALED_OBJECT,
    LEASE,
    EVENT,
    TOKEN_REVIEW,
    ACCESS_REVIEW,
    SELF_ACCESS_REVIEW,
)
_BY_NAME: Final = {(kind.api_version, kind.kind): kind for kind in KINDS}


def kind_of(obj: Mapping[str, Any]) -> Kind:
    """The kind that an object declares; raises LookupError for one that the operator has no business with."""
    key = (obj.get("apiVersion", ""), obj.get("kind", ""))
    try:
        return _BY_NAME[key]
    except KeyError:
        raise LookupError(f"kind {key[1]!r} of {key[0]!r} is not one that the operator uses") from None


def ref_of(obj: Mapping[str, Any]) -> ObjectRef:
    """The reference to an object that carries `apiVersion`, `kind` and `metadata`."""
    metadata = obj["metadata"]
    return ObjectRef(kind_of(obj), metadata.get("namespace", ""), metadata["name"])

"""What the accounts of operator and collector must not do, whatever an installation grants them: one row for each.

Each is asked twice: of the API server's own judgement (SubjectAccessReview), and by the request itself, with the
account's token.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

TENANT: Final = "asked-tenant"
"""A namespace with pools."""
FOREIGN: Final = "asked-foreign"
"""One that an operator of single namespaces does not look after, and of which no collector is."""
HOME: Final = "workerpool-system"


@dataclass(frozen=True, kw_only=True)
class Forbidden:
    """A request that has to be refused for want of rights."""

    what: str
    verb: str
    resource: str
    group: str = ""
    """The resource's, as `*` where the request needs rights on what no group has."""
    subresource: str = ""
    namespace: str = TENANT
    """Empty: of the cluster."""
    words: tuple[str, ...] = ()
    """Of kubectl."""
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def review(self) -> dict[str, str]:
        """The `resourceAttributes` of a SubjectAccessReview."""
        named = {"verb": self.verb, "group": self.group, "resource": self.resource, "subresource": self.subresource}
        return {key: value for key, value in {**named, "namespace": self.namespace}.items() if value}

    @property
    def stdin(self) -> str | None:
        """What kubectl is given."""
        return json.dumps(self.body) if self.body else None


RBAC: Final = "rbac.authorization.k8s.io"


def _body(kind: str, version: str = "v1", /, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "stolen"}, **fields}


POD: Final = _body("Pod", spec={"containers": [{"name": "a", "image": "evil.example/miner:1"}]})
EVERYTHING: Final = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
CREATE: Final = ("create", "--validate=false", "-f", "-")
PATCH: Final = ("apply", "--server-side", "--validate=false", "-f", "-")
"""`kubectl patch` reads before it writes, and would be refused that."""


def _raw(path: str, *, verb: str = "create") -> tuple[str, ...]:
    return (verb, "--raw", f"/api/v1/namespaces/{TENANT}/{path}", "-f", "-")


def _row(what: str, verb: str, resource: str, *words: str, **fields: Any) -> Forbidden:
    return Forbidden(what=what, verb=verb, resource=resource, words=words, **fields)


BOTH: Final = [
    _row("read a Secret", "get", "secrets", "get", "secret", "any"),
    _row("list the Secrets of a namespace", "list", "secrets", "get", "secrets"),
    _row("list the Secrets of all", "list", "secrets", "get", "secrets", "-A", namespace=""),
    _row("read a Secret of its own namespace", "get", "secrets", "get", "secret", "any", namespace=HOME),
    _row("write a Secret", "create", "secrets", *CREATE, body=_body("Secret")),
    _row("create a pod", "create", "pods", *CREATE, body=POD),
    _row("run a command in a pod", "create", "pods", *_raw("pods/a/exec?command=a"), subresource="exec", body={"a": 1}),
    _row("attach to a pod", "create", "pods", *_raw("pods/a/attach"), subresource="attach", body={"a": 1}),
    _row("forward a port", "create", "pods", *_raw("pods/a/portforward"), subresource="portforward", body={"a": 1}),
    _row("evict a pod", "create", "pods", *_raw("pods/a/eviction"), subresource="eviction", body={"a": 1}),
    _row("read what a pod has logged", "get", "pods", "get", "--raw", f"/api/v1/namespaces/{TENANT}/pods/a/log",
         subresource="log"),
    _row("ask a pod through the API server", "get", "pods", "get", "--raw",
         f"/api/v1/namespaces/{TENANT}/pods/a/proxy/", subresource="proxy"),
    _row("put a container into a pod that runs", "update", "pods", *_raw("pods/a/ephemeralcontainers", verb="replace"),
         subresource="ephemeralcontainers", body=POD),
    _row("take a token of another account", "create", "serviceaccounts", "create", "token", "default",
         subresource="token"),
    _row("take a token of its neighbour", "create", "serviceaccounts", "create", "token", "workerpool-operator",
         subresource="token", namespace=HOME),
    _row("create a Role", "create", "roles", *CREATE, group=RBAC, body=_body("Role", f"{RBAC}/v1", rules=EVERYTHING)),
    _row("create a ClusterRole", "create", "clusterroles", *CREATE, group=RBAC, namespace="",
         body=_body("ClusterRole", f"{RBAC}/v1", rules=EVERYTHING)),
    _row("change its own ClusterRole", "patch", "clusterroles", *PATCH, group=RBAC, namespace="",
         body=_body("ClusterRole", f"{RBAC}/v1", rules=EVERYTHING) | {"metadata": {"name": "workerpool-operator"}}),
    _row("hand on what it has not (escalate)", "escalate", "clusterroles", group=RBAC, namespace=""),
    _row("bind any role (bind)", "bind", "clusterroles", group=RBAC, namespace=""),
    _row("bind a role in the cluster", "create", "clusterrolebindings", *CREATE, group=RBAC, namespace="",
         body=_body("ClusterRoleBinding", f"{RBAC}/v1",
                    roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "workerpool-collector"}, subjects=[])),
    _row("act as a user", "impersonate", "users", "get", "pods", "--as=admin", namespace=""),
    _row("act as a group", "impersonate", "groups", "get", "pods", "--as=admin", "--as-group=system:masters",
         namespace=""),
    _row("act as another account", "impersonate", "serviceaccounts", "get", "pods",
         "--as=system:serviceaccount:kube-system:default", namespace="kube-system"),
    _row("look at nodes", "list", "nodes", "get", "nodes", namespace=""),
    _row("ask a kubelet", "get", "nodes", "get", "--raw", "/api/v1/nodes/a/proxy/pods", subresource="proxy",
         namespace=""),
    _row("cordon a node", "patch", "nodes", *PATCH, body=_body("Node", spec={"unschedulable": True}), namespace=""),
    _row("create a namespace", "create", "namespaces", *CREATE, body=_body("Namespace"), namespace=""),
    _row("delete a namespace", "delete", "namespaces", "delete", "namespace", TENANT, namespace=""),
    _row("take the admission policy away", "delete", "validatingadmissionpolicies", "delete",
         "validatingadmissionpolicy", "any", group="admissionregistration.k8s.io", namespace=""),
    _row("put a webhook before all requests", "create", "mutatingwebhookconfigurations", *CREATE,
         group="admissionregistration.k8s.io", namespace="",
         body=_body("MutatingWebhookConfiguration", "admissionregistration.k8s.io/v1", webhooks=[])),
    _row("change the definition of a WorkerPool", "patch", "customresourcedefinitions", *PATCH,
         group="apiextensions.k8s.io", namespace="",
         body=_body("CustomResourceDefinition", "apiextensions.k8s.io/v1", spec={})),
    _row("answer for a part of the API", "create", "apiservices", *CREATE, group="apiregistration.k8s.io", namespace="",
         body=_body("APIService", "apiregistration.k8s.io/v1", spec={"group": "evil.example", "version": "v1",
                                                                     "groupPriorityMinimum": 1, "versionPriority": 1})),
    _row("ask for a certificate", "create", "certificatesigningrequests", *CREATE, group="certificates.k8s.io",
         namespace="", body=_body("CertificateSigningRequest", "certificates.k8s.io/v1",
                                  spec={"request": "", "signerName": "kubernetes.io/kube-apiserver-client",
                                        "usages": ["client auth"]})),
    _row("create a pool", "create", "workerpools", *CREATE, group="workerpool.dev",
         body=_body("WorkerPool", "workerpool.dev/v1alpha1", spec={})),
    _row("raise a budget", "patch", "workerpoolbudgets", *PATCH, group="workerpool.dev", namespace="",
         body=_body("WorkerPoolBudget", "workerpool.dev/v1alpha1", spec={"maxReplicas": 1000})),
    _row("lead another program", "get", "leases", "get", "lease", "kube-scheduler", group="coordination.k8s.io",
         namespace="kube-system"),
    _row("lead another program of its own namespace", "patch", "leases", *PATCH, group="coordination.k8s.io",
         namespace=HOME, body=_body("Lease", "coordination.k8s.io/v1", spec={"holderIdentity": "me"})),
    _row("take a NetworkPolicy away", "delete", "networkpolicies", "delete", "networkpolicy", "any",
         group="networking.k8s.io"),
    _row("open a NetworkPolicy", "patch", "networkpolicies", *PATCH, group="networking.k8s.io",
         body=_body("NetworkPolicy", "networking.k8s.io/v1", spec={"podSelector": {}})),
    _row("lead a Service to another pod", "patch", "services", *PATCH, body=_body("Service", spec={"selector": {}})),
    _row("take a Service away", "delete", "services", "delete", "service", "any"),
    _row("take a RoleBinding away", "delete", "rolebindings", "delete", "rolebinding", "any", group=RBAC),
    _row("change who a role is bound to", "patch", "rolebindings", *PATCH, group=RBAC,
         body=_body("RoleBinding", f"{RBAC}/v1",
                    roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "workerpool-collector"}, subjects=[])),
    _row("give another account away to pools", "patch", "serviceaccounts", *PATCH, body=_body("ServiceAccount")),
    _row("take a service account away", "delete", "serviceaccounts", "delete", "serviceaccount", "any"),
    _row("run a DaemonSet", "create", "daemonsets", *CREATE, group="apps",
         body=_body("DaemonSet", "apps/v1", spec={})),
    _row("run a Job", "create", "jobs", *CREATE, group="batch", body=_body("Job", "batch/v1", spec={})),
]  # fmt: skip

COLLECTOR: Final = [
    _row("see the pods of another namespace", "list", "pods", "get", "pods", namespace=FOREIGN),
    _row("see all pods", "list", "pods", "get", "pods", "-A", namespace=""),
    _row("change a pod", "patch", "pods", *PATCH, body=POD),
    _row("delete a pod", "delete", "pods", "delete", "pod", "a"),
    _row("create a Deployment", "create", "deployments", *CREATE, group="apps",
         body=_body("Deployment", "apps/v1", spec={})),
    _row("read a ConfigMap", "get", "configmaps", "get", "configmap", "workerpool-collector"),
    _row("see pools", "list", "workerpools", "get", "workerpools", group="workerpool.dev"),
    _row("write a pool's status", "update", "workerpools", "replace", "--raw",
         f"/apis/workerpool.dev/v1alpha1/namespaces/{TENANT}/workerpools/a/status", "-f", "-", group="workerpool.dev",
         subresource="status", body=_body("WorkerPool", "workerpool.dev/v1alpha1", spec={})),
    _row("bind a role in its namespace", "create", "rolebindings", *CREATE, group=RBAC,
         body=_body("RoleBinding", f"{RBAC}/v1",
                    roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": "workerpool-collector"}, subjects=[])),
    _row("review a token", "create", "tokenreviews", *CREATE, group="authentication.k8s.io", namespace="",
         body=_body("TokenReview", "authentication.k8s.io/v1", spec={"token": "a"})),
    _row("write an event", "create", "events", *CREATE, group="events.k8s.io",
         body=_body("Event", "events.k8s.io/v1", eventTime="2026-01-01T00:00:00.000000Z")),
]  # fmt: skip

ELSEWHERE: Final = [
    _row(f"{verb} {resource} elsewhere", verb, resource, *words, group=group, namespace=FOREIGN)
    for verb, resource, group, words in (
        ("list", "pods", "", ("get", "pods")),
        ("delete", "pods", "", ("delete", "pod", "a")),
        ("list", "configmaps", "", ("get", "configmaps")),
        ("delete", "services", "", ("delete", "service", "a")),
        ("list", "deployments", "apps", ("get", "deployments")),
        ("delete", "deployments", "apps", ("delete", "deployment", "a")),
        ("list", "workerpools", "workerpool.dev", ("get", "workerpools")),
        ("list", "rolebindings", RBAC, ("get", "rolebindings")),
        ("list", "networkpolicies", "networking.k8s.io", ("get", "networkpolicies")),
    )
]
"""For an operator of single namespaces."""

"""The collector of a namespace: one for all of its pools, owned by all of them, gone with the last.

It holds what the operator must not: the broker's credentials (mounted, `optional`, so that one wrong name hurts one
queue) and the right to see the namespace's pods. Its API token is projected by hand, because the service account's
automatic one is switched off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.api import WorkerPool
from workerpool_operator.domain.desired import contract
from workerpool_operator.domain.desired.names import (
    COLLECTOR,
    COLLECTOR_NAME,
    COMPONENT_LABEL,
    MANAGED_BY_LABEL,
    MANAGER,
    POOL_LABEL,
    WORKER,
    owner,
)
from workerpool_operator.domain.desired.template import TOKEN_SECONDS, container_security, pod_security, token_volume

# Repeats `workerpool_operator.protocol`, which this layer does not import; a test holds them together.
OPERATOR_AUDIENCE: Final = "workerpool-operator"
CA_DIRECTORY: Final = "/etc/workerpool-collector"
CA_KEY: Final = "ca.crt"
API_TOKEN_DIRECTORY: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105  a path, not a secret
NODE_TOLERATION_SECONDS: Final = 15
"""How soon a collector leaves a node that is lost, instead of the 300 s that Kubernetes gives everyone."""
_USER: Final = 10001
_GRACE_SECONDS: Final = 10
_PORTS: Final = {
    "stream": contract.STREAM_PORT,
    "metrics": contract.METRICS_PORT,
    "health": contract.HEALTH_PORT,
}
_LABELS: Final = {MANAGED_BY_LABEL: MANAGER, COMPONENT_LABEL: COLLECTOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorSettings:
    """What the installation says about collectors: the same in every namespace."""

    image: str
    image_pull_policy: str
    replicas: int
    operator_stream: str
    """host:port of the operator's stream Service."""
    ca_pem: str
    """Certificate authority of the operator's stream."""
    log_level: str = "info"
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets, which each namespace has to have itself."""


def collector(
    namespace: str, *, pools: Sequence[WorkerPool], settings: CollectorSettings
) -> tuple[dict[str, Any], ...]:
    """All objects of the namespace's collector, in the order in which they are applied.

    Args:
        namespace: where.
        pools: all pools of the namespace that are not being deleted, at least one.
        settings: what the installation says.
    """
    pools = sorted(pools, key=lambda pool: pool.name)

    def made(api_version: str, kind: str, **fields: Any) -> dict[str, Any]:
        metadata = {
            "name": COLLECTOR_NAME,
            "namespace": namespace,
            "labels": dict(_LABELS),
            "ownerReferences": [owner(pool, controller=False) for pool in pools],
        }
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}

    return (
        made("v1", "ServiceAccount", automountServiceAccountToken=False),
        made("rbac.authorization.k8s.io/v1", "RoleBinding", **_binding(namespace)),
        made("v1", "ConfigMap", data={CA_KEY: settings.ca_pem}),
        made("v1", "Service", spec=_service()),
        made("networking.k8s.io/v1", "NetworkPolicy", spec=_network_policy()),
        made("apps/v1", "Deployment", spec=_deployment(pools, settings=settings)),
    )


def _binding(namespace: str) -> dict[str, Any]:
    return {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": COLLECTOR_NAME},
        "subjects": [{"kind": "ServiceAccount", "name": COLLECTOR_NAME, "namespace": namespace}],
    }


def _service() -> dict[str, Any]:
    return {
        "selector": dict(_LABELS),
        "ports": [{"name": name, "port": port, "targetPort": name, "protocol": "TCP"} for name, port in _PORTS.items()],
    }


def _network_policy() -> dict[str, Any]:
    """Workers of the namespace may open streams, anyone may scrape. Egress is open: brokers lie anywhere."""
    workers = {
        "matchLabels": {COMPONENT_LABEL: WORKER},
        "matchExpressions": [{"key": POOL_LABEL, "operator": "Exists"}],
    }
    return {
        "podSelector": {"matchLabels": dict(_LABELS)},
        "policyTypes": ["Ingress"],
        "ingress": [
            {"from": [{"podSelector": workers}], "ports": [_allowed("stream")]},
            {"ports": [_allowed("metrics"), _allowed("health")]},
        ],
    }


def _allowed(port: str) -> dict[str, Any]:
    return {"port": _PORTS[port], "protocol": "TCP"}


def _deployment(pools: Sequence[WorkerPool], *, settings: CollectorSettings) -> dict[str, Any]:
    return {
        "replicas": settings.replicas,
        "selector": {"matchLabels": dict(_LABELS)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "revisionHistoryLimit": 1,
        "template": {"metadata": {"labels": dict(_LABELS)}, "spec": _pod(pools, settings=settings)},
    }


def _pod(pools: Sequence[WorkerPool], *, settings: CollectorSettings) -> dict[str, Any]:
    volumes = _volumes(pools)
    pod = {
        "serviceAccountName": COLLECTOR_NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": pod_security(user=_USER, group=_USER),
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{trouble}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": NODE_TOLERATION_SECONDS,
            }
            for trouble in ("not-ready", "unreachable")
        ],
        "containers": [_container(settings, mounts={name: path for name, (path, _) in volumes.items()})],
        "volumes": [volume for _, volume in volumes.values()],
    }
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return pod | ({"affinity": _apart()} if settings.replicas > 1 else {})


def _apart() -> dict[str, Any]:
    """Two collectors keep to two hosts. Preferred: required would block the surge pod of a rollout on two nodes."""
    term = {"labelSelector": {"matchLabels": dict(_LABELS)}, "topologyKey": "kubernetes.io/hostname"}
    return {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]
        }
    }


def _container(settings: CollectorSettings, *, mounts: dict[str, str]) -> dict[str, Any]:
    return {
        "name": COLLECTOR,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["python", "-m", "workerpool_operator.collector"],
        "env": [
            contract.from_field("POD_NAME", "metadata.name"),
            contract.from_field("POD_NAMESPACE", "metadata.namespace"),
            contract.literal("OPERATOR_STREAM", settings.operator_stream),
            contract.literal("LOG_LEVEL", settings.log_level),
        ],
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in _PORTS.items()],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "livenessProbe": _probe("/healthz", delay=10, period=10),
        "readinessProbe": _probe("/ready", delay=0, period=2),
        "securityContext": container_security(),
        "volumeMounts": [
            {"name": name, "mountPath": path} | ({} if path == "/tmp" else {"readOnly": True})  # noqa: S108
            for name, path in mounts.items()
        ],
    }


def _probe(path: str, *, delay: int, period: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "health"},
        "initialDelaySeconds": delay,
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": 3,
    }


def _volumes(pools: Sequence[WorkerPool]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name -> (where it is mounted, the volume)."""
    found = {
        "api-token": (API_TOKEN_DIRECTORY, {"name": "api-token", "projected": {"sources": _api_token()}}),
        "operator-token": (contract.TOKEN_DIRECTORY, token_volume("operator-token", audience=OPERATOR_AUDIENCE)),
        "operator-ca": (CA_DIRECTORY, {"name": "operator-ca", "configMap": {"name": COLLECTOR_NAME}}),
        "tmp": ("/tmp", {"name": "tmp", "emptyDir": {}}),  # noqa: S108  a path in the collector's container
    }
    sources = [
        source
        for pool in pools
        for queue in pool.spec.queues
        for source in contract.credential_sources(queue, directory=f"{pool.name}/{queue.name}")
    ]
    if sources:
        found["credentials"] = (contract.CREDENTIALS, {"name": "credentials", "projected": {"sources": sources}})
    return found


def _api_token() -> list[dict[str, Any]]:
    """What the automatic mount would hold: token, certificate authority and namespace."""
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    return [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": contract.TOKEN_NAME}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]

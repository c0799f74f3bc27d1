"""The objects by which Prometheus and prometheus-adapter run in the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from e2e.support.kubectl import Json, Kubectl

PROMETHEUS: Final = "prometheus"
PROMETHEUS_PORT: Final = 9090
CONFIGURATION_FOLDER: Final = "/etc/monitoring"
ADAPTER: Final = "prometheus-adapter"
_ADAPTER_PORT: Final = 6443
_USER: Final = 10001
EXTERNAL_METRICS: Final = "v1beta1.external.metrics.k8s.io"


def remove_clusterwide(kubectl: Kubectl) -> None:
    """Take away what does not go with the namespace of Prometheus and its adapter."""
    for kind in ("clusterrolebinding", "clusterrole"):
        kubectl.delete(kind, *(_clusterwide(name) for name in (PROMETHEUS, ADAPTER, f"{ADAPTER}-delegates")))
    kubectl.delete("rolebinding", ADAPTER, namespace="kube-system")


def configuration(namespace: str, *, files: Mapping[str, str]) -> Json:
    """Give the ConfigMap with Prometheus' files."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _named(PROMETHEUS, namespace), "data": dict(files)}


def prometheus(namespace: str, *, image: str, node: str = "") -> list[Json]:
    """Give Prometheus, with the rights to find pods and endpoints; `configuration` has to be there too."""
    arguments = [
        f"--config.file={CONFIGURATION_FOLDER}/prometheus.yml",
        "--storage.tsdb.path=/data",
        "--storage.tsdb.retention.time=6h",
        "--web.enable-lifecycle",
    ]
    rules = [{"apiGroups": [""], "resources": ["pods", "services", "endpoints"], "verbs": ["get", "list", "watch"]}]
    return [
        *_account(PROMETHEUS, namespace, rules=rules),
        _service(PROMETHEUS, namespace, port=PROMETHEUS_PORT),
        _deployment(
            PROMETHEUS,
            namespace,
            image=image,
            arguments=arguments,
            port=PROMETHEUS_PORT,
            probe={"path": "/-/ready", "port": PROMETHEUS_PORT},
            folders={CONFIGURATION_FOLDER: {"configMap": {"name": PROMETHEUS}}, "/data": {"emptyDir": {}}},
            node=node,
        ),
    ]


def adapter(namespace: str, *, image: str, values: Json, prometheus_url: str) -> list[Json]:
    """Give prometheus-adapter as its Helm chart does with these values, at a Prometheus of the tests.

    Its certificate is one that it makes itself, so the API server does not verify it, as with the chart's defaults.
    """
    arguments = [
        f"--secure-port={_ADAPTER_PORT}",
        "--cert-dir=/tmp/cert",
        f"--prometheus-url={prometheus_url}",
        f"--metrics-relist-interval={values['metricsRelistInterval']}",
        "--config=/etc/adapter/config.yaml",
        *values.get("extraArguments", []),
    ]
    config = yaml.safe_dump({"externalRules": values["rules"]["external"]}, sort_keys=False)
    reads = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}]
    return [
        *_account(ADAPTER, namespace, rules=reads),
        _cluster_binding(_clusterwide(f"{ADAPTER}-delegates"), "system:auth-delegator", ADAPTER, namespace),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": _named(ADAPTER, "kube-system"),
            "roleRef": _role("Role", "extension-apiserver-authentication-reader"),
            "subjects": [_subject(ADAPTER, namespace)],
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _named(ADAPTER, namespace),
            "data": {"config.yaml": config},
        },
        _service(ADAPTER, namespace, port=443, target=_ADAPTER_PORT),
        _deployment(
            ADAPTER,
            namespace,
            image=image,
            arguments=arguments,
            port=_ADAPTER_PORT,
            probe={"path": "/readyz", "port": _ADAPTER_PORT, "scheme": "HTTPS"},
            folders={"/etc/adapter": {"configMap": {"name": ADAPTER}}, "/tmp": {"emptyDir": {}}},  # noqa: S108
        ),
    ]


def adapter_api(namespace: str) -> Json:
    """Give the APIService by which the adapter serves the external metrics API."""
    group, version = "external.metrics.k8s.io", "v1beta1"
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": EXTERNAL_METRICS},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": ADAPTER, "namespace": namespace},
        },
    }


def _account(name: str, namespace: str, *, rules: Sequence[Json]) -> list[Json]:
    role = _clusterwide(name)
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(name, namespace)},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": list(rules),
        },
        _cluster_binding(role, role, name, namespace),
    ]


def _cluster_binding(name: str, role: str, account: str, namespace: str) -> Json:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": _role("ClusterRole", role),
        "subjects": [_subject(account, namespace)],
    }


def _service(name: str, namespace: str, *, port: int, target: int = 0) -> Json:
    ports = [{"port": port, "targetPort": target or port}]
    spec = {"selector": {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _named(name, namespace), "spec": spec}


def _deployment(
    name: str,
    namespace: str,
    *,
    image: str,
    arguments: Sequence[str],
    port: int,
    probe: Mapping[str, Any],
    folders: Mapping[str, Json],
    node: str = "",
) -> Json:
    volumes = [{"name": f"folder-{number}", **source} for number, source in enumerate(folders.values())]
    mounts = [{"name": f"folder-{number}", "mountPath": path} for number, path in enumerate(folders)]
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": list(arguments),
        "ports": [{"containerPort": port}],
        "readinessProbe": {"httpGet": dict(probe), "periodSeconds": 2, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    pod = {
        "serviceAccountName": name,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": {"kubernetes.io/hostname": node} if node else {},
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _named(name, namespace),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def _named(name: str, namespace: str) -> Json:
    return {"name": name, "namespace": namespace}


def _clusterwide(name: str) -> str:
    """Names without a namespace say whose they are."""
    return f"e2e-{name}"


def _role(kind: str, name: str) -> Json:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}


def _subject(account: str, namespace: str) -> Json:
    return {"kind": "ServiceAccount", "name": account, "namespace": namespace}

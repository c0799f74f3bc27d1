"""A cluster that is well, and parts of others."""

from typing import Any, Final

from workerpool_operator.api.crd import definition
from workerpool_operator.cli.doctor.checks import findings
from workerpool_operator.cli.doctor.seen import Finding, Seen

RELEASE: Final = "1.2.3"


def operator(*, ready: int = 2, release: str = RELEASE, namespace: str = "system") -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "workerpool-operator", "app.kubernetes.io/version": release}
    metadata = {"name": "workerpool-operator", "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "status": {"readyReplicas": ready}}


def slot(service: str = "workerpool-operator-external-metrics", *, available: str = "True") -> dict[str, Any]:
    told = [{"type": "Available", "status": available, "message": "no endpoints"}]
    return {"spec": {"service": {"namespace": "system", "name": service}}, "status": {"conditions": told}}


def pool(name: str = "thumbs", **told: str) -> dict[str, Any]:
    conditions = [{"type": kind, "status": status, "reason": "R", "message": "m"} for kind, status in told.items()]
    return {"metadata": {"name": name, "namespace": "media"}, "status": {"conditions": conditions}}


POD_MONITOR: Final[dict[str, Any]] = {
    "metadata": {"namespace": "system", "name": "workerpool-operator", "labels": {}},
    "spec": {
        "namespaceSelector": {"any": True},
        "selector": {
            "matchLabels": {
                "app.kubernetes.io/managed-by": "workerpool-operator",
                "app.kubernetes.io/component": "worker",
            },
            "matchExpressions": [{"key": "workerpool.dev/pool", "operator": "Exists"}],
        },
    },
}
SERVICE_MONITOR: Final[dict[str, Any]] = {
    "metadata": {"namespace": "system", "name": "workerpool-operator", "labels": {}},
    "spec": {"selector": {"matchLabels": {"app.kubernetes.io/name": "workerpool-operator"}}},
}
"""As the chart has them."""

WELL: Final = Seen(
    kubernetes=(1, 36),
    definition=definition(),
    wanted=definition(),
    release=RELEASE,
    operators=[operator()],
    slot=slot(),
    rules_served=True,
    pod_monitors=[POD_MONITOR],
    service_monitors=[SERVICE_MONITOR],
    homes={"system": {"metadata": {"labels": {"team": "platform"}}}},
    pools=[pool(Ready="True")],
    namespaces={"media": {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}},
)


def told(seen: Seen, subject: str) -> Finding:
    [found] = [finding for finding in findings(seen) if finding.subject == subject]
    return found

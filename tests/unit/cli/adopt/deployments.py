"""A Deployment as a cluster gives it, with what Kubernetes writes by itself."""

from typing import Any

from workerpool_operator.cli.adopt.queues import EXAMPLE, parse_queue
from workerpool_operator.cli.adopt.translate import Wish

QUEUE = parse_queue(EXAMPLE, name="main")
WISH = Wish(queues=[QUEUE])


def deployment(*, container: dict[str, Any] | None = None, namespace: str = "media", **pod: Any) -> dict[str, Any]:
    """Three pods of it; `container` and the rest are added to the container and to the pod."""
    main = {
        "name": "worker",
        "image": "registry.example/thumbs:1.4.2",
        "env": [
            {"name": "MODE", "value": "fast"},
            {"name": "NODE", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}},
        ],
        "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}},
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
        "imagePullPolicy": "Always",
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "ports": [{"containerPort": 8000, "protocol": "TCP"}],
        **(container or {}),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "thumbs", "namespace": namespace},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "thumbs"}},
            "template": {
                "metadata": {
                    "labels": {"app": "thumbs", "team": "media"},
                    "annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01", "example.com/owner": "ann"},
                },
                "spec": {
                    "containers": [main],
                    "volumes": [{"name": "models", "configMap": {"name": "models", "defaultMode": 420}}],
                    "restartPolicy": "Always",
                    "dnsPolicy": "ClusterFirst",
                    "schedulerName": "default-scheduler",
                    "terminationGracePeriodSeconds": 85,
                    "securityContext": {},
                    **pod,
                },
            },
        },
    }

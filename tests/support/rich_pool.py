"""A pool that sets every field, for tests that must not overlook one."""

from typing import Any, Final

from tests.support.pools import pool, queue
from workerpool_operator.api import WorkerPool


def _secret(name: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}


WORKER: Final[dict[str, Any]] = {
    "image": "registry.example/thumbs:1.4.2",
    "command": ["python", "-m", "thumbs"],
    "args": ["--quiet"],
    "env": [
        {"name": "MODE", "value": "fast"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}},
        {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1000m"}}},
    ],
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}, "limits": {"cpu": 2}},
    "volumes": [
        {"name": "scratch", "emptyDir": {"sizeLimit": "2048Mi"}},
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256}},
        {"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}},
        {"name": "both", "projected": {"sources": [{"secret": {"name": "keys"}}, {"configMap": {"name": "settings"}}]}},
    ],
    "volumeMounts": [
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "config", "mountPath": "/etc/thumbs", "readOnly": True},
    ],
    "podLabels": {"team": "media"},
    "podAnnotations": {"note": "text"},
    "nodeSelector": {"disk": "ssd"},
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
            }
        },
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 10,
                    "podAffinityTerm": {
                        "topologyKey": "kubernetes.io/hostname",
                        "labelSelector": {"matchLabels": {"team": "media"}},
                    },
                }
            ]
        },
    },
    "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "imagePullSecrets": [{"name": "registry"}],
    "imagePullPolicy": "Always",
    "priorityClassName": "high",
    "runAsUser": 2000,
    "fsGroup": 3000,
    "maxWorkers": 8,
    "heartbeatPeriodSeconds": 5,
    "drainTimeoutSeconds": 120,
    "stuckAfterSeconds": 30,
    "livenessProbe": {"path": "/alive", "port": 9090, "periodSeconds": 7},
    "readinessProbe": {"initialDelaySeconds": 1},
}
SIDECARS: Final[list[dict[str, Any]]] = [
    {
        "name": "proxy",
        "image": "proxy:1",
        "command": ["/proxy"],
        "args": ["--quiet"],
        "env": [
            {"name": "MODE", "value": "fast"},
            {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1000m"}}},
        ],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "resources": {"requests": {"cpu": "0.5"}, "limits": {"memory": "1024Mi"}},
    },
    {
        "name": "shipper",
        "image": "shipper:1",
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch", "readOnly": True}],
    },
]
"""Not in `WORKER`: the hashes of that are pinned. They mount its volumes."""
QUEUES: Final[list[dict[str, Any]]] = [
    queue(credentials={"username": _secret("redis", "user"), "password": _secret("redis", "password")}),
    queue(
        "thumbs-high",
        redisStream={"url": "rediss://redis:6380/1", "stream": "high", "group": "workers"},
        credentials={"password": _secret("redis-high", "password")},
        tls={"caRef": {"kind": "ConfigMap", "name": "ca", "key": "bundle.pem"}, "clientCertRef": {"name": "cert"}},
    ),
]

DELIVERY: dict[str, Any] = {
    "rateLimitPerSecond": "0.5",
    "concurrencyPerWorker": 3,
    "tenantLimits": {"acme": {"ratePerSecond": "2.5", "maxInFlight": 3}, "*": {"maxInFlight": 10}},
    "shedAfterSeconds": {"low": 600},
}


def rich_pool(name: str = "thumbs", namespace: str = "media", **worker: Any) -> WorkerPool:
    """A pool that sets every field of `worker`, a queue and the limits, with these fields of `worker` replaced."""
    return pool(name, namespace, worker=WORKER | worker, queues=QUEUES, delivery=DELIVERY)

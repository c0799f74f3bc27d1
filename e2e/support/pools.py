"""WorkerPool manifests that react within seconds, and questions about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2e.support.kubectl import Json, Kubectl, condition
from e2e.support.wait import wait_for

POOL_LABEL = "workerpool.dev/pool"


def worker_pool(
    name: str,
    namespace: str,
    *,
    image: str,
    redis: str,
    stream: str = "jobs",
    queue: Mapping[str, Any] | None = None,
    worker: Mapping[str, Any] | None = None,
    scaling: Mapping[str, Any] | None = None,
    delivery: Mapping[str, Any] | None = None,
    rollout: Mapping[str, Any] | None = None,
    placement: Mapping[str, Any] | None = None,
) -> Json:
    """Give a pool on one Redis stream; what is given replaces single fields of what stands here.

    `queue` stands in place of that stream. Probes and waits are short, so that a test sees in seconds what takes
    minutes at the defaults.
    """
    return {
        "apiVersion": "workerpool.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "worker": {
                "image": image,
                "maxWorkers": 2,
                "heartbeatPeriodSeconds": 2,
                "drainTimeoutSeconds": 10,
                "readinessProbe": {"initialDelaySeconds": 0, "periodSeconds": 1, "timeoutSeconds": 2},
                "resources": {"requests": {"cpu": "20m", "memory": "48Mi"}},
                **(worker or {}),
            },
            "queues": [queue or {"name": "main", "redisStream": {"url": redis, "stream": stream, "group": stream}}],
            "scaling": {
                "mode": "direct",
                "minReplicas": 0,
                "maxReplicas": 8,
                "targets": {"queueDepthPerReplica": 5},
                "cooldownSeconds": 5,
                "scaleDown": {"stabilizationSeconds": 5},
                **(scaling or {}),
            },
            "delivery": {"leaseSeconds": 10, **(delivery or {})},
            **({"rollout": dict(rollout)} if rollout else {}),
            **({"placement": dict(placement)} if placement else {}),
        },
    }


def status(kubectl: Kubectl, namespace: str, name: str) -> Json:
    """Give the pool's status; empty where it has none yet."""
    found = kubectl.get("workerpool", name, namespace=namespace)
    return (found or {}).get("status") or {}


def is_ready(kubectl: Kubectl, namespace: str, name: str) -> bool:
    """Tell whether the operator calls the pool Ready, for the generation that is there now."""
    found = kubectl.get("workerpool", name, namespace=namespace)
    if not found:
        return False
    seen = (found.get("status") or {}).get("observedGeneration")
    return seen == found["metadata"]["generation"] and condition(found, "Ready") == "True"


def wait_ready(kubectl: Kubectl, namespace: str, name: str, *, seconds: float = 60.0) -> None:
    """Wait until the pool is Ready."""
    wait_for(lambda: is_ready(kubectl, namespace, name), seconds=seconds, what=f"pool {name} Ready")


def wait_watched(kubectl: Kubectl, namespace: str, name: str, *, seconds: float = 60.0) -> None:
    """Wait until the pool is Ready and its queues are being read: from then on it reacts."""
    wait_ready(kubectl, namespace, name, seconds=seconds)
    wait_for(
        lambda: condition(kubectl.get("workerpool", name, namespace=namespace), "QueueReachable") == "True",
        seconds=seconds,
        what=f"queues of pool {name} read by the collector",
    )


def pods(kubectl: Kubectl, namespace: str, name: str) -> list[Json]:
    """Give the pool's worker pods, those that are stopping included."""
    return kubectl.list("pods", namespace=namespace, selector=f"{POOL_LABEL}={name}")


def ready_pods(kubectl: Kubectl, namespace: str, name: str) -> list[Json]:
    """Give the pool's worker pods that are Ready and not stopping."""
    found = pods(kubectl, namespace, name)
    return [pod for pod in found if condition(pod, "Ready") == "True" and "deletionTimestamp" not in pod["metadata"]]

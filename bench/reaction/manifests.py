"""The objects by which each scaler scales the same worker. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from bench.reaction import exporter
from bench.reaction.traces import DRAIN_SECONDS, MAX_REPLICAS, SLOTS
from e2e.support import pools
from e2e.support.kubectl import Json
from workerpool_operator.api import parse
from workerpool_operator.domain.desired.template import pod_template

LABEL: Final = "bench.workerpool.dev/scaler"
"""Selects a peer's Deployment and its pods."""
METRIC: Final = "redis_stream_group_backlog"
SCRAPE_SECONDS: Final = 5
GRACE_SECONDS: Final = 30
"""The default of Kubernetes, which a plain Deployment has."""
QUIET_SECONDS: Final = 5
"""For all but KEDA's defaults: so long no worker must be wanted before the pool goes to 0."""
STABILIZATION_SECONDS: Final = 0
"""For all but KEDA's defaults: where fewer workers are wanted they are taken away at once.

An HPA looks every 15 s, so that up to that it makes no difference to it what it is told here: it shrinks at the first
look that finds less. A pool would keep its workers for just as long as it is told.
"""
_EXPORTER: Final = "exporter"
_PROGRAM: Final = Path(exporter.__file__)
_FOLDER: Final = "/program"


def pool(name: str, namespace: str, *, image: str, redis: str, mode: str) -> Json:
    """Give a WorkerPool on the stream of its name."""
    return pools.worker_pool(
        name,
        namespace,
        image=image,
        redis=redis,
        stream=name,
        worker={"maxWorkers": SLOTS, "drainTimeoutSeconds": DRAIN_SECONDS},
        scaling={
            "mode": mode,
            "maxReplicas": MAX_REPLICAS,
            "targets": {"queueDepthPerReplica": SLOTS},
            "cooldownSeconds": QUIET_SECONDS,
            "scaleDown": {"stabilizationSeconds": STABILIZATION_SECONDS},
        },
    )


def deployment(name: str, namespace: str, *, image: str, redis: str, replicas: int) -> Json:
    """Give a plain Deployment of the worker that such a pool would have, with the same settings of the SDK.

    What only serves the connection to a collector is left out: nobody would write it into a Deployment.
    """
    template = pod_template(
        parse(pool(name, namespace, image=image, redis=redis, mode="direct")), version="bench", revision="bench"
    )
    pod = template["spec"] | {"terminationGracePeriodSeconds": GRACE_SECONDS}
    pod["volumes"] = [volume for volume in pod["volumes"] if "projected" not in volume]
    kept = {volume["name"] for volume in pod["volumes"]}
    (container,) = pod["containers"]
    container["env"] = [one for one in container["env"] if one["name"] != "WORKERPOOL_COLLECTOR"]
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] in kept]
    labels = {LABEL: name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def scaled_object(name: str, namespace: str, *, redis: str, tuned: bool) -> Json:
    """Give KEDA's ScaledObject on the Deployment of this name; with its defaults, or at its quickest.

    The backlog is what was not taken yet and what runs: KEDA's trigger gives the one or the other, its formula the
    sum. With the one alone a worker at work would not count, or nothing would wake the Deployment.
    """
    address = redis.removeprefix("redis://").partition("/")[0]
    queue = {"address": address, "stream": name, "consumerGroup": name}
    advanced: Json = {
        "scalingModifiers": {"formula": "lag + pending", "target": str(SLOTS), "metricType": "AverageValue"}
    }
    spec: Json = {
        "scaleTargetRef": {"name": name},
        "minReplicaCount": 0,
        "maxReplicaCount": MAX_REPLICAS,
        "triggers": [
            {"type": "redis-streams", "name": "lag", "metadata": queue | {"lagCount": str(SLOTS)}},
            {"type": "redis-streams", "name": "pending", "metadata": queue | {"pendingEntriesCount": str(SLOTS)}},
        ],
        "advanced": advanced,
    }
    if tuned:
        spec |= {"pollingInterval": 1, "cooldownPeriod": QUIET_SECONDS}
        advanced["horizontalPodAutoscalerConfig"] = {"behavior": behavior()}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata, "spec": spec}


def autoscaler(name: str, namespace: str) -> Json:
    """Give an HPA on the Deployment of this name, by what prometheus-adapter says of the stream of this name."""
    metric = {"name": METRIC, "selector": {"matchLabels": {"stream": name}}}
    target = {"type": "AverageValue", "averageValue": str(SLOTS)}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": MAX_REPLICAS,
            "metrics": [{"type": "External", "external": {"metric": metric, "target": target}}],
            "behavior": behavior(),
        },
    }


def behavior() -> Json:
    """Give an HPA's behavior at its quickest: up at once and to any size, down at once too, and exactly."""
    policies = [{"type": "Pods", "value": MAX_REPLICAS, "periodSeconds": 15}]
    rules = {"stabilizationWindowSeconds": STABILIZATION_SECONDS, "policies": policies, "tolerance": "0"}
    return {"scaleUp": rules, "scaleDown": rules}


def adapter_values() -> Json:
    """Give the values of prometheus-adapter's chart by which it serves the backlog of streams."""
    streams = 'redis_stream_group_lag{namespace!="",stream!=""}'
    backlog = "redis_stream_group_lag{<<.LabelMatchers>>} + redis_stream_group_messages_pending{<<.LabelMatchers>>}"
    rule = {
        "seriesQuery": streams,
        "resources": {"overrides": {"namespace": {"resource": "namespace"}}},
        "name": {"as": METRIC},
        "metricsQuery": f"max by (namespace, stream) ({backlog})",
    }
    return {"metricsRelistInterval": "10s", "rules": {"external": [rule]}}


def exporting(namespace: str, *, image: str, redis: str, streams: list[str], labels: Json) -> list[Json]:
    """Give the exporter of these streams, and the PodMonitor by which Prometheus scrapes it."""
    metadata = {"name": _EXPORTER, "namespace": namespace}
    app = {"app": _EXPORTER}
    variables = {"REDIS_URL": redis, "STREAMS": ",".join(streams)}
    pod = _exporter_pod(image, env=[{"name": name, "value": value} for name, value in variables.items()])
    spec = {"replicas": 1, "selector": {"matchLabels": app}, "template": {"metadata": {"labels": app}, "spec": pod}}
    endpoint = {"port": "metrics", "interval": f"{SCRAPE_SECONDS}s"}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {_PROGRAM.name: _PROGRAM.read_text()}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PodMonitor",
            "metadata": metadata | {"labels": labels},
            "spec": {"selector": {"matchLabels": app}, "podMetricsEndpoints": [endpoint]},
        },
    ]


def _exporter_pod(image: str, *, env: list[dict[str, Any]]) -> Json:
    container = {
        "name": _EXPORTER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", f"{_FOLDER}/{_PROGRAM.name}"],
        "env": env,
        "ports": [{"name": "metrics", "containerPort": exporter.PORT}],
        "readinessProbe": {"tcpSocket": {"port": exporter.PORT}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "program", "mountPath": _FOLDER}],
    }
    return {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "program", "configMap": {"name": _EXPORTER}}],
    }

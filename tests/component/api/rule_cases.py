"""What the rules of the resource accept and refuse: the cases of test_rules.py that have no file of their own."""

from typing import Any

from tests.component.api import (
    broker_rules,
    delivery_rules,
    kafka_rules,
    placement_rules,
    queue_rules,
    rabbitmq_rules,
    rollout_rules,
    scaling_rules,
    sidecar_rules,
)


def worker(**fields: Any) -> dict[str, Any]:
    return {"worker": fields}


def mount(path: str, *, name: str = "data", volume: str = "data") -> dict[str, Any]:
    return worker(volumes=[{"name": volume, "emptyDir": {}}], volumeMounts=[{"name": name, "mountPath": path}])


def volume(**source: Any) -> dict[str, Any]:
    return worker(volumes=[{"name": "data"} | source])


def env(**variable: Any) -> dict[str, Any]:
    return worker(env=[variable])


_PARTS = (
    delivery_rules,
    broker_rules,
    kafka_rules,
    rabbitmq_rules,
    queue_rules,
    scaling_rules,
    rollout_rules,
    placement_rules,
    sidecar_rules,
)
_ACCEPTED = {name: case for part in _PARTS for name, case in part.ACCEPTED.items()}
_REFUSED = {name: case for part in _PARTS for name, case in part.REFUSED.items()}
ACCEPTED: dict[str, dict[str, Any]] = _ACCEPTED | {
    "smallest": {},
    "min = max": {"scaling": {"minReplicas": 5, "maxReplicas": 5}},
    "stopped": {"suspend": True, "scaling": {"minReplicas": 2}},
    "always on": {"scaling": {"mode": "manual", "minReplicas": 1, "maxReplicas": 1}, "replicas": 0},
    "targets": {"scaling": {"mode": "direct", "targets": {"queueDepth": 1, "queueDepthPerReplica": 1}}},
    "as many at a time as there are slots": worker(maxWorkers=7) | {"delivery": {"concurrencyPerWorker": 7}},
    "stuck after two heartbeats": worker(heartbeatPeriodSeconds=10, stuckAfterSeconds=20),
    "ids": worker(runAsUser=1, fsGroup=1),
    "service account": worker(serviceAccountName="thumbs.uploader"),
    "every kind of probe": worker(
        livenessProbe={"path": "/alive", "port": 9090, "timeoutSeconds": 1},
        readinessProbe={"path": "/", "initialDelaySeconds": 0},
    ),
    "resources": worker(
        resources={"requests": {"cpu": "0.5", "memory": "1.5Gi"}, "limits": {"cpu": 2, "nvidia.com/gpu": 1}}
    ),
    "env": worker(
        env=[
            {"name": "MODE", "value": "fast"},
            {"name": "ADDRESS", "value": "$(MODE)"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token", "optional": True}}},
            {"name": "CONFIG", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            {"name": "MY_QUEUE_URL", "value": "x"},
            {"name": "MAX_WORKERS_OF_MINE", "value": "1"},
        ],
        envFrom=[{"configMapRef": {"name": "a"}}, {"prefix": "B_", "secretRef": {"name": "b", "optional": True}}],
    ),
    "every kind of volume": worker(
        volumes=[
            {"name": "a", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            {"name": "b", "configMap": {"name": "c", "items": [{"key": "k", "path": "f", "mode": 292}]}},
            {"name": "c", "secret": {"secretName": "s", "defaultMode": 256}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "p", "readOnly": True}},
            {"name": "e", "projected": {"sources": [{"configMap": {"name": "c"}}, {"secret": {"name": "s"}}]}},
        ],
        volumeMounts=[
            {"name": "a", "mountPath": "/scratch"},
            {"name": "b", "mountPath": "/credentials-of-mine"},
            {"name": "c", "mountPath": "/etc/.hidden", "subPath": "x", "readOnly": True},
        ],
    ),
    "labels and annotations": worker(
        podLabels={"team": "media", "app.kubernetes.io/name": "thumbs", "empty": ""},
        podAnnotations={"prometheus.io/scrape": "true", "note": "any text: at all"},
    ),
    "placement": worker(
        nodeSelector={"disk": "ssd"},
        tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        affinity={
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": ["a"]}]}]
                }
            },
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}
                ]
            },
        },
        topologySpreadConstraints=[
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        imagePullSecrets=[{"name": "registry"}],
        imagePullPolicy="Always",
        priorityClassName="high",
    ),
    "a share of workers": {"disruption": {"maxUnavailable": "25%"}},
    "no disruption": {"disruption": {"maxUnavailable": 0}},
    "alerts": {"alerts": {"heartbeatMissingSeconds": 20, "labels": {"severity": "page", "_team": "{{ x }}"}}},
    "thresholds of alerts": {
        "alerts": {
            "thresholds": {
                "queueDepth": 0,
                "jobWaitSeconds": 604_800,
                "jobFailureRatio": 1,
                "deadLetters": 0,
                "redeliveryRatio": "0.005",
                "retryRatio": 0,
                "slotsBusyRatio": "1.0",
                "loopLagSeconds": "0.25",
                "cpuPercent": 380,
            }
        }
    },
    "no alerts, whatever their limits": worker(heartbeatPeriodSeconds=20) | {"alerts": {"enabled": False}},
}

ENV_WORDS = "this variable is set by the operator: choose another name, or set the pool's own field"
MOUNT_WORDS = "/credentials and /var/run/secrets/workerpool.dev are mounted by the operator: choose another path"
LABEL_WORDS = "app.kubernetes.io/component are the operator's: choose other keys"
ANNOTATION_WORDS = "those that change seccomp or AppArmor are the operator's: choose other keys"
KEY_WORDS = "keys are written as name or example.com/name, with at most 63 characters in the name"
ACCOUNT_WORDS = "workerpool-collector is the account of the namespace's collector: make one for the workers"
NAME_WORDS = "names of objects have only a-z, 0-9, '-' and '.', and start and end with a letter or digit"
ROOT_WORDS = "must be above 0, because workers never run as root: write an id such as 10001"
VOLUME_WORDS = "a pool may use no other kind of volume"
DISRUPTION_WORDS = "write a number of workers from 0, or a percentage from 0% to 100%"

REFUSED: dict[str, tuple[dict[str, Any], str, str]] = _REFUSED | {
    # name -> (spec, field, words)
    "min above max": (
        {"scaling": {"minReplicas": 6, "maxReplicas": 5}},
        "spec.scaling.minReplicas",
        "minReplicas must not be above maxReplicas: lower minReplicas or raise maxReplicas",
    ),
    "max of 0": ({"scaling": {"maxReplicas": 0}}, "spec.scaling.maxReplicas", "greater than or equal to 1"),
    "negative size": ({"replicas": -1}, "spec.replicas", "greater than or equal to 0"),
    "unknown mode": (
        {"scaling": {"mode": "carousel"}},
        "spec.scaling.mode",
        '"auto", "hpa", "keda", "direct", "manual"',
    ),
    "target of 0": (
        {"scaling": {"targets": {"queueDepth": 0}}},
        "spec.scaling.targets.queueDepth",
        "greater than or equal to 1",
    ),
    "more at a time than there are slots": (
        worker(maxWorkers=7) | {"delivery": {"concurrencyPerWorker": 8}},
        "spec.delivery.concurrencyPerWorker",
        "must not be above worker.maxWorkers",
    ),
    "stuck before two heartbeats": (
        worker(heartbeatPeriodSeconds=10, stuckAfterSeconds=19),
        "spec.worker.stuckAfterSeconds",
        "stuckAfterSeconds must be at least twice heartbeatPeriodSeconds",
    ),
    "missing before two heartbeats": (
        {"alerts": {"heartbeatMissingSeconds": 19}},
        "spec.alerts.heartbeatMissingSeconds",
        "alerts.heartbeatMissingSeconds must be at least 2 times worker.heartbeatPeriodSeconds",
    ),
    "a part above the whole": (
        {"alerts": {"thresholds": {"jobFailureRatio": "1.1"}}},
        "spec.alerts.thresholds.jobFailureRatio",
        "write a share from 0 to 1",
    ),
    "a part below nothing": (
        {"alerts": {"thresholds": {"retryRatio": -1}}},
        "spec.alerts.thresholds.retryRatio",
        "write a share from 0 to 1",
    ),
    "a part in percent": (
        {"alerts": {"thresholds": {"slotsBusyRatio": "75%"}}},
        "spec.alerts.thresholds.slotsBusyRatio",
        "write a share from 0 to 1",
    ),
    "a loop that is never late": (
        {"alerts": {"thresholds": {"loopLagSeconds": "0.0"}}},
        "spec.alerts.thresholds.loopLagSeconds",
        "write seconds above 0, below 1000",
    ),
    "fewer dead letters than none": (
        {"alerts": {"thresholds": {"deadLetters": -1}}},
        "spec.alerts.thresholds.deadLetters",
        "greater than or equal to 0",
    ),
    "label of no alert": (
        {"alerts": {"labels": {"a-b": "c"}}},
        "spec.alerts.labels",
        "labels of alerts have at most",
    ),
    "label of Prometheus' own": (
        {"alerts": {"labels": {"__x": "c"}}},
        "spec.alerts.labels",
        "labels of alerts have at",
    ),
    "label of the alert": (
        {"alerts": {"labels": {"pod": "c"}}},
        "spec.alerts.labels",
        "say what an alert is about",
    ),
    "account of the collector": (
        worker(serviceAccountName="workerpool-collector"),
        "spec.worker.serviceAccountName",
        ACCOUNT_WORDS,
    ),
    "account of no name": (worker(serviceAccountName="Uploader"), "spec.worker.serviceAccountName", NAME_WORDS),
    "root": (worker(runAsUser=0), "spec.worker.runAsUser", f"runAsUser {ROOT_WORDS}"),
    "group root": (worker(fsGroup=0), "spec.worker.fsGroup", f"fsGroup {ROOT_WORDS}"),
    "image with a space": (worker(image="a b"), "spec.worker.image", "write the image without spaces"),
    "no slot": (worker(maxWorkers=0), "spec.worker.maxWorkers", "greater than or equal to 1"),
    "no time to drain": (
        worker(drainTimeoutSeconds=0),
        "spec.worker.drainTimeoutSeconds",
        "greater than or equal to 1",
    ),
    "probe path without slash": (
        worker(livenessProbe={"path": "healthz"}),
        "spec.worker.livenessProbe.path",
        "starting with '/': such as /healthz",
    ),
    "probe port": (worker(readinessProbe={"port": 0}), "spec.worker.readinessProbe.port", "or equal to 1"),
    "probe period": (
        worker(livenessProbe={"periodSeconds": 0}),
        "spec.worker.livenessProbe.periodSeconds",
        "equal to 1",
    ),
    "amount": (
        worker(resources={"limits": {"cpu": "two"}}),
        "spec.worker.resources.limits[cpu]",
        "write an amount such as 2, 500m, 1.5 or 1Gi",
    ),
    "negative amount": (
        worker(resources={"limits": {"cpu": -1}}),
        "spec.worker.resources.limits[cpu]",
        "write an amount such as 2, 500m, 1.5 or 1Gi",
    ),
    "contract variable MAX_WORKERS": (env(name="MAX_WORKERS", value="1"), "spec.worker.env[0].name", ENV_WORDS),
    "contract variable STUCK_AFTER": (env(name="STUCK_AFTER", value="1"), "spec.worker.env[0].name", ENV_WORDS),
    "contract variable LEASE_SECONDS": (env(name="LEASE_SECONDS", value="1"), "spec.worker.env[0].name", ENV_WORDS),
    "contract variable MAX_ATTEMPTS": (env(name="MAX_ATTEMPTS", value="1"), "spec.worker.env[0].name", ENV_WORDS),
    "contract variable DRAIN_TIMEOUT": (env(name="DRAIN_TIMEOUT", value="1"), "spec.worker.env[0].name", ENV_WORDS),
    "contract variable HEARTBEAT_INTERVAL": (
        env(name="HEARTBEAT_INTERVAL", value="1"),
        "spec.worker.env[0].name",
        ENV_WORDS,
    ),
    "contract prefix WORKERPOOL_": (env(name="WORKERPOOL_X", value="1"), "spec.worker.env[0].name", ENV_WORDS),
    "contract prefix QUEUE_": (env(name="QUEUE_MAIN_URL", value="x"), "spec.worker.env[0].name", ENV_WORDS),
    "contract prefix BACKOFF_": (env(name="BACKOFF_SECONDS", value="x"), "spec.worker.env[0].name", ENV_WORDS),
    "variable with a strange name": (env(name="A=B", value="x"), "spec.worker.env[0].name", "names of variables"),
    "variable named twice": (
        worker(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        "spec.worker.env[1]",
        "Duplicate value",
    ),
    "value and source": (
        env(name="A", value="1", valueFrom={"fieldRef": {"fieldPath": "metadata.name"}}),
        "spec.worker.env[0]",
        "set value or valueFrom, not both",
    ),
    "two sources of a variable": (
        env(name="A", valueFrom={"fieldRef": {"fieldPath": "x"}, "secretKeyRef": {"name": "a", "key": "b"}}),
        "spec.worker.env[0].valueFrom",
        "set exactly one of secretKeyRef, configMapKeyRef, fieldRef and resourceFieldRef",
    ),
    "two sources of variables": (
        worker(envFrom=[{"configMapRef": {"name": "a"}, "secretRef": {"name": "b"}}]),
        "spec.worker.envFrom[0]",
        "set exactly one of configMapRef and secretRef",
    ),
    "hostPath": (volume(hostPath={"path": "/"}), "spec.worker.volumes[0]", VOLUME_WORDS),
    "two volumes in one": (volume(emptyDir={}, configMap={"name": "a"}), "spec.worker.volumes[0]", VOLUME_WORDS),
    "nfs": (volume(nfs={"server": "a", "path": "/"}), "spec.worker.volumes[0]", VOLUME_WORDS),
    "token in a projected volume": (
        volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
        "spec.worker.volumes[0].projected.sources[0]",
        "set exactly one of configMap and secret; other sources are not allowed in a pool",
    ),
    "volume of the operator": (
        mount("/data", name="workerpool-token", volume="workerpool-token"),
        "spec.worker.volumes[0].name",
        "names that start with workerpool- are the operator's: choose another one",
    ),
    "volume in capitals": (
        mount("/data", name="Data", volume="Data"),
        "spec.worker.volumes[0].name",
        "a-z, 0-9 and",
    ),
    "mount of no volume": (
        mount("/data", name="other"),
        "spec.worker.volumeMounts",
        "each of volumeMounts must name one of worker.volumes: add the volume or correct the name",
    ),
    "mount over the credentials": (mount("/credentials"), "spec.worker.volumeMounts[0].mountPath", MOUNT_WORDS),
    "mount in the credentials": (mount("/credentials/main"), "spec.worker.volumeMounts[0].mountPath", MOUNT_WORDS),
    "mount over the credentials with a slash": (
        mount("/credentials/"),
        "spec.worker.volumeMounts[0].mountPath",
        MOUNT_WORDS,
    ),
    "mount over the token": (
        mount("/var/run/secrets/workerpool.dev"),
        "spec.worker.volumeMounts[0].mountPath",
        MOUNT_WORDS,
    ),
    "mount over the token by its other name": (
        mount("/run/secrets/workerpool.dev/x"),
        "spec.worker.volumeMounts[0].mountPath",
        MOUNT_WORDS,
    ),
    "mount by a detour": (
        mount("/data/../credentials"),
        "spec.worker.volumeMounts[0].mountPath",
        "write the path without '.' and '..' in it",
    ),
    "relative mount": (mount("data"), "spec.worker.volumeMounts[0].mountPath", "write an absolute path below /"),
    "mount over everything": (
        mount("//"),
        "spec.worker.volumeMounts[0].mountPath",
        "write an absolute path below /",
    ),
    "label of the operator": (
        worker(podLabels={"workerpool.dev/pool": "other"}),
        "spec.worker.podLabels",
        LABEL_WORDS,
    ),
    "component label": (
        worker(podLabels={"app.kubernetes.io/component": "collector"}),
        "spec.worker.podLabels",
        LABEL_WORDS,
    ),
    "hash label": (worker(podLabels={"pod-template-hash": "a"}), "spec.worker.podLabels", LABEL_WORDS),
    "label key": (worker(podLabels={"a b": "c"}), "spec.worker.podLabels", KEY_WORDS),
    "label value": (
        worker(podLabels={"a": "b c"}),
        "spec.worker.podLabels",
        "label values have at most 63 characters",
    ),
    "annotation of the operator": (
        worker(podAnnotations={"workerpool.dev/restart": "1"}),
        "spec.worker.podAnnotations",
        ANNOTATION_WORDS,
    ),
    "deletion cost": (
        worker(podAnnotations={"controller.kubernetes.io/pod-deletion-cost": "1"}),
        "spec.worker.podAnnotations",
        ANNOTATION_WORDS,
    ),
    "AppArmor": (
        worker(podAnnotations={"container.apparmor.security.beta.kubernetes.io/worker": "unconfined"}),
        "spec.worker.podAnnotations",
        ANNOTATION_WORDS,
    ),
    "annotation key": (worker(podAnnotations={"/a": "c"}), "spec.worker.podAnnotations", KEY_WORDS),
    "disruption of all and more": (
        {"disruption": {"maxUnavailable": "101%"}},
        "spec.disruption.maxUnavailable",
        DISRUPTION_WORDS,
    ),
    "negative disruption": (
        {"disruption": {"maxUnavailable": -1}},
        "spec.disruption.maxUnavailable",
        DISRUPTION_WORDS,
    ),
}

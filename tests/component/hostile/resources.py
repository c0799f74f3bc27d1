"""Resources by which the author of a pool would borrow the operator's power, one hostile thing in each."""

from dataclasses import dataclass
from typing import Any

from tests.component.api.queue_rules import URL_WORDS, url
from tests.component.api.rule_cases import (
    ACCOUNT_WORDS,
    ANNOTATION_WORDS,
    ENV_WORDS,
    LABEL_WORDS,
    MOUNT_WORDS,
    NAME_WORDS,
    ROOT_WORDS,
    env,
    mount,
    volume,
    worker,
)
from tests.component.api.sidecar_rules import MOUNT_WORDS as SIDECAR_MOUNT_WORDS
from tests.component.api.sidecar_rules import NAME_WORDS as SIDECAR_NAME_WORDS
from tests.support.pools import queue

UNKNOWN = "unknown field"


@dataclass(frozen=True)
class Resource:
    """A pool of somebody hostile."""

    what: str
    stopped_by: str
    spec: dict[str, Any]
    words: str
    """Of the refusal."""
    trace: str
    """What would be in the objects made of the pool if it were not refused."""
    name: str = "thumbs"


def resource(what: str, spec: dict[str, Any], *, stopped_by: str, words: str, trace: str, name: str = "") -> Resource:
    return Resource(what, stopped_by, spec, words, trace, name or "thumbs")


PRIVILEGED = {"name": "helper", "image": "helper:1", "securityContext": {"privileged": True}}


def sidecar(**fields: Any) -> dict[str, Any]:
    return worker(sidecars=[{"name": "helper", "image": "helper:1"} | fields])


TOKEN = {"serviceAccountToken": {"path": "token"}}
FOREIGN = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"namespace": "kube-system", "name": "a", "key": "b"}}}
FOREIGN_LOGIN = {"password": {"secretKeyRef": {"namespace": "kube-system", "name": "a", "key": "b"}}}

RESOURCES = [
    resource(
        "a directory of the node as a volume",
        volume(hostPath={"path": "/etc/kubernetes"}),
        stopped_by="kinds of volumes are an allow-list",
        words=UNKNOWN,
        trace="/etc/kubernetes",
    ),
    resource(
        "a volume of any CSI driver",
        volume(csi={"driver": "any.driver.example"}),
        stopped_by="kinds of volumes are an allow-list",
        words=UNKNOWN,
        trace="any.driver.example",
    ),
    resource(
        "a file share of any server",
        volume(nfs={"server": "10.0.0.1", "path": "/exported"}),
        stopped_by="kinds of volumes are an allow-list",
        words=UNKNOWN,
        trace="/exported",
    ),
    resource(
        "a token for the API server, as a projected volume",
        volume(projected={"sources": [TOKEN]}),
        stopped_by="volumes project Secrets and ConfigMaps only",
        words="serviceAccountToken",
        trace='"path": "token"',
    ),
    resource(
        "the network of the node",
        worker(hostNetwork=True),
        stopped_by="no free pod template: an allow-list of fields",
        words=UNKNOWN,
        trace="hostNetwork",
    ),
    resource(
        "the processes of the node",
        worker(hostPID=True, hostIPC=True),
        stopped_by="no free pod template: an allow-list of fields",
        words=UNKNOWN,
        trace="hostPID",
    ),
    resource(
        "a privileged container",
        worker(securityContext={"privileged": True}),
        stopped_by="no free pod template: an allow-list of fields",
        words=UNKNOWN,
        trace="privileged",
    ),
    resource(
        "capabilities of the kernel",
        worker(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
        stopped_by="no free pod template: an allow-list of fields",
        words=UNKNOWN,
        trace="SYS_ADMIN",
    ),
    resource(
        "to run as root",
        worker(runAsUser=0),
        stopped_by="ids are above 0",
        words=ROOT_WORDS,
        trace='"runAsUser": 0',
    ),
    resource(
        "the group of root",
        worker(fsGroup=0),
        stopped_by="ids are above 0",
        words=ROOT_WORDS,
        trace='"fsGroup": 0',
    ),
    resource(
        "the service account of the collector",
        worker(serviceAccountName="workerpool-collector"),
        stopped_by="the collector's account is nobody else's",
        words=ACCOUNT_WORDS,
        trace='"serviceAccountName": "workerpool-collector"',
    ),
    resource(
        "a service account of another namespace",
        worker(serviceAccountName="kube-system/replicaset-controller"),
        stopped_by="no reference has a namespace",
        words=NAME_WORDS,
        trace="replicaset-controller",
    ),
    resource(
        "a token for the API server in each worker",
        worker(automountServiceAccountToken=True),
        stopped_by="no free pod template: an allow-list of fields",
        words=UNKNOWN,
        trace='"automountServiceAccountToken": true',
    ),
    resource(
        "a privileged container beside the worker",
        sidecar(securityContext={"privileged": True}),
        stopped_by="a sidecar's fields are an allow-list, as the worker's",
        words=UNKNOWN,
        trace="privileged",
    ),
    resource(
        "a container beside the worker that runs as root",
        sidecar(runAsUser=0, securityContext={"runAsUser": 0}),
        stopped_by="a sidecar's fields are an allow-list, as the worker's",
        words=UNKNOWN,
        trace='"runAsUser": 0',
    ),
    resource(
        "a port of the node for a container beside the worker",
        sidecar(ports=[{"containerPort": 80, "hostPort": 80}]),
        stopped_by="a sidecar's fields are an allow-list, as the worker's",
        words=UNKNOWN,
        trace="hostPort",
    ),
    resource(
        "a command of the kubelet in a container beside the worker",
        sidecar(lifecycle={"postStart": {"exec": {"command": ["/evil"]}}}),
        stopped_by="a sidecar's fields are an allow-list, as the worker's",
        words=UNKNOWN,
        trace="/evil",
    ),
    resource(
        "a device of the node for a container beside the worker",
        sidecar(volumeDevices=[{"name": "data", "devicePath": "/dev/sda"}]),
        stopped_by="a sidecar's fields are an allow-list, as the worker's",
        words=UNKNOWN,
        trace="/dev/sda",
    ),
    resource(
        "a container before the worker, of any kind",
        worker(initContainers=[PRIVILEGED]),
        stopped_by="no free pod template: an allow-list of fields",
        words=UNKNOWN,
        trace="helper",
    ),
    resource(
        "a container put into pods that run (an ephemeral one)",
        worker(ephemeralContainers=[PRIVILEGED]),
        stopped_by="no free pod template: an allow-list of fields",
        words=UNKNOWN,
        trace="helper",
    ),
    resource(
        "the worker's token, in a container beside it",
        sidecar(volumeMounts=[{"name": "workerpool-token", "mountPath": "/token"}]),
        stopped_by="a sidecar mounts the pool's own volumes only",
        words=SIDECAR_MOUNT_WORDS,
        trace='"mountPath": "/token"',
    ),
    resource(
        "the queues' credentials, in a container beside the worker",
        sidecar(volumeMounts=[{"name": "workerpool-credentials", "mountPath": "/mine"}]),
        stopped_by="a sidecar mounts the pool's own volumes only",
        words=SIDECAR_MOUNT_WORDS,
        trace='"mountPath": "/mine"',
    ),
    resource(
        "a container that poses as the worker",
        sidecar(name="worker"),
        stopped_by="names of containers that are the operator's are refused",
        words=SIDECAR_NAME_WORDS,
        trace="helper:1",
    ),
    resource(
        "a Secret of another namespace, for a container beside the worker",
        sidecar(env=[FOREIGN]),
        stopped_by="no reference has a namespace",
        words=UNKNOWN,
        trace="kube-system",
    ),
    resource(
        "a pod template beside the worker's fields",
        {"template": {"spec": {"containers": [PRIVILEGED]}}},
        stopped_by="no free pod template: an allow-list of fields",
        words=UNKNOWN,
        trace="helper",
    ),
    resource(
        "a Secret of another namespace, as a variable",
        worker(env=[FOREIGN]),
        stopped_by="no reference has a namespace",
        words=UNKNOWN,
        trace="kube-system",
    ),
    resource(
        "a Secret of another namespace, as a queue's password",
        {"queues": [queue(credentials=FOREIGN_LOGIN)]},
        stopped_by="no reference has a namespace",
        words=UNKNOWN,
        trace="kube-system",
    ),
    resource(
        "a file of the collector's as a queue",
        url("file:///var/run/secrets/workerpool.dev/token"),
        stopped_by="addresses of queues are checked",
        words=URL_WORDS,
        trace="file:///",
    ),
    resource(
        "a variable in the address of a queue",
        url("redis://$(WORKERPOOL_TOKEN):6379"),
        stopped_by="addresses of queues are checked",
        words=URL_WORDS,
        trace="$(WORKERPOOL_TOKEN)",
    ),
    resource(
        "a file over the worker's token",
        mount("/var/run/secrets/workerpool.dev"),
        stopped_by="what the operator mounts is nobody else's",
        words=MOUNT_WORDS,
        trace='"name": "data"',
    ),
    resource(
        "files over the credentials",
        mount("/credentials/main"),
        stopped_by="what the operator mounts is nobody else's",
        words=MOUNT_WORDS,
        trace='"/credentials/main", "name": "data"',
    ),
    resource(
        "another collector for the workers to listen to",
        env(name="WORKERPOOL_COLLECTOR", value="evil.example:8443"),
        stopped_by="the variables of the worker contract are the operator's",
        words=ENV_WORDS,
        trace="evil.example",
    ),
    resource(
        "workers that pose as another pool's",
        worker(podLabels={"workerpool.dev/pool": "payments"}),
        stopped_by="the operator's labels are nobody else's",
        words=LABEL_WORDS,
        trace="payments",
    ),
    resource(
        "workers without seccomp or AppArmor",
        worker(podAnnotations={"container.apparmor.security.beta.kubernetes.io/worker": "unconfined"}),
        stopped_by="annotations that change the profile are refused",
        words=ANNOTATION_WORDS,
        trace="unconfined",
    ),
    resource(
        "an order to the operator, as an annotation of a pod",
        worker(podAnnotations={"controller.kubernetes.io/pod-deletion-cost": "-2147483647"}),
        stopped_by="the operator's annotations are nobody else's",
        words=ANNOTATION_WORDS,
        trace="-2147483647",
    ),
    resource(
        "a query of Prometheus in the name of a queue",
        {"queues": [queue('x"} or vector(1) or x{a="')]},
        stopped_by="names are of letters, digits and dashes",
        words="name a queue with a-z",
        trace="vector(1)",
    ),
    resource(
        "a query of Prometheus in the name of a pool",
        {},
        stopped_by="names are of letters, digits and dashes",
        words="Invalid value",
        trace="vector(1)",
        name='x"} or vector(1)',
    ),
    resource(
        "more workers than anybody has nodes for",
        {"scaling": {"maxReplicas": 2_000_000_000}},
        stopped_by="numbers have bounds",
        words="should be less than or equal to",
        trace="2000000000",
    ),
    resource(
        "more queues than a collector can read",
        {"queues": [queue(f"q{number}") for number in range(500)]},
        stopped_by="lists have bounds",
        words="must have at most",
        trace="q499",
    ),
]

"""`spec.worker`: the user's container and how it is run."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import (
    ATOMIC,
    LABEL_KEYS,
    LABEL_VALUES,
    Model,
    Name,
    Rule,
    explained,
    keyed_by,
    rules,
)
from workerpool_operator.api.affinity import Affinity, TopologySpread
from workerpool_operator.api.pod import (
    EnvFrom,
    EnvVar,
    ObjectRef,
    Resources,
    Toleration,
    Volume,
    VolumeMount,
)
from workerpool_operator.api.sidecar import Sidecar

_ROOT: Final = "must be above 0, because workers never run as root: write an id such as 10001"
_LABELS: Final = Rule(
    cel="self.all(key, !key.startsWith('workerpool.dev/') && key != 'pod-template-hash' "
    "&& key != 'app.kubernetes.io/managed-by' && key != 'app.kubernetes.io/component')",
    message="labels under workerpool.dev/, pod-template-hash, app.kubernetes.io/managed-by and "
    "app.kubernetes.io/component are the operator's: choose other keys",
)
_ANNOTATIONS: Final = Rule(
    cel="self.all(key, !key.startsWith('workerpool.dev/') "
    "&& key != 'controller.kubernetes.io/pod-deletion-cost' "
    "&& !key.startsWith('container.apparmor.security.beta.kubernetes.io/') "
    "&& !key.startsWith('seccomp.security.alpha.kubernetes.io/') "
    "&& !key.startsWith('container.seccomp.security.alpha.kubernetes.io/'))",
    message="annotations under workerpool.dev/, controller.kubernetes.io/pod-deletion-cost and those that change "
    "seccomp or AppArmor are the operator's: choose other keys",
)


ProbePath = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^/[!-~]*$",
        json_schema_extra=explained("write the path as it stands in the URL, starting with '/': such as /healthz"),
    ),
]

Port = Annotated[int, Field(ge=1, le=65535)]


class ImagePullPolicy(StrEnum):
    """When a node fetches the image."""

    IF_NOT_PRESENT = "IfNotPresent"
    """When the node does not have it."""
    ALWAYS = "Always"
    """At every start of a worker."""
    NEVER = "Never"
    """Not at all: the node must have it."""


_PROBE_PORT: Final = "Port of the worker container."
_PROBE_DELAY: Final = "Wait after the start before the first check."
_PROBE_PERIOD: Final = "Time between checks."
_PROBE_TIMEOUT: Final = "A check without an answer for so long has failed."
_PROBE_THRESHOLD: Final = "Checks that must fail in a row."
_PROBE_PATH: Final = "HTTP path that is asked; starts with /."


class Probe(Model):
    """An HTTP check of the worker by its node."""

    path: ProbePath = Field(description=_PROBE_PATH)
    port: Port = Field(default=8080, description=_PROBE_PORT)
    initial_delay_seconds: int = Field(ge=0, le=3600, description=_PROBE_DELAY)
    period_seconds: int = Field(ge=1, le=300, description=_PROBE_PERIOD)
    timeout_seconds: int = Field(ge=1, le=300, description=_PROBE_TIMEOUT)
    failure_threshold: int = Field(ge=1, le=100, description=_PROBE_THRESHOLD)


class LivenessProbe(Probe):
    """A worker that fails this is restarted by its node."""

    path: ProbePath = Field(default="/healthz", description=_PROBE_PATH)
    initial_delay_seconds: int = Field(default=15, ge=0, le=3600, description=_PROBE_DELAY)
    period_seconds: int = Field(default=20, ge=1, le=300, description=_PROBE_PERIOD)
    timeout_seconds: int = Field(default=10, ge=1, le=300, description=_PROBE_TIMEOUT)
    failure_threshold: int = Field(default=2, ge=1, le=100, description=_PROBE_THRESHOLD)


class ReadinessProbe(Probe):
    """A worker that fails this counts as not ready; it goes on working."""

    path: ProbePath = Field(default="/ready", description=_PROBE_PATH)
    initial_delay_seconds: int = Field(default=5, ge=0, le=3600, description=_PROBE_DELAY)
    period_seconds: int = Field(default=10, ge=1, le=300, description=_PROBE_PERIOD)
    timeout_seconds: int = Field(default=5, ge=1, le=300, description=_PROBE_TIMEOUT)
    failure_threshold: int = Field(default=3, ge=1, le=100, description=_PROBE_THRESHOLD)


class WorkerSpec(Model):
    """The user's container and how it is run: an allow-list of pod fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="self.stuckAfterSeconds >= 2 * self.heartbeatPeriodSeconds",
                message="stuckAfterSeconds must be at least twice heartbeatPeriodSeconds, or healthy workers are "
                "restarted: raise stuckAfterSeconds or lower heartbeatPeriodSeconds",
                path=".stuckAfterSeconds",
            ),
            Rule(
                cel="!has(self.volumeMounts) || self.volumeMounts.all(mount, has(self.volumes) && "
                "self.volumes.exists(volume, volume.name == mount.name))",
                message="each of volumeMounts must name one of worker.volumes: add the volume or correct the name",
                path=".volumeMounts",
            ),
            Rule(
                cel="!has(self.sidecars) || self.sidecars.all(sidecar, !has(sidecar.volumeMounts) || "
                "sidecar.volumeMounts.all(mount, has(self.volumes) && "
                "self.volumes.exists(volume, volume.name == mount.name)))",
                message="each of sidecars' volumeMounts must name one of worker.volumes: add the volume or correct "
                "the name",
                path=".sidecars",
            ),
            Rule(
                cel="!has(self.serviceAccountName) || self.serviceAccountName != 'workerpool-collector'",
                message="workerpool-collector is the account of the namespace's collector: make one for the workers",
                path=".serviceAccountName",
            ),
        )
    )

    image: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^\S+$",
        description="Container image of the worker. A new one is a new version of the pool.",
        json_schema_extra=explained("write the image without spaces, such as registry.example/thumbnails:1.4.2"),
    )
    command: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(
        default=(),
        max_length=64,
        description="Entry point; the image's own when empty.",
        json_schema_extra=ATOMIC,
    )
    args: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(
        default=(),
        max_length=256,
        description="Arguments of the entry point; the image's own when empty.",
        json_schema_extra=ATOMIC,
    )
    env: tuple[EnvVar, ...] = Field(
        default=(),
        max_length=128,
        description="Environment variables, beside those of the worker contract.",
        json_schema_extra=keyed_by("name"),
    )
    env_from: tuple[EnvFrom, ...] = Field(
        default=(),
        max_length=32,
        description="ConfigMaps and Secrets whose keys become environment variables.",
        json_schema_extra=ATOMIC,
    )
    resources: Resources = Field(default=Resources(), description="Compute resources of the worker container.")
    volumes: tuple[Volume, ...] = Field(
        default=(),
        max_length=32,
        description="Volumes: emptyDir, configMap, secret, persistentVolumeClaim, or a projection of Secrets and "
        "ConfigMaps.",
        json_schema_extra=keyed_by("name"),
    )
    volume_mounts: tuple[VolumeMount, ...] = Field(
        default=(),
        max_length=32,
        description="Where the volumes appear in the worker's file system, which is otherwise read-only but for /tmp.",
        json_schema_extra=keyed_by("mountPath"),
    )
    sidecars: tuple[Sidecar, ...] = Field(
        default=(),
        max_length=4,
        description="Containers beside the worker, by the same allow-list of fields: they start before it and stop "
        "after it.",
        json_schema_extra=keyed_by("name"),
    )
    pod_labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        default={},
        max_length=32,
        description="Labels of the pods, beside the operator's.",
        json_schema_extra=rules(_LABELS, LABEL_KEYS, LABEL_VALUES),
    )
    pod_annotations: dict[str, Annotated[str, Field(max_length=8192)]] = Field(
        default={},
        max_length=32,
        description="Annotations of the pods, beside the operator's.",
        json_schema_extra=rules(_ANNOTATIONS, LABEL_KEYS),
    )
    node_selector: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        default={},
        max_length=32,
        description="Workers run only on nodes with these labels.",
        json_schema_extra=rules(LABEL_KEYS, LABEL_VALUES),
    )
    affinity: Affinity = Field(
        default=Affinity(), description="Which nodes workers prefer or need, and which pods they like to be near to."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), max_length=32, description="Node taints that workers put up with.", json_schema_extra=ATOMIC
    )
    topology_spread_constraints: tuple[TopologySpread, ...] = Field(
        default=(),
        max_length=8,
        description="How evenly workers lie over nodes or zones.",
        json_schema_extra=keyed_by("topologyKey", "whenUnsatisfiable"),
    )
    image_pull_secrets: tuple[ObjectRef, ...] = Field(
        default=(),
        max_length=16,
        description="Secrets with the credentials of image registries.",
        json_schema_extra=keyed_by("name"),
    )
    image_pull_policy: ImagePullPolicy = Field(
        default=ImagePullPolicy.IF_NOT_PRESENT, description="When a node fetches the image."
    )
    priority_class_name: Name | None = Field(default=None, description="Priority class of the pods.")
    service_account_name: Name | None = Field(
        default=None,
        description="Service account of the pods, for identities in the cloud and for pulling images; no token of it "
        'is mounted. It needs the label `workerpool.dev/usable: "true"`, and who names it, or changes what such a '
        "pool runs, has to be allowed to impersonate it. When unset: the namespace's account `default`.",
    )
    run_as_user: int = Field(
        default=10001,
        ge=1,
        le=2_147_483_647,
        description="User id that the worker runs as; never 0.",
        json_schema_extra=explained(f"runAsUser {_ROOT}"),
    )
    fs_group: int = Field(
        default=10001,
        ge=1,
        le=2_147_483_647,
        description="Group id that the worker runs with and that owns its volumes; never 0.",
        json_schema_extra=explained(f"fsGroup {_ROOT}"),
    )
    max_workers: int = Field(
        default=20, ge=1, le=10_000, description="Jobs that one pod runs at the same time (MAX_WORKERS)."
    )
    heartbeat_period_seconds: int = Field(
        default=10, ge=1, le=300, description="How often a worker shows that it lives (HEARTBEAT_INTERVAL)."
    )
    drain_timeout_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        description="Time that a stopping worker has to finish its jobs (DRAIN_TIMEOUT).",
    )
    stuck_after_seconds: int = Field(
        default=45,
        ge=2,
        le=3600,
        description="A worker that makes no progress of its own for so long fails its liveness check (STUCK_AFTER). "
        "One that takes no job for so long, although jobs wait and others take them, is restarted by the operator.",
    )
    liveness_probe: LivenessProbe = Field(
        default=LivenessProbe(), description="A worker that fails this check is restarted by its node."
    )
    readiness_probe: ReadinessProbe = Field(
        default=ReadinessProbe(), description="A worker that fails this check counts as not ready."
    )

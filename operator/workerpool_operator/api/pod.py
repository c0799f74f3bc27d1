"""The pod fields that a pool may set: an allow-list, not a pod template.

Everything that would let the author of a pool borrow somebody else's power is not declared, so the API server prunes
it: host namespaces, hostPath, privilege, capabilities, service account tokens, references into other namespaces.
"""

from enum import StrEnum
from typing import Final, Literal

from pydantic import ConfigDict, Field

from workerpool_operator.api._base import (
    ATOMIC,
    DNS_LABEL,
    Key,
    LabelKey,
    Mode,
    Model,
    Name,
    Quantity,
    Rule,
    Text,
    explained,
    rules,
)

CONTRACT_ENV: Final = (
    "MAX_WORKERS",
    "HEARTBEAT_INTERVAL",
    "DRAIN_TIMEOUT",
    "STUCK_AFTER",
    "LEASE_SECONDS",
    "MAX_ATTEMPTS",
    "RATE_LIMIT_PER_SECOND",
    "CONCURRENCY_PER_WORKER",
    "TENANT_LIMITS",
    "SHED_AFTER_SECONDS",
)
"""Variables that the operator sets beside those with a reserved prefix."""
CONTRACT_ENV_PREFIXES: Final = ("WORKERPOOL_", "QUEUE_", "BACKOFF_")
VOLUME_KINDS: Final = ("emptyDir", "configMap", "secret", "persistentVolumeClaim", "projected")
RESERVED_VOLUME_PREFIX: Final = "workerpool-"
RESERVED_MOUNTS: Final = (
    "/credentials",
    "/var/run/secrets/workerpool.dev",
    "/run/secrets/workerpool.dev",
)


def _one_of(*fields: str) -> str:
    """CEL: exactly one of these fields is set."""
    return f"[{', '.join(f'has(self.{name})' for name in fields)}].filter(set, set).size() == 1"


def _below(prefixes: tuple[str, ...]) -> str:
    """CEL: the path is one of these, or lies below one of them."""
    return " || ".join(f"self == '{path}' || self.startsWith('{path}/')" for path in prefixes)


class SecretKeyRef(Model):
    """A key of a Secret in the pool's own namespace."""

    name: Name = Field(description="Name of a Secret in the pool's own namespace.")
    key: Key = Field(description="Key in the Secret.")


class OptionalSecretKeyRef(SecretKeyRef):
    """A key of a Secret that may be missing."""

    optional: bool | None = Field(default=None, description="The pod starts even when the key is missing.")


class ConfigMapKeyRef(Model):
    """A key of a ConfigMap in the pool's own namespace."""

    name: Name = Field(description="Name of a ConfigMap in the pool's own namespace.")
    key: Key = Field(description="Key in the ConfigMap.")
    optional: bool | None = Field(default=None, description="The pod starts even when the key is missing.")


class FieldRef(Model):
    """A field of the pod itself."""

    field_path: str = Field(
        min_length=1, max_length=253, description="Path of the field, such as metadata.name or status.podIP."
    )


class ResourceFieldRef(Model):
    """A resource request or limit of the worker container."""

    resource: str = Field(min_length=1, max_length=253, description="Such as limits.cpu or requests.memory.")
    divisor: Quantity | None = Field(default=None, description="Unit of the value; 1 when unset.")


class EnvSource(Model):
    """Where a variable's value comes from."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel=_one_of("secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef"),
                message="set exactly one of secretKeyRef, configMapKeyRef, fieldRef and resourceFieldRef",
            )
        )
    )

    secret_key_ref: OptionalSecretKeyRef | None = Field(default=None, description="A key of a Secret.")
    config_map_key_ref: ConfigMapKeyRef | None = Field(default=None, description="A key of a ConfigMap.")
    field_ref: FieldRef | None = Field(default=None, description="A field of the pod itself.")
    resource_field_ref: ResourceFieldRef | None = Field(
        default=None, description="A resource request or limit of the worker container."
    )


class EnvVar(Model):
    """An environment variable of the worker."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel="!(has(self.value) && has(self.valueFrom))",
                message="set value or valueFrom, not both",
            )
        )
    )

    name: str = Field(
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z][-._a-zA-Z0-9]*$",
        description="Name of the variable. Names of the worker contract are set by the operator and refused here.",
        json_schema_extra=explained(
            "names of variables have letters, digits, '-', '_' and '.', and do not start with a digit",
            Rule(
                cel="!("
                + " || ".join(f"self.startsWith('{prefix}')" for prefix in CONTRACT_ENV_PREFIXES)
                + f") && !(self in [{', '.join(repr(name) for name in CONTRACT_ENV)}])",
                message="this variable is set by the operator: choose another name, or set the pool's own field, "
                "such as worker.maxWorkers, worker.heartbeatPeriodSeconds, worker.drainTimeoutSeconds, "
                "worker.stuckAfterSeconds, queues or delivery",
            ),
        ),
    )
    value: str | None = Field(
        default=None, max_length=32768, description="Its value; $(NAME) stands for a variable defined before it."
    )
    value_from: EnvSource | None = Field(default=None, description="Where the value comes from instead.")


class ObjectRef(Model):
    """An object in the pool's own namespace."""

    name: Name = Field(description="Name of the object, in the pool's own namespace.")


class OptionalRef(ObjectRef):
    """An object in the pool's own namespace that may be missing."""

    optional: bool | None = Field(default=None, description="The pod starts even when the object is missing.")


class EnvFrom(Model):
    """All keys of a ConfigMap or Secret as environment variables."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel=_one_of("configMapRef", "secretRef"),
                message="set exactly one of configMapRef and secretRef",
            )
        )
    )

    prefix: str | None = Field(default=None, max_length=253, description="Put before every key.")
    config_map_ref: OptionalRef | None = Field(default=None, description="The ConfigMap to take.")
    secret_ref: OptionalRef | None = Field(default=None, description="The Secret to take.")


class Resources(Model):
    """Compute resources of the worker container."""

    requests: dict[str, Quantity] | None = Field(
        default=None,
        max_length=16,
        description="What the scheduler sets aside, by resource, such as cpu: 500m and memory: 256Mi.",
    )
    limits: dict[str, Quantity] | None = Field(
        default=None, max_length=16, description="What the worker may use at most, by resource."
    )


class KeyToPath(Model):
    """One key of a Secret or ConfigMap as a file."""

    key: Key = Field(description="Key in the object.")
    path: str = Field(min_length=1, max_length=253, description="Relative path of the file, without '..'.")
    mode: Mode | None = Field(default=None, description="Mode bits of the file, in decimal (0644 is 420).")


class EmptyDir(Model):
    """A directory that lives as long as the pod."""

    medium: Literal["", "Memory"] | None = Field(default=None, description="Memory for a RAM disk.")
    size_limit: Quantity | None = Field(default=None, description="The pod is evicted above this size.")


class ConfigMapVolume(Model):
    """A ConfigMap as files."""

    name: Name = Field(description="Name of the ConfigMap, in the pool's own namespace.")
    items: tuple[KeyToPath, ...] | None = Field(
        default=None, max_length=64, description="The keys to take; all when unset.", json_schema_extra=ATOMIC
    )
    default_mode: Mode | None = Field(default=None, description="Mode bits of the files, in decimal.")
    optional: bool | None = Field(default=None, description="The pod starts even when it is missing.")


class SecretVolume(Model):
    """A Secret as files."""

    secret_name: Name = Field(description="Name of the Secret, in the pool's own namespace.")
    items: tuple[KeyToPath, ...] | None = Field(
        default=None, max_length=64, description="The keys to take; all when unset.", json_schema_extra=ATOMIC
    )
    default_mode: Mode | None = Field(default=None, description="Mode bits of the files, in decimal.")
    optional: bool | None = Field(default=None, description="The pod starts even when it is missing.")


class ClaimVolume(Model):
    """A persistent volume claim."""

    claim_name: Name = Field(description="Name of the claim, in the pool's own namespace; all workers share it.")
    read_only: bool | None = Field(default=None, description="Mount it read-only everywhere.")


class ProjectedRef(Model):
    """A Secret or ConfigMap inside a projected volume."""

    name: Name = Field(description="Name of the object, in the pool's own namespace.")
    items: tuple[KeyToPath, ...] | None = Field(
        default=None, max_length=64, description="The keys to take; all when unset.", json_schema_extra=ATOMIC
    )
    optional: bool | None = Field(default=None, description="The pod starts even when it is missing.")


class ProjectedSource(Model):
    """One source of a projected volume."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel=_one_of("configMap", "secret"),
                message="set exactly one of configMap and secret; other sources are not allowed in a pool",
            )
        )
    )

    config_map: ProjectedRef | None = Field(default=None, description="A ConfigMap.")
    secret: ProjectedRef | None = Field(default=None, description="A Secret.")


class ProjectedVolume(Model):
    """Several Secrets and ConfigMaps in one directory."""

    sources: tuple[ProjectedSource, ...] = Field(
        min_length=1, max_length=16, description="What to put into the directory.", json_schema_extra=ATOMIC
    )
    default_mode: Mode | None = Field(default=None, description="Mode bits of the files, in decimal.")


class Volume(Model):
    """A volume that the worker mounts."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Rule(
                cel=_one_of(*VOLUME_KINDS),
                message="set exactly one of emptyDir, configMap, secret, persistentVolumeClaim and projected: "
                "a pool may use no other kind of volume",
            )
        )
    )

    name: str = Field(
        min_length=1,
        max_length=63,
        pattern=DNS_LABEL,
        description="Name that volumeMounts refer to.",
        json_schema_extra=explained(
            "names of volumes have only a-z, 0-9 and '-', and start and end with a letter or digit",
            Rule(
                cel=f"!self.startsWith('{RESERVED_VOLUME_PREFIX}')",
                message=f"names that start with {RESERVED_VOLUME_PREFIX} are the operator's: choose another one",
            ),
        ),
    )
    empty_dir: EmptyDir | None = Field(default=None, description="A directory that lives as long as the pod.")
    config_map: ConfigMapVolume | None = Field(default=None, description="A ConfigMap as files.")
    secret: SecretVolume | None = Field(default=None, description="A Secret as files.")
    persistent_volume_claim: ClaimVolume | None = Field(default=None, description="A persistent volume claim.")
    projected: ProjectedVolume | None = Field(
        default=None, description="Several Secrets and ConfigMaps in one directory."
    )


class VolumeMount(Model):
    """Where a volume appears in the worker's file system."""

    name: Text = Field(min_length=1, description="Name of one of worker.volumes.")
    mount_path: str = Field(
        min_length=2,
        max_length=512,
        pattern=r"^(/[^/:]+)+/?$",
        description="Absolute path. /credentials and /var/run/secrets/workerpool.dev are the operator's.",
        json_schema_extra=explained(
            "write an absolute path below /, without ':' and without two slashes in a row, such as /data",
            Rule(
                cel=f"!({_below(RESERVED_MOUNTS)})",
                message="/credentials and /var/run/secrets/workerpool.dev are mounted by the operator: "
                "choose another path",
            ),
            Rule(
                cel=r"!self.matches('/\\.{1,2}(/|$)')",
                message="write the path without '.' and '..' in it",
            ),
        ),
    )
    sub_path: str | None = Field(
        default=None, max_length=512, description="Path inside the volume; its root when unset."
    )
    read_only: bool | None = Field(default=None, description="Mount it read-only.")


class TolerationOperator(StrEnum):
    """How a toleration compares."""

    EXISTS = "Exists"
    """Any value of the key."""
    EQUAL = "Equal"
    """This value of the key."""


class Toleration(Model):
    """A node taint that workers put up with."""

    key: LabelKey | None = Field(default=None, description="Key of the taint; all keys when unset.")
    operator: TolerationOperator | None = Field(default=None, description="Exists, or Equal (the default).")
    value: Text | None = Field(default=None, description="Value of the taint, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint; all effects when unset."
    )
    toleration_seconds: int | None = Field(
        default=None, description="How long a NoExecute taint is put up with; for ever when unset."
    )

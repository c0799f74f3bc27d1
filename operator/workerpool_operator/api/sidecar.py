"""`spec.worker.sidecars`: containers that run beside the worker, by the same allow-list as the worker's own."""

from typing import Annotated

from pydantic import Field

from workerpool_operator.api._base import ATOMIC, DNS_LABEL, Model, Rule, explained, keyed_by
from workerpool_operator.api.pod import EnvFrom, EnvVar, Resources, VolumeMount


class Sidecar(Model):
    """A container beside the worker: a proxy, a shipper of files.

    It starts before the worker and is stopped after it (Kubernetes' own sidecar containers), runs as the worker's user
    with the worker's security context, and gets neither the worker's token nor the queues' credentials. It has no
    probes, and its deaths are not counted for or against a version.
    """

    name: str = Field(
        min_length=1,
        max_length=63,
        pattern=DNS_LABEL,
        description="Name of the container.",
        json_schema_extra=explained(
            "names of sidecars have only a-z, 0-9 and '-', and start and end with a letter or digit",
            Rule(
                cel="self != 'worker' && !self.startsWith('workerpool-')",
                message="worker, and names that start with workerpool-, are the operator's: choose another one",
            ),
        ),
    )
    image: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^\S+$",
        description="Its container image, fetched by worker.imagePullPolicy. A new one is a new version of the pool.",
        json_schema_extra=explained("write the sidecar's image without spaces, such as registry.example/proxy:1.4.2"),
    )
    command: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(
        default=(),
        max_length=64,
        description="Entry point; the image's own when empty.",
        json_schema_extra=ATOMIC,
    )
    args: tuple[Annotated[str, Field(max_length=4096)], ...] = Field(
        default=(),
        max_length=64,
        description="Arguments of the entry point; the image's own when empty.",
        json_schema_extra=ATOMIC,
    )
    env: tuple[EnvVar, ...] = Field(
        default=(), max_length=32, description="Environment variables.", json_schema_extra=keyed_by("name")
    )
    env_from: tuple[EnvFrom, ...] = Field(
        default=(),
        max_length=8,
        description="ConfigMaps and Secrets whose keys become environment variables.",
        json_schema_extra=ATOMIC,
    )
    resources: Resources = Field(default=Resources(), description="Compute resources of this container.")
    volume_mounts: tuple[VolumeMount, ...] = Field(
        default=(),
        max_length=16,
        description="Where worker.volumes appear in its file system, which is otherwise read-only, /tmp too.",
        json_schema_extra=keyed_by("mountPath"),
    )

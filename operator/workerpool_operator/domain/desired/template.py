"""The pod template of a pool's workers.

Rendered once for each version and revision, then stored: a later renderer changes no worker that runs. So nothing goes
in that may change in a pod's life: no role, no size, no address of a pod.
"""

from collections.abc import Iterable
from typing import Any, Final

from workerpool_operator.api import EnvVar, Probe, Resources, Sidecar, WorkerPool, WorkerSpec
from workerpool_operator.domain.desired import contract
from workerpool_operator.domain.desired.names import (
    POOL_LABEL,
    REVISION_LABEL,
    VERSION_LABEL,
    WORKER,
    RenderError,
    worker_labels,
)
from workerpool_operator.domain.desired.quantity import canonical

DRAIN_MARGIN_SECONDS: Final = 25
"""Beyond the drain timeout: a drained worker serves its last metrics for up to 10 s."""
LIVENESS_GRACE_SECONDS: Final = 10
"""A worker that failed its liveness check has nothing to drain: its jobs come back by their lease."""
TOKEN_SECONDS: Final = 3600
_TOKEN_VOLUME: Final = "workerpool-token"  # noqa: S105  a volume's name
_CREDENTIALS_VOLUME: Final = "workerpool-credentials"
_TMP_VOLUME: Final = "workerpool-tmp"
_TMP: Final = "/tmp"  # noqa: S108  a path in the worker's container


def pod_template(pool: WorkerPool, *, version: str, revision: str) -> dict[str, Any]:
    """The template of this version and revision.

    Raises:
        RenderError: a field cannot be rendered.
    """
    worker = pool.spec.worker
    labels = worker_labels(pool) | {VERSION_LABEL: version, REVISION_LABEL: revision}
    return {
        "metadata": _present({"labels": worker.pod_labels | labels, "annotations": worker.pod_annotations}),
        "spec": _present(
            {
                "serviceAccountName": worker.service_account_name,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": worker.drain_timeout_seconds + DRAIN_MARGIN_SECONDS,
                "securityContext": pod_security(user=worker.run_as_user, group=worker.fs_group),
                "containers": [_container(pool, version=version)],
                "initContainers": [_sidecar(worker, sidecar) for sidecar in worker.sidecars],
                "volumes": _volumes(pool),
                **_placement(pool),
            }
        ),
    }


def pod_security(*, user: int, group: int) -> dict[str, Any]:
    """The pod's half of what Pod Security `restricted` asks for."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": group,
        "fsGroup": group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """The container's half, and a root file system that nobody writes to."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def token_volume(name: str, *, audience: str) -> dict[str, Any]:
    """A service account token that is worth something to this audience only."""
    token = {"audience": audience, "expirationSeconds": TOKEN_SECONDS, "path": contract.TOKEN_NAME}
    return {"name": name, "projected": {"sources": [{"serviceAccountToken": token}]}}


def http_probe(probe: Probe) -> dict[str, Any]:
    """The probe as it stands in a pod."""
    return {
        "httpGet": {"path": probe.path, "port": probe.port},
        "initialDelaySeconds": probe.initial_delay_seconds,
        "periodSeconds": probe.period_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "failureThreshold": probe.failure_threshold,
    }


def _container(pool: WorkerPool, *, version: str) -> dict[str, Any]:
    worker = pool.spec.worker
    return _present(
        {
            "name": WORKER,
            "image": worker.image,
            "imagePullPolicy": str(worker.image_pull_policy),
            "command": list(worker.command),
            "args": list(worker.args),
            # The contract comes first, so that the user's variables can refer to it.
            "env": [*contract.environment(pool, version=version), *_env(worker.env)],
            "envFrom": [source.to_json() for source in worker.env_from],
            "ports": _ports(worker),
            "resources": _resources(worker.resources),
            "livenessProbe": http_probe(worker.liveness_probe)
            | {"terminationGracePeriodSeconds": LIVENESS_GRACE_SECONDS},
            "readinessProbe": http_probe(worker.readiness_probe),
            "securityContext": container_security(),
            "volumeMounts": _mounts(pool),
        }
    )


def _sidecar(worker: WorkerSpec, sidecar: Sidecar) -> dict[str, Any]:
    """One of Kubernetes' sidecar containers: it is there before the worker, and until the worker has drained.

    The mounts are of the user's volumes only, so that it has no part in what the operator gives to the worker.
    """
    return _present(
        {
            "name": sidecar.name,
            "image": sidecar.image,
            "imagePullPolicy": str(worker.image_pull_policy),
            "restartPolicy": "Always",
            "command": list(sidecar.command),
            "args": list(sidecar.args),
            "env": _env(sidecar.env),
            "envFrom": [source.to_json() for source in sidecar.env_from],
            "resources": _resources(sidecar.resources),
            "securityContext": container_security(),
            "volumeMounts": [mount.to_json() for mount in sidecar.volume_mounts],
        }
    )


def _env(variables: Iterable[EnvVar]) -> list[dict[str, Any]]:
    rendered = []
    for variable in variables:
        entry = variable.to_json()
        reference = entry.get("valueFrom", {}).get("resourceFieldRef", {})
        if "divisor" in reference:
            reference["divisor"] = canonical(reference["divisor"])
        rendered.append(entry)
    return rendered


def _ports(worker: WorkerSpec) -> list[dict[str, Any]]:
    """Named ports; the health port is the one that the liveness probe asks.

    Where both are one, it is `metrics`: by that name Prometheus finds it, while probes go by number.
    """
    ports = {worker.liveness_probe.port: "health"} | {contract.METRICS_PORT: "metrics"}
    return [{"name": name, "containerPort": port, "protocol": "TCP"} for port, name in sorted(ports.items())]


def _resources(resources: Resources) -> dict[str, dict[str, str]]:
    found = {}
    for name, amounts in (("requests", resources.requests), ("limits", resources.limits)):
        if amounts:
            found[name] = {resource: canonical(amount) for resource, amount in amounts.items()}
    return found


def _volumes(pool: WorkerPool) -> list[dict[str, Any]]:
    worker = pool.spec.worker
    names = {volume.name for volume in worker.volumes}
    for owner, mounts in (
        ("worker", worker.volume_mounts),
        *((f"worker.sidecars[{sidecar.name}]", sidecar.volume_mounts) for sidecar in worker.sidecars),
    ):
        unknown = sorted({mount.name for mount in mounts} - names)
        if unknown:
            raise RenderError(f"{owner}.volumeMounts names {', '.join(unknown)}, which worker.volumes does not have")
    volumes = [token_volume(_TOKEN_VOLUME, audience=contract.TOKEN_AUDIENCE)]
    sources = _credential_sources(pool)
    if sources:
        volumes.append({"name": _CREDENTIALS_VOLUME, "projected": {"sources": sources}})
    if not _mounts_tmp(worker):
        volumes.append({"name": _TMP_VOLUME, "emptyDir": {}})
    for volume in worker.volumes:
        entry = volume.to_json()
        if "sizeLimit" in entry.get("emptyDir", {}):
            entry["emptyDir"]["sizeLimit"] = canonical(entry["emptyDir"]["sizeLimit"])
        volumes.append(entry)
    return volumes


def _mounts(pool: WorkerPool) -> list[dict[str, Any]]:
    worker = pool.spec.worker
    mounts = [{"name": _TOKEN_VOLUME, "mountPath": contract.TOKEN_DIRECTORY, "readOnly": True}]
    if _credential_sources(pool):
        mounts.append({"name": _CREDENTIALS_VOLUME, "mountPath": contract.CREDENTIALS, "readOnly": True})
    if not _mounts_tmp(worker):
        mounts.append({"name": _TMP_VOLUME, "mountPath": _TMP})
    return [*mounts, *(mount.to_json() for mount in worker.volume_mounts)]


def _credential_sources(pool: WorkerPool) -> list[dict[str, Any]]:
    queues = [queue for queue in pool.spec.queues if queue.broker is None or queue.broker.FOR_WORKERS]
    return [source for queue in queues for source in contract.credential_sources(queue, directory=queue.name)]


def _mounts_tmp(worker: WorkerSpec) -> bool:
    return any(mount.mount_path.rstrip("/") == _TMP for mount in worker.volume_mounts)


def _placement(pool: WorkerPool) -> dict[str, Any]:
    worker = pool.spec.worker
    return {
        "nodeSelector": worker.node_selector,
        "affinity": worker.affinity.to_json(),
        "tolerations": [toleration.to_json() for toleration in worker.tolerations],
        "topologySpreadConstraints": [
            {"labelSelector": {"matchLabels": {POOL_LABEL: pool.name}}} | constraint.to_json()
            for constraint in worker.topology_spread_constraints
        ],
        "imagePullSecrets": [secret.to_json() for secret in worker.image_pull_secrets],
        "priorityClassName": worker.priority_class_name,
    }


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: the API server drops it too."""
    return {name: value for name, value in fields.items() if value not in (None, {}, [], "")}

"""The worker contract: what a worker finds in its environment and file system, in any language.

Only what is fixed for a pod's life is put into the environment. `delivery` stands there too, as what a worker goes by
until the live settings reach it.
"""

import json
from typing import Any, Final

from workerpool_operator.api import QueueSpec, WorkerPool
from workerpool_operator.domain.desired.names import COLLECTOR_NAME, RenderError

# These repeat `workerpool.protocol`, which this layer does not import; a test holds them together.
TOKEN_AUDIENCE: Final = "workerpool-collector"  # noqa: S105  an audience, not a secret
TOKEN_DIRECTORY: Final = "/var/run/secrets/workerpool.dev"  # noqa: S105  a path, not a secret
TOKEN_NAME: Final = "token"  # noqa: S105  a file name, not a secret
CREDENTIALS: Final = "/credentials"
STREAM_PORT: Final = 8090
METRICS_PORT: Final = 8000
HEALTH_PORT: Final = 8080


def environment(pool: WorkerPool, *, version: str) -> list[dict[str, Any]]:
    """The contract's variables, in the order in which they stand in the pod.

    Raises:
        RenderError: a queue is of an unknown kind.
    """
    worker, delivery = pool.spec.worker, pool.spec.delivery
    fixed = {
        "WORKERPOOL_NAME": pool.name,
        "WORKERPOOL_NAMESPACE": pool.namespace,
        "WORKERPOOL_VERSION": version,
        "WORKERPOOL_COLLECTOR": f"{COLLECTOR_NAME}.{pool.namespace}.svc:{STREAM_PORT}",
        "MAX_WORKERS": worker.max_workers,
        "HEARTBEAT_INTERVAL": worker.heartbeat_period_seconds,
        "DRAIN_TIMEOUT": worker.drain_timeout_seconds,
        "STUCK_AFTER": worker.stuck_after_seconds,
        "LEASE_SECONDS": delivery.lease_seconds,
        "MAX_ATTEMPTS": delivery.max_attempts,
        "BACKOFF_SECONDS": delivery.backoff_seconds,
        "BACKOFF_MAX_SECONDS": delivery.backoff_max_seconds,
    }
    if delivery.rate_limit_per_second is not None:
        fixed["RATE_LIMIT_PER_SECOND"] = delivery.rate_limit_per_second
    if delivery.concurrency_per_worker is not None:
        fixed["CONCURRENCY_PER_WORKER"] = delivery.concurrency_per_worker
    limits = {tenant: limit.to_json() for tenant, limit in sorted(delivery.tenant_limits.items())}
    for name, value in {"TENANT_LIMITS": limits, "SHED_AFTER_SECONDS": delivery.shed_after_seconds.to_json()}.items():
        if value:
            fixed[name] = json.dumps(value, sort_keys=True)
    return [
        from_field("WORKERPOOL_POD", "metadata.name"),
        from_field("WORKERPOOL_NODE", "spec.nodeName"),
        *(literal(name, value) for name, value in fixed.items()),
        *(literal(name, value) for queue in pool.spec.queues for name, value in _queue(queue).items()),
    ]


def literal(name: str, value: object) -> dict[str, Any]:
    """A variable that holds this text as it is: `$` is doubled, or Kubernetes would fill in `$(NAME)`."""
    return {"name": name, "value": str(value).replace("$", "$$")}


def from_field(name: str, path: str) -> dict[str, Any]:
    """A variable that holds a field of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def credential_files(queue: QueueSpec) -> dict[str, str]:
    """What the queue's directory below `/credentials` holds: part of the variable's name -> file name."""
    credentials, tls = queue.credentials, queue.tls
    files = {
        "USERNAME": "username" if credentials and credentials.username else None,
        "PASSWORD": "password" if credentials and credentials.password else None,
        "CA": "ca.crt" if tls and tls.ca_ref else None,
        "CERT": "tls.crt" if tls and tls.client_cert_ref else None,
        "KEY": "tls.key" if tls and tls.client_cert_ref else None,
    }
    return {part: file for part, file in files.items() if file}


def credential_sources(queue: QueueSpec, *, directory: str) -> list[dict[str, Any]]:
    """Sources of a projected volume that put the queue's credentials into `directory`.

    All are optional: a Secret that is not there leaves its files out, and hurts this queue only.
    """
    found: dict[tuple[str, str], list[dict[str, str]]] = {}

    def add(kind: str, name: str, *, key: str, file: str) -> None:
        found.setdefault((kind, name), []).append({"key": key, "path": f"{directory}/{file}"})

    if queue.credentials:
        for file, value in (("username", queue.credentials.username), ("password", queue.credentials.password)):
            if value:
                add("secret", value.secret_key_ref.name, key=value.secret_key_ref.key, file=file)
    if queue.tls and queue.tls.ca_ref:
        ca = queue.tls.ca_ref
        add("secret" if ca.kind == "Secret" else "configMap", ca.name, key=ca.key, file="ca.crt")
    if queue.tls and queue.tls.client_cert_ref:
        for file in ("tls.crt", "tls.key"):
            add("secret", queue.tls.client_cert_ref.name, key=file, file=file)
    return [{kind: {"name": name, "items": items, "optional": True}} for (kind, name), items in found.items()]


def _queue(queue: QueueSpec) -> dict[str, str]:
    prefix = f"QUEUE_{queue.env_name}"
    if queue.broker is None:
        # Only a newer definition than this program's lets such a queue in.
        raise RenderError(f"queue {queue.name} is of a kind that this version of the operator does not know")
    if not queue.broker.FOR_WORKERS:
        return {}
    variables = {f"{prefix}_{name}": value for name, value in queue.broker.variables().items()}
    files = credential_files(queue).items()
    return variables | {f"{prefix}_{part}_FILE": f"{CREDENTIALS}/{queue.name}/{file}" for part, file in files}

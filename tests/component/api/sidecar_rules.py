"""What the rules of sidecars accept and refuse."""

from typing import Any


def sidecars(*found: dict[str, Any], **worker: Any) -> dict[str, Any]:
    return {"worker": {"sidecars": [{"name": "proxy", "image": "proxy:1"} | one for one in found], **worker}}


def mounted(mount: dict[str, Any]) -> dict[str, Any]:
    return sidecars({"volumeMounts": [mount]}, volumes=[{"name": "data", "emptyDir": {}}])


NAME_WORDS = "worker, and names that start with workerpool-, are the operator's: choose another one"
MOUNT_WORDS = "each of sidecars' volumeMounts must name one of worker.volumes: add the volume or correct the name"

ACCEPTED: dict[str, dict[str, Any]] = {
    "a sidecar": sidecars({}),
    "four sidecars with all that they may have": sidecars(
        *(
            {
                "name": f"s{number}",
                "command": ["/proxy"],
                "args": ["--quiet"],
                "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}],
                "envFrom": [{"configMapRef": {"name": "a"}}],
                "resources": {"requests": {"cpu": "0.01"}, "limits": {"memory": "32Mi"}},
                "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
            }
            for number in range(4)
        ),
        volumes=[{"name": "data", "emptyDir": {}}],
    ),
}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "five sidecars": (
        sidecars(*({"name": f"s{number}"} for number in range(5))),
        "spec.worker.sidecars",
        "at most 4 items",
    ),
    "two sidecars of one name": (sidecars({}, {}), "spec.worker.sidecars[1]", "Duplicate value"),
    "a sidecar in the worker's name": (sidecars({"name": "worker"}), "spec.worker.sidecars[0].name", NAME_WORDS),
    "a sidecar in the operator's name": (
        sidecars({"name": "workerpool-token"}),
        "spec.worker.sidecars[0].name",
        NAME_WORDS,
    ),
    "a sidecar in capitals": (sidecars({"name": "Proxy"}), "spec.worker.sidecars[0].name", "names of sidecars have"),
    "a sidecar's image with a space": (
        sidecars({"image": "a b"}),
        "spec.worker.sidecars[0].image",
        "write the sidecar's image without spaces",
    ),
    "a sidecar with the worker's token": (
        mounted({"name": "workerpool-token", "mountPath": "/token"}),
        "spec.worker.sidecars",
        MOUNT_WORDS,
    ),
    "a sidecar with the credentials": (
        mounted({"name": "workerpool-credentials", "mountPath": "/mine"}),
        "spec.worker.sidecars",
        MOUNT_WORDS,
    ),
    "a sidecar's mount where the token would be": (
        mounted({"name": "data", "mountPath": "/var/run/secrets/workerpool.dev"}),
        "spec.worker.sidecars[0].volumeMounts[0].mountPath",
        "are mounted by the operator: choose another path",
    ),
    "a sidecar with a variable of the contract": (
        sidecars({"env": [{"name": "QUEUE_MAIN_URL", "value": "x"}]}),
        "spec.worker.sidecars[0].env[0].name",
        "this variable is set by the operator",
    ),
}

"""The short Kubernetes Job that looks into a pool's queues: pure.

It runs where the queues can be reached and with the pool's own credentials, which are mounted there and go nowhere
else. The user makes it, with their own rights; it needs none of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from workerpool_operator.api import WorkerPool
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.domain.desired import contract
from workerpool_operator.domain.desired.names import COMPONENT_LABEL, owner
from workerpool_operator.domain.desired.template import container_security, pod_security

Json = dict[str, Any]

CONTAINER: Final = "deadletters"
COMPONENT: Final = "deadletters"
POOL_LABEL: Final = "workerpool.dev/asked-of"
"""Not the label of workers: the pool's selector must not count this pod."""
KEPT_SECONDS: Final = 300
"""After its end, where nobody was left to delete it."""
_USER: Final = 10001


def image_of(collector: Mapping[str, Any]) -> Json:
    """What of the collector's pod the Job takes over: an image with every broker's client that this node may pull."""
    pod: Mapping[str, Any] = collector["spec"]["template"]["spec"]
    container = pod["containers"][0]
    found = {"image": container["image"], "imagePullPolicy": container.get("imagePullPolicy", "IfNotPresent")}
    return {"container": found, "pod": {key: pod[key] for key in ("imagePullSecrets",) if pod.get(key)}}


def job(pool: WorkerPool, arguments: Sequence[str], *, name: str, image: Json, seconds: int) -> Json:
    """The Job; it is deleted with the pool.

    Args:
        pool: whose queues.
        arguments: of `python -m workerpool.deadletters`.
        name: the Job's.
        image: from `image_of`.
        seconds: after which Kubernetes ends it.

    Raises:
        TroubleError: workers of the pool do not take their jobs from a queue that can have dead letters.
    """
    env = [variable for variable in contract.environment(pool, version="") if variable["name"].startswith("QUEUE_")]
    if not env:
        raise TroubleError(f"{pool.name} has no queue whose dead letters this wpool knows")
    labels = {COMPONENT_LABEL: COMPONENT, POOL_LABEL: pool.name}
    sources = [
        source for queue in pool.spec.queues for source in contract.credential_sources(queue, directory=queue.name)
    ]
    volumes: list[Json] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Json] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  a path in the container
    if sources:
        volumes.append({"name": "credentials", "projected": {"sources": sources}})
        mounts.append({"name": "credentials", "mountPath": contract.CREDENTIALS, "readOnly": True})
    container = {
        "name": CONTAINER,
        **image["container"],
        "command": ["python", "-m", "workerpool.deadletters"],
        "args": [argument.replace("$", "$$") for argument in arguments],
        "env": env,
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": pod_security(user=_USER, group=_USER),
        "containers": [container],
        "volumes": volumes,
        **image["pod"],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": pool.namespace,
            "labels": labels,
            "ownerReferences": [owner(pool, controller=False)],
        },
        "spec": {
            # A second try could redrive what has died again meanwhile; a person looks and asks again.
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }

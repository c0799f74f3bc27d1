"""One pool's pods as Kubernetes returns them, reduced to what the planner asks of them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.domain.desired import COMPONENT_LABEL, PLACE_LABEL, POOL_LABEL, WORKER, deployment_name
from workerpool_operator.domain.scaling import Pod
from workerpool_operator.domain.shields import ANNOTATIONS
from workerpool_operator.domain.snapshot import (
    DELETION_COST_ANNOTATION,
    REVISION_LABEL,
    VERSION_LABEL,
    PodList,
    PodTrouble,
)
from workerpool_operator.kube import Kube, kinds

_FINISHED: Final = frozenset({"Succeeded", "Failed"})
_HARMLESS: Final = frozenset({"ContainerCreating", "PodInitializing", ""})


async def pods_of(kube: Kube, pool: PoolKey) -> PodList:
    """The pool's pods as they are now.

    Raises:
        KubeError: they cannot be listed.
    """
    selector = f"{POOL_LABEL}={pool.name},{COMPONENT_LABEL}={WORKER}"
    return pod_list(pool.name, await kube.list(kinds.POD, namespace=pool.namespace, label_selector=selector).all())


def pod_list(pool: str, bodies: Iterable[Mapping[str, Any]]) -> PodList:
    """The pool's pods, active and terminating, and what keeps some of them from being ready."""
    alive = [body for body in bodies if body.get("status", {}).get("phase") not in _FINISHED]
    active = [body for body in alive if "deletionTimestamp" not in body["metadata"]]
    troubles = [trouble for body in active if (trouble := _trouble(body)) is not None]
    return PodList(
        active=tuple(_pod(pool, body) for body in active),
        terminating=frozenset(b["metadata"]["uid"] for b in alive if "deletionTimestamp" in b["metadata"]),
        troubles=tuple(troubles),
    )


def _pod(pool: str, body: Mapping[str, Any]) -> Pod:
    metadata, status = body["metadata"], body.get("status", {})
    labels = metadata.get("labels", {})
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        deployment=deployment_name(
            f"{pool}-{labels.get(VERSION_LABEL, '')}-{labels.get(REVISION_LABEL, '')}", labels.get(PLACE_LABEL, "")
        ),
        assigned=bool(body.get("spec", {}).get("nodeName")),
        pending=status.get("phase") == "Pending",
        ready=_condition(status, "Ready").get("status") == "True",
        created=metadata.get("creationTimestamp", ""),
        cost=_cost(metadata.get("annotations", {}).get(DELETION_COST_ANNOTATION)),
        node=body.get("spec", {}).get("nodeName", ""),
        shielded=_shielded(metadata.get("annotations", {})),
        running=any("running" in container.get("state", {}) for container in status.get("containerStatuses", ())),
    )


def _shielded(annotations: Mapping[str, str]) -> bool | None:
    there = {annotations.get(key) == value for key, value in ANNOTATIONS.items()}
    return there.pop() if len(there) == 1 else None


def _cost(annotation: str | None) -> int:
    try:
        return int(annotation or 0)
    except ValueError:
        return 0


def _condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for condition in status.get("conditions", ()):
        if condition["type"] == kind:
            found: Mapping[str, Any] = condition
            return found
    return {}


def _trouble(body: Mapping[str, Any]) -> PodTrouble | None:
    name, status = body["metadata"]["name"], body.get("status", {})
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return PodTrouble(pod=name, reason="Unschedulable", message=scheduled.get("message", ""))
    for container in status.get("containerStatuses", ()):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason", "") not in _HARMLESS:
            return PodTrouble(pod=name, reason=waiting["reason"], message=waiting.get("message", ""))
    return None

"""Why a worker's pod has no log yet, and what to do about it, from what the pod says itself. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from workerpool_operator.domain.desired.names import WORKER

Json = Mapping[str, Any]

_MOST_NAMED: Final = 3
_MOST_SAID: Final = 300
_IMAGE: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})
_UNMADE: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})


def worker_status(pod: Json) -> Json:
    """Of the worker's container; empty before there is one."""
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((one for one in states if one.get("name") == WORKER), {})


def container_runs(pod: Json) -> bool:
    """Whether its worker's container runs."""
    return "running" in (worker_status(pod).get("state") or {})


def has_log(pod: Json) -> bool:
    """Whether its worker's container has ever run, so that there is something to read."""
    return bool({"running", "terminated"} & set(worker_status(pod).get("state") or {})) or was_restarted(pod)


def was_restarted(pod: Json) -> bool:
    """Whether there was a container before the one that is there."""
    status = worker_status(pod)
    return bool(status.get("restartCount") or "terminated" in (status.get("lastState") or {}))


def has_ended(pod: Json) -> bool:
    """Whether nothing of it will ever run again."""
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def is_stuck(pod: Json) -> bool:
    """Whether something keeps it from starting that does not go by itself."""
    reason = ((worker_status(pod).get("state") or {}).get("waiting") or {}).get("reason")
    return reason in _IMAGE | _UNMADE or _unplaced(pod) is not None


def why_silent(pods: Iterable[Json]) -> list[str]:
    """A sentence for each reason for which some of these have no log yet."""
    names: dict[str, list[str]] = {}
    for pod in pods:
        names.setdefault(_why(pod), []).append(str(pod["metadata"]["name"]))
    return [f"{some_of(who)} {'has' if len(who) == 1 else 'have'} no log yet: {why}" for why, who in names.items()]


def some_of(names: Iterable[str]) -> str:
    """The first few of them, and how many more there are."""
    ordered = sorted(names)
    more = len(ordered) - _MOST_NAMED
    return ", ".join(ordered[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _why(pod: Json) -> str:
    status = worker_status(pod)
    waiting: Json = (status.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))[:_MOST_SAID]
    said = f"{reason}: {message}" if message else reason
    if reason in _IMAGE:
        image = status.get("image") or _image(pod)
        return (
            f"its image {image} cannot be pulled ({said}). Check its name and tag, that the nodes reach its "
            "registry, and, where that asks who is there, spec.worker.imagePullSecrets"
        )
    if reason in _UNMADE:
        return f"its container cannot be started ({said}). Create what is missing, or mend the pool's spec.worker"
    if reason:
        return f"its container has not started ({said})"
    if (unplaced := _unplaced(pod)) is not None:
        return f"no node takes it ({unplaced.get('reason', '')}: {str(unplaced.get('message', ''))[:_MOST_SAID]})"
    return f"it is {(pod.get('status') or {}).get('phase') or 'Pending'}"


def _unplaced(pod: Json) -> Json | None:
    """What is said of a pod for which there is no node."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == "PodScheduled" and one.get("status") == "False"), None)


def _image(pod: Json) -> str:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return next((str(one.get("image", "")) for one in containers if one.get("name") == WORKER), "")

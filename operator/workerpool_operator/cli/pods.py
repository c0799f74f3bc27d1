"""One pod in a word: pure."""

from collections.abc import Mapping
from typing import Any, Final

Json = Mapping[str, Any]

LOST: Final = "Lost, and fenced"
"""Of a pod on a node of which nothing is heard, instead of what Kubernetes goes on to say of it for a while."""


def pod_state(pod: Json) -> str:
    """In one word: Ready, Draining, or what keeps it from being Ready."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Draining"
    status: Json = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            return str(waiting.get("reason", "Waiting"))
    if any(one.get("type") == "Ready" and one.get("status") == "True" for one in status.get("conditions") or ()):
        return "Ready"
    return "NotReady" if status.get("phase") == "Running" else str(status.get("phase", "Pending"))


def lost_nodes(pool: Json) -> frozenset[str]:
    """Nodes of which nothing is heard, as the pool's status says. Kubernetes calls their pods Ready for a while."""
    placement = (pool.get("status") or {}).get("placement") or {}
    return frozenset(map(str, placement.get("lostNodes") or ()))

"""Plays the kubelet for a control plane without nodes: pods that nobody can run say that they are ready.

Enough where only the operator's decisions are under test. Pods are never bound to a node, so the API server deletes
them at once when the ReplicaSet controller does. For what a pod really does there is the cluster with nodes.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

Json = dict[str, Any]

_AGAIN_SECONDS = 0.5
_CONDITIONS = ("PodScheduled", "Initialized", "ContainersReady", "Ready")


class FakeKubelet:
    """Marks each new pod as Running and Ready. Give it every event of a watch on pods."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._tasks: set[asyncio.Task[None]] = set()

    def observe(self, event: str, pod: Json) -> None:
        """Start the pod, if that has not been done."""
        new = event != "DELETED" and "deletionTimestamp" not in pod["metadata"] and not is_ready(pod)
        if new and pod.get("status", {}).get("phase", "Pending") == "Pending":
            task = asyncio.create_task(self._start(ObjectRef(kinds.POD, *_name(pod))))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _start(self, ref: ObjectRef) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [{"type": one, "status": "True", "lastTransitionTime": now} for one in _CONDITIONS]
        status = {"phase": "Running", "conditions": conditions, "startTime": now}
        while True:
            try:
                await self._kube.merge_patch(ref, {"status": status}, subresource="status")
            except errors.NotFound:
                return  # deleted before it started
            except errors.KubeError as error:  # a kubelet would say it again, too
                if not error.retryable:
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return


def is_ready(pod: Json) -> bool:
    """Whether the pod's condition Ready is True."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _name(pod: Json) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]

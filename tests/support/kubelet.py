"""A kubelet that is played: it has no containers, and answers the API server's questions for their logs.

The API server dials it as it dials a real one, over TLS, and passes on what it says.
"""

import asyncio
import contextlib
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from e2e.cluster.controlplane import ControlPlane
from workerpool_operator.domain.desired.names import POOL_LABEL, VERSION_LABEL
from workerpool_operator.kube import Kube, ObjectRef, kinds

_RESTRICTED_POD: Final = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_RESTRICTED_CONTAINER: Final = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
"""What the Pod Security Standard `restricted` asks of a pod, as workers have it."""
_RUNNING: Final = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}


class PlayedKubelet:
    """One node, its pods and their logs."""

    def __init__(self, kube: Kube, name: str) -> None:
        self.name = name
        self.following: set[str] = set()
        """Names of pods whose log somebody follows."""
        self.asked: list[str] = []
        self.refusal = ""
        """Why it gives no log."""
        self._kube = kube
        self._logs: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._before: dict[str, list[tuple[datetime, str]]] = {}
        """Of the containers before the last restart."""
        self._restarts: defaultdict[str, int] = defaultdict(int)
        self._ended: set[str] = set()
        self._changed = asyncio.Condition()

    async def start_pod(
        self,
        namespace: str,
        name: str,
        *,
        pool: str = "thumbs",
        version: str = "0a1b2c3d",
        waiting: dict[str, Any] | None = None,
    ) -> None:
        """A worker's pod whose container runs, or waits for this."""
        labels = {POOL_LABEL: pool, VERSION_LABEL: version}
        container = {"name": "worker", "image": "worker:1"}
        contained = {**container, "securityContext": _RESTRICTED_CONTAINER}
        spec = {
            "nodeName": self.name,
            "securityContext": _RESTRICTED_POD,
            "containers": [contained],
            "terminationGracePeriodSeconds": 0,
        }
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        await self._kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        state = {"waiting": waiting} if waiting else _RUNNING
        await self._tell(namespace, name, phase="Pending" if waiting else "Running", state=state)

    async def _tell(self, namespace: str, name: str, *, phase: str = "Running", **told: Any) -> None:
        """What the node says of a pod's container."""
        count = self._restarts[name]
        container = {"name": "worker", "image": "worker:1", "imageID": "", "ready": False, "restartCount": count}
        status = {"phase": phase, "containerStatuses": [container | told]}
        await self._kube.merge_patch(ObjectRef(kinds.POD, namespace, name), {"status": status}, subresource="status")

    async def crash(self, namespace: str, name: str, *lines: str) -> None:
        """Its container ends; another one comes, writes this and ends at once, and waits to be started anew."""
        async with self._changed:
            self._before[name], self._logs[name] = self._logs[name], [(datetime.now(UTC), line) for line in lines]
            self._restarts[name] += 1
            self._changed.notify_all()
        ended = {"terminated": {"exitCode": 1, "containerID": f"played://{self._restarts[name]}"}}
        await self._tell(namespace, name, state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ended)

    async def finish(self, namespace: str, name: str) -> None:
        """Its container ends for good, and its log can still be read."""
        async with self._changed:
            self._ended.add(name)
            self._changed.notify_all()
        await self._tell(namespace, name, phase="Succeeded", state={"terminated": {"exitCode": 0}})

    async def end_pod(self, namespace: str, name: str) -> None:
        """It is deleted, and its log ends."""
        await self._kube.delete(ObjectRef(kinds.POD, namespace, name))
        async with self._changed:
            self._ended.add(name)
            self._changed.notify_all()

    async def write(self, pod: str, text: str, *, at: datetime | None = None) -> None:
        """A line of a pod's worker."""
        async with self._changed:
            self._logs[pod].append((at or datetime.now(UTC), text))
            self._changed.notify_all()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """`/containerLogs/NAMESPACE/POD/CONTAINER`, as the kubelet has it."""
        pod, query = request.match_info["pod"], request.query
        stamped = query.get("timestamps") == "true"
        self.asked.append(pod)
        if self.refusal:
            return web.Response(status=500, text=self.refusal)
        since = datetime.fromisoformat(query["sinceTime"]) if "sinceTime" in query else None
        source = self._logs[pod]
        if query.get("previous") == "true":
            if pod not in self._before:
                return web.Response(status=400, text=f'previous terminated container "worker" in pod "{pod}" not found')
            source = self._before[pod]
        lines = [line for line in source if since is None or line[0] >= since]
        tail = int(query.get("tailLines", len(lines)))
        at, begun = len(self._logs[pod]), self._restarts[pod]
        answer = web.StreamResponse()
        answer.force_close()  # no connection of the API server's is left when the node has gone
        await answer.prepare(request)
        for line in lines[max(0, len(lines) - tail) :]:
            await answer.write(_written(line, stamped=stamped))
        if query.get("follow") == "true":
            self.following.add(pod)
            try:
                while pod not in self._ended and self._restarts[pod] == begun:
                    async with self._changed:
                        while len(self._logs[pod]) == at and pod not in self._ended and self._restarts[pod] == begun:
                            await self._changed.wait()
                        if self._restarts[pod] != begun:
                            break
                        new, at = self._logs[pod][at:], len(self._logs[pod])
                    for line in new:
                        await answer.write(_written(line, stamped=stamped))
            finally:
                self.following.discard(pod)
        await answer.write_eof()
        return answer


def _written(line: tuple[datetime, str], *, stamped: bool) -> bytes:
    if not stamped:
        return f"{line[1]}\n".encode()
    stamp = line[0].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return f"{stamp}000Z {line[1]}\n".encode()


@contextlib.asynccontextmanager
async def played_kubelet(plane: ControlPlane, kube: Kube, *, name: str) -> AsyncIterator[PlayedKubelet]:
    """A node of this name, whose kubelet answers."""
    pair = plane.authority.issue("kubelet-played", common_name="system:node:played", hosts=["127.0.0.1"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    kubelet = PlayedKubelet(kube, name)
    app = web.Application()
    app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", kubelet.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    ref = ObjectRef(kinds.NODE, "", name)
    await kube.create(node)
    endpoint = {"kubeletEndpoint": {"Port": runner.addresses[0][1]}}
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}], "daemonEndpoints": endpoint}
    await kube.merge_patch(ref, {"status": status}, subresource="status")
    try:
        yield kubelet
    finally:
        await kube.delete(ref)
        # A connection over TLS is closed only when the other end has agreed to it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while runner.server is not None and runner.server.connections:  # noqa: ASYNC110  aiohttp tells nobody
                    await asyncio.sleep(0.05)
        await runner.cleanup()

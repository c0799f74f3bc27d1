"""A command run in a pod's container, as `kubectl exec` does it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds

WORKER_CONTAINER: Final = "worker"
_PROTOCOL: Final = "v4.channel.k8s.io"
_STDOUT, _STDERR, _ERROR = 1, 2, 3
_CONNECT_SECONDS: Final = 10.0


class RemoteError(TroubleError):
    """The command could not be run, or failed."""


@dataclass(frozen=True, slots=True)
class Target:
    """A container of a pod."""

    namespace: str
    pod: str
    container: str = WORKER_CONTAINER

    def __str__(self) -> str:
        """For messages."""
        return f"pod {self.namespace}/{self.pod}"


async def run_in(access: ClusterAccess, target: Target, command: Sequence[str], *, seconds: float) -> str:
    """What the command writes to its standard output, within `seconds`.

    Raises:
        RemoteError: it cannot be run there, ended with another status than 0, or took longer.
        KubeError: the pod cannot be read.
    """
    async with Kube(access) as kube:
        _assert_runs(target, await kube.get(ObjectRef(kinds.POD, target.namespace, target.pod)))
    query = [("container", target.container), ("stdout", "true"), ("stderr", "true")]
    query += [("command", word) for word in command]
    path = f"/api/v1/namespaces/{target.namespace}/pods/{target.pod}/exec?{urlencode(query)}"
    try:
        async with (
            asyncio.timeout(_CONNECT_SECONDS + seconds),
            access.watch_session() as session,
            session.ws_connect(access.server + path, protocols=[_PROTOCOL], max_msg_size=0) as stream,
        ):
            return await _read(stream, target, command)
    except aiohttp.WSServerHandshakeError as error:
        raise RemoteError(_refusal(error.status, target)) from error
    except TimeoutError as error:
        raise RemoteError(f"{target}: no answer within {seconds:g} s") from error
    except aiohttp.ClientError as error:
        raise RemoteError(f"{target}: the connection broke: {error}") from error


async def _read(stream: aiohttp.ClientWebSocketResponse, target: Target, command: Sequence[str]) -> str:
    channels: dict[int, bytearray] = {_STDOUT: bytearray(), _STDERR: bytearray(), _ERROR: bytearray()}
    async for message in stream:
        if message.type is aiohttp.WSMsgType.BINARY and message.data and message.data[0] in channels:
            channels[message.data[0]] += message.data[1:]
    said = channels[_STDERR].decode(errors="replace").strip()
    if not channels[_ERROR]:
        raise RemoteError(f"{target}: the connection ended before the command did")
    status: dict[str, Any] = json.loads(channels[_ERROR])
    if status.get("status") != "Success":
        why = said or status.get("message", "for no reason that it told")
        # Not more than a line of it: a command may bring its program as a word.
        raise RemoteError(f"{target}: {' '.join(command[:3]).partition(chr(10))[0]} failed: {why}")
    return channels[_STDOUT].decode()


def _assert_runs(target: Target, pod: dict[str, Any]) -> None:
    containers = [one["name"] for one in pod["spec"]["containers"]]
    if target.container not in containers:
        raise RemoteError(f"{target} has no container {target.container!r}: name one of {', '.join(containers)}")
    states = {one["name"]: one.get("state", {}) for one in pod.get("status", {}).get("containerStatuses", [])}
    if "running" not in states.get(target.container, {}):
        raise RemoteError(f"{target}: its container {target.container!r} does not run, there is nothing to look at")


def _refusal(status: int, target: Target) -> str:
    match status:
        case 401:
            return f"{target}: the API server does not accept your credentials"
        case 403:
            return f"{target}: you may not run anything there; it takes `create` and `get` of pods/exec"
        case 404:
            return f"{target} is gone"
    return f"{target}: the API server refuses to run anything there (HTTP {status})"

"""Plays a namespace's collector: says of queues and workers what a scenario wants, over the operator's real stream.

It authenticates as the real one does, by a token of the namespace's service account that the operator has the API
server review, and it obeys the same rules: an order of a lower epoch than the highest seen is refused, a fence is
answered at once with its id, a lost stream is dialled again. Broker and workers behind it are figures in a `Script`.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

from workerpool.protocol import Counters
from workerpool_operator import protocol
from workerpool_operator.domain.desired import COLLECTOR_NAME
from workerpool_operator.kube import errors, kinds

REDIAL_SECONDS = 0.1
REPEAT_SECONDS = 0.5
_REFUSALS = (aiohttp.ClientError, errors.KubeError, OSError, TimeoutError)


@dataclass(kw_only=True)
class Script:
    """What the collector reports of one pool."""

    queue: str
    waiting: int = 0
    in_flight: int = 0
    busy: frozenset[str] = frozenset()
    """Uids of the pods whose worker runs a job of unknown length."""
    stuck: frozenset[str] = frozenset()
    """Uids of the pods whose worker takes nothing and says no reason; while there are some, the others are at work, and
    else all say that a script has them pause."""


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Where a worker runs, and whether it is heard."""

    node: str
    deployment: str
    silent_seconds: float = 0.0
    """Since its stream broke off; 0: it is up."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the operator's stream is, and how it is trusted."""

    port: int
    server_name: str
    authority: str
    """Path of the certificate authority."""
    address: str = "127.0.0.1"


@dataclass(kw_only=True)
class ScriptedCollector:
    """One namespace's collector. `pods` gives the worker pods of a pool that exist now: uid -> name."""

    endpoint: Endpoint
    token: Callable[[], Awaitable[str]]
    """A new token of the collector's service account; raises KubeError or ClientError while there is none."""
    pods: Callable[[str], Mapping[str, str]]
    waiting: Callable[[str], tuple[protocol.PodReport, ...]] = lambda _: ()
    """What is said of those that no node has room for."""
    seat: Callable[[str], Seat | None] = lambda _: None
    """Of a pod's uid; None: there are no nodes."""
    scripts: dict[str, Script] = field(default_factory=dict)
    repeat_seconds: float = REPEAT_SECONDS
    """How often it says again what has not changed."""
    held: bool = False
    """Whether what it says is held, and is said to hold by who runs it; else all is repeated, as the first ones did."""
    configured_in: int = -1
    """Epoch of the leader that last said which pools there are."""
    _fences: dict[str, tuple[protocol.Fence, float]] = field(default_factory=dict)
    """Pool -> its fence, and the moment (monotonic) at which that lapses."""
    _epoch: int = -1
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _told: int = 0

    def say(self, pool: str, script: Script) -> None:
        """From now on report this of the pool."""
        self.scripts[pool] = script
        self._changed.set()

    def silence(self, pool: str) -> None:
        """Report nothing of the pool any more."""
        self.scripts.pop(pool, None)

    async def run(self) -> None:
        """Hold a stream to the operator until cancelled."""
        context = ssl.create_default_context(cafile=self.endpoint.authority)
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    await self._connect(session, context)
                except* _REFUSALS:  # also in a group, as which a task group raises them
                    pass
                await asyncio.sleep(REDIAL_SECONDS)

    async def _connect(self, session: aiohttp.ClientSession, context: ssl.SSLContext) -> None:
        url = f"https://{self.endpoint.address}:{self.endpoint.port}{protocol.STREAM_PATH}"
        headers = {"Authorization": f"Bearer {await self.token()}"}
        async with (
            session.ws_connect(url, ssl=context, server_hostname=self.endpoint.server_name, headers=headers) as stream,
            asyncio.TaskGroup() as group,
        ):
            reporting = group.create_task(self._report_for_ever(stream))
            async for frame in stream:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    await self._obey(stream, protocol.decode_down(frame.data))
            reporting.cancel()

    async def _report_for_ever(self, stream: aiohttp.ClientWebSocketResponse) -> None:
        with suppress(*_REFUSALS):
            while True:
                self._changed.clear()
                for pool in list(self.scripts):
                    await self._report(stream, pool)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self.repeat_seconds):
                        await self._changed.wait()

    async def _obey(self, stream: aiohttp.ClientWebSocketResponse, order: protocol.Down | None) -> None:
        match order:
            case None | protocol.Role() | protocol.PoolSettings():
                return
        if order.epoch < self._epoch:
            return
        self._epoch = order.epoch
        match order:
            case protocol.Config():
                self.configured_in = order.epoch
            case protocol.Fence():
                self._fences[order.pool] = (order, time.monotonic() + order.ttl_seconds)
                await self._report(stream, order.pool)
            case protocol.ReadNow():
                await self._report(stream, order.pool, read_id=order.read_id)

    async def _report(self, stream: aiohttp.ClientWebSocketResponse, pool: str, *, read_id: str = "") -> None:
        script = self.scripts.get(pool)
        if script is None:
            return
        sample = protocol.QueueSample(
            queue=script.queue,
            age_seconds=0,
            waiting=script.waiting,
            in_flight=script.in_flight,
            poll_seconds=max(1.0, self.repeat_seconds),
            held=self.held,
        )
        workers = tuple(self._worker(pool, uid, name, script=script) for uid, name in self.pods(pool).items())
        for message in (
            protocol.Samples(pool=pool, samples=(sample,)),
            protocol.Workers(pool=pool, workers=workers, pods=self.waiting(pool), read_id=read_id),
        ):
            await stream.send_str(message.model_dump_json())

    def _worker(self, pool: str, uid: str, name: str, *, script: Script) -> protocol.WorkerReport:
        fence, lapses_at = self._fences.get(pool, (None, 0.0))
        held = fence is not None and uid in fence.pods and time.monotonic() < lapses_at
        busy, consuming = uid in script.busy, bool(script.stuck) and uid not in script.stuck
        seat = self.seat(uid) or Seat(node="", deployment="")
        self._told += 1
        return protocol.WorkerReport(
            pod=name,
            uid=uid,
            node=seat.node,
            deployment=seat.deployment,
            connected=not seat.silent_seconds,
            age_seconds=seat.silent_seconds,
            held=self.held,
            in_flight=1 if busy or consuming else 0,
            fence=fence.fence_id if fence and held else "",
            paused="" if script.stuck else "scripted",
            remaining_seconds=None if busy else 0.0,
            counters=Counters(started=self._told if consuming else 0),
        )


async def collector_token(
    session: aiohttp.ClientSession,
    server: str,
    namespace: str,
    *,
    audiences: Sequence[str] = (protocol.TOKEN_AUDIENCE,),
) -> str:
    """Give a token as the collector's pod would find it mounted; `session` has an administrator's rights.

    Without audiences it is for the API server.

    Raises:
        ClientResponseError: the operator has not made the service account yet.
    """
    path = kinds.SERVICE_ACCOUNT.path(namespace=namespace, name=COLLECTOR_NAME, subresource="token")
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": list(audiences), "expirationSeconds": 600},
    }
    async with session.post(server + path, json=request) as answer:
        answer.raise_for_status()
        return str((await answer.json())["status"]["token"])

"""The workers' end: each worker of the namespace holds one WebSocket to its collector.

A worker's report goes up at once, an order to it goes down at once, and both say the whole state. Settings are
repeated while they hold, since they lapse at the worker.
"""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
from aiohttp import WSMsgType, web

from workerpool.protocol import Hello, LastWords, Report, decode_up
from workerpool_operator.collector.board import Board, PodInfo, WorkerState
from workerpool_operator.collector.tokens import Bearer, TokenRefusedError, TokenVerifier
from workerpool_operator.protocol.outbox import Outbox

SETTINGS_TTL_SECONDS: Final = 30.0
REPEAT_SECONDS: Final = 10.0
PING_SECONDS: Final = 5.0
MAX_FRAME_BYTES: Final = 64 * 2**10
HELLO_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class WorkerServer:
    """Serves the workers' streams."""

    def __init__(self, board: Board, verifier: TokenVerifier) -> None:
        self._board = board
        self._verifier = verifier
        self._links: dict[str, tuple[str, Outbox]] = {}
        """Pod uid -> (pool, what is to be sent to it)."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One worker's connection, from its token to its last words."""
        bearer = await self._bearer(request)
        socket = web.WebSocketResponse(heartbeat=PING_SECONDS, max_msg_size=MAX_FRAME_BYTES, compress=False)
        await socket.prepare(request)
        hello = await self._hello(socket)
        pod = await self._pod_of(bearer)
        if hello is None or pod is None or pod.pool != hello.pool:
            named = "" if hello is None else hello.pool
            _log.warning("worker_refused", pool=named, worker=bearer.pod, why="it is no pod of the pool that it names")
            await socket.close(code=4403, message=b"not a worker of this pool")
            return socket
        await self._attend(socket, bearer, hello, pool=pod.pool)
        return socket

    def tell(self, pool: str, uids: Iterable[str] | None = None) -> None:
        """Send the settings that hold now to the workers of a pool, or to some of them."""
        wanted = None if uids is None else set(uids)
        for uid, (of, outbox) in self._links.items():
            if of == pool and (wanted is None or uid in wanted):
                outbox.send("settings", self._board.settings_for(pool, uid, ttl=SETTINGS_TTL_SECONDS))

    async def repeat(self) -> None:
        """Send all settings again before they lapse, until cancelled."""
        while True:
            await asyncio.sleep(REPEAT_SECONDS)
            for pool in {pool for pool, _ in self._links.values()}:
                self.tell(pool)

    async def _bearer(self, request: web.Request) -> Bearer:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise web.HTTPUnauthorized(text="a bearer token with the collector's audience is needed")
        try:
            return await self._verifier.verify(token)
        except TokenRefusedError as error:
            _log.warning("worker_refused", why=str(error), peer=request.remote)
            raise web.HTTPForbidden(text=str(error)) from None

    async def _hello(self, socket: web.WebSocketResponse) -> Hello | None:
        with suppress(TimeoutError, TypeError):
            message = decode_up(await socket.receive_str(timeout=HELLO_SECONDS))
            return message if isinstance(message, Hello) else None
        return None

    async def _pod_of(self, bearer: Bearer) -> PodInfo | None:
        """The bearer's pod; a worker may be quicker than the news of its pod, so it is waited for a little."""
        for _ in range(50):
            pod = self._board.pods.get(bearer.uid)
            if pod is not None:
                return pod if pod.name == bearer.pod else None
            await asyncio.sleep(0.1)
        return None

    async def _attend(self, socket: web.WebSocketResponse, bearer: Bearer, hello: Hello, *, pool: str) -> None:
        outbox = Outbox()
        self._links[bearer.uid] = (pool, outbox)
        state = WorkerState(
            pod=bearer.pod,
            uid=bearer.uid,
            version=hello.version,
            source="stream",
            boot_id=hello.boot_id,
            connected=True,
            heard_at=time.monotonic(),
        )
        self.tell(pool, [bearer.uid])
        sender = asyncio.create_task(outbox.drain(socket.send_str))
        try:
            await self._listen(socket, state, pool=pool)
        finally:
            sender.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sender
            if self._links.get(bearer.uid, (pool, None))[1] is outbox:
                del self._links[bearer.uid]
                self._leave(pool, bearer.uid)

    async def _listen(self, socket: web.WebSocketResponse, state: WorkerState, *, pool: str) -> None:
        left = False
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                return
            match decode_up(frame.data):
                case Report() as report:
                    state = replace(state, report=report, heard_at=time.monotonic())
                case LastWords() as words:
                    if not left:
                        self._board.left(pool, interrupted=words.interrupted)
                    left = True
                    if state.report is None:
                        continue
                    last = state.report.model_copy(
                        update={"counters": words.counters, "in_flight": 0, "draining": True}
                    )
                    state = replace(state, report=last, heard_at=time.monotonic())
                case _:
                    continue
            self._board.heard(pool, state)

    def _leave(self, pool: str, uid: str) -> None:
        state = self._board.worker(pool, uid)
        if state is not None:
            self._board.heard(pool, replace(state, connected=False))

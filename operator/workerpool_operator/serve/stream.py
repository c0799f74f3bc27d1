"""The TLS endpoint that collectors dial: who they are, what they may cost, what goes up and down.

TokenReview (through `authenticate`) yields the one namespace that a connection speaks for, so nothing in a message
can name another. A connection ends after `SESSION_SECONDS`, so that a token that was revoked is noticed; collectors
dial again at once. Frames are bounded, pings find dead peers, and what waits to be sent is bounded by the number of
subjects: a stalled peer costs one message for each.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

import structlog
from aiohttp import WSMsgType, web

from workerpool_operator.protocol import STREAM_PATH, decode_up
from workerpool_operator.protocol.outbox import Outbox
from workerpool_operator.serve.admission import Admission
from workerpool_operator.serve.listener import Listener, Port, vouch
from workerpool_operator.serve.state import FENCE_REPEAT_SECONDS, Peer, StreamState
from workerpool_operator.serve.tls import CHECK_SECONDS, ServerCertificate

MAX_FRAME_BYTES: Final = 8 * 2**20
MAX_LINKS_PER_NAMESPACE: Final = 8
MAX_STRANGERS: Final = 1024
"""Connections whose token is still to be reviewed: after a restart of the operator, those of all collectors."""
MAX_COLLECTORS: Final = 4096
MAX_REVIEWS: Final = 4
"""TokenReviews under way at once: a thousand collectors that dial together leave the API to the reconciles."""
PING_SECONDS: Final = 5.0
SESSION_SECONDS: Final = 3600.0

Authenticate: TypeAlias = Callable[[str], Awaitable[Peer | None]]

_log = structlog.get_logger(__name__)


class StreamServer:
    """Serves collectors on a TLS port, with a certificate that may be renewed while it runs."""

    def __init__(
        self, state: StreamState, *, authenticate: Authenticate, tls: Path | None, host: str | None, port: int
    ) -> None:
        """`tls` holds tls.crt and tls.key. None serves without TLS, for tests on the loopback interface only."""
        self._state = state
        self._authenticate = authenticate
        self._tls = tls
        self._host = host
        self._port = port
        self._links: dict[str, int] = {}
        self._reviews = asyncio.Semaphore(MAX_REVIEWS)

    async def run(self) -> None:
        """Serve until cancelled."""
        app = web.Application()
        app.router.add_get(STREAM_PATH, self._serve)
        certificate = None if self._tls is None else ServerCertificate(self._tls)
        context = None if certificate is None else certificate.context
        listener = Listener(app, admission=Admission(strangers=MAX_STRANGERS, vouched=MAX_COLLECTORS))
        await listener.start(Port(host=self._host, port=self._port, tls=context))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._repeat())
                if certificate is not None:
                    group.create_task(_renew(certificate))
        finally:
            await listener.stop()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        peer = await self._peer(request)
        vouch(request)
        if self._links.get(peer.namespace, 0) >= MAX_LINKS_PER_NAMESPACE:
            raise web.HTTPTooManyRequests(text="too many connections from this namespace")
        socket = web.WebSocketResponse(heartbeat=PING_SECONDS, max_msg_size=MAX_FRAME_BYTES, compress=False)
        await socket.prepare(request)
        link = Outbox()
        self._links[peer.namespace] = self._links.get(peer.namespace, 0) + 1
        self._state.attach(peer, link)
        _log.info("collector_connected", namespace=peer.namespace, collector=peer.pod)
        sender = asyncio.create_task(link.drain(socket.send_str))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(SESSION_SECONDS):
                    await self._listen(peer, socket, link)
        finally:
            self._state.detach(peer, link)
            self._links[peer.namespace] -= 1
            if not self._links[peer.namespace]:
                del self._links[peer.namespace]
            sender.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sender
            await socket.close()
            _log.info("collector_disconnected", namespace=peer.namespace, collector=peer.pod)
        return socket

    async def _peer(self, request: web.Request) -> Peer:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise web.HTTPUnauthorized(text="a bearer token with the operator's audience is needed")
        try:
            async with self._reviews:
                peer = await self._authenticate(token)
        except Exception as error:
            _log.warning("token_review_failed", error=str(error))
            raise web.HTTPServiceUnavailable(text="tokens cannot be reviewed at the moment") from error
        if peer is None:
            raise web.HTTPForbidden(text="this token is not that of a collector")
        return peer

    async def _listen(self, peer: Peer, socket: web.WebSocketResponse, link: Outbox) -> None:
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                return
            message = decode_up(frame.data)
            if message is not None and self._state.listens(peer, link):
                self._state.receive(peer, message)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(FENCE_REPEAT_SECONDS)
            self._state.repeat_fences()
            self._state.tidy()
            self._state.ask()


async def _renew(certificate: ServerCertificate) -> None:
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        certificate.renew()

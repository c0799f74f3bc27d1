"""A port that strangers reach: what a connection may cost there, and whose ones stay when there are too many.

Every wait for a peer ends: TLS, a request's head, its body, an answer that is not read, and silence between requests.
Connections are counted from the first packet, before TLS, which is what costs memory: asyncio gives each of them a
buffer of 256 KiB, sixteen times what a TLS record holds. `_Tls` is asyncio's own protocol with a smaller one; it is
made here, and not by `create_server(ssl=...)`, which would tell of a connection only after its handshake.
"""

import asyncio
import ssl
from asyncio import sslproto
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import structlog
from aiohttp import web

from workerpool_operator.serve.admission import Admission

HANDSHAKE_SECONDS: Final = 5
HEAD_SECONDS: Final = 5.0
"""From a request's first byte, or the end of the handshake, to the end of its headers."""
BODY_SECONDS: Final = 1.0
"""How long a body is read that nobody asked for, so that its sender sees the answer."""
IDLE_SECONDS: Final = 100.0
"""Between requests. Clients of Kubernetes close what was idle for 90 s: theirs is the choice when."""
WRITE_SECONDS: Final = 10.0
GOODBYE_SECONDS: Final = 2
"""How long a peer may take to say goodbye in TLS."""

MAX_HEADERS: Final = 8192
"""The API server's front proxy sends one for each group of its user. The bytes of all of them are bounded, too."""
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_LINE_BYTES: Final = 16 * 1024
HEAD_BYTES: Final = 64 * 1024
CERTIFIED_HEAD_BYTES: Final = 1024 * 1024
"""With a client certificate that was verified: what API servers themselves take."""
BACKLOG: Final = 512
"""Connections that the kernel holds until the loop looks. One beyond is lost, and costs its peer a second."""
TLS_BUFFER_BYTES: Final = 32 * 1024
"""Two records of TLS."""

_ACCEPTING_TURNS: Final = 3
"""Turns of the loop from a connection's acceptance until its protocol hears of it, port closed or not."""

Refusal: TypeAlias = Callable[[str], web.Response]
"""The answer to what is no request; called with why it is none."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where to listen. `tls` None serves without TLS, for tests on the loopback interface only."""

    host: str | None
    port: int
    tls: ssl.SSLContext | None
    shared: bool = False
    """Whether another listener may have the same port."""


class Listener:
    """Serves an application on a port, from :meth:`start` to :meth:`stop`."""

    def __init__(self, app: web.Application, *, admission: Admission, refusal: Refusal | None = None) -> None:
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._admission = admission
        self._refusal = refusal or (lambda why: web.Response(status=400, text=why))
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, at: Port) -> None:
        """Listen. Raises OSError when the port cannot be had."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None  # there is one from setup to cleanup
        answer = server.request_handler

        async def answered(request: web.BaseRequest) -> web.StreamResponse:
            cast("Connection", request.protocol).begins()
            return await answer(request)

        server.request_handler = answered

        def connection() -> asyncio.BaseProtocol:
            made = Connection(server, admission=self._admission, refusal=self._refusal, among=self._connections)
            return made if at.tls is None else _Tls(made, at.tls)

        try:
            self._server = await asyncio.get_running_loop().create_server(
                connection, at.host, at.port, reuse_port=at.shared or None, backlog=BACKLOG, start_serving=False
            )
            await self._server.start_serving()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the port, let requests under way end, then cut the connections instead of waiting for goodbyes."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        for _ in range(_ACCEPTING_TURNS):
            await asyncio.sleep(0)
        while self._connections:
            for connection in list(self._connections):
                connection.cut()
            await asyncio.sleep(0)  # the loop closes what was cut a turn or two later


class Connection(web.RequestHandler):
    """One connection, from its first packet on; aiohttp's handler of requests once TLS stands."""

    def __init__(self, server: web.Server, *, admission: Admission, refusal: Refusal, among: set["Connection"]) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to have none
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=BODY_SECONDS,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            max_headers=MAX_HEADERS,
        )
        self._admission = admission
        self._refusal = refusal
        self._among = among
        self._wire: asyncio.Transport | None = None
        self._head_bytes = HEAD_BYTES
        self._received = 0
        self._busy = False
        self._framed = False
        self._head_timer: asyncio.TimerHandle | None = None

    def arrived(self, wire: asyncio.Transport) -> None:
        """The peer is there, with no word said yet."""
        self._wire = wire
        self._among.add(self)
        self._admission.enter(self, (wire.get_extra_info("peername") or ("",))[0])

    def left(self) -> None:
        """The peer is gone."""
        self._among.discard(self)
        self._admission.leave(self)
        self._await_head(None)
        self._wire = None

    def cut(self) -> None:
        """End it at once."""
        if self._wire is not None:
            self._wire.abort()

    def vouch(self) -> None:
        """The peer is who it should be: its connection does not give way to those of strangers."""
        self._admission.vouch(self)

    def begins(self) -> None:
        """A request is there as a whole, and is going to be answered."""
        self._busy = True
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102  asyncio's
        if self._wire is None:
            self.arrived(cast("asyncio.Transport", transport))
        if transport.get_extra_info("peercert"):
            self._head_bytes = CERTIFIED_HEAD_BYTES
        self._await_head(HEAD_SECONDS)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: D102  asyncio's
        self.left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # noqa: D102  asyncio's
        self._received += len(data)
        if self._received > self._head_bytes and not self._framed:
            _log.debug("request_too_large", peer=self.peername)
            self.cut()
            return
        super().data_received(data)
        if self._messages:  # whole ones: they may have to wait for a busy loop, which is not the peer's fault
            self._await_head(None)
        elif self._head_timer is None and not self._busy:
            self._await_head(HEAD_SECONDS)

    def set_parser(self, *args: Any, **keywords: Any) -> None:
        """Frames follow, which have bounds of their own, and no more requests."""
        self._framed = True
        super().set_parser(*args, **keywords)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer, to a peer that reads it."""
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.cut()
            return resp, True
        finally:
            self._busy = False

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no request; aiohttp would log each with a traceback."""
        if status != 400:  # noqa: PLR2004
            return super().handle_error(request, status, exc, message)
        why = (message or "malformed").strip().partition("\n")[0][:200]
        _log.debug("malformed_request", peer=self.peername, why=why)
        response = self._refusal(why)
        response.force_close()
        return response

    def _await_head(self, seconds: float | None) -> None:
        """Cut the connection if no request begins for so long; None: do not."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self.cut)


def vouch(request: web.Request) -> None:
    """Tell a :class:`Listener` that this request's connection is that of somebody it serves for."""
    if isinstance(request.protocol, Connection):
        request.protocol.vouch()


class _Tls(sslproto.SSLProtocol):
    """TLS on one connection, which is known from its first packet on."""

    max_size = TLS_BUFFER_BYTES

    def __init__(self, connection: Connection, context: ssl.SSLContext) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            connection,
            context,
            None,  # type: ignore[arg-type]  # nobody waits for the handshake
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=GOODBYE_SECONDS,
        )
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection.arrived(cast("asyncio.Transport", transport))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connection.left()
        super().connection_lost(exc)

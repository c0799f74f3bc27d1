"""Connections to the API server: they break when the other side is gone, and end when their session is closed."""

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from kubernetes.aio.client.rest import RESTClientObject

_KEEPALIVE: Final = {"TCP_KEEPIDLE": 20, "TCP_KEEPALIVE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""By the name of the option: after how many silent seconds the other side is asked whether it is there (macOS calls
that TCP_KEEPALIVE), how often, and how many times in vain until the connection breaks."""
_TURNS, _TURN_SECONDS = 1_000, 0.001
"""Of the event loop, until a connection that was cut is closed; a few are enough."""
_CLOSED: Final = -1


class Connector(aiohttp.TCPConnector):
    """A pool of connections, none of which is left behind.

    The connection of a request that was cut off says goodbye by TLS and waits for the server's. The session has
    forgotten it by then, and a command ends its event loop directly after it has closed the session: the socket
    would stay open for as long as the process lives. So this remembers its sockets and cuts those that are left.

    A connection whose other side has gone without a word, as with a network that was left, breaks within a minute:
    on one that is only listened to nothing else would tell.
    """

    def __init__(self, *, limit: int, ssl: Any) -> None:
        """`limit`: connections at once, 0 for as many as are asked for; `ssl` as aiohttp takes it."""
        super().__init__(limit=limit, ssl=ssl, socket_factory=self._socket)
        self._sockets: WeakSet[socket.socket] = WeakSet()

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close every connection; returns when they are closed, and after a second whatever comes."""
        try:
            await super().close(abort_ssl=abort_ssl)
        finally:
            left = [each for each in self._sockets if each.fileno() != _CLOSED]
            for each in left:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)  # its transport reads the end and closes it
        for _ in range(_TURNS):
            if all(each.fileno() == _CLOSED for each in left):
                return
            await asyncio.sleep(_TURN_SECONDS)

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._sockets.add(made)
        return made


class Rest(RESTClientObject):  # type: ignore[misc]  # the package has no types
    """The REST layer of the official client, with such connections."""

    def _create_connector(self) -> Connector:
        return Connector(limit=self.maxsize, ssl=self.ssl_context)

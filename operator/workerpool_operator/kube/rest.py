"""The REST layer of the official client, with connections that end when it is closed."""

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from kubernetes.aio.client.rest import RESTClientObject

_TURNS, _TURN_SECONDS = 1_000, 0.001
"""Of the event loop, until a connection that was cut is closed; a few are enough."""
_CLOSED: Final = -1


class Rest(RESTClientObject):  # type: ignore[misc]  # the package has no types
    """Requests over a pool of connections, none of which is left behind.

    The connection of a request that was cut off says goodbye by TLS and waits for the server's. The session has
    forgotten it by then, and a command ends its event loop directly after it has closed the session: the socket
    would stay open for as long as the process lives. So this remembers its sockets and cuts those that are left.
    """

    def __init__(self, configuration: Any) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(configuration)
        self._sockets: WeakSet[socket.socket] = WeakSet()

    async def close(self) -> None:
        """Close every connection; returns when they are closed."""
        await super().close()
        left = [each for each in self._sockets if each.fileno() != _CLOSED]
        for each in left:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # its transport reads the end and closes it
        for _ in range(_TURNS):
            if all(each.fileno() == _CLOSED for each in left):
                return
            await asyncio.sleep(_TURN_SECONDS)

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=self.maxsize, ssl=self.ssl_context, socket_factory=self._socket)

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._sockets.add(made)
        return made

"""What handlers call: a server on this machine that answers later while it is told to."""

from __future__ import annotations

import asyncio
import contextlib


class Downstream:
    """Answers every request, `delay` seconds later."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.slowed = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str) -> None:
        """Listen on a free port of this address."""
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.slowed += self.delay > 0
            await asyncio.sleep(self.delay)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            await writer.drain()
        writer.close()

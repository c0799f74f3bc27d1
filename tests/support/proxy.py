"""A TCP proxy that can stop to pass anything on, as a network does that has lost a connection's state.

Or lead elsewhere, as a Service does: what is connected stays where it is.
"""

import asyncio
import contextlib
from typing import Self


class Proxy:
    """In front of a port of 127.0.0.1."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._generation = 0
        self._frozen: set[int] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def freeze(self) -> None:
        """What is connected now stays so, and nothing comes through any more; new connections are like that, too."""
        self._frozen.add(self._generation)

    def thaw(self) -> None:
        """New connections work again; the old ones never do."""
        self._generation += 1

    def lead_to(self, target: int) -> None:
        """New connections go to this port."""
        self._target = target

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        generation = self._generation
        self._writers.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(up_writer)
            await asyncio.gather(self._pipe(reader, up_writer, generation), self._pipe(up_reader, writer, generation))
        except OSError:
            writer.close()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, generation: int) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if generation not in self._frozen:
                    writer.write(data)
                    await writer.drain()
        if generation not in self._frozen:
            writer.close()

"""A collector made for tests: hears what workers report, sends them settings, refuses or drops them at will.

The real one is tested elsewhere; this one exists to do what a healthy one never does.
"""

import asyncio
from typing import Self

import aiohttp
from aiohttp import web

from workerpool.protocol import STREAM_PATH, Hello, LastWords, Report, Settings, decode_up


class PlayedCollector:
    """`async with PlayedCollector() as collector`: listens on 127.0.0.1 at `address`."""

    def __init__(self) -> None:
        self.hellos: list[Hello] = []
        self.reports: list[Report] = []
        self.last_words: list[LastWords] = []
        self.tokens: list[str] = []
        self.refuse = False
        self._sockets: set[web.WebSocketResponse] = set()
        self._heard = asyncio.Condition()
        self._port = 0

    @property
    def address(self) -> str:
        """As WORKERPOOL_COLLECTOR names it."""
        return f"127.0.0.1:{self._port}"

    @property
    def latest(self) -> Report | None:
        """The last report; None before the first one."""
        return self.reports[-1] if self.reports else None

    async def send(self, settings: Settings) -> None:
        """To all connected workers."""
        for socket in tuple(self._sockets):
            await socket.send_str(settings.model_dump_json())

    async def send_text(self, text: str) -> None:
        """Whatever it may be."""
        for socket in tuple(self._sockets):
            await socket.send_str(text)

    async def drop_all(self) -> None:
        """Cut the streams without a goodbye."""
        for socket in tuple(self._sockets):
            request = socket._req  # noqa: SLF001  there is no other way to end a connection without a goodbye
            transport = request.transport if request else None
            if transport is not None:
                transport.abort()

    async def report_where(self, test: object, *, seconds: float = 20.0) -> Report:
        """The first report, of those still to come or the latest one, for which `test(report)` is true."""
        assert callable(test)
        async with asyncio.timeout(seconds), self._heard:
            while self.latest is None or not test(self.latest):
                await self._heard.wait()
            return self.latest

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if self.refuse:
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    await self._hear(message.data)
        finally:
            self._sockets.discard(socket)
        return socket

    async def _hear(self, text: str) -> None:
        message = decode_up(text)
        async with self._heard:
            match message:
                case Hello():
                    self.hellos.append(message)
                case Report():
                    self.reports.append(message)
                case LastWords():
                    self.last_words.append(message)
                case None:
                    raise AssertionError(f"a worker sent {text!r}")
            self._heard.notify_all()

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get(STREAM_PATH, self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for socket in tuple(self._sockets):
            await socket.close()
        await self._runner.cleanup()

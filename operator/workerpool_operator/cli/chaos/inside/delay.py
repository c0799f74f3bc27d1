"""A TCP proxy that passes all on, and each piece of it later by some time, in both directions and in order.

Arguments: the delay in ms of one way, then LISTEN:HOST:PORT for each port. It is a delay and no throttle: what was sent
within the delay is all under way at the same time.
"""

import asyncio
import contextlib
import sys


class DelayProxy:
    """In front of one port. Its delay may change while it runs, for what is connected too."""

    def __init__(self, host: str, port: int, *, delay: float, tells: bool = False) -> None:
        """`tells`: write a line for each connection."""
        self.delay = delay
        """Seconds, one way."""
        self.delayed = 0
        """Pieces that were passed on late."""
        self.port = 0
        self._target = (host, port)
        self._tells = tells
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        """Listen there; port 0: any."""
        self._server = await asyncio.start_server(self._serve, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and break what is connected."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._tells:
            print("connection", flush=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            with contextlib.suppress(OSError):
                up_reader, up_writer = await asyncio.open_connection(*self._target)
                ends.append(up_writer)
                await asyncio.gather(self._pass(reader, up_writer), self._pass(up_reader, writer))
        finally:
            for each in ends:
                each.transport.abort()
            for each in ends:
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1024)
        passing = asyncio.ensure_future(self._write(pieces, writer))
        try:
            with contextlib.suppress(OSError):
                while (data := await reader.read(65_536)) and not passing.done():
                    self.delayed += self.delay > 0
                    await pieces.put((asyncio.get_running_loop().time() + self.delay, data))
            await pieces.put((0.0, b""))
            await passing
        finally:
            passing.cancel()

    async def _write(self, pieces: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = await pieces.get()
                if not data:
                    writer.write_eof()
                    return
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                writer.write(data)
                await writer.drain()


async def main(arguments: "list[str]") -> None:
    """See the module's text."""
    proxies = []
    for each in arguments[1:]:
        listen, host, port = each.split(":")
        proxy = DelayProxy(host, int(port), delay=float(arguments[0]) / 1000, tells=True)
        await proxy.start("", int(listen))
        proxies.append(proxy)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1:]))

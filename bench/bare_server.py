"""A server that does nothing but answer, by TLS and in a process of its own: what a machine leaves possible."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from e2e.cluster.pki import Pair

_BODY = b"{}" + b" " * 500
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY


@contextmanager
def bare_server(host: str, port: int, *, certificate: Pair, clients: Path) -> Iterator[None]:
    """Serve there for as long as the context lasts, clients that show a certificate of this authority."""
    process = get_context("spawn").Process(target=_run, args=(host, port, certificate, clients), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _run(host: str, port: int, certificate: Pair, clients: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(clients))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate.cert, certificate.key)

    async def serve() -> None:
        async with await asyncio.start_server(_answer, host, port, ssl=context) as server:
            await server.serve_forever()

    asyncio.run(serve())


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_ANSWER)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

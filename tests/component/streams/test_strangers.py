"""What anybody who reaches the port of the collectors can do to it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from e2e.cluster.pki import Authority
from e2e.cluster.ports import free_port
from tests.support.attacks import attack
from tests.support.waiting import until
from workerpool_operator.protocol import STREAM_PATH
from workerpool_operator.serve import listener, stream
from workerpool_operator.serve.state import Peer, StreamState
from workerpool_operator.serve.stream import StreamServer

pytestmark = pytest.mark.component


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def trust(tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ssl.SSLContext]:
    """A server with room for four strangers, which knows each token; yields what its clients trust."""
    monkeypatch.setattr(stream, "MAX_STRANGERS", 4)
    Authority(home=tmp_path, name="ca").issue("tls", common_name="localhost", hosts=["localhost"])

    async def authenticate(token: str) -> Peer | None:
        return Peer(namespace="media", pod=token)

    state = StreamState(on_change=lambda _namespace, _pool: None)
    server = StreamServer(state, authenticate=authenticate, tls=tmp_path, host="127.0.0.1", port=port)
    task = asyncio.create_task(server.run())
    yield ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Strangers:
    """Connections that say half a request."""

    def __init__(self, trust: ssl.SSLContext, port: int) -> None:
        self._trust = trust
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self.readers: list[asyncio.StreamReader] = []

    async def dial(self) -> bool:
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("localhost", self._port, ssl=self._trust)
            writer.write(b"GET / HTTP/1.1\r\n")
            self._writers.append(writer)
            self.readers.append(reader)
        return bool(self.readers)

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


@pytest.fixture
async def strangers(trust: ssl.SSLContext, port: int) -> AsyncIterator[Strangers]:
    made = Strangers(trust, port)
    yield made
    await made.close()


async def end(reader: asyncio.StreamReader) -> None:
    """Return when the other side has ended the connection, without a word."""
    async with asyncio.timeout(20):
        with suppress(ConnectionError):
            assert await reader.read() == b""


@attack("half a request at the port of collectors", stopped_by="time limits for each part of a request")
async def test_half_a_request_ends(strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.3)
    await until(strangers.dial, what="the port")
    await end(strangers.readers[0])


@attack(
    "so many connections that there is no room for collectors",
    stopped_by="strangers have a share of the room, and no more",
)
async def test_a_crowd_takes_the_room_of_no_collector(
    strangers: Strangers, trust: ssl.SSLContext, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose connection is the oldest, and has the crowd's address."""
    monkeypatch.setattr(listener, "HEAD_SECONDS", 600.0)
    monkeypatch.setattr(stream, "PING_SECONDS", 600.0)  # to which the collector played here says nothing
    await until(strangers.dial, what="the port")
    url, headers = f"https://localhost:{port}{STREAM_PATH}", {"Authorization": "Bearer collector-1"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers=headers, ssl=trust) as collector,
    ):
        for _ in range(5):
            await strangers.dial()
        for reader in strangers.readers[:2]:
            await end(reader)
        assert not any(reader.at_eof() for reader in strangers.readers[2:])
        await collector.close()
        assert collector.close_code == aiohttp.WSCloseCode.OK  # the server was there to say goodbye, too

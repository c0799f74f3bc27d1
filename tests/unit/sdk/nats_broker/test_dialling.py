"""Where a worker goes when its server is gone, with servers that say no more than it takes to connect."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.waiting import until
from workerpool.broker._credentials import Credentials
from workerpool.broker._nats.address import NatsAddress
from workerpool.broker._nats.dialling import Dialler
from workerpool.errors import BrokerUnavailable


class Played:
    """A server of NATS: it lets everybody in, and tells of others when it is told to."""

    def __init__(self) -> None:
        self.port = 0
        self._clients: list[asyncio.StreamWriter] = []

    def tell(self, *, of: list[str]) -> None:
        """Who there is in its cluster by now."""
        for client in self._clients:
            client.write(self._info(of))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Played"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self
            for client in self._clients:
                client.close()

    @staticmethod
    def _info(others: list[str]) -> bytes:
        info = {"server_id": "played", "version": "2.12.0", "max_payload": 1_000_000, "headers": True}
        return f"INFO {json.dumps(info | {'connect_urls': others})}\r\n".encode()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.append(writer)
        writer.write(self._info([]))
        async for line in reader:
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")


async def test_servers_that_joined_after_it_was_dialled_are_dialled_when_it_is_gone() -> None:
    """The one that was named is all that a worker knows which came before the cluster was whole."""
    async with Played().running() as other:
        async with Played().running() as named:
            dialler = Dialler(NatsAddress("127.0.0.1", named.port), Credentials(), timeout=5)
            first = await dialler.dial(lost=lambda _: None, forbidden=lambda _: None)
            named.tell(of=[f"127.0.0.1:{other.port}"])
            await until(lambda: bool(first.client.discovered_servers))
            await first.hang_up()
        second = await dialler.dial(lost=lambda _: None, forbidden=lambda _: None)
        assert second.client.connected_url is not None
        assert second.client.connected_url.port == other.port
        await second.hang_up()
    with pytest.raises(BrokerUnavailable):
        await dialler.dial(lost=lambda _: None, forbidden=lambda _: None)

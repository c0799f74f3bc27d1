"""Connections on which nothing is sent for long."""

import asyncio
import socket

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from workerpool_operator.kube import ClusterAccess


async def test_a_connection_whose_other_side_has_gone_without_a_word_breaks_within_a_minute() -> None:
    """The kernel asks: who only listens would wait for ever, after a night's sleep of the laptop or behind a NAT."""
    over = asyncio.Event()

    async def watch(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await over.wait()
        return answer

    async def load(_: Configuration) -> None:
        """There is nothing to read."""

    app = web.Application()
    app.router.add_get("/watch", watch)
    async with TestServer(app) as server:
        access = ClusterAccess(
            Configuration(host=str(server.make_url("")).rstrip("/")), load=load, reread_seconds=float("inf")
        )
        async with access.watch_session() as session, session.get(f"{access.server}/watch") as answer:
            assert answer.connection is not None
            assert answer.connection.transport is not None
            made: socket.socket = answer.connection.transport.get_extra_info("socket")
            assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            idle, interval, count = (made.getsockopt(socket.IPPROTO_TCP, option) for option in options)
            assert idle + interval * count <= 60
            over.set()

"""How a collector asks for its namespace's pods, by a server that writes down who asks for what."""

import asyncio
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.waiting import until
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.kubeapi import WATCH_SECONDS, ApiClient, PodWatch


async def test_a_watch_that_ends_is_asked_for_anew_as_who_the_collector_is_by_then(tmp_path: Path) -> None:
    """The kubelet writes a new token before the old one ends: with that one the pods had to be listed again."""
    asked: list[tuple[str, str]] = []
    ends, over = asyncio.Event(), asyncio.Event()

    async def pods(request: web.Request) -> web.StreamResponse:
        watch = "watch" in request.query
        asked.append(("watch" if watch else "list", request.headers["Authorization"]))
        if not watch:
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": []})
        assert int(request.query["timeoutSeconds"]) >= WATCH_SECONDS
        answer = web.StreamResponse()
        await answer.prepare(request)
        await (over if ends.is_set() else ends).wait()
        return answer

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/ns/pods", pods)
    (tmp_path / "token").write_text("first\n")
    async with TestServer(app) as server:
        api = ApiClient(str(server.make_url("")), tmp_path)
        board = Board(announce=lambda *_, **__: None)
        watch = PodWatch(api, board, namespace="ns", synced=lambda: None, tell=lambda *_: None)
        following = asyncio.create_task(watch.run())
        try:
            await until(lambda: len(asked) == 2, what="the first watch")
            (tmp_path / "token").write_text("second\n")
            ends.set()
            await until(lambda: len(asked) == 3, what="the second watch")
        finally:
            over.set()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
    assert asked == [("list", "Bearer first"), ("watch", "Bearer first"), ("watch", "Bearer second")]

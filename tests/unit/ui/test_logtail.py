"""Lines of logs, from an API server that is played."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.apiserver import eventually
from workerpool_operator.kube import ClusterAccess, podlog
from workerpool_operator.ui import logtail
from workerpool_operator.ui.logtail import LogTail

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PlayedAccess:
    """As much of ClusterAccess as it takes."""

    def __init__(self, server: str) -> None:
        self.server = server

    def watch_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession()


@contextlib.asynccontextmanager
async def tail(answer: Answer, *pods: str) -> AsyncIterator[LogTail]:
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/media/pods/{pod}/log", answer)
    async with TestServer(app) as server:
        found = LogTail(
            cast("ClusterAccess", PlayedAccess(str(server.make_url("")).rstrip("/"))), namespace="media", pods=pods
        )
        async with found.running():
            yield found


def written(*lines: bytes) -> bytes:
    """As a kubelet gives them."""
    return b"".join(b"2026-01-02T12:00:01Z %s\n" % line for line in lines)


async def lines(found: LogTail, count: int) -> list[str]:
    taken: list[str] = []
    async with asyncio.timeout(60):
        while len(taken) < count:
            taken += found.take()
            await asyncio.sleep(0.01)
    return taken


async def test_lines_of_several_pods_say_whose_they_are() -> None:
    """Their tail is shared out, and what would act in a terminal is gone."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.match_info["pod"], dict(request.query)))
        return web.Response(body=written(b'{"event": "begun", "n": 1}', b"\x1b[31m<b>red\x1b[0m \xff"))

    async with tail(answer, "a", "b") as found:
        taken = await lines(found, 6)
    assert sorted(line for line in taken if line.startswith("a")) == [
        "a  <b>red \ufffd",
        "a  begun n=1",
        "a  — the log ended: the container has stopped —",
    ]
    query = {"container": "worker", "follow": "true", "tailLines": "100", "timestamps": "true"}
    assert dict(reversed(asked)) == {"a": query, "b": query}


@pytest.mark.parametrize(
    ("status", "words"), [(403, "pods/log"), (404, "no such pod"), (204, "not started"), (500, "HTTP 500")]
)
async def test_why_there_is_nothing_is_said_once(status: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is tried again."""
    monkeypatch.setattr(podlog, "_AGAIN_SECONDS", 0.0)
    asked = 0

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return web.Response(status=status)

    async with tail(answer, "a") as found:
        (line,) = await lines(found, 1)
        assert words in line
        if status in {204, 500}:
            await eventually(lambda: asked >= 5, what="five tries")
        assert found.take() == []
        assert (asked == 1) == (status in {403, 404})


async def test_of_a_flood_the_newest_lines_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """And how many are not."""
    monkeypatch.setattr(logtail, "_MOST_WAITING", 10)

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=written(*(b"%d" % number for number in range(100)), b"x" * 200_000))

    async with tail(answer, "a") as found:
        await eventually(lambda: any("has stopped" in line for line in found._lines), what="the end")
        taken = found.take()
    assert taken[0] == "… 92 lines left out: they come faster than they can be shown …"
    assert taken[1] == "92"
    assert len(taken) == 11
    assert max(map(len, taken)) < 10_000

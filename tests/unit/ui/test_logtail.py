"""Lines of logs, from an API server that is played."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.waiting import until
from workerpool_operator.kube import ClusterAccess, podlog
from workerpool_operator.ui import logtail
from workerpool_operator.ui.logtail import MOST_PODS, LogTail, Wanted, everybody

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PlayedAccess:
    """As much of ClusterAccess as it takes."""

    def __init__(self, server: str) -> None:
        self.server = server

    def watch_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession()


@contextlib.asynccontextmanager
async def tail(answer: Answer, *pods: str, named: bool = False) -> AsyncIterator[LogTail]:
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/media/pods/{pod}/log", answer)
    async with TestServer(app) as server:
        found = LogTail(
            cast("ClusterAccess", PlayedAccess(str(server.make_url("")).rstrip("/"))), namespace="media", named=named
        )
        async with found.running():
            found.look(Wanted(pods=pods))
            yield found


def written(*lines: bytes) -> bytes:
    """As a kubelet gives them."""
    return b"".join(b"2026-01-02T12:00:01Z %s\n" % line for line in lines)


async def lines(found: LogTail, count: int) -> list[str]:
    taken: list[str] = []
    async with asyncio.timeout(60):
        while len(taken) < count:
            taken += found.take()[0]
            await asyncio.sleep(0.01)
    return taken


async def test_lines_of_several_pods_say_whose_they_are() -> None:
    """Their tail is shared out, and what would act in a terminal is gone."""
    asked: list[Any] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.match_info["pod"], dict(request.query)))
        return web.Response(body=written(b'{"event": "begun", "n": 1}', b"\x1b[31m<b>red\x1b[0m \xff"))

    async with tail(answer, "a", "b", named=True) as found:
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
            await until(lambda: asked >= 5, what="five tries")
        assert found.take()[0] == []
        assert (asked == 1) == (status in {403, 404})


async def test_of_a_flood_the_newest_lines_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """And how many are not."""
    monkeypatch.setattr(logtail, "_MOST_WAITING", 10)

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=written(*(b"%d" % number for number in range(100)), b"x" * 200_000))

    async with tail(answer, "a") as found:
        await until(lambda: any("has stopped" in line for line in found._lines), what="the end")
        taken, _ = found.take()
    assert taken[0] == "… 92 lines left out: they come faster than they can be shown …"
    assert taken[1] == "92"
    assert len(taken) == 11
    assert max(map(len, taken)) < 10_000


def pod(name: str, *, born: int = 0, **state: Any) -> dict[str, Any]:
    """Of which this is said: running, terminated or waiting."""
    metadata = {"name": name, "creationTimestamp": f"2026-01-02T03:04:{born:02}Z"}
    return {"metadata": metadata, "status": {"containerStatuses": [{"name": "worker", "state": state}]}}


def test_those_that_write_are_followed_before_those_that_do_not_any_more() -> None:
    """The newest first; who has not begun has nothing to show: said only where nobody has, or it is stuck."""
    old, new = pod("old", born=1, running={}), pod("new", born=3, running={})
    ended, beginning = pod("ended", born=2, terminated={}), pod("beginning", born=4, waiting={"reason": "Starting"})
    stuck = pod("stuck", born=5, waiting={"reason": "ErrImagePull"})
    assert everybody([old, ended, beginning, new], "") == Wanted(pods=["new", "old"], stopped=["ended"])
    assert list(everybody([beginning], "").notes.values()) == [
        "beginning has no log yet: its container has not started (Starting)"
    ]
    (note,) = everybody([old, beginning, stuck], "").notes.values()
    assert note.startswith("stuck has no log yet: its image")
    assert list(everybody([], "You may not list").notes.values()) == ["You may not list"]


def test_that_there_are_too_many_to_follow_is_said_once() -> None:
    """However many come or go."""
    many = [pod(f"p{number}", running={}) for number in range(MOST_PODS + 2)]
    assert everybody(many[:MOST_PODS], "").notes == {}
    assert everybody(many, "").notes == everybody(many[1:], "").notes != {}


async def test_who_writes_takes_the_place_of_who_has_stopped() -> None:
    """And who cannot be followed for want of a place is, as soon as there is one."""
    followed: set[str] = set()

    async def answer(request: web.Request) -> web.StreamResponse:
        name = request.match_info["pod"]
        response = web.StreamResponse()
        await response.prepare(request)
        followed.add(name)
        try:
            await asyncio.Event().wait()
        finally:
            followed.discard(name)
        return response

    stopped = [f"s{number}" for number in range(MOST_PODS)]
    running = [f"r{number}" for number in range(MOST_PODS + 1)]
    async with tail(answer, *stopped) as found:
        await until(lambda: followed == {*stopped}, what="all places taken")
        found.look(Wanted(pods=running[:1], stopped=stopped))
        await until(lambda: followed == {*stopped[1:], "r0"}, what="a place for who writes")
        found.look(Wanted(pods=running, stopped=stopped))
        await until(lambda: followed == {*running[:MOST_PODS]}, what="the others")
        found.look(Wanted(pods=running))
        assert followed == {*running[:MOST_PODS]}

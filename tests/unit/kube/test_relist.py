"""Refused watches and listings, as kopf gets to see them."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workerpool_operator.kube import lists_anew, relist

ADDED = {"type": "ADDED", "object": {"metadata": {"name": "a"}}}
LATER = {"type": "MODIFIED", "object": {"metadata": {"name": "a", "note": '\\n{"type":"ERROR"'}}}


class Server:
    """Answers as it was told."""

    def __init__(self) -> None:
        self.status = 200
        self.chunks: list[bytes] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        for chunk in self.chunks:
            await response.write(chunk)
        return response


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def session(server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[aiohttp.ClientSession]:
    monkeypatch.setattr(relist, "PAUSE_SECONDS", 0)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    async with (
        TestServer(app) as running,
        aiohttp.ClientSession(str(running.make_url("")), middlewares=(lists_anew,)) as session,
    ):
        yield session


def line(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def refusal(code: int) -> dict[str, Any]:
    return {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": "no"}}


async def events(session: aiohttp.ClientSession) -> tuple[int, list[tuple[str, int]]]:
    """The status, and type and code of each event, read as kopf does."""
    async with session.get("/pods?watch=true") as answer:
        text = b"".join([chunk async for chunk in answer.content.iter_chunked(2**20)])
    told = [json.loads(one) for one in text.splitlines()]
    return answer.status, [(one["type"], one["object"].get("code", 0)) for one in told]


@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_a_refused_watch_ends_as_one_whose_version_is_gone(
    server: Server, session: aiohttp.ClientSession, status: int
) -> None:
    """That is the one end after which kopf lists anew instead of giving up."""
    server.status, server.chunks = status, [b'{"kind":"Status"}']
    assert await events(session) == (200, [("ERROR", 410)])


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_what_kopf_repeats_by_itself_is_left_to_it(
    server: Server, session: aiohttp.ClientSession, status: int
) -> None:
    server.status = status
    for path in ("/pods?watch=true", "/pods?limit=5"):
        async with session.get(path) as answer:
            assert answer.status == status


async def test_a_refused_page_of_a_listing_looks_cut_off(server: Server, session: aiohttp.ClientSession) -> None:
    """After which kopf begins the listing anew."""
    server.status = 410
    with pytest.raises(aiohttp.ClientPayloadError):
        await session.get("/pods?limit=5&continue=abc")


async def test_other_requests_hear_of_their_refusal(server: Server, session: aiohttp.ClientSession) -> None:
    """As discovery does, for which a group that is not there is an answer."""
    server.status = 404
    async with session.get("/apis/keda.sh/v1alpha1") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("code", [410, 500, 504])
async def test_an_error_in_a_watch_ends_it_as_one_whose_version_is_gone(
    server: Server, session: aiohttp.ClientSession, code: int
) -> None:
    """What came before it has been delivered; what only looks like one, within an event, is none."""
    server.chunks = [line(ADDED) + line(LATER), line(refusal(code)) + line(ADDED)]
    assert await events(session) == (200, [("ADDED", 0), ("MODIFIED", 0), ("ERROR", 410)])


@pytest.mark.parametrize("at", range(1, 40, 6))
async def test_events_come_whole_wherever_the_stream_is_divided(
    server: Server, session: aiohttp.ClientSession, at: int
) -> None:
    text = line(refusal(500))
    server.chunks = [line(ADDED) + text[:at], text[at:]]
    assert (await events(session))[1] == [("ADDED", 0), ("ERROR", 410)]


async def test_half_an_event_at_the_end_of_a_stream_is_none(server: Server, session: aiohttp.ClientSession) -> None:
    server.chunks = [line(ADDED), line(LATER)[:20]]
    assert (await events(session))[1] == [("ADDED", 0)]

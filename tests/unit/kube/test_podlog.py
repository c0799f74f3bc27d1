"""Logs of pods, from an API server that is played."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from workerpool_operator.kube import ClusterAccess, podlog
from workerpool_operator.kube.podlog import (
    LogError,
    LogForbiddenError,
    LogGoneError,
    LogNoneError,
    LogPausedError,
    PodLog,
    Want,
    parse_time,
    stamped,
)

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podlog, "_AGAIN_SECONDS", 0.0)


class PlayedAccess:
    """As much of ClusterAccess as it takes."""

    def __init__(self, server: str) -> None:
        self.server = server


@contextlib.asynccontextmanager
async def log_of(answer: Answer) -> AsyncIterator[PodLog]:
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/media/pods/a/log", answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        access = cast("ClusterAccess", PlayedAccess(str(server.make_url("")).rstrip("/")))
        yield PodLog(access=access, session=session, namespace="media", pod="a", container="worker")


def written(*lines: str) -> bytes:
    """Lines as a kubelet gives them: `second text`."""
    found = [line.partition(" ") for line in lines]
    return "".join(f"2026-01-02T12:00:{second}Z {text}\n" for second, _, text in found).encode()


async def followed(
    log: PodLog, count: int, *, want: Want | None = None, after: datetime | None = None
) -> tuple[list[str], list[LogError]]:
    """So many lines, and what was told meanwhile."""
    troubles: list[LogError] = []
    texts: list[str] = []
    following = log.follow(want or Want(), trouble=troubles.append, after=after)
    async with asyncio.timeout(60), aclosing(following) as lines:
        async for _, text in lines:
            texts.append(text)
            if len(texts) == count:
                break
    return texts, troubles


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T12:00:00.5Z", NOON.replace(microsecond=500_000)),
        ("2026-01-02T12:00:00.123456789Z", NOON.replace(microsecond=123_456)),
        ("2026-01-02T14:00:00.000000001+02:00", NOON),
    ],
)
def test_times_have_any_number_of_digits(stamp: str, expected: datetime) -> None:
    assert parse_time(stamp) == expected
    assert stamped(f"{stamp} a b") == (expected, "a b")


@pytest.mark.parametrize("raw", ["", "half of a line", "2026 x"])
def test_a_line_without_its_time_is_none(raw: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        stamped(raw)


async def test_what_is_wanted_is_asked_for() -> None:
    """And of what comes, lines from before, and half ones, are left out."""
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(dict(request.query))
        return web.Response(body=b"half of a line\n" + written("01.2 before", "01.5 at", "02.0 later"))

    since = NOON.replace(second=1, microsecond=500_000)
    async with log_of(answer) as log:
        found = [text async for _, text in log.lines(Want(since=since, tail=9, previous=True))]
    assert found == ["at", "later"]
    assert asked == [
        {
            "timestamps": "true", "previous": "true", "tailLines": "9", "sinceTime": "2026-01-02T12:00:01Z",
            "container": "worker",
        }
    ]  # fmt: skip


async def test_each_line_comes_once_over_connections_that_break() -> None:
    """Those that came before the break come again with the next answer, and are not shown again."""
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if "previous" in request.query:
            return web.Response(status=400)
        asked.append(dict(request.query))
        response = web.StreamResponse()
        await response.prepare(request)
        seen = written("01.1 one", "01.2 two", "01.3 three")
        if len(asked) == 1:
            await response.write(seen[: -len(written("01.3 three"))])
            assert request.transport is not None
            request.transport.abort()
        else:
            await response.write(seen)
        return response

    async with log_of(answer) as log:
        texts, troubles = await followed(log, 3, want=Want(tail=10))
    assert texts == ["one", "two", "three"]
    assert [str(error).partition(":")[0] for error in troubles] == ["the connection broke"]
    assert [one.get("tailLines") for one in asked] == ["10", None]
    assert asked[1]["sinceTime"] == "2026-01-02T12:00:01Z"


async def test_a_connection_that_died_without_a_word_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever follows would wait for ever. Nothing is told: most workers are silent now and then."""
    monkeypatch.setattr(podlog, "_SILENT_SECONDS", 0.2)
    asked: list[dict[str, str]] = []
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "previous" in request.query:
            return web.Response(status=400)
        asked.append(dict(request.query))
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(written("01.1 one"))
        if "sinceTime" not in request.query:  # it may be left before its line is read, and is asked again then
            await over.wait()
        await response.write(written("01.2 two"))
        return response

    async with log_of(answer) as log:
        texts, troubles = await followed(log, 2)
        over.set()
    assert (texts, troubles) == (["one", "two"], [])
    assert asked[-1]["sinceTime"] == "2026-01-02T12:00:01Z"


async def test_lines_of_one_moment_are_all_shown() -> None:
    """The clock's steps are coarser than a burst of lines."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=written("01.1234561 one", "01.1234562 two", "01.1234563 three"))

    async with log_of(answer) as log:
        texts, _ = await followed(log, 3)
    assert texts == ["one", "two", "three"]


async def test_a_container_that_is_started_anew_is_followed_on() -> None:
    """That it does not run is told once, however often it is looked at."""
    rounds = 0

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            return web.Response(body=written("01.0 before"))
        if rounds < 6:
            body = {"kind": "Status", "message": 'container "worker" in pod "a" is waiting to start'}
            return web.Response(status=400, body=json.dumps(body).encode())
        return web.Response(body=written("02.0 after"))

    async with log_of(answer) as log:
        texts, troubles = await followed(log, 2)
    assert texts == ["before", "after"]
    assert [type(error) for error in troubles] == [LogPausedError, LogPausedError]
    assert [str(error) for error in troubles] == [
        "the log ended: the container has stopped",
        'the container has not started yet: container "worker" in pod "a" is waiting to start',
    ]


async def test_a_container_that_came_and_ended_between_two_looks_is_shown() -> None:
    """By the log of the one before, each line once, and before those of the one that is there."""
    rounds = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal rounds
        if "previous" in request.query:
            assert request.query["sinceTime"] == "2026-01-02T12:00:01Z"
            return web.Response(body=written("01.0 first", "02.0 lived", "02.1 for a moment", "03.0 third"))
        rounds += 1
        return web.Response(body=written("01.0 first") if rounds < 3 else written("03.0 third", "03.1 goes on"))

    async with log_of(answer) as log:
        texts, _ = await followed(log, 5)
    assert texts == ["first", "lived", "for a moment", "third", "goes on"]


async def test_one_that_is_new_is_shown_from_its_first_container_on() -> None:
    """It may have been restarted before anybody looked; where there was none before, that is no trouble."""

    restarted = True

    async def answer(request: web.Request) -> web.StreamResponse:
        if "previous" not in request.query:
            return web.Response(body=written("03.0 second"))
        return web.Response(body=written("02.0 first")) if restarted else web.Response(status=400)

    async with log_of(answer) as log:
        assert await followed(log, 2, after=NOON) == (["first", "second"], [])
        restarted = False
        assert await followed(log, 1, after=NOON) == (["second"], [])


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b"previous terminated container not found"),
        (200, b"unable to retrieve container logs for containerd://80301bb3f48b8608228e7b87736e38179bd9381e"),
    ],
)
async def test_that_there_is_no_container_before_is_told_as_such(status: int, body: bytes) -> None:
    """A kubelet says it in two ways: of one that there was not, and of one that it has removed."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    async with log_of(answer) as log:
        with pytest.raises(LogNoneError, match="that container is gone, and its log with it"):
            _ = [text async for _, text in log.lines(Want(previous=True))]


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(404, LogGoneError, "no such pod"), (403, LogForbiddenError, "the right to `get` pods/log")],
)
async def test_what_does_not_change_by_waiting_is_raised(status: int, error: type[LogError], words: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with log_of(answer) as log:
        with pytest.raises(error, match=words):
            await followed(log, 1)


async def test_a_server_that_fails_is_asked_again() -> None:
    """Its words are told, once."""
    rounds = 0

    async def answer(_: web.Request) -> web.StreamResponse:
        nonlocal rounds
        rounds += 1
        return web.Response(status=500, body=b"dial tcp: refused") if rounds < 4 else web.Response(body=written("01 a"))

    async with log_of(answer) as log:
        texts, troubles = await followed(log, 1)
    assert (texts, rounds) == (["a"], 4)
    assert [str(error) for error in troubles] == ["the log cannot be read (HTTP 500): dial tcp: refused"]


async def test_of_a_line_without_end_the_beginning_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its end comes or not, and what is no text is shown as such."""
    monkeypatch.setattr(podlog, "LONGEST_LINE", 1_000)
    stamp = "2026-01-02T12:00:01Z "

    async def answer(_: web.Request) -> web.StreamResponse:
        long = b"x" * 200_000
        return web.Response(body=stamp.encode() + long + b"\n" + stamp.encode() + b"\xff" + long)

    async def all_of(log: PodLog) -> list[Any]:
        return [text async for _, text in log.lines(Want())]

    async with log_of(answer) as log:
        first, second = await all_of(log)
    kept = 1_000 - len(stamp)
    assert (first, second) == ("x" * kept, "\ufffd" + "x" * (kept - 1))

"""Depths that are asked for over HTTP: every way in which an answer can be wrong has a reason, in time."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.attacks import attack
from tests.support.authority import Authority
from workerpool.broker import Credentials
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    CredentialsMissing,
    QueueNotFound,
    TLSFailed,
)
from workerpool_operator.collector.questions import HttpQuestion, PrometheusQuestion
from workerpool_operator.collector.questions.fetch import MOST_BYTES

pytestmark = pytest.mark.component

ENOUGH = 20.0
"""Seconds for what is given up after less than one, on a busy machine. Without a limit it would be minutes."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def document(url: str, *, credentials: Credentials | None = None, timeout: float = 30.0) -> HttpQuestion:
    """The number at `$.n`; this machine is allowed, since the tests' servers are on it."""
    return HttpQuestion(url, "$.n", credentials or Credentials(), timeout=timeout, forbidden=lambda _: False)


def serving(handler: Handler) -> TestServer:
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    return TestServer(app)


async def answering(*, status: int = 200, body: bytes = b'{"n": 3}', headers: dict[str, str] | None = None) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return handler


async def test_a_document_and_a_query_give_their_number() -> None:
    asked: list[tuple[str, str]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append((request.path, request.query.get("query", "")))
        value = {"status": "success", "data": {"resultType": "scalar", "result": [1.0, "7"]}}
        return web.Response(text=json.dumps(value if "api" in request.path else {"n": 3}))

    async with serving(handler) as server:
        depth = await document(f"{server.make_url('/depth')}").depth()
        assert (depth.waiting, depth.in_flight, depth.oldest_age_seconds, depth.arrivals_total) == (3, 0, None, None)
        for base in ("", "/prefix/"):
            question = PrometheusQuestion(
                str(server.make_url(base)), 'sum(jobs{q="a&b"})', Credentials(), timeout=30, forbidden=lambda _: False
            )
            assert (await question.depth()).waiting == 7
    assert asked == [
        ("/depth", ""),
        ("/api/v1/query", 'sum(jobs{q="a&b"})'),
        ("/prefix/api/v1/query", 'sum(jobs{q="a&b"})'),
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationFailed),
        (403, AuthenticationFailed),
        (404, QueueNotFound),
        (302, BadAnswer),
        (307, BadAnswer),
        (204, BadAnswer),
        (400, BadAnswer),
        (429, BrokerUnavailable),
        (500, BrokerUnavailable),
        (503, BrokerUnavailable),
    ],
)
async def test_each_status_has_its_reason(status: int, kind: type[Exception]) -> None:
    async with serving(await answering(status=status, headers={"Location": "/elsewhere"})) as server:
        with pytest.raises(kind, match=str(status)):
            await document(str(server.make_url("/"))).depth()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@attack("a queue's address that leads on to another one", stopped_by="redirects are not followed")
async def test_no_redirect_is_followed(status: int) -> None:
    """What was looked at is what is connected to."""
    followed: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/elsewhere":
            followed.append(request.path)
            return web.Response(body=b'{"n": 0}')
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with serving(handler) as server:
        with pytest.raises(BadAnswer, match="redirects are not followed"):
            await document(str(server.make_url("/"))).depth()
    assert followed == []


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 503])
@pytest.mark.parametrize(
    "body", [b"s3cret", b'"s3cret"', b'{"s3cret": 1}', b'{"n": "s3cret"}', b'{"n": {"s3cret": 1}}']
)
@attack(
    "what somebody else's service answers, read in the status of a pool",
    stopped_by="of an answer a number of jobs is told and nothing else",
)
async def test_nothing_of_an_answer_is_repeated(status: int, body: bytes) -> None:
    """Neither of its text nor of its headers."""

    async def handler(_: web.Request) -> web.StreamResponse:
        headers = {"Location": "/s3cret", "WWW-Authenticate": 'Basic realm="s3cret"', "Content-Type": "text/s3cret"}
        return web.Response(status=status, reason="s3cret", body=body, headers=headers)

    async with serving(handler) as server:
        with pytest.raises(BrokerError) as refused:
            await document(str(server.make_url("/"))).depth()
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b"hello", b"{}", b'{"n": null}', b'{"n": NaN}', b'{"n": -1}', b'{"n": 1e13}'])
async def test_garbage_is_a_bad_answer(body: bytes) -> None:
    async with serving(await answering(body=body)) as server:
        with pytest.raises(BadAnswer):
            await document(str(server.make_url("/"))).depth()


@attack("an answer without an end, to fill the collector's memory", stopped_by="a megabyte is read and no more")
async def test_a_large_answer_is_given_up_at_a_megabyte() -> None:
    sent = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 200 * MOST_BYTES:
            await response.write(b" " * 65536)
            sent += 65536
        return response

    async with serving(handler) as server:
        with pytest.raises(BadAnswer, match="larger than 1024 KiB"):
            await document(str(server.make_url("/"))).depth()
    assert sent < 100 * MOST_BYTES


@attack("a small answer that unpacks into a large one", stopped_by="compressed answers are not unpacked")
async def test_an_answer_that_was_compressed_unasked_is_not_unpacked() -> None:
    async with serving(await answering(headers={"Content-Encoding": "gzip"})) as server:
        with pytest.raises(BadAnswer, match="compressed"):
            await document(str(server.make_url("/"))).depth()


@attack("an answer that never begins, or never ends", stopped_by="a time limit for the whole answer")
async def test_a_slow_answer_is_given_up_in_time() -> None:
    """One that never begins, and one that never ends."""
    gone = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if request.path == "/drip":
            await response.prepare(request)
            while not gone.is_set():
                await response.write(b" ")
                await asyncio.sleep(0.02)
        await gone.wait()
        return response

    async with serving(handler) as server:
        for path in ("/never", "/drip"):
            started = time.monotonic()
            with pytest.raises(BrokerUnavailable, match="no whole answer"):
                await document(str(server.make_url(path)), timeout=0.3).depth()
            assert time.monotonic() - started < ENOUGH
        gone.set()


async def test_a_connection_that_is_half_open_or_broken_off_is_unavailable() -> None:
    done = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        writer.close()

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR this is no HTTP\r\n\r\n")
        await reader.read(1)
        writer.close()

    for greet, kind in ((silent, BrokerUnavailable), (short, BadAnswer), (other, BadAnswer)):
        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises((kind, BrokerUnavailable)):
                await document(f"http://127.0.0.1:{port}/", timeout=0.5).depth()
            done.set()
    with pytest.raises(BrokerUnavailable):
        await document("http://127.0.0.1:1/").depth()
    with pytest.raises(BrokerUnavailable):
        await document("http://no-such-host.invalid/", timeout=3.0).depth()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]"])
@attack(
    "the collector's own machine, or where a cloud hands out credentials, as the address of a queue",
    stopped_by="loopback, link-local and metadata addresses are not connected to, whatever name leads there",
)
async def test_no_pool_asks_the_collectors_own_machine_or_a_clouds_metadata(host: str) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        raise AssertionError("it was asked")

    async with serving(handler) as server:
        question = HttpQuestion(f"http://{host}:{server.port}/", "$.n", Credentials(), timeout=30)
        with pytest.raises(AuthenticationFailed, match="no pool may ask"):
            await question.depth()


async def test_only_the_credentials_that_the_pool_names_are_sent(tmp_path: Path) -> None:
    (tmp_path / "username").write_text("u")
    (tmp_path / "password").write_text("p\n")
    seen: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization", ""))
        return web.Response(body=b'{"n": 3}')

    async with serving(handler) as server:
        url = str(server.make_url("/"))
        password = tmp_path / "password"
        for files in (
            Credentials(),
            Credentials(password_file=password),
            Credentials(username_file=tmp_path / "username", password_file=password),
        ):
            await document(url, credentials=files).depth()
        with pytest.raises(CredentialsMissing):
            await document(url, credentials=Credentials(password_file=tmp_path / "none")).depth()
    assert seen == ["", "Bearer p", "Basic dTpw"]


async def test_tls_is_verified(tmp_path: Path) -> None:
    authority, other, old = (
        Authority(tmp_path / "a"),
        Authority(tmp_path / "b"),
        Authority(tmp_path / "c", expired=True),
    )

    async def ask(server: TestServer, ca: Path | None) -> int:
        url = str(server.make_url("/")).replace("localhost", "127.0.0.1")
        return (await document(url, credentials=Credentials(ca_file=ca)).depth()).waiting

    for shown, trusted in ((authority, authority), (authority, other), (authority, None), (old, old)):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(shown.cert, shown.key)
        server = serving(await answering())
        await server.start_server(ssl=context)
        try:
            if shown is trusted is authority:
                assert await ask(server, trusted.ca) == 3
                continue
            with pytest.raises(TLSFailed, match=r"(?i)certificate"):
                await ask(server, trusted.ca if trusted else None)
        finally:
            await server.close()

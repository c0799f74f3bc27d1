"""The proxy itself: an `aiohttp` server that passes requests on, unless a rule says otherwise."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
import yaml
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from e2e.faults.inject.faults import (
    EVENT_FAULTS,
    Answer,
    CutStream,
    Delay,
    Drop,
    EndWatch,
    EventFilter,
    Fault,
    LateEvents,
    LoseAnswer,
    Match,
    OldListings,
    Remembered,
    Request,
)
from e2e.faults.inject.rules import Injection, Rules
from e2e.faults.inject.upstream import Upstream
from e2e.faults.inject.writes import Verdict, Write, WritePoints
from workerpool_operator.kube import Connector

_HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
_NOT_PASSED_ON: Final = _HOP_BY_HOP | {"host", "content-length", "accept-encoding"}
_NOT_PASSED_BACK: Final = _HOP_BY_HOP | {"content-length"}
_LINE_LIMIT: Final = 2**24


class FaultProxy:
    """Listens on loopback while it is used as an async context manager."""

    def __init__(self, upstream: Upstream, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        """Prepare. `port` 0: a free one. `tls`: what to present; plain HTTP without it."""
        self.rules = Rules()
        self.writes = WritePoints()
        self.requests = 0
        """How many have come from the client."""
        self._upstream = upstream
        self._port = port
        self._tls = tls
        self._streams: dict[int, web.BaseRequest] = {}  # requests are not hashable
        self._listings: dict[str, CIMultiDict[str]] = {}
        """Target -> headers, of each listing's first page that the client has asked for."""
        self._answering: set[asyncio.Task[object]] = set()

    @property
    def port(self) -> int:
        """Of the loopback, once it runs."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients find it, once it runs."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def fault(self, match: Match, fault: Fault, *, times: int | None = None) -> Injection:
        """Put a fault in force, until the result is removed (or left, as a context manager)."""
        return self.rules.add(match, fault, times=times)

    def write_kubeconfig(self, path: Path, *, token: str = "", authority: Path | None = None) -> Path:
        """Write a kubeconfig that leads here; without `token` the upstream's own client certificate counts."""
        cluster = {"server": self.url} | ({"certificate-authority": str(authority)} if authority else {})
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": cluster}],
            "users": [{"name": "client", "user": {"token": token} if token else {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "client"}}],
            "current-context": "proxy",
        }
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path

    def cut_streams(self, match: Match | None = None) -> int:
        """Cut the watches that are open now (those that match); gives back how many."""
        wanted = [
            request
            for request in list(self._streams.values())
            if _is_open(request) and (not match or match.fits(_seen(request)))
        ]
        for request in wanted:
            self._loop.call_soon_threadsafe(_abort, request)
        return len(wanted)

    async def remembered(self, match: Match) -> OldListings:
        """Ask once more for each listing that the client has asked for (those that match), and keep the answers."""
        old = OldListings()
        for target, headers in list(self._listings.items()):
            if match.fits(Request("GET", target, watch=False)):
                session = self._as_client if "Authorization" in headers else self._as_owner
                url = URL(self._upstream.url + target, encoded=True)
                async with session.get(url, headers=headers, allow_redirects=False) as answer:
                    old.answers[target] = await _remember(answer)
        return old

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._as_client = _session(self._upstream.as_client)
        self._as_owner = _session(self._upstream.as_owner)
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for request in list(self._streams.values()):
            _abort(request)
        await self._runner.cleanup()
        # The server has forgotten those whose client is gone. One that still reads an answer would do so for ever:
        # aiohttp does not wake it when its session closes.
        answering = list(self._answering)
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        await self._as_client.close()
        await self._as_owner.close()

    @contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Run it on an event loop of its own, beside code that blocks."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="fault-proxy", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result()
            try:
                yield self
            finally:
                asyncio.run_coroutine_threadsafe(self.__aexit__(None, None, None), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task, "aiohttp runs each request in a task"
        self._answering.add(task)
        try:
            return await self._play(request)
        finally:
            self._answering.discard(task)

    async def _play(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer, after a turn of what is in force."""
        self.requests += 1
        seen = _seen(request)
        write, verdict = self.writes.begin(seen.method, seen.target)
        if verdict is Verdict.REFUSE:
            return _abort(request)
        fault = self.rules.take(seen)
        if seen.method == "GET" and "limit" in request.query and not seen.watch and "continue" not in request.query:
            self._listings[seen.target] = _passed_on(request)
        if (instead := _instead(fault, seen)) is not None:
            return instead
        if isinstance(fault, Drop):
            return _abort(request)
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        try:
            return await self._ask(request, fault, write, verdict)
        except (aiohttp.ClientError, TimeoutError):
            if verdict is Verdict.LAST:
                self.writes.missed()
            return _abort(request)  # what a client would see of a server that is not there

    async def _ask(
        self, request: web.BaseRequest, fault: Fault | None, write: Write | None, verdict: Verdict
    ) -> web.StreamResponse:
        """Have the server answer, and pass that back unless the client is not to hear of it."""
        async with self._asked(request) as answer:
            if isinstance(fault, OldListings):
                fault.answers[request.raw_path] = old = await _remember(answer)
                return _again(old)
            # Read to its end, so that the server has acted, before anybody is ended or left without an answer.
            body = await answer.read() if write or isinstance(fault, LoseAnswer) else None
            if write:
                write.status = answer.status
            if write and verdict is Verdict.LAST:
                await asyncio.to_thread(self.writes.end_client, write)
                return _abort(request)
            if isinstance(fault, LoseAnswer):
                return _abort(request)
            if body is not None and not isinstance(fault, CutStream):
                headers = _without(answer.headers, _NOT_PASSED_BACK)
                return web.Response(status=answer.status, headers=headers, body=body)
            return await self._pass_back(request, answer, fault, read=body)

    @asynccontextmanager
    async def _asked(self, request: web.BaseRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """The server's answer to the client's request."""
        session = self._as_client if "Authorization" in request.headers else self._as_owner
        headers = _passed_on(request)
        target = URL(self._upstream.url + request.raw_path, encoded=True)
        body = await request.read()
        async with session.request(
            request.method, target, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            yield answer

    async def _pass_back(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, fault: Fault | None, *, read: bytes | None
    ) -> web.StreamResponse:
        """Stream the answer; `read` is its body where that has been taken from the connection already."""
        response = web.StreamResponse(status=answer.status, headers=_without(answer.headers, _NOT_PASSED_BACK))
        if answer.content_length is not None:
            response.content_length = answer.content_length
        await response.prepare(request)
        self._streams[id(request)] = request
        try:
            left = fault.after_bytes if isinstance(fault, CutStream) else None
            async for chunk in self._chunks(answer, fault, read):
                if left is not None and len(chunk) >= left:
                    await response.write(chunk[:left])
                    return _abort(request)
                left = left - len(chunk) if left is not None else None
                await response.write(chunk)
            await response.write_eof()
        except ConnectionError:
            pass  # the client went, or the stream was cut
        finally:
            self._streams.pop(id(request), None)
        return response

    async def _chunks(
        self, answer: aiohttp.ClientResponse, fault: Fault | None, read: bytes | None
    ) -> AsyncIterator[bytes]:
        if read is not None:
            yield read
        elif isinstance(fault, LateEvents):
            async for line in _late(answer, fault.seconds):
                yield line
        elif isinstance(fault, EVENT_FAULTS):
            lines: EventFilter = fault.filter()
            async for line in answer.content:
                for delivered in lines.feed(line) if self.rules.in_force(fault) else lines.rest(line):
                    yield delivered
        else:
            async for chunk in answer.content.iter_any():
                yield chunk


async def _late(answer: aiohttp.ClientResponse, seconds: float) -> AsyncIterator[bytes]:
    """Its lines, each so long after it came."""
    came: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def read() -> None:
        with suppress(aiohttp.ClientError):
            async for line in answer.content:
                came.put_nowait((loop.time(), line))
        came.put_nowait((loop.time(), b""))

    reading = asyncio.create_task(read())
    try:
        while line := (due := await came.get())[1]:
            await asyncio.sleep(due[0] + seconds - loop.time())
            yield line
    finally:
        reading.cancel()
        await asyncio.wait({reading})


def _instead(fault: Fault | None, seen: Request) -> web.Response | None:
    """What the client is answered where the server is not asked."""
    if isinstance(fault, Answer):
        headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after else None
        return web.json_response(body=fault.body(), status=fault.status, headers=headers)
    if isinstance(fault, EndWatch):
        return web.Response(body=fault.line(), content_type="application/json")
    if isinstance(fault, OldListings) and (old := fault.answers.get(seen.target)):
        return _again(old)
    return None


def _again(old: Remembered) -> web.Response:
    return web.Response(status=old.status, headers={"Content-Type": old.content_type}, body=old.body)


async def _remember(answer: aiohttp.ClientResponse) -> Remembered:
    return Remembered(answer.status, answer.headers.get("Content-Type", "application/json"), await answer.read())


def _passed_on(request: web.BaseRequest) -> CIMultiDict[str]:
    headers = _without(request.headers, _NOT_PASSED_ON)
    headers["Accept-Encoding"] = "identity"  # events must be readable here
    return headers


def _seen(request: web.BaseRequest) -> Request:
    return Request(request.method, request.raw_path, watch=request.query.get("watch") in ("true", "1"))


def _is_open(request: web.BaseRequest) -> bool:
    """Whether the client is still there: what is streamed to it may end only with the next event."""
    return request.transport is not None and not request.transport.is_closing()


def _abort(request: web.BaseRequest) -> web.StreamResponse:
    """Close the client's connection at once; what is returned is for the server's machinery only."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _without(headers: "CIMultiDict[str] | aiohttp.typedefs.LooseHeaders", names: frozenset[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in CIMultiDict(headers).items() if name.lower() not in names)


def _session(context: ssl.SSLContext | None) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=Connector(limit=0, ssl=context or True),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
        auto_decompress=False,
        read_bufsize=_LINE_LIMIT,
    )

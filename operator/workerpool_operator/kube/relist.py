"""What an API server may answer to a watch or a listing that kopf ends at: turned into what it begins anew at.

kopf repeats what is answered 401, 403, 429 or 5xx, and lists anew when a watch delivers an event of type ERROR with
code 410. At any other refusal it gives up for good, and the operator with it: HTTP 410 for a version or a page that is
gone, 404 while a definition is deleted and made again, or an ERROR event of another code, as for a server's timeout.
What the operator knows is as good afterwards as after a 410: so that is what kopf is told.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, cast

import aiohttp
import structlog

PAUSE_SECONDS: Final = 1.0
"""Before all is listed anew: what refuses now may do so for a while."""
_REPEATED: Final = frozenset({401, 403, 429})
_GONE: Final = b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"code":410}}\n'
_ERROR: Final = b'\n{"type":"ERROR"'
_SHOWN_BYTES: Final = 500

_log = structlog.stdlib.get_logger(__name__)


async def lists_anew(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Middleware of a session for watches: refused, they end as with an event of code 410, and listings as cut off.

    Raises:
        ClientPayloadError: a page of a listing was refused.
    """
    response = await handler(request)
    watch, listing = "watch" in request.url.query, "limit" in request.url.query
    refused = 400 <= response.status < 500 and response.status not in _REPEATED  # noqa: PLR2004  HTTP statuses
    if refused and (watch or listing):
        said = (await response.read())[:_SHOWN_BYTES]
        _log.warning(
            "listing_anew", path=request.url.path, status=response.status, answer=said.decode(errors="replace")
        )
        await asyncio.sleep(PAUSE_SECONDS)
        if listing:
            raise aiohttp.ClientPayloadError(f"refused: {response.status}")
        response.status = 200
        response.content = cast("aiohttp.StreamReader", _Gone(response.content))
    elif watch and response.status == 200:  # noqa: PLR2004  an HTTP status
        events = _Events(response.content, path=request.url.path)
        response.content = cast("aiohttp.StreamReader", events)
    return response


class _Stream:
    """A response's content that is read by chunks; aiohttp itself sees what it has made."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)


class _Gone(_Stream):
    """Of a watch that has nothing but the event that says so."""

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Give it."""
        del n
        yield _GONE


class _Events(_Stream):
    """Of a watch, line by line, up to the first event of type ERROR."""

    def __init__(self, content: aiohttp.StreamReader, *, path: str) -> None:
        super().__init__(content)
        self._path = path

    async def iter_chunked(self, n: int) -> AsyncIterator[bytes]:
        """Give whole lines: half an event, at the end of a stream that was cut, is nothing that can be read."""
        rest = b""
        async for chunk in self._content.iter_chunked(n):
            lines, newline, rest = (rest + chunk).rpartition(b"\n")
            lines += newline
            error = (b"\n" + lines).find(_ERROR)
            if error < 0:
                yield lines
                continue
            _log.warning(
                "listing_anew", path=self._path, answer=lines[error : error + _SHOWN_BYTES].decode(errors="replace")
            )
            yield lines[:error]
            await asyncio.sleep(PAUSE_SECONDS)
            yield _GONE
            return

"""Downloading politely: one pool of connections, robots.txt obeyed at every redirect, nothing endless."""

import asyncio
import importlib
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from workerpool import RejectJob

from .robots import Robots

MAX_BYTES: Final = 5 * 1024 * 1024
MAX_REDIRECTS: Final = 5
ROBOTS_BYTES: Final = 512 * 1024
"""So much of a robots.txt is read. RFC 9309, 2.5: at least 500 KiB; what is beyond counts as not there."""
_CONNECTIONS: Final = 100
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class TemporaryError(Exception):
    """The site may answer better later."""


@dataclass(frozen=True, slots=True)
class Download:
    """An answer that is no redirect."""

    url: str
    """Where it was found in the end."""
    status: int
    body: bytes = field(repr=False)
    seconds: float


class Fetcher:
    """One pool of connections for all jobs. `agent` is what sites and their robots.txt know us by."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._opening = asyncio.Lock()
        self._client: Any = None
        self._robots = Robots(agent, self._get_robots)

    async def download(self, url: str) -> Download:
        """Get a page, following redirects as far as robots.txt allows each of them.

        Raises:
            RejectJob: it may not be fetched, or never ends.
            TemporaryError, httpx.HTTPError, RobotsUnreachableError: try later.
        """
        began = time.monotonic()
        for _ in range(MAX_REDIRECTS + 1):
            if not await self._robots.allow(url):
                raise RejectJob(f"robots.txt does not allow {url}")
            status, location, body = await self._get(url)
            if status in _TEMPORARY:
                raise TemporaryError(f"{url} answers {status}")
            if location is None:
                return Download(url, status, body, round(time.monotonic() - began, 3))
            url = checked_url(urljoin(url, location))
        raise RejectJob(f"more than {MAX_REDIRECTS} redirects")

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _get(self, url: str) -> tuple[int, str | None, bytes]:
        """Status, where to go on if it is a redirect, and the body."""
        client = await self._opened()
        body = bytearray()
        async with client.stream("GET", url) as answer:
            if answer.has_redirect_location:
                return answer.status_code, answer.headers["location"], b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise RejectJob(f"{url} has more than {MAX_BYTES} bytes")
        return answer.status_code, None, bytes(body)

    async def _get_robots(self, url: str) -> tuple[int, str]:
        client = await self._opened()
        body = bytearray()
        async with client.stream("GET", url, follow_redirects=True) as answer:
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > ROBOTS_BYTES:
                    break
        return answer.status_code, body[:ROBOTS_BYTES].decode(errors="replace")

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                # Not at the top: a worker that downloads nothing should not pay for it while it starts.
                httpx = await asyncio.to_thread(importlib.import_module, "httpx")
                self._client = httpx.AsyncClient(
                    headers={"User-Agent": self._agent},
                    timeout=httpx.Timeout(10.0, connect=5.0),
                    limits=httpx.Limits(max_connections=_CONNECTIONS),
                )
            return self._client


def checked_url(url: Any) -> str:
    """The URL.

    Raises:
        RejectJob: it is none that can be asked.
    """
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        good = parts is not None and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise RejectJob('the payload must name a page, such as {"url": "https://example.org/"}')
    return str(url)

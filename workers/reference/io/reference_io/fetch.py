"""Job type `fetch`: get a page, politely, and keep what was found.

A job may run twice (its worker died before the acknowledgement): the result is kept under the job's id, the first one
wins, and a job whose result is there does nothing. Temporary trouble fails the attempt, so it is retried with backoff;
what no attempt can change is rejected.
"""

import asyncio
import hashlib
import importlib
import json
import time
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from workerpool import Job, RejectJob

from .robots import Robots

TIMEOUT_SECONDS: Final = 30.0
AGENT: Final = "workerpool-reference-io"
RESULT_SECONDS: Final = 24 * 3600
"""How long a result is kept, and so how long a repeated job is recognised."""
MAX_BYTES: Final = 5 * 1024 * 1024
MAX_REDIRECTS: Final = 5
_CONNECTIONS: Final = 100
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class TemporaryError(Exception):
    """The site may answer better later."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is kept of a page."""

    url: str
    """Where it was found in the end."""
    status: int
    bytes: int
    sha256: str
    seconds: float


class Fetcher:
    """One pool of connections for all jobs."""

    def __init__(self) -> None:
        self._opening = asyncio.Lock()
        self._client: Any = None
        self._robots = Robots(AGENT, self._get_text)

    async def fetch(self, url: str) -> Page:
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
                seconds = round(time.monotonic() - began, 3)
                return Page(url, status, len(body), hashlib.sha256(body).hexdigest(), seconds)
            url = _checked(urljoin(url, location))
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

    async def _get_text(self, url: str) -> tuple[int, str]:
        client = await self._opened()
        answer = await client.get(url, follow_redirects=True)
        return answer.status_code, answer.text

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                # Not at the top: a worker that only sleeps should not pay for it while it starts.
                httpx = await asyncio.to_thread(importlib.import_module, "httpx")
                self._client = httpx.AsyncClient(
                    headers={"User-Agent": AGENT},
                    timeout=httpx.Timeout(10.0, connect=5.0),
                    limits=httpx.Limits(max_connections=_CONNECTIONS),
                )
            return self._client


async def fetch(job: Job) -> None:
    """Fetch the page that the payload names, and keep the result under the job's id."""
    url = _checked(job.payload.get("url") if isinstance(job.payload, dict) else None)
    redis = job.context.stores.of(job)
    key = redis.key(f"result:{job.id}")
    if await redis.call("EXISTS", key):
        return
    page = await job.context.fetcher.fetch(url)
    await redis.call("SET", key, json.dumps(asdict(page)), "NX", "EX", RESULT_SECONDS)


def _checked(url: Any) -> str:
    """The URL.

    Raises:
        RejectJob: it is none that can be fetched.
    """
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        good = parts is not None and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise RejectJob('the payload must name a page, such as {"url": "https://example.org/"}')
    return str(url)

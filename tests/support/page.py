"""A browser without a window, for tests of the page: it opens the link, keeps the cookie, and takes in what is sent."""

import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Self

import aiohttp

from workerpool_operator.ui.guard import COOKIE, Guard


class Page:
    """Use it as an async context manager."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.origin = f"http://127.0.0.1:{guard.port}"
        self.root = self.origin + guard.root
        self.shown: dict[str, str] = {}
        """HTML by id of element, as the stream has brought it."""
        self.log: list[str] = []
        self.position = ""
        """How far a stream has come, as it has told."""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # A jar for plain addresses: the usual one keeps no cookie of an IP address.
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        async with self.session.get(self.guard.link) as answer:
            assert answer.status == 200
            assert COOKIE in answer.cookies
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def get(self, path: str = "", **options: Any) -> str:
        """A page of ours."""
        async with self.session.get(self.root + path, **options) as answer:
            return await answer.text()

    async def press(self, pool: str, verb: str, **fields: str) -> tuple[int, str]:
        """A button, as the page's script presses it: the status, and what is said; with 428 what is asked first."""
        headers = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin", "Accept": "application/json"}
        async with self.session.post(f"{self.root}pool/{pool}/{verb}", data=fields, headers=headers) as answer:
            said = json.loads(await answer.text())
            return answer.status, said["ask" if answer.status == HTTPStatus.PRECONDITION_REQUIRED else "message"]

    @contextlib.asynccontextmanager
    async def live(self, path: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The messages of a stream. `shown` and `log` follow as they are taken."""
        patience = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with self.session.get(self.root + path, timeout=patience) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            yield self._messages(answer)

    async def until(self, path: str, *, text: str, within: str) -> str:
        """Look at a stream until `text` stands in the element `within`; its HTML."""
        async with self.live(path) as messages:
            async for _ in messages:
                if text in self.shown.get(within, ""):
                    return self.shown[within]
        raise AssertionError(f"the stream ended; {within} is {self.shown.get(within)}")

    async def _messages(self, answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
        async for line in answer.content:
            if line.startswith(b"id: "):
                self.position = line[4:].decode().strip()
            if not line.startswith(b"data: "):
                continue
            message = json.loads(line[6:])
            for change in message.get("patch", ()):
                self.shown[change["id"]] = change["html"]
            self.log += message.get("log", ())
            yield message

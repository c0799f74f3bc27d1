"""The last lines of pods' logs, and those that come: read with the user's own rights."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

import aiohttp

from workerpool_operator.domain.desired import WORKER
from workerpool_operator.kube import ClusterAccess, kinds
from workerpool_operator.ui.words import log_line

MOST_PODS: Final = 8
"""Followed at a time, where all are asked for."""
FIRST_LINES: Final = 200
_MOST_WAITING: Final = 1_000
_AGAIN_SECONDS: Final = 3.0


class LogTail:
    """Of some pods of a namespace. Use `running` as a context, and `take` what has come."""

    def __init__(self, access: ClusterAccess, *, namespace: str, pods: Sequence[str]) -> None:
        self._access = access
        self._namespace = namespace
        self._pods = pods[:MOST_PODS]
        self._lines: deque[str] = deque()
        self._dropped = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow."""
        async with self._access.watch_session() as session:
            tasks = [asyncio.create_task(self._follow(session, pod)) for pod in self._pods]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def take(self) -> list[str]:
        """What has come since. Of a flood the newest lines."""
        lines = list(self._lines)
        if self._dropped:
            lines.insert(0, f"… {self._dropped} lines left out: they come faster than they can be shown …")
        self._lines.clear()
        self._dropped = 0
        return lines

    async def _follow(self, session: aiohttp.ClientSession, pod: str) -> None:
        mark = f"{pod}  " if len(self._pods) > 1 else ""
        query = {"container": WORKER, "follow": "true", "tailLines": str(FIRST_LINES // len(self._pods))}
        said = ""
        while True:
            try:
                why, ended = await self._read(session, pod, query, mark)
            except (aiohttp.ClientError, OSError, TimeoutError):
                query["tailLines"] = "0"
                why, ended = "the connection broke: lines may be missing here", False
            if why != said:
                self._add(f"{mark}— {why} —")
                said = why
            if ended:
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _read(
        self, session: aiohttp.ClientSession, pod: str, query: dict[str, str], mark: str
    ) -> tuple[str, bool]:
        """Until the log ends; why it does not go on, and whether that is for good."""
        url = self._access.server + kinds.POD.path(namespace=self._namespace, name=pod, subresource="log")
        patience = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=None)
        async with session.get(url, params=query, timeout=patience) as answer:
            match answer.status:
                case 200:
                    async for raw in _lines(answer.content):
                        self._add(mark + log_line(raw.decode("utf-8", "replace")))
                    return "the log ended: the container has stopped", True
                case 403:
                    return "you may not read logs here: it takes the right to get pods/log", True
                case 404:
                    return "there is no such pod any more", True
                case 204 | 400:
                    return "the container has not started yet", False
                case status:
                    return f"the log cannot be read: the API server says {status}", False

    def _add(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) > _MOST_WAITING:
            self._lines.popleft()
            self._dropped += 1


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Line by line, however long one is: of a very long one the beginning."""
    rest = b""
    async for piece in content.iter_any():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > 2**16:
            rest = rest[: 2**16]
    if rest:
        yield rest

"""The last lines of pods' logs, and those that come: read with the user's own rights."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final

import aiohttp

from workerpool_operator.domain.desired import WORKER
from workerpool_operator.kube import ClusterAccess
from workerpool_operator.kube.podlog import LogError, PodLog, Want
from workerpool_operator.ui.words import log_line, plain

MOST_PODS: Final = 8
"""Followed at a time, where all are asked for."""
FIRST_LINES: Final = 200
_MOST_WAITING: Final = 1_000


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

        def tell(error: LogError) -> None:
            self._add(f"{mark}— {plain(str(error))} —")

        log = PodLog(access=self._access, session=session, namespace=self._namespace, pod=pod, container=WORKER)
        want = Want(tail=FIRST_LINES // len(self._pods))
        try:
            async with contextlib.aclosing(log.follow(want, trouble=tell)) as lines:
                async for _, text in lines:
                    self._add(mark + log_line(text))
        except LogError as error:
            tell(error)

    def _add(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) > _MOST_WAITING:
            self._lines.popleft()
            self._dropped += 1

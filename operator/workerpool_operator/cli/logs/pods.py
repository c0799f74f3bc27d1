"""Lines of the pods of a pool that are there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp

from workerpool_operator.cli.logs.lines import Line
from workerpool_operator.domain.desired.names import POOL_LABEL, VERSION_LABEL, WORKER
from workerpool_operator.kube import ClusterAccess, Kube, KubeError, kinds
from workerpool_operator.kube.listing import Listing
from workerpool_operator.kube.podlog import LogError, LogGoneError, LogPausedError, PodLog, Want

Json = Mapping[str, Any]

AT_ONCE: Final = 16
"""Pods that are read at a time when nothing is followed."""
MOST_FOLLOWED: Final = 200
"""Streams at a time: each is one connection through the API server to a kubelet."""
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of several pods."""

    lines: Sequence[Line]
    """In the order of time."""
    unread: frozenset[str]
    """Pods of which nothing could be read."""


class PodLogs:
    """The pods of one pool, and what they write."""

    def __init__(self, access: ClusterAccess, kube: Kube, *, namespace: str, pool: str) -> None:
        self._access = access
        self._kube = kube
        self._namespace = namespace
        self._pool = pool

    def pods(self) -> Listing[dict[str, Any]]:
        """All of them."""
        selector = f"{POOL_LABEL}={self._pool}"
        return self._kube.list(kinds.POD, namespace=self._namespace, label_selector=selector)

    async def read(self, pods: Sequence[Json], want: Want, *, trouble: Callable[[str], None]) -> Reading:
        """What they have written so far."""
        turn = asyncio.Semaphore(AT_ONCE)
        unread: set[str] = set()

        async def one(session: aiohttp.ClientSession, pod: Json) -> list[Line]:
            async with turn:
                try:
                    async with aclosing(self._log(session, pod).lines(want)) as lines:
                        return [self._line(pod, at, text) async for at, text in lines]
                except (LogError, aiohttp.ClientError, TimeoutError) as error:
                    trouble(f"{pod['metadata']['name']}: {str(error) or type(error).__name__}")
                    unread.add(pod["metadata"]["name"])
                    return []

        async with self._access.watch_session() as session:
            found = await asyncio.gather(*(one(session, pod) for pod in pods))
        lines = sorted((line for lines in found for line in lines), key=lambda line: line.at)
        return Reading(lines, frozenset(unread))

    async def follow(
        self,
        want: Want,
        show: Callable[[Line], None],
        *,
        chosen: Callable[[Json], bool],
        trouble: Callable[[str], None],
    ) -> None:
        """Until cancelled; pods that come are followed from their first line on, those that go are let go.

        Raises:
            KubeError: the pods cannot be listed.
        """
        streams: dict[str, asyncio.Task[None]] = {}
        first, told = True, 0
        async with self._access.watch_session() as session:
            try:
                while True:
                    running = {pod["metadata"]["uid"]: pod for pod in await self._running(first) if chosen(pod)}
                    for uid in [uid for uid, task in streams.items() if task.done() and uid not in running]:
                        del streams[uid]
                    new = [uid for uid in running if uid not in streams]
                    for uid in new[: MOST_FOLLOWED - len(streams)]:
                        # Of who has come since, from the first line.
                        their = want if first else Want()
                        streams[uid] = asyncio.create_task(self._stay(session, running[uid], their, show, trouble))
                    left_out = len(running) - len(streams.keys() & running.keys())
                    if left_out > told:
                        trouble(f"{left_out} more pods are not followed: choose by --version or --worker")
                    told, first = left_out, False
                    await asyncio.sleep(_LOOK_SECONDS)
            finally:
                for task in streams.values():
                    task.cancel()
                await asyncio.gather(*streams.values(), return_exceptions=True)

    async def _running(self, first: bool) -> list[Json]:
        try:
            return [pod async for pod in self.pods() if container_runs(pod)]
        except KubeError as error:
            if first or not error.retryable:
                raise
            return []

    async def _stay(
        self,
        session: aiohttp.ClientSession,
        pod: Json,
        want: Want,
        show: Callable[[Line], None],
        trouble: Callable[[str], None],
    ) -> None:
        """Follow one pod until it is gone."""
        name = pod["metadata"]["name"]

        def told(error: LogError) -> None:
            if not isinstance(error, LogPausedError):  # its container is being restarted
                trouble(f"{name}: {error}; trying on")

        try:
            async with aclosing(self._log(session, pod).follow(want, trouble=told)) as lines:
                async for at, text in lines:
                    show(self._line(pod, at, text))
        except LogGoneError:
            return
        except LogError as error:
            trouble(f"{name}: {error}")

    def _log(self, session: aiohttp.ClientSession, pod: Json) -> PodLog:
        return PodLog(
            access=self._access,
            session=session,
            namespace=self._namespace,
            pod=pod["metadata"]["name"],
            container=WORKER,
        )

    def _line(self, pod: Json, at: datetime, text: str) -> Line:
        version = (pod["metadata"].get("labels") or {}).get(VERSION_LABEL, "")
        return Line.of(text, at=at, pool=self._pool, version=version, worker=pod["metadata"]["name"])


def container_runs(pod: Json) -> bool:
    """Whether its worker's container runs."""
    states = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(one.get("name") == WORKER and "running" in (one.get("state") or {}) for one in states)


def has_log(pod: Json) -> bool:
    """Whether its worker's container has ever run, so that there is something to read."""
    for one in (pod.get("status") or {}).get("containerStatuses") or ():
        if one.get("name") == WORKER:
            return bool({"running", "terminated"} & set(one.get("state") or {}) or one.get("restartCount"))
    return False

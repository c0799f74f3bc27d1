"""Lines of the pods that are there, by the API server's `pods/log`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.logs.lines import Line, stamped
from workerpool_operator.domain.desired.names import POOL_LABEL, VERSION_LABEL, WORKER
from workerpool_operator.kube import ClusterAccess, Kube, KubeError, kinds
from workerpool_operator.kube.listing import Listing

Json = Mapping[str, Any]

AT_ONCE: Final = 16
"""Pods that are read at a time when nothing is followed."""
MOST_FOLLOWED: Final = 200
"""Streams at a time: each is one connection through the API server to a kubelet."""
LONGEST_LINE: Final = 256 * 1024
_LOOK_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Which lines of each pod."""

    since: datetime | None = None
    tail: int | None = None
    """The last so many; None: all of them."""
    previous: bool = False
    """Of the container before the last restart."""


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

    def pods(self) -> Listing:
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
                    async with aclosing(self._lines(session, pod, want, follow=False)) as lines:
                        return [line async for line in lines]
                except (TroubleError, aiohttp.ClientError, TimeoutError) as error:
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
        """Follow one pod over broken connections and restarts of its container, until it is gone."""
        last: datetime | None = None
        failures = 0
        while True:
            try:
                async with aclosing(self._lines(session, pod, want, follow=True)) as lines:
                    async for line in lines:
                        # `sinceTime` counts whole seconds: those that were shown come again.
                        if last is None or line.at > last:
                            last, failures = line.at, 0
                            show(line)
            except GoneError:
                return
            except NotNowError:
                failures = 1  # its container is being restarted
            except (TroubleError, aiohttp.ClientError, TimeoutError) as error:
                failures += 1
                if failures == 1:
                    trouble(f"{pod['metadata']['name']}: {str(error) or type(error).__name__}; trying on")
            want = Want(since=last) if last else want
            await asyncio.sleep(min(30.0, _AGAIN_SECONDS * 2**failures))

    async def _lines(
        self, session: aiohttp.ClientSession, pod: Json, want: Want, *, follow: bool
    ) -> AsyncGenerator[Line]:
        name, labels = pod["metadata"]["name"], pod["metadata"].get("labels") or {}
        path = kinds.POD.path(namespace=self._namespace, name=name, subresource="log")
        query = {"container": WORKER, "timestamps": "true"}
        query |= {"follow": "true"} if follow else {}
        query |= {"previous": "true"} if want.previous else {}
        query |= {"tailLines": str(want.tail)} if want.tail is not None else {}
        if want.since is not None:
            query["sinceTime"] = want.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        patience = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=None if follow else _ANSWER_SECONDS)
        async with session.get(self._access.server + path, params=query, timeout=patience) as answer:
            if answer.status != 200:  # noqa: PLR2004  an HTTP status
                raise _refusal(answer.status, (await answer.text())[:300])
            async for raw in _split(answer.content):
                try:
                    at, text = stamped(raw)
                except ValueError:
                    continue  # half of one whose beginning is gone
                if want.since is None or at >= want.since:
                    yield Line.of(text, at=at, pool=self._pool, version=labels.get(VERSION_LABEL, ""), worker=name)


class GoneError(TroubleError):
    """The pod is not there any more."""


class NotNowError(TroubleError):
    """The container is not running at this moment."""


def _refusal(status: int, said: str) -> TroubleError:
    match status:
        case 404:
            return GoneError("it is gone")
        case 400:
            return NotNowError(f"its container has no log now: {said}")
        case 403:
            return TroubleError("you may not `get` pods/log here")
    return TroubleError(f"no log (HTTP {status}): {said}")


async def _split(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """Lines of any length, each cut at `LONGEST_LINE`: `readline` would fail on a long one."""
    rest = bytearray()
    async for chunk in content.iter_any():
        rest += chunk
        *whole, tail = rest.split(b"\n")
        rest = bytearray(tail[:LONGEST_LINE])
        for line in whole:
            yield bytes(line[:LONGEST_LINE]).decode(errors="replace")
    if rest:
        yield bytes(rest).decode(errors="replace")


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

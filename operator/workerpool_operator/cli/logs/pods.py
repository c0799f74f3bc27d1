"""Lines of the pods of a pool that are there."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from workerpool_operator.cli.logs.kept import MOST_BYTES, MOST_LINES, MOST_LOOKED, Kept, Sought
from workerpool_operator.cli.logs.lines import Line
from workerpool_operator.cli.logs.silent import container_runs, has_ended, has_log, is_stuck, some_of, why_silent
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
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of several pods."""

    lines: Sequence[Line]
    """In the order of time."""
    unread: Mapping[str, str]
    """Pods of which nothing could be read -> why."""


async def _nothing(_: str) -> Sequence[Line]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """Who hears what is followed."""

    show: Callable[[Line], None]
    trouble: Callable[[str], None]
    """Why something is missing."""
    kept: Callable[[str], Awaitable[Sequence[Line]]] = _nothing
    """What a worker wrote so far, from elsewhere: for one whose node does not answer. By default nobody has it."""


class PodLogs:
    """The pods of one pool, and what they write."""

    def __init__(self, access: ClusterAccess, kube: Kube, *, namespace: str, pool: str) -> None:
        self._access = access
        self._kube = kube
        self._namespace = namespace
        self._pool = pool
        self._turn = asyncio.Semaphore(AT_ONCE)

    def pods(self) -> Listing[dict[str, Any]]:
        """All of them."""
        selector = f"{POOL_LABEL}={self._pool}"
        return self._kube.list(kinds.POD, namespace=self._namespace, label_selector=selector)

    async def read(self, pods: Sequence[Json], sought: Sought, *, trouble: Callable[[str], None]) -> Reading:
        """What they have written so far, of all that is sought the newest; `trouble` is told what is left out."""
        kept = Kept(sought.tail)
        unread: dict[str, str] = {}
        cut: list[str] = []

        async def one(session: aiohttp.ClientSession, pod: Json) -> None:
            name = pod["metadata"]["name"]
            async with self._turn:
                try:
                    if await self._take(session, pod, sought, kept):
                        cut.append(name)
                except (LogError, aiohttp.ClientError, TimeoutError) as error:
                    unread[name] = str(error) or type(error).__name__

        async with self._access.watch_session() as session:
            await asyncio.gather(*(one(session, pod) for pod in pods))
        for why in sorted(set(unread.values())):
            trouble(f"{some_of(name for name, its in unread.items() if its == why)}: {why}")
        if cut:
            trouble(f"{some_of(cut)}: only the last {MOST_LOOKED:,} lines were looked through")
        lines = kept.all()
        if kept.dropped:
            trouble(
                f"only the newest {MOST_LINES:,} lines (at most {MOST_BYTES >> 20} MiB) are kept: choose by --since, "
                "--job, --level, --version or --worker"
            )
        return Reading(lines, unread)

    async def _take(self, session: aiohttp.ClientSession, pod: Json, sought: Sought, kept: Kept) -> bool:
        """Read one pod; whether it may have more of what is sought than was looked through."""
        name, read = pod["metadata"]["name"], 0
        want = Want(since=sought.since, tail=sought.looked_through, previous=sought.previous)
        async with aclosing(self._log(session, pod).lines(want)) as lines:
            async for at, text in lines:
                read += 1
                if sought.choice.wants(line := self._line(pod, at, text)):
                    kept.add(name, line)
        return read >= MOST_LOOKED and (sought.tail is None or kept.of(name) < sought.tail)

    async def follow(self, sought: Sought, follower: Follower, *, chosen: Callable[[Json], bool]) -> None:
        """Until cancelled; pods that come are followed from their first line on, those that go are let go.

        Raises:
            KubeError: the pods cannot be listed.
        """
        streams: dict[str, asyncio.Task[None]] = {}
        stuck: set[str] = set()
        before: set[str] | None = None
        told = 0
        async with self._access.watch_session() as session:
            try:
                while True:
                    listed = await self._there(first=before is None)
                    if listed is None:  # as if all were still there: who is let go is shown from the beginning again
                        await asyncio.sleep(_LOOK_SECONDS)
                        continue
                    pods = [pod for pod in listed if chosen(pod)]
                    there = {pod["metadata"]["uid"]: pod for pod in _busiest_first(pods)}
                    before = set(there) if before is None else before
                    for task in streams.values():
                        if task.done():
                            task.result()  # who cannot write what it has read ends the command
                    for uid in [uid for uid, task in streams.items() if task.done() and uid not in there]:
                        del streams[uid]
                    new = [uid for uid in there if uid not in streams]
                    for uid in new[: MOST_FOLLOWED - len(streams)]:
                        # Of who has come since, from the first line.
                        begin = sought if uid in before else None
                        streams[uid] = asyncio.create_task(self._stay(session, there[uid], begin, follower))
                    left_out = len(there) - len(streams.keys() & there.keys())
                    if left_out > told:
                        follower.trouble(f"{left_out} more pods are not followed: choose by --version or --worker")
                    told = left_out
                    _tell_stuck(pods, stuck, follower.trouble)
                    await asyncio.sleep(_LOOK_SECONDS)
            finally:
                for task in streams.values():
                    task.cancel()
                await asyncio.gather(*streams.values(), return_exceptions=True)

    async def _there(self, *, first: bool) -> list[Json] | None:
        """None: it cannot be seen now."""
        try:
            return [pod async for pod in self.pods()]
        except KubeError as error:
            if first or not error.retryable:
                raise
            return None

    async def _stay(self, session: aiohttp.ClientSession, pod: Json, begin: Sought | None, follower: Follower) -> None:
        """Follow one pod until it is gone; `begin`: of what it has written so far, None: all."""
        name = pod["metadata"]["name"]

        def told(error: LogError) -> None:
            if not isinstance(error, LogPausedError):  # its container is being restarted
                follower.trouble(f"{name}: {error}; trying on")

        log = self._log(session, pod)
        try:
            after = _BEGINNING if begin is None else await self._begun(session, pod, begin, follower)
            if has_ended(pod):
                await self._rest(log, pod, after, follower.show)
                return
            want = Want() if begin is None else Want(since=begin.since, tail=begin.tail)
            async with aclosing(log.follow(want, trouble=told, after=after)) as lines:
                async for at, text in lines:
                    follower.show(self._line(pod, at, text))
        except LogGoneError:
            return
        except LogError as error:
            follower.trouble(f"{name}: {error}")

    async def _begun(
        self, session: aiohttp.ClientSession, pod: Json, begin: Sought, follower: Follower
    ) -> datetime | None:
        """Show what it has written so far; the time of the last line, None where nobody knows that now."""
        kept, last = Kept(begin.tail), begin.since or _BEGINNING
        # At least one, to know from when on lines are new.
        want = Want(since=begin.since, tail=max(1, begin.looked_through))
        try:
            async with self._turn, aclosing(self._log(session, pod).lines(want)) as lines:
                async for at, text in lines:
                    last = at
                    if begin.choice.wants(line := self._line(pod, at, text)):
                        kept.add("", line)
        except (LogError, aiohttp.ClientError, TimeoutError):  # told by who goes on with it
            async with self._turn:
                elsewhere = await follower.kept(pod["metadata"]["name"])
            for line in elsewhere:
                follower.show(line)
            return elsewhere[-1].at if elsewhere else None
        for line in kept.all():
            follower.show(line)
        return last

    async def _rest(self, log: PodLog, pod: Json, after: datetime | None, show: Callable[[Line], None]) -> None:
        """What is left of one that will not write any more."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with aclosing(log.lines(Want(since=after))) as lines:
                async for at, text in lines:
                    if after is None or at > after:
                        show(self._line(pod, at, text))

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


def _busiest_first(pods: Sequence[Json]) -> list[Json]:
    """Those that have a log: who runs before who does not, and the newest before the others."""
    newest = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    return sorted(filter(has_log, newest), key=lambda pod: not container_runs(pod))


def _tell_stuck(pods: Sequence[Json], told: set[str], trouble: Callable[[str], None]) -> None:
    """Say once of each pod what keeps it from starting."""
    new = [pod for pod in pods if not has_log(pod) and is_stuck(pod) and pod["metadata"]["uid"] not in told]
    told |= {pod["metadata"]["uid"] for pod in new}
    for sentence in why_silent(new):
        trouble(sentence)

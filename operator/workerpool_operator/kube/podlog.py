"""Lines of a pod's container, by the API server's `pods/log`: read once, or followed over whatever comes in between.

One way for all who read logs. Each line comes with its time, by the clock of the pod's node: so after a connection that
broke, or a container that was started anew, it is known which lines were there already.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import aiohttp

from workerpool_operator.kube import errors, kinds
from workerpool_operator.kube.access import ClusterAccess

LONGEST_LINE: Final = 256 * 1024
"""Bytes; of a longer one the beginning."""
_ANSWER_SECONDS: Final = 30.0
_SILENT_SECONDS: Final = 300.0
"""A log that is followed and says nothing for so long is asked for again: the connection may have died unheard."""
_AGAIN_SECONDS: Final = 1.0
_MOST_PAUSE_SECONDS: Final = 30.0
_MOST_IDLE_ROUNDS: Final = 2
"""A container that has stopped may be started anew at any time, so that it is looked at every few seconds."""
_GONE: Final = "unable to retrieve container logs for"
"""What a kubelet answers with status 200, and without a time, for a container that it has removed."""
_NONE: Final = "that container is gone, and its log with it; of those that have ended a node keeps the last one"
_MOST_BETWEEN: Final = 10_000
"""Lines of a container that came and ended unseen."""

Stamped = tuple[datetime, str]
"""When a line was written, and its text."""


class LogError(Exception):
    """A log cannot be read; the text says why."""


class LogGoneError(LogError):
    """The pod is not there any more."""


class LogForbiddenError(LogError):
    """It may not be read."""


class LogPausedError(LogError):
    """The container writes nothing at this moment, since it does not run."""


class LogNoneError(LogError):
    """There is no log of a container before this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Which lines."""

    since: datetime | None = None
    tail: int | None = None
    """The last so many; None: all of them."""
    previous: bool = False
    """Of the container before the last restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLog:
    """The log of one container of a pod. `session` is one of `access.watch_session`."""

    access: ClusterAccess
    session: aiohttp.ClientSession
    namespace: str
    pod: str
    container: str

    async def lines(self, want: Want, *, follow: bool = False) -> AsyncGenerator[Stamped]:
        """What it has written so far; with `follow` also what it writes, until it stops.

        Raises:
            LogError: it cannot be read; LogNoneError: the container is gone.
            aiohttp.ClientError, TimeoutError: the connection broke.
        """
        url = self.access.server + kinds.POD.path(namespace=self.namespace, name=self.pod, subresource="log")
        silent = _SILENT_SECONDS if follow else _ANSWER_SECONDS
        patience = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silent)
        query = _query(want, follow=follow) | {"container": self.container}
        async with self.session.get(url, params=query, timeout=patience) as answer:
            if answer.status != 200:  # noqa: PLR2004  an HTTP status
                raise _refusal(answer.status, errors.message_of(await answer.read()), previous=want.previous)
            async for raw in _split(answer.content):
                try:
                    at, text = stamped(raw)
                except ValueError:
                    if raw.startswith(_GONE):
                        raise LogNoneError(_NONE) from None
                    continue  # half of one whose beginning is gone
                if want.since is None or at >= want.since:
                    yield at, text

    async def follow(
        self, want: Want, *, trouble: Callable[[LogError], None], after: datetime | None = None
    ) -> AsyncGenerator[Stamped]:
        """Each line once, over broken connections and restarts of the container. Does not end by itself.

        Args:
            want: which lines to begin with.
            trouble: is told why nothing comes, once until something comes again.
            after: instead of what is wanted, begin behind this moment, with a container that has ended since.

        Raises:
            LogGoneError: the pod is not there any more.
            LogForbiddenError: it may not be read.
        """
        last = after
        rounds, told = 0, ""
        while True:
            error: LogError = LogPausedError("the log ended: the container has stopped")
            try:
                async with aclosing(self._on(want, last)) as lines:
                    async for at, text in lines:
                        last, rounds, told = at, 0, ""
                        yield at, text
            except (LogGoneError, LogForbiddenError):
                raise
            except aiohttp.SocketTimeoutError:
                continue  # nothing is wrong for sure: most workers are silent now and then
            except LogError as why:
                error = why
            except (aiohttp.ClientError, OSError, TimeoutError) as why:
                error = LogError(f"the connection broke: {str(why) or type(why).__name__}")
            if str(error) != told:
                told = str(error)
                trouble(error)
            rounds = min(rounds + 1, _MOST_IDLE_ROUNDS) if isinstance(error, LogPausedError) else rounds + 1
            await asyncio.sleep(min(_MOST_PAUSE_SECONDS, _AGAIN_SECONDS * 2**rounds))

    async def _on(self, want: Want, after: datetime | None) -> AsyncGenerator[Stamped]:
        """What is written from now, and before it what a container wrote that came and ended after that moment."""
        if after is not None:
            want = Want(since=after)
        seen = after is None
        async with aclosing(self.lines(want, follow=True)) as lines:
            async for at, text in lines:
                # `sinceTime` counts whole seconds: those that were shown come again.
                if after is not None and at <= after:
                    continue
                if not seen and after is not None:
                    seen = True
                    for between in await self._between(after, at):
                        yield between
                yield at, text

    async def _between(self, after: datetime, before: datetime) -> list[Stamped]:
        """Lines of the container before this one, of which the newest would do; none where there was none."""
        kept: deque[Stamped] = deque(maxlen=_MOST_BETWEEN)
        with suppress(LogError, aiohttp.ClientError, OSError, TimeoutError):
            async with aclosing(self.lines(Want(since=after, previous=True))) as lines:
                async for at, text in lines:
                    if after < at < before:
                        kept.append((at, text))
        return list(kept)


def _query(want: Want, *, follow: bool) -> dict[str, str]:
    query = {"timestamps": "true"}
    query |= {"follow": "true"} if follow else {}
    query |= {"previous": "true"} if want.previous else {}
    query |= {"tailLines": str(want.tail)} if want.tail is not None else {}
    if want.since is not None:
        query["sinceTime"] = want.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return query


def _refusal(status: int, said: str, *, previous: bool) -> LogError:
    match status:
        case 400 if previous:
            return LogNoneError(_NONE)
        case 404:
            return LogGoneError("there is no such pod any more")
        case 403:
            return LogForbiddenError("you may not read logs here: it takes the right to `get` pods/log")
        case 204 | 400:
            return LogPausedError("the container has not started yet" + (f": {said}" if said else ""))
    return LogError(f"the log cannot be read (HTTP {status})" + (f": {said}" if said else ""))


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


def stamped(raw: str) -> Stamped:
    """Time and text of a line as the kubelet gives it with `timestamps=true`.

    Raises:
        ValueError: there is no time before it.
    """
    stamp, _, text = raw.partition(" ")
    return parse_time(stamp), text


def parse_time(stamp: str) -> datetime:
    """RFC 3339 with any number of digits behind the second; Python keeps six.

    Raises:
        ValueError: it is none.
    """
    whole, dot, rest = stamp.partition(".")
    if not dot:
        return datetime.fromisoformat(stamp)
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :]
    return datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}{zone}")

"""Lines of a pod's container, by the API server's `pods/log`: read once, or followed over whatever comes in between.

One way for all who read logs. Each line comes with its time, by the clock of the pod's node: so after a connection that
broke, or a container that was started anew, it is known which lines were there already.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import aiohttp

from workerpool_operator.kube import errors, kinds
from workerpool_operator.kube.access import ClusterAccess

LONGEST_LINE: Final = 256 * 1024
"""Bytes; of a longer one the beginning."""
_ANSWER_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 1.0
_MOST_PAUSE_SECONDS: Final = 30.0
_MOST_IDLE_ROUNDS: Final = 2
"""A container that has stopped may be started anew at any time, so that it is looked at every few seconds."""

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
            LogError: it cannot be read.
            aiohttp.ClientError, TimeoutError: the connection broke.
        """
        url = self.access.server + kinds.POD.path(namespace=self.namespace, name=self.pod, subresource="log")
        patience = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=None if follow else _ANSWER_SECONDS)
        query = _query(want, follow=follow) | {"container": self.container}
        async with self.session.get(url, params=query, timeout=patience) as answer:
            if answer.status != 200:  # noqa: PLR2004  an HTTP status
                raise _refusal(answer.status, errors.message_of(await answer.read()))
            async for raw in _split(answer.content):
                try:
                    at, text = stamped(raw)
                except ValueError:
                    continue  # half of one whose beginning is gone
                if want.since is None or at >= want.since:
                    yield at, text

    async def follow(self, want: Want, *, trouble: Callable[[LogError], None]) -> AsyncGenerator[Stamped]:
        """Each line once, over broken connections and restarts of the container. Does not end by itself.

        `trouble` is told why nothing comes, once until something comes again.

        Raises:
            LogGoneError: the pod is not there any more.
            LogForbiddenError: it may not be read.
        """
        last: datetime | None = None
        rounds, told = 0, ""
        while True:
            begun = last
            error: LogError = LogPausedError("the log ended: the container has stopped")
            try:
                async with aclosing(self.lines(want, follow=True)) as lines:
                    async for at, text in lines:
                        # `sinceTime` counts whole seconds: those that were shown come again.
                        if begun is None or at > begun:
                            last, rounds, told = at, 0, ""
                            yield at, text
            except (LogGoneError, LogForbiddenError):
                raise
            except LogError as why:
                error = why
            except (aiohttp.ClientError, OSError, TimeoutError) as why:
                error = LogError(f"the connection broke: {str(why) or type(why).__name__}")
            if str(error) != told:
                told = str(error)
                trouble(error)
            rounds = min(rounds + 1, _MOST_IDLE_ROUNDS) if isinstance(error, LogPausedError) else rounds + 1
            want = Want(since=last) if last else want
            await asyncio.sleep(min(_MOST_PAUSE_SECONDS, _AGAIN_SECONDS * 2**rounds))


def _query(want: Want, *, follow: bool) -> dict[str, str]:
    query = {"timestamps": "true"}
    query |= {"follow": "true"} if follow else {}
    query |= {"previous": "true"} if want.previous else {}
    query |= {"tailLines": str(want.tail)} if want.tail is not None else {}
    if want.since is not None:
        query["sinceTime"] = want.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return query


def _refusal(status: int, said: str) -> LogError:
    match status:
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

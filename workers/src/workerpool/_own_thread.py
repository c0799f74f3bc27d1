"""Calls that block, in threads of the runtime's own.

The event loop's default executor, which `asyncio.to_thread` and the loop's own name resolution use, has a few threads
and is shared with handlers: while these fill it nothing would find its broker again, and leases would run out. And its
threads are waited for at the end of the process, so one that hangs would hold up a drain. Nothing waits for these.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


async def in_own_thread(function: Callable[..., T], *arguments: Any) -> T:
    """What it returns or raises. When this is cancelled the call goes on, and nobody hears of its end.

    Raises:
        OSError: there can be no more threads.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        try:
            tell: Callable[[], None] = partial(answer.set_result, function(*arguments))
        except Exception as error:  # noqa: BLE001  raised over there
            tell = partial(answer.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_unless_done, answer, tell)

    try:
        threading.Thread(target=work, name="workerpool-call", daemon=True).start()
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return await answer


def _unless_done(answer: "asyncio.Future[T]", tell: Callable[[], None]) -> None:
    if not answer.done():  # cancelled
        tell()


class Found(NamedTuple):
    """An address of a host."""

    family: socket.AddressFamily
    host: str
    """Of numbers, with its scope if it has one: to connect to it asks nobody."""


class Lookup:
    """Finds the addresses of a host. At most one thread is at it, however often it is given up and asked again."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._asking: asyncio.Future[list[Found]] | None = None

    async def addresses(self) -> Sequence[Found]:
        """At least one, in the order in which they are to be tried.

        Raises:
            OSError: there is none, or none can be found now.
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(OSError):
                socket.inet_pton(family, self.host)
                return [Found(family, self.host)]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(in_own_thread(_find, self.host))
            self._asking.add_done_callback(_heed)
        return await asyncio.shield(self._asking)


def _find(host: str) -> list[Found]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [Found(family, _numbers(address)) for family, _, _, _, address in found]


def _numbers(address: tuple[Any, ...]) -> str:
    host, _, *scope = address
    return f"{host}%{scope[1]}" if scope and scope[1] else str(host)


def _heed(asked: "asyncio.Future[Any]") -> None:
    """Whoever asked may have given up, and nobody else looks at the error."""
    if not asked.cancelled():
        asked.exception()

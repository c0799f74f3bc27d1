"""The fence's gate before a library: closed, the library consumes nothing."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Pausable(Protocol):
    """How a library is made to stop consuming, and to go on."""

    def pause(self, paused: Callable[[], None]) -> None:
        """Stop consuming; call `paused`, from any thread, when nothing more can come.

        What has come until then has been told to the bridge (`Bridge.taken`) before `paused` is called: prefetched
        messages are jobs in flight. Returns at once: what takes time is done in a thread of the library.
        """

    def resume(self) -> None:
        """Consume again. Returns at once."""


class LibraryGate:
    """A `Closable` for the fence, in the bridge's event loop. There is one pause however many reasons there are."""

    def __init__(self, library: Pausable) -> None:
        self._library = library
        self._reasons: set[str] = set()
        self._paused: asyncio.Future[None] | None = None

    async def close(self, reason: str) -> None:
        """Return when the library has paused. A library that never does is never reported as fenced."""
        self._reasons.add(reason)
        if self._paused is None:
            loop = asyncio.get_running_loop()
            paused = self._paused = loop.create_future()
            self._library.pause(lambda: _call(loop, _settle, paused))
        await asyncio.shield(self._paused)

    def open(self, reason: str) -> None:
        """The last reason lets the library go on."""
        self._reasons.discard(reason)
        if not self._reasons and self._paused is not None:
            self._paused = None
            self._library.resume()


def _settle(paused: "asyncio.Future[None]") -> None:
    if not paused.done():
        paused.set_result(None)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: object) -> None:
    """In its thread, if it has not ended by now."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)

"""The fence's gate for libraries that take their messages by calls in an event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

_ACKNOWLEDGE_TIMES: Final = 3


class TakingGate:
    """Stands before each call that takes. Make it in the library's loop; `pause` and `resume` are for any thread.

    A call that has begun is waited for, not cancelled: its answer may be on its way, and who throws that away loses a
    message, or leaves it with a worker that does not know of it. So such calls have to end by themselves, soon.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._taking = 0
        self._pausing: list[Callable[[], None]] = []
        self.over = False
        """Nothing is taken any more, for good."""

    async def enter(self) -> bool:
        """Wait until a call may begin; to be followed by `leave`. False: there will be none any more."""
        while not self._open.is_set() and not self.over:
            await self._open.wait()
        self._taking += not self.over
        return not self.over

    def leave(self) -> None:
        """The call has ended, and what it brought has been told to the bridge."""
        self._taking -= 1
        self._look()

    def end(self) -> None:
        """Let no call begin, and those that wait go on without one."""
        self.over = True
        self._open.set()
        self._look()

    def pause(self, paused: Callable[[], None]) -> None:
        """See `Pausable`."""
        self._call(lambda: self._close(paused))

    def resume(self) -> None:
        """See `Pausable`."""
        self._call(self._open.set)

    def _close(self, paused: Callable[[], None]) -> None:
        if not self.over:
            self._open.clear()
        self._pausing.append(paused)
        self._look()

    def _look(self) -> None:
        if not self._taking and (self.over or not self._open.is_set()):
            pausing, self._pausing = self._pausing, []
            for paused in pausing:
                paused()

    def _call(self, function: Callable[[], None]) -> None:
        """In the library's loop, if that has not ended by now."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)


async def acknowledge(acknowledging: Callable[[], Awaitable[Any]]) -> Any:
    """Call it, and again when it fails: a client that has lost its broker may still have old connections in its pool.

    Only for what may be said twice. Raises what it raised the last time.
    """
    for _ in range(_ACKNOWLEDGE_TIMES - 1):
        with suppress(Exception):
            return await acknowledging()
    return await acknowledging()

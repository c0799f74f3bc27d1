"""What becomes of a command that is ended while it runs: by Ctrl-C, by SIGTERM, or by a terminal that is closed.

All three cancel what it waits for, so that it takes back what it has to; then it says what goes on without it, and
exits with 128 and the signal's number, as a shell has it. A second Ctrl-C ends it at once.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final, TypeVar

T = TypeVar("T")

_FIRST_STATUS: Final = 128
_LIKE_CTRL_C: Final = (signal.SIGTERM, signal.SIGHUP) if hasattr(signal, "SIGHUP") else ()
"""None on Windows, where an event loop takes none."""


class EndedError(Exception):
    """The command was told to end; the text says what goes on without it, empty: nothing."""

    def __init__(self, left: str = "", *, number: int = signal.SIGINT) -> None:
        """By which signal, as far as it is known yet."""
        super().__init__(left)
        self.status = _FIRST_STATUS + number
        """What the process exits with."""


@contextlib.contextmanager
def leaves(what: str) -> Iterator[None]:
    """While this is waited for: what goes on without the command, and how to look at it, or to undo it.

    Raises:
        EndedError: instead of the cancellation.
    """
    try:
        yield
    except asyncio.CancelledError:
        raise EndedError(what) from None


async def whole(write: Coroutine[Any, Any, T]) -> T:
    """Do this to its end, also where the command is cancelled meanwhile: what was half written cannot be taken back.

    Raises:
        Exception: what it raises itself.
        CancelledError: the command was cancelled; it is done all the same, or has failed.
    """
    doing = asyncio.ensure_future(write)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        if not doing.cancelled():
            doing.exception()  # the cancellation says more, and a failure that nobody takes is a warning
        raise


def run(answer: Callable[[], Awaitable[T]]) -> T:
    """Like `asyncio.run`, but that signals which end a process cancel it first.

    Raises:
        EndedError: one came.
        KeyboardInterrupt: Ctrl-C, where nothing goes on.
    """
    came: list[int] = []

    async def watched() -> T:
        me, loop = asyncio.current_task(), asyncio.get_running_loop()

        def end(number: int, task: "asyncio.Task[Any]") -> None:
            came.append(number)
            task.cancel()

        if me is not None and threading.current_thread() is threading.main_thread():  # signals come to no other
            for number in _LIKE_CTRL_C:
                if signal.getsignal(number) is signal.SIG_DFL:  # `nohup` has it ignored
                    loop.add_signal_handler(number, end, number, me)
        return await answer()

    try:
        return asyncio.run(watched())
    except EndedError as error:
        raise EndedError(str(error), number=came[0] if came else signal.SIGINT) from None
    except asyncio.CancelledError:
        if came:
            raise EndedError(number=came[0]) from None
        raise

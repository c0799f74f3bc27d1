"""The end of a process that has nothing left to do, in time.

Python waits at its end for the threads of executors, `asyncio.to_thread`'s among them, however long their calls take,
and asyncio for tasks that ignore their cancellation. What a handler has left behind must not keep a worker that has
drained: its job is settled or handed back, and kubelet would kill it in the end.
"""

import os
import sys
import threading
from typing import Any, Final

LEAVE_SECONDS: Final = 3.0
"""How long the event loop, and then the interpreter, may take to end; exit handlers are called within the second."""


class Leaving:
    """Ends the process with `status`, whatever still runs in it."""

    def __init__(self, *, status: int, log: Any) -> None:
        """For the main thread, while the event loop is about to end."""
        self._log = log
        self._status = status
        self._loop = self._within()

    def loop_ended(self) -> None:
        """The program goes on as it likes. When it ends, the interpreter has its time."""
        self._loop.cancel()
        # Called before the threads of executors are waited for; `atexit` comes after that, which is too late.
        threading._register_atexit(self._within)  # type: ignore[attr-defined]  # noqa: SLF001

    def _within(self) -> threading.Timer:
        timer = threading.Timer(LEAVE_SECONDS, self._leave)
        timer.daemon = True
        timer.start()
        return timer

    def _leave(self) -> None:
        self._log.error("threads or tasks that handlers have started do not end, leaving without them")
        sys.stdout.flush()
        os._exit(self._status)

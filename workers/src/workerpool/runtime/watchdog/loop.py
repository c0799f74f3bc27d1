"""Who holds up the event loop.

The loop notes the time twenty times a second. A thread looks whether it does: when it is 0.1 s late the thread takes
the loop's stack, from outside and in the act. asyncio's own debug mode (`slow_callback_duration`) tells of a slow
callback only after it has ended, names it by its task, not by the line, and makes everything slower.

That is 40 short wake-ups per second, some 0.4 % of a core, and only while there are jobs: a worker at rest has nobody
who could block it.
"""

import asyncio
import math
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

TICK_SECONDS: Final = 0.05
BLOCKED_SECONDS: Final = 0.1
_IDLE_TICKS: Final = 20
"""Without a job in flight, after which nothing is watched until there is one again."""
_MOST_FRAMES: Final = 30
_WAITING: Final = frozenset({"selectors", "asyncio.base_events"})
"""Modules in which a loop is that no handler holds up: it waits, or the machine is busy."""


class LoopWatch:
    """Measures one event loop."""

    def __init__(
        self,
        *,
        type_of: Callable[["asyncio.Task[Any]"], str],
        idle: Callable[[], bool],
        blocked: Callable[[str], None],
        log: Any,
    ) -> None:
        """Watch once it is woken.

        `type_of` the job whose handler runs in a task, empty if none does; called in a thread. `idle`: whether no
        handler runs now. `blocked` is called in the loop after a handler has blocked it.
        """
        self._type_of = type_of
        self._idle = idle
        self._blocked = blocked
        self._log = log
        self.stopped = False
        self._awake = threading.Event()
        self._idle_ticks = 0
        self._beat = self._due = math.inf
        self._worst = 0.0
        self._culprit: str | None = None
        self._thread_id = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Jobs were taken: watch the running loop, from its own thread, until they have ended."""
        if self._awake.is_set() or self.stopped:
            return
        if not self._thread_id:
            self._thread_id, self._loop = threading.get_ident(), asyncio.get_running_loop()
            threading.Thread(target=self._look, name="workerpool-watchdog", daemon=True).start()
        self._idle_ticks = 0
        self._schedule()
        self._awake.set()

    def stop(self) -> None:
        """Watch no more."""
        self.stopped = True
        self._awake.set()
        if self._timer is not None:
            self._timer.cancel()

    def worst(self) -> float:
        """The longest that the loop was late since this was asked before, in seconds; that it is late now included."""
        worst, self._worst = max(self._worst, time.monotonic() - self._due), 0.0
        return worst

    def _schedule(self) -> None:
        self._beat = time.monotonic()
        self._due = self._beat + TICK_SECONDS
        self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        late = time.monotonic() - self._due
        self._worst = max(self._worst, late)
        culprit, self._culprit = self._culprit, None
        self._idle_ticks = self._idle_ticks + 1 if self._idle() else 0
        if self._idle_ticks < _IDLE_TICKS:
            self._schedule()
        else:
            self._awake.clear()
            self._beat = self._due = math.inf
        if culprit is not None:
            self._log.warning("the event loop turns again", job_type=culprit, blocked_seconds=round(late, 3))
            if culprit:
                self._blocked(culprit)

    def _look(self) -> None:
        """In the thread."""
        told = 0.0
        while not self.stopped:
            self._awake.wait()
            time.sleep(TICK_SECONDS)
            beat = self._beat
            if beat == told or time.monotonic() - beat < TICK_SECONDS + BLOCKED_SECONDS:
                continue
            task = asyncio.current_task(self._loop)
            frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001  documented, for debuggers
            if frame is None or frame.f_globals.get("__name__") in _WAITING:
                continue
            if task is not asyncio.current_task(self._loop):
                continue  # it turned just now: nobody knows whose stack this is
            told = beat
            self._tell(frame, self._type_of(task) if task is not None else "")

    def _tell(self, frame: FrameType, culprit: str) -> None:
        """The task says whose job it is: handlers may share their code, or call each other."""
        stack = "".join(traceback.format_stack(frame, limit=_MOST_FRAMES))
        self._culprit = culprit
        text = "the event loop is blocked: nothing else runs; kind='thread' or 'cpu' would help"
        self._log.warning(text, job_type=culprit, stack=stack)

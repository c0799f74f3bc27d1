"""An event loop in which time is played, tasks go on in an order that a seed chooses, and a process can be frozen.

**Order.** asyncio runs what is ready in the order in which it became so, which a program may rely on without knowing.
Here the next one of the tasks that are ready is drawn. Plain callbacks keep their places, and no task passes one: their
order is what `call_soon` promises, and asyncio itself builds on it. A task gives way only where it really waits, as
ever. The draw is uniform over those that are ready: a random walk over the interleavings. (Priority-based testing, PCT
of Burckhardt et al., ASPLOS 2010, finds deep races with a known probability; a handler's are shallow.)

**Time** stands still while anything can run. When nothing can, it is moved to the next timer, no further than the test
has said. If the test has said nothing, nothing will ever happen: `Stalled`.

Why not looptime or an event loop of that kind: they let time run by itself and keep asyncio's order.
"""

import asyncio
import contextvars
import random
import selectors
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from workerpool.testing._process import PROCESS, Process

_PATIENCE_SECONDS: Final = 10.0
"""Real ones: how long threads and processes may take that nobody plays."""


class Stalled(Exception):  # noqa: N818  it says what happened
    """Everything waits: for time that nobody moves, or for something that never comes."""


@dataclass(slots=True)
class _Goal:
    """How far time is to be moved."""

    until: float
    reached: "asyncio.Future[None]"
    one: bool
    """Not beyond the next timer."""
    moved: bool = False


class PlayedLoop(asyncio.SelectorEventLoop):
    """See above. `free`: time moves by itself, to end what is left."""

    epoch = 30.0
    """The time of the day at the beginning, in seconds."""

    def __init__(self, seed: int) -> None:
        self._played_now = 0.0
        self._line: deque[asyncio.Handle] = deque()
        self._frozen: list[asyncio.Handle] = []
        self._draw = random.Random(seed)  # noqa: S311
        self._goal: _Goal | None = None
        self._outside = 0
        self._empty = contextvars.Context()
        self.free = False
        self.busy_elsewhere: Callable[[], bool] = lambda: False
        """Whether threads or processes are at work that this loop did not start."""
        super().__init__(_Selector(self._idle, self.stalled))

    def time(self) -> float:
        """Seconds since the beginning."""
        return self._played_now

    async def move(self, seconds: float, *, one: bool = False) -> None:
        """Move time so far, and return when nothing can run any more; `one`: only to the next timer, if that is nearer.

        With `one` it also waits for threads and processes, in real time.
        """
        if self._goal is not None:
            raise RuntimeError("somebody moves the clock already")
        self._goal = goal = _Goal(self._played_now + seconds, self.create_future(), one)
        try:
            await goal.reached
        finally:
            self._goal = None

    def thaw(self) -> None:
        """Let go on what is left of those who were killed."""
        frozen, self._frozen = self._frozen, []
        for handle in frozen:
            self._enter(handle)

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Stand in line, to be drawn."""
        handle = asyncio.Handle(callback, args, self, context or contextvars.copy_context())
        self._enter(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        """What is due stands in line like everything else: whose it is, is looked at there."""
        due: list[asyncio.TimerHandle] = []
        context = context or contextvars.copy_context()
        timer = super().call_at(when, self._due, due, callback, args, context, context=self._empty)
        due.append(timer)
        return timer

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Count what runs in threads."""
        future = super().run_in_executor(executor, func, *args)
        self._outside += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _future: "asyncio.Future[Any]") -> None:
        self._outside -= 1

    def _due(
        self,
        timer: list[asyncio.TimerHandle],
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: contextvars.Context,
    ) -> None:
        def call() -> None:
            if not timer[0].cancelled():  # it may be cancelled as long as it stands in line
                callback(*args)

        self._enter(asyncio.Handle(call, (), self, context))

    def _enter(self, handle: asyncio.Handle) -> None:
        self._line.append(handle)
        super().call_soon(self._next, context=self._empty)

    def _next(self) -> None:
        """One of those in line: there are as many calls of this as handles."""
        tasks = 0
        for handle in self._line:
            if not _is_task(handle):
                break
            tasks += 1
        chosen = self._draw.randrange(tasks) if tasks > 1 else 0
        handle = self._line[chosen]
        del self._line[chosen]
        owner = _owner(handle)
        if owner is not None and owner.dead and not self.free:
            self._frozen.append(handle)
        elif not handle.cancelled():
            handle._run()  # noqa: SLF001  what the loop does with its handles

    def _idle(self, timeout: float | None) -> float:
        """Nothing can run. Move the clock, or return how many real seconds to wait for somebody outside."""
        if self.free:
            return self._let_run(timeout)
        goal, step = self._goal, float("inf") if timeout is None else timeout
        patient = goal is None or goal.one
        if patient and (self._outside > 0 or self.busy_elsewhere()):
            return _PATIENCE_SECONDS
        if goal is None:
            raise self.stalled("it moves no time" if timeout is None else f"the next timer is due in {step:g} s")
        if not (goal.one and goal.moved) and self._played_now + step <= goal.until:
            self._played_now += step
            goal.moved = True
        else:
            if not goal.one:
                self._played_now = goal.until
            goal.reached.set_result(None)
        return 0.0

    def _let_run(self, timeout: float | None) -> float:
        if timeout is None:
            return _PATIENCE_SECONDS
        self._played_now += timeout
        return 0.0

    def stalled(self, why: str) -> Stalled:
        """Nothing will happen any more: what is cancelled now is to end."""
        self.free = True
        return Stalled(f"at {self._played_now:g} s everything waits: {why}")


class _Selector(selectors.DefaultSelector):
    """Asks what to do before it waits."""

    def __init__(self, idle: Callable[[float | None], float], stalled: Callable[[str], Stalled]) -> None:
        super().__init__()
        self._idle = idle
        self._stalled = stalled

    def select(self, timeout: float | None = None) -> Any:
        """At once, unless there is nothing but somebody outside to wait for."""
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        wait = self._idle(timeout)
        found = super().select(wait)
        if wait and not found:
            raise self._stalled(f"no thread and no process has come back within {wait:g} real seconds")
        return found


def _is_task(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)  # type: ignore[attr-defined]  # noqa: SLF001


def _owner(handle: asyncio.Handle) -> Process | None:
    context: contextvars.Context = handle._context  # type: ignore[attr-defined]  # noqa: SLF001
    return context.get(PROCESS)

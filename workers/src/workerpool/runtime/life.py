"""The program's lifespan around the worker's life: it may take its time, but not hold up the worker's end.

It has a task of its own, in which it begins and ends, as task groups and timeouts inside it need; so one that hangs can
be cancelled, and one that ignores this can be left behind. What it puts into context variables, handlers see.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from workerpool.runtime.drain import CANCEL_SECONDS, Stop


class Life:
    """Entered once, and left once.

    Attributes:
        context: What the lifespan gave.
    """

    def __init__(
        self, lifespan: Callable[[], AbstractAsyncContextManager[Any]] | None, *, stop: Stop, seconds: float, log: Any
    ) -> None:
        """`lifespan`: None: the program has none.

        `seconds`: how long it may take to end, from when the worker was told to stop; but 3 s in any case.
        """
        self._lifespan = lifespan
        self._stop = stop
        self._seconds = seconds
        self._log = log
        self._entered = asyncio.Event()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self.context: Any = None

    @property
    def lasts(self) -> bool:
        """Whether it has begun and goes on."""
        return self._task is not None and not self._task.done()

    async def begin(self) -> bool:
        """Enter it; False: the worker was told to stop before it was in, and so there is nothing to leave.

        Raises:
            Exception: what the lifespan raised.
        """
        if self._lifespan is None:
            return True
        context = contextvars.copy_context()
        self._task = asyncio.create_task(self._live(self._lifespan()), name="workerpool-lifespan", context=context)
        try:
            await self._until(self._entered.wait(), self._stop.asked.wait())
        except asyncio.CancelledError:
            await self._cancel()
            raise
        if self._task.done():
            self._task.result()
        if self._entered.is_set():
            _adopt(context)
            return True
        self._log.warning("told to stop while the lifespan begins, it is cancelled")
        await self._cancel()
        if self._entered.is_set():  # whatever it makes of its cancellation
            await self.end()
        return False

    async def failed(self) -> None:
        """Raise what it raises of itself while the worker works."""
        assert self._task is not None, "it has begun"
        await asyncio.wait([self._task])
        self._task.result()

    async def end(self, error: BaseException | None = None) -> None:
        """Leave it; `error`: what ended the worker.

        Raises:
            Exception: what the lifespan raised as it ended.
        """
        if not self.lasts:
            return
        if error is None:
            self._over.set_result(None)
        elif isinstance(error, Exception):
            self._over.set_exception(error)
            self._over.exception()  # it may be failing, and look at nothing any more
        else:
            self._over.cancel()
        asked = self._stop.asked.is_set()
        seconds = max(CANCEL_SECONDS, self._seconds - self._stop.seconds_ago) if asked else self._seconds
        ended = await self._until(self._stop.hurry.wait(), seconds=seconds)
        if not ended:
            self._log.error("the lifespan does not end, it is cancelled", seconds=round(seconds, 3))
            await self._cancel()
        elif (raised := self._raised()) is not None and raised is not error:
            raise raised

    async def _live(self, lifespan: AbstractAsyncContextManager[Any]) -> None:
        async with lifespan as self.context:
            self._entered.set()
            await self._over

    async def _until(self, *events: Coroutine[Any, Any, object], seconds: float | None = None) -> bool:
        """Return when the task has ended, which is True, or one of these is there, or the time is up."""
        assert self._task is not None, "it has begun"
        tasks = [asyncio.create_task(event) for event in events]
        try:
            await asyncio.wait([self._task, *tasks], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        return self._task.done()

    async def _cancel(self) -> None:
        assert self._task is not None, "it has begun"
        self._task.cancel()
        await asyncio.wait([self._task], timeout=CANCEL_SECONDS)
        if self.lasts:
            self._log.error("the lifespan does not heed its cancellation")
        elif (raised := self._raised()) is not None:
            self._log.error("the lifespan failed as it was cancelled", exc_info=raised)

    def _raised(self) -> BaseException | None:
        assert self._task is not None, "it has begun"
        return None if self._task.cancelled() else self._task.exception()


def _adopt(context: contextvars.Context) -> None:
    """Set here what was set there."""
    here = contextvars.copy_context()
    for variable, value in context.items():
        if variable not in here or here[variable] is not value:
            variable.set(value)

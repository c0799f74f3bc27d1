"""The io lane: the worker's own event loop."""

import asyncio
import inspect
from collections.abc import Sequence

from workerpool.runtime.lanes import Bound, Given, Handler, within
from workerpool.telemetry.metrics import Threads


class IoLane:
    """Runs handlers where everything else runs: they must not block."""

    turns = None

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._deaf: set[asyncio.Task[None]] = set()

    def abandon(self, task: "asyncio.Task[None]") -> None:
        """The handler in this task does not heed its cancellation: its job, or jobs, have been settled without it."""
        self._deaf.add(task)
        task.add_done_callback(self._deaf.discard)

    def bind(self, handler: Handler) -> Bound:
        """The function itself; a plain one, which somebody put here on purpose, is called in a coroutine."""
        if inspect.iscoroutinefunction(handler.function):
            return within(handler.timeout, handler.function)
        function = handler.function

        async def call(given: Given) -> None:
            await asyncio.sleep(0)  # between two of them the loop turns
            function(given)

        return within(handler.timeout, call)

    def threads(self) -> Threads:
        """None; wedged ones are handlers that heed no cancellation."""
        return Threads(wedged=len(self._deaf))

    def cpu_seconds(self) -> float:
        """None: it has no threads."""
        return 0.0

    def processes(self) -> Sequence[int]:
        """None."""
        return ()

    def problem(self) -> str:
        """Too many handlers heed no cancellation: nothing but the end of the process ends them."""
        if len(self._deaf) <= self.slots:
            return ""
        return f"{len(self._deaf)} handlers do not heed their cancellation: they swallow CancelledError"

    async def close(self) -> None:
        """Nothing to close."""

"""The io lane: the worker's own event loop."""

import asyncio
import inspect
from collections.abc import Sequence

from workerpool._job import Job
from workerpool.runtime.lanes import Bound, Handler, within
from workerpool.telemetry.metrics import Threads


class IoLane:
    """Runs handlers where everything else runs: they must not block."""

    def __init__(self, slots: int) -> None:
        self.slots = slots

    def bind(self, handler: Handler) -> Bound:
        """The function itself; a plain one, which somebody put here on purpose, is called in a coroutine."""
        if inspect.iscoroutinefunction(handler.function):
            return within(handler.timeout, handler.function)
        function = handler.function

        async def call(job: Job) -> None:
            await asyncio.sleep(0)  # between two of them the loop turns
            function(job)

        return within(handler.timeout, call)

    def threads(self) -> Threads:
        """None."""
        return Threads()

    def processes(self) -> Sequence[int]:
        """None."""
        return ()

    def problem(self) -> str:
        """The loop's own heartbeat tells more than could be told here."""
        return ""

    async def close(self) -> None:
        """Nothing to close."""

"""Obeying the fence: the gate is closed before its id is reported back."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from workerpool.runtime.live import LiveSettings

FENCE: Final = "fence"


class Closable(Protocol):
    """What stands before the queue: the SDK's own gate, or one that makes another library stop consuming."""

    async def close(self, reason: str) -> None:
        """Let nothing in, and return when nothing more can come: what came is counted as in flight by then."""

    def open(self, reason: str) -> None:
        """Take a reason away; the last one opens it."""


class FenceKeeper:
    """Makes the fence that is in force follow the one that is wanted.

    `in_force` is what may be reported: it names a fence only after the gate is closed and empty, and it names none
    before the gate opens. A fence that replaces another one while the gate is closed is in force at once.
    """

    def __init__(self, live: LiveSettings, gate: Closable, *, changed: Callable[[], None]) -> None:
        self._live = live
        self._gate = gate
        self._changed = changed
        self._look = asyncio.Event()
        self.in_force = ""

    def look(self) -> None:
        """The settings have changed."""
        self._look.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            wanted = self._live.fence
            if wanted != self.in_force:
                if wanted:
                    await self._gate.close(FENCE)
                self.in_force = wanted
                if not wanted:
                    self._gate.open(FENCE)
                self._changed()
                continue  # what is wanted may have changed while the gate was closing
            try:
                async with asyncio.timeout(self._live.lapses_in):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()

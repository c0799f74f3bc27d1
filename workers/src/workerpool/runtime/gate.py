"""The gate before the queue: while it is closed for any reason, nothing is taken.

Closing is complete only when no take is in progress any more. What such a take still brought is in flight by then,
because it is registered before the take leaves the gate. So whoever reports "fenced" after `close` returned reports
a number of jobs in flight that can only fall: that is what the operator relies on when it stops this pod.
"""

import asyncio
from collections.abc import Awaitable, Callable


class Gate:
    """Counts the takes inside, and lets in none while there is a reason not to."""

    def __init__(self) -> None:
        self._reasons: set[str] = set()
        self._inside = 0
        self._opened = asyncio.Event()
        self._opened.set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._interrupts: list[Callable[[], Awaitable[None]]] = []

    def on_close(self, interrupt: Callable[[], Awaitable[None]]) -> None:
        """Register what makes a take in progress return soon."""
        self._interrupts.append(interrupt)

    @property
    def reasons(self) -> frozenset[str]:
        """Why the gate is closed; empty while it is open."""
        return frozenset(self._reasons)

    def enter(self) -> bool:
        """Begin a take, unless the gate is closed. There is no moment between the look and the step."""
        if self._reasons:
            return False
        self._inside += 1
        self._empty.clear()
        return True

    def leave(self) -> None:
        """End a take whose jobs are registered."""
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    def shut(self, reason: str) -> None:
        """Let nobody in from now on, whoever is inside."""
        self._reasons.add(reason)
        self._opened.clear()

    async def close(self, reason: str) -> None:
        """Let nobody in, and return when nobody is inside."""
        self.shut(reason)
        await self.emptied(reason)

    async def emptied(self, reason: str) -> None:
        """Return when nobody is inside; at the latest when this is no reason any more."""
        while self._inside and reason in self._reasons:
            await asyncio.gather(*(interrupt() for interrupt in self._interrupts))
            await self._empty.wait()

    def open(self, reason: str) -> None:
        """Take a reason away; the last one opens the gate."""
        self._reasons.discard(reason)
        if not self._reasons:
            self._opened.set()

    async def wait_open(self) -> None:
        """Return when the gate is open."""
        await self._opened.wait()

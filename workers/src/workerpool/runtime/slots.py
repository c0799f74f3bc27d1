"""The slots of a worker, shared by the intakes of its queues.

A slot is reserved before a job is taken and free again when the job is settled, so there are never more jobs here than
slots. An intake that waits on an idle queue holds reservations, which another queue's jobs could use: so each may
hold only its share, whoever finds none left has the idle ones interrupted, and while someone waits, others get one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable


class Slots:
    """A counter of free slots with a fair queue."""

    def __init__(self, total: int, *, intakes: int) -> None:
        self.total = total
        self._intakes = intakes
        self._free = total
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._starved: list[Callable[[], Awaitable[None]]] = []
        self._interrupting: set[asyncio.Future[None]] = set()

    @property
    def contended(self) -> bool:
        """Whether someone waits for a slot: then do not sit on reservations."""
        return bool(self._waiting)

    def on_starved(self, interrupt: Callable[[], Awaitable[None]]) -> None:
        """Register what makes an idle take return its reservations."""
        self._starved.append(interrupt)

    def resize(self, total: int) -> None:
        """Have so many from now on. Fewer than are in use: the next ones that are released are gone."""
        more, self.total = total - self.total, total
        self.release(more)
        if self._free < 0:
            self._interrupt_idle()

    async def reserve(self) -> int:
        """Reserve at least one slot, waiting for it in turn; return how many."""
        share = max(1, -(-self.total // self._intakes))
        if self._free <= 0 or self._waiting:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            if self._intakes > 1:
                self._interrupt_idle()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.release(1)
                elif turn in self._waiting:  # else somebody came to it who had a slot to give
                    self._waiting.remove(turn)
                raise
            # The slot that ended the wait is ours already.
            more = 0 if self._waiting else max(0, min(self._free, share - 1))
            self._free -= more
            return 1 + more
        granted = min(self._free, share)
        self._free -= granted
        return granted

    def release(self, count: int) -> None:
        """Give back reservations, or slots of settled jobs."""
        self._free += count
        while self._free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self._free -= 1
                turn.set_result(None)

    def _interrupt_idle(self) -> None:
        for interrupt in self._starved:
            task = asyncio.ensure_future(interrupt())
            self._interrupting.add(task)
            task.add_done_callback(self._interrupting.discard)

"""What a worker does with jobs for which it has no room in their lane, although it has room for others.

Who takes says for which types it has no room, and a broker leaves those where they are. A stream without an order,
though, tells nobody what is in it before it is taken. There a job of a full lane goes back to the stream's end, where
another worker may have room for it, and what stands behind it gets its turn: a lane that stands still does not hold up
the others. The job's attempt does not count.

While a lane stays full its jobs go round and round there. That costs the worker and the broker something each time, so
it is paced: a short pause per job, twice as long after each full round that brought nothing, and an end to the pause
when a lane has room again. Where a worker spends its days like that, its kinds of jobs belong into pools of their own.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

PAUSE_SECONDS: Final = 0.003
"""Per job handed back: at most some 300 a second and worker."""
LONGEST_PAUSE_SECONDS: Final = 0.25
_MOST_REMEMBERED: Final = 10_000
_MOST_DOUBLINGS: Final = 3


class Rotation:
    """Paces one intake."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._found = False
        self._fruitless = 0
        self._room = asyncio.Event()

    def took(self, *, accepted: int, refused: Sequence[str]) -> float:
        """A take brought so many jobs that could be started, and these, by id, that could not. Seconds to pause."""
        self._found |= accepted > 0
        if not refused:
            return 0.0
        if len(self._seen) > _MOST_REMEMBERED or not self._seen.isdisjoint(refused):
            self._fruitless = 0 if self._found else min(self._fruitless + 1, _MOST_DOUBLINGS)
            self._seen.clear()
            self._found = False
        self._seen.update(refused)
        self._room.clear()
        return min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * len(refused) * (1 << self._fruitless))

    def room(self) -> None:
        """A lane has a slot again."""
        self._fruitless = 0
        self._room.set()

    async def pause(self, seconds: float) -> None:
        """Until the time is up or there is room."""
        try:
            async with asyncio.timeout(seconds):
                await self._room.wait()
        except TimeoutError:
            return

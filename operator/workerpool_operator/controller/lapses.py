"""Readings that lapse, or count again, without a word.

A collector that is connected may have stopped saying anything, and may begin again with what it said last: neither is
news that anybody tells, so nothing else would make a plan of it, in any mode.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.serve.values import QueueId

LOOK_SECONDS: Final = 1.0


class Board(Protocol):
    """When queues were read."""

    def fresh(self) -> AbstractSet[QueueId]:
        """The queues whose latest reading counts at this moment."""


class Lapses:
    """Has pools looked at of which a reading has just lapsed, or has come back."""

    def __init__(self, board: Board, *, due: Callable[[PoolKey], None]) -> None:
        """`due` hears of each change once."""
        self._board = board
        self._due = due
        self._fresh: AbstractSet[QueueId] = frozenset()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Compare with the last look."""
        fresh = self._board.fresh()
        for pool in {pool for pool, _ in self._fresh ^ fresh}:
            self._due(PoolKey(*pool))
        self._fresh = fresh

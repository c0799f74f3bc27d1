"""Readings that lapse, or count again, without a word.

A collector that is connected may have stopped saying anything, and may begin again with what it said last: neither is
news that anybody tells, so nothing else would make a plan of it, in any mode.
"""

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.serve.values import PoolId

LOOK_SECONDS: Final = 1.0


class Board(Protocol):
    """When queues were read."""

    def turned(self) -> AbstractSet[PoolId]:
        """Pools of which a reading has lapsed, or counts again, since this was last asked."""


class Lapses:
    """Has pools looked at of which a reading has just lapsed, or has come back."""

    def __init__(self, board: Board, *, due: Callable[[PoolKey], None]) -> None:
        """`due` hears of each change once."""
        self._board = board
        self._due = due

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Tell of what has changed since the last look."""
        for pool in self._board.turned():
            self._due(PoolKey(*pool))

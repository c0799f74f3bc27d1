"""Numbers that lapse, or count again, without a word.

Readings stop by saying nothing, and may begin again with what they said last, so nothing makes a plan of either. The
metrics API asks the board at each question; KEDA reads what a plan has written, which has to be planned anew.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol

from workerpool_operator.controller.keys import PoolKey
from workerpool_operator.serve.values import Value

LOOK_SECONDS: Final = 1.0


class Board(Protocol):
    """The numbers of all pools."""

    def get(self, namespace: str, pool: str) -> Value | None:
        """The pool's number, or None where there is none that may be believed now."""


class Lapses:
    """Has pools looked at when their number has just lapsed, or has come back."""

    def __init__(
        self, board: Board, *, pools: Callable[[], Collection[PoolKey]], due: Callable[[PoolKey], None]
    ) -> None:
        """`pools()` are those that it matters for; `due` hears of each change once."""
        self._board = board
        self._pools = pools
        self._due = due
        self._known: frozenset[PoolKey] = frozenset()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Compare with the last look."""
        pools = self._pools()
        known = frozenset(pool for pool in pools if self._board.get(pool.namespace, pool.name) is not None)
        for pool in (self._known ^ known).intersection(pools):
            self._due(pool)
        self._known = known

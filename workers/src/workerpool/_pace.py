"""How fast one producer may enqueue: turns, handed out in the order in which they are asked for.

Virtual scheduling (the Generic Cell Rate Algorithm, ITU-T I.371): each job moves the time of the next one by 1 / rate;
a producer that was idle may catch up on a second's worth, and no more. A turn that was handed out is spent, also when
its job was not put after all: the rate is a limit, not a promise.
"""

import math
from typing import Final

_CATCH_UP_SECONDS: Final = 1.0
_GRAIN_SECONDS: Final = 0.05
"""Turns that come in so short a time are handed out together: one round trip for all of them."""


class Pace:
    """One for all calls of a producer. Times are seconds of one monotonic clock."""

    def __init__(self, rate: float) -> None:
        """`rate`: jobs per second."""
        self._rate = rate
        self._reserve = max(0.0, _CATCH_UP_SECONDS - 1.0 / rate)
        self._next = -math.inf

    def turns(self, most: int, *, now: float, until: float) -> tuple[int, float]:
        """How many of `most` jobs may be put together, and after how many seconds; 0 when the first is after `until`.

        Those are handed out by that.
        """
        first = max(self._next, now - self._reserve)
        at = max(first, now)
        if at > until:
            return 0, at - now
        count = min(most, 1 + math.floor((at + _GRAIN_SECONDS - first) * self._rate + 1e-9))
        self._next = first + count / self._rate
        return count, at - now

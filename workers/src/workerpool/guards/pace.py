"""The pace of one worker: it begins at most so many jobs per second, whatever its peers do.

The operator sets it for the workers of a version that is tried: who fails each job at once is free at once, and without
a pace would take nearly all jobs of a backlog before there is a verdict. And for all workers of a pool whose brokers
cannot keep count for them: each has its share of the pool's rate limit. Its tokens are the worker's own, so no broker
is asked; the pool's bucket, where it has one, holds as well.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from workerpool.guards.rate import RateLimiter

BURST_SECONDS: Final = 1.0
"""So much of what was not used may be made up for, unless it is said otherwise."""
SHORTEST_PAUSE_SECONDS: Final = 0.001
"""What is missing by rounding alone is not waited for in steps of nothing."""
LONGEST_PAUSE_SECONDS: Final = 1.0
"""The pace may change, or lapse."""


class Pace:
    """One for all intakes of a worker; in place of the pool's limiter, which it asks.

    Attributes:
        waiting: Whether an intake has room for jobs and waits for its time.
    """

    def __init__(
        self,
        *,
        rate: Callable[[], float | None],
        pool: "Callable[[], RateLimiter | None]",
        changed: Callable[[], None],
        clock: Callable[[], float],
        burst: Callable[[], float] = lambda: BURST_SECONDS,
        first: float = 1.0,
    ) -> None:
        """`rate`: jobs per second, None when there is none now. `pool`: the limiter of the pool's own limit.

        `burst`: so many seconds of what was not used may be made up for. `first`: jobs that may begin at once.
        """
        self._rate = rate
        self._pool = pool
        self._changed = changed
        self._clock = clock
        self._burst = burst
        self._tokens = first
        self._filled_at = clock()
        self._ask: dict[str, int] = {}  # by queue: twice what it could use last, one when it found nothing
        self._asking = 0
        self.waiting = False

    @property
    def contended(self) -> bool:
        """Whether an intake waits for what another one holds."""
        pool = self._pool()
        return self._asking > 0 or (pool is not None and pool.contended)

    async def draw(self, queue: str, most: int) -> int:
        """One job or more, at most `most`; waits for the first. Say by `spent` what became of them.

        Raises:
            BrokerError: of the pool's limit.
        """
        self._asking += 1
        try:
            while (rate := self._rate()) is not None and (self._fill(rate) < 1.0 or not rate):
                self._set_waiting(to=True)
                pause = (1.0 - self._tokens) / rate if rate else LONGEST_PAUSE_SECONDS
                await asyncio.sleep(min(max(pause, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
        finally:
            self._asking -= 1
            self._set_waiting(to=False)
        granted = most
        if rate is not None:
            granted = min(most, self._ask.get(queue, 1), int(self._tokens))
            self._tokens -= granted
        pool = self._pool()
        if pool is None:
            return granted
        drawn = 0
        try:
            drawn = await pool.draw(queue, granted)
        finally:
            self._tokens += granted - drawn
        return drawn

    async def spent(self, queue: str, *, drawn: int, used: int) -> None:
        """So many of those drawn were spent on jobs that run."""
        self._tokens += drawn - used
        self._ask[queue] = max(1, 2 * used)
        pool = self._pool()
        if pool is not None:
            await pool.spent(queue, drawn=drawn, used=used)

    def _fill(self, rate: float) -> float:
        now = self._clock()
        most = max(1.0, rate * self._burst())
        self._tokens = min(most, max(self._tokens, -most) + (now - self._filled_at) * rate)
        self._filled_at = now
        return self._tokens

    def _set_waiting(self, *, to: bool) -> None:
        if to != self.waiting:
            self.waiting = to
            self._changed()

"""The pool's rate limit: a job is taken only with a token of the bucket that all workers of the pool draw from.

Tokens are drawn several at a time, before the take, so that a job never waits here for one. A worker asks for twice as
many as it could use last time, and for a single one when it found nothing: so idle workers hold hardly any tokens with
which a sudden flood could pass the limit. What a take leaves over goes to another queue of this worker that waits for
it, or to the next take; after a take that brought nothing, back into the bucket.

A broker that does not answer gives no tokens, so nothing is taken; tokens lost in an answer that never came are lost.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

from workerpool.broker import Broker, BrokerError
from workerpool.broker._bucket import burst
from workerpool.telemetry.metrics import Metrics

SHORTEST_PAUSE_SECONDS: Final = 0.1
"""At most some ten questions per second and worker, however high the rate: shorter than the burst, so none is lost."""
LONGEST_PAUSE_SECONDS: Final = 1.0
"""Others give tokens back, and the limit may change."""
_JITTER_SECONDS: Final = 0.05


class RateLimiter:
    """One for all intakes of a worker.

    Attributes:
        waiting: Whether an intake has room for jobs and waits for a token.
    """

    def __init__(
        self,
        broker: Broker,
        bucket: str,
        *,
        rate: Callable[[], float | None],
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        """`rate`: jobs per second for the whole pool, None when there is no limit now. `changed`: `waiting` did."""
        self._broker = broker
        self._bucket = bucket
        self._rate = rate
        self._metrics = metrics
        self._changed = changed
        self._left_over = 0
        self._ask: dict[str, int] = {}  # by queue
        self._asking = 0
        self._turn = asyncio.Lock()
        self._returned = asyncio.Event()
        self.waiting = False

    @property
    def contended(self) -> bool:
        """Whether an intake waits for tokens that another one holds: then do not sit on them."""
        return self._asking > 0

    async def draw(self, queue: str, most: int) -> int:
        """One token or more, at most `most`; waits for the first. Say by `spent` what became of them.

        Raises:
            BrokerError: the broker does not say.
        """
        want = min(most, self._ask.get(queue, 1))
        self._asking += 1
        try:
            async with self._turn:
                while self._rate() is not None:
                    retry_after = await self._fill(want)
                    if self._left_over:
                        granted = min(want, self._left_over)
                        self._left_over -= granted
                        return granted
                    await self._wait(retry_after)
                return most
        finally:
            self._asking -= 1
            self._set_waiting(to=False)

    async def spent(self, queue: str, *, drawn: int, used: int) -> None:
        """So many of those drawn were spent on jobs that run. Never raises for the broker's sake."""
        if self._rate() is None:
            self._left_over = 0
            return
        self._left_over += drawn - used
        self._ask[queue] = max(1, 2 * used)
        if self._asking:
            if self._left_over:
                self._returned.set()
        elif not used:
            await self.give_back()

    async def give_back(self) -> None:
        """Return what is left over."""
        count, self._left_over = self._left_over, 0
        if count and (rate := self._rate()) is not None:
            with contextlib.suppress(BrokerError):  # lost: too few jobs run for a moment, never too many
                await self._broker.take_tokens(self._bucket, count=-count, rate=rate, burst=burst(rate))

    async def _fill(self, want: int) -> float:
        """Ask for what is missing; return after how many seconds it might be there."""
        rate, missing = self._rate(), want - self._left_over
        if rate is None or missing <= 0:
            return 0.0
        tokens = await self._broker.take_tokens(self._bucket, count=missing, rate=rate, burst=burst(rate))
        self._left_over += tokens.granted
        return tokens.retry_after

    async def _wait(self, seconds: float) -> None:
        self._set_waiting(to=True)
        pause = min(max(seconds, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(pause + random.uniform(0, _JITTER_SECONDS)):  # noqa: S311
                await self._returned.wait()
        except TimeoutError:
            pass
        self._returned.clear()

    def _set_waiting(self, *, to: bool) -> None:
        if to != self.waiting:
            self.waiting = to
            self._metrics.rate_limited += to
            self._changed()

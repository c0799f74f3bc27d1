"""How a worker comes back to a broker that was away.

All workers lose a broker that restarts in the same moment, and would all be back in the moment in which it is: some
connections each, and a look for lost jobs each, on a server that has yet to warm up. So who finds it gone tries again
at a random moment of the next seconds, and from then on at random intervals: whenever it comes back, they come back one
after the other, over all of this time.

A worker that lost one connection need not wait: it has others to the same broker (one to read, one for commands), and
while one of them stands the broker was not gone. It tries again at once, and when that fails with exponential backoff
and full jitter. Where the broker is there and refuses one call, as one that is full does, other calls need not wait.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

from workerpool.broker import Broker

SPREAD_SECONDS: Final = 8.0
"""Over which workers come back."""
_LOOK_SECONDS: Final = (0.05, 0.2)
"""Until the news of the other connections' ends has come, too."""
_LONGEST_PAUSE_SECONDS: Final = 5.0
_TICK_SECONDS: Final = 0.001
"""Timers are no more exact."""
_FORGET_SECONDS: Final = 30.0
"""After which a failure is no part of the same trouble: a worker whose slots are full takes nothing for long."""
_LONGEST_HURRIED_PAUSE_SECONDS: Final = 1.0


def scattered(spread: float, *, first: bool, chance: Callable[[], float] = random.random) -> float:
    """Seconds until the next try, so that many who began together try one after the other over `spread` seconds.

    The first time any of them, so that they part; then intervals between half of them and all.
    """
    low = 0.0 if first else spread / 2
    return low + (spread - low) * chance()


class Comeback:
    """When this worker tries again, the same for all that it does with one broker."""

    def __init__(self, broker: Broker, *, chance: Callable[[], float] = random.random) -> None:
        self._broker = broker
        self._chance = chance
        self._tries = 0
        self._gone = False
        self._next = 0.0
        self._hurried = asyncio.Event()

    @property
    def spread_seconds(self) -> float:
        """Short enough for leases to be extended in time."""
        return min(SPREAD_SECONDS, self._broker.lease_seconds / 3)

    def failed(self, times: int = 1) -> None:
        """A call found the broker away. Calls that fail together count as one try.

        `times`: how often the caller's calls have failed, one after the other; others may have had more luck.
        """
        now = asyncio.get_running_loop().time()
        if now > self._next - _TICK_SECONDS:
            if now - self._next > _FORGET_SECONDS:
                self.worked()
            self._tries = max(self._tries + 1, times)
            self._next = now + self._pause()

    def worked(self) -> None:
        """Jobs can be taken again."""
        self._tries, self._gone, self._next = 0, False, 0.0

    def hurry(self) -> None:
        """The worker leaves, and has little time: try often from now on."""
        self._next = 0.0
        self._hurried.set()

    async def turn(self) -> None:
        """Return when it is time to try; at once while nothing has failed."""
        clock = asyncio.get_running_loop().time
        while (wait := self._next - clock()) > _TICK_SECONDS:
            hurried = self._hurried.is_set()
            await self._wait(wait)
            if not hurried and self._tries == 1 and not self._broker.connected:
                self.failed()

    async def refused(self, times: int) -> None:
        """A call was refused, so often, by a broker that is there: return when it is time to try that one again."""
        await self._wait(self._backoff(times))

    async def _wait(self, seconds: float) -> None:
        if self._hurried.is_set():
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()

    def _pause(self) -> float:
        if self._tries == 1:
            return self._between(*_LOOK_SECONDS)
        if self._hurried.is_set() or self._broker.connected:
            return self._backoff(self._tries)
        first, self._gone = not self._gone, True
        return scattered(self.spread_seconds, first=first, chance=self._chance)

    def _backoff(self, times: int) -> float:
        longest = _LONGEST_HURRIED_PAUSE_SECONDS if self._hurried.is_set() else _LONGEST_PAUSE_SECONDS
        ceiling = min(longest, 0.1 * 2 ** min(times, 10))
        return self._between(ceiling / 4, ceiling)

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * self._chance()

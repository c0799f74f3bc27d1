"""A timeout for calls that follows what they take: twice the 99th percentile of the last few hundred.

A timeout that somebody once chose is too long on most days: each call to what hangs holds a slot for all of it. And
when what is called becomes slower for good, one that follows too closely would fail every call: so a call that ran into
its timeout counts with what it took, and the timeout doubles by and by, up to the declared one.
"""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import ceil
from time import monotonic
from typing import Final

from workerpool.errors import ConfigurationError

TIMES: Final = 2.0
QUANTILE: Final = 0.99
CALLS: Final = 400
"""That are remembered."""
LEAST_CALLS: Final = 100
"""The 99th percentile of fewer is their maximum, or a guess."""
_EVERY: Final = 20
"""Calls after which it is reckoned anew."""


class CallTimeout:
    """Of one kind of call, such as one endpoint. Make it once and share it among jobs, in one event loop or thread.

    ```python
    prices = CallTimeout(most=10)

    @worker.job("reprice", timeout=60)
    async def reprice(job: Job) -> None:
        async with prices.limit():
            answer = await client.get(...)
    ```

    Args:
        most: Seconds; holds while few calls are known.
        least: Seconds below which it never falls: what a pause of either side may take.
    """

    def __init__(self, *, most: float, least: float = 0.1) -> None:
        if not 0 < least <= most:
            raise ConfigurationError("a timeout for calls needs 0 < least <= most")
        self._most, self._least = most, least
        self._took: deque[float] = deque(maxlen=CALLS)
        self._calls = 0
        self.seconds = most
        """The timeout for the next call."""

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[float]:
        """Run what is in it within the timeout, which it yields.

        Raises:
            TimeoutError: it was over.
        """
        import asyncio  # noqa: PLC0415  `watch` is for programs without it

        with self.watch() as seconds:
            async with asyncio.timeout(seconds):
                yield seconds

    @contextmanager
    def watch(self) -> Iterator[float]:
        """Yield the timeout for a call that takes one itself, and see how long it takes.

        What fails sooner, and not by TimeoutError, says nothing about how long a call takes. (The timeouts of httpx are
        no TimeoutError.)
        """
        seconds, began = self.seconds, monotonic()
        try:
            yield seconds
        except BaseException as error:
            took = monotonic() - began
            if took >= seconds or isinstance(error, TimeoutError):
                self.took(max(seconds, took))
            raise
        self.took(monotonic() - began)

    def took(self, seconds: float) -> None:
        """A call has taken so long."""
        self._took.append(seconds)
        self._calls += 1
        if self._calls >= LEAST_CALLS and self._calls % _EVERY == 0:
            slow = sorted(self._took)[ceil(QUANTILE * len(self._took)) - 1]
            self.seconds = min(self._most, max(self._least, TIMES * slow))

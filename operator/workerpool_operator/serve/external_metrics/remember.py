"""What is remembered for some seconds, and bounded: answers, each asked for once at a time, and what has been seen."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Asks once, and gives the same answer for `seconds`. What failed is asked again by the next one."""

    def __init__(self, *, seconds: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """At most `limit` answers are kept, those that were asked for last."""
        self._seconds = seconds
        self._limit = limit
        self._clock = clock
        self._answers: OrderedDict[K, tuple[asyncio.Task[V], float]] = OrderedDict()

    async def get(self, key: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The answer. Raises what the question raises; who asks the same meanwhile shares its outcome."""
        known = self._answers.get(key)
        if known is None or self._clock() >= known[1]:
            # The time counts from the question: what is answered may have been true only then.
            known = (asyncio.create_task(ask()), self._clock() + self._seconds)
            known[0].add_done_callback(lambda done: self._drop_failure(key, done))
            self._answers[key] = known
            self._answers.move_to_end(key)
            while len(self._answers) > self._limit:
                self._answers.popitem(last=False)
        return await asyncio.shield(known[0])  # one caller that hangs up does not take the answer from the others

    def _drop_failure(self, key: K, done: asyncio.Task[V]) -> None:
        held = self._answers.get(key)
        if (done.cancelled() or done.exception() is not None) and held is not None and held[0] is done:
            del self._answers[key]


class Seen(Generic[K]):
    """What was seen within the last `seconds`: the newest `limit` of it."""

    def __init__(self, *, seconds: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._limit = limit
        self._clock = clock
        self._until: OrderedDict[K, float] = OrderedDict()

    def add(self, key: K) -> None:
        """It is seen now."""
        self._until[key] = self._clock() + self._seconds
        self._until.move_to_end(key)
        if len(self._until) > self._limit:
            self._until.popitem(last=False)

    def __contains__(self, key: K) -> bool:
        return self._until.get(key, -math.inf) > self._clock()

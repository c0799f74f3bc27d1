"""What is remembered for some seconds, and bounded: answers, each asked for once at a time, and what has been seen."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(slots=True)
class _Answer(Generic[V]):
    """One answer, or the question that is under way."""

    task: asyncio.Task[V]
    asked_at: float
    renewed: bool = False
    """Whether it has been asked for again."""


class Remembered(Generic[K, V]):
    """Asks once, and gives the same answer for `seconds`. What failed is asked again by the next one."""

    def __init__(
        self,
        *,
        seconds: float,
        limit: int,
        renew_after: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """At most `limit` answers are kept, those that were asked for last.

        Who wants one that is older than `renew_after` gets it, and has it asked for again, once: so nobody waits for
        what is wanted often. It replaces the old one; when there is none, that one counts to its end.
        """
        self._seconds = seconds
        self._limit = limit
        self._renew_after = renew_after
        self._clock = clock
        self._answers: OrderedDict[K, _Answer[V]] = OrderedDict()

    async def get(self, key: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The answer. Raises what the question raises; who asks the same meanwhile shares its outcome."""
        known, now = self._answers.get(key), self._clock()
        if known is None or now >= known.asked_at + self._seconds:
            known = self._ask(ask, now)
            known.task.add_done_callback(lambda done: self._drop_failure(key, done))
            self._answers[key] = known
            self._answers.move_to_end(key)
            while len(self._answers) > self._limit:
                self._answers.popitem(last=False)
        elif now >= known.asked_at + self._renew_after and known.task.done() and not known.renewed:
            known.renewed = True
            renewal = self._ask(ask, now)
            renewal.task.add_done_callback(lambda done: self._replace(key, renewal, done))
        return await asyncio.shield(known.task)  # one caller that hangs up does not take the answer from the others

    def _ask(self, ask: Callable[[], Coroutine[Any, Any, V]], now: float) -> _Answer[V]:
        # The time counts from the question: what is answered may have been true only then.
        return _Answer(asyncio.create_task(ask()), now)

    def _replace(self, key: K, renewal: _Answer[V], done: asyncio.Task[V]) -> None:
        held = self._answers.get(key)
        if _failed(done) or held is None or held.asked_at > renewal.asked_at:
            return
        self._answers[key] = renewal

    def _drop_failure(self, key: K, done: asyncio.Task[V]) -> None:
        held = self._answers.get(key)
        if _failed(done) and held is not None and held.task is done:
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


def _failed(done: asyncio.Task[Any]) -> bool:
    return done.cancelled() or done.exception() is not None

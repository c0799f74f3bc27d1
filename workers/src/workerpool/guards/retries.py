"""The retry budget: repeated attempts are at most a share of the first ones, else they keep down what is down.

Finagle's RetryBudget, with its defaults: a fifth of the first attempts of the last ten seconds, plus ten per second, so
that a worker with few jobs can repeat them all. Without one, jobs that fail three times on the average are four times
the load, at the moment when there is least room for it.

Beyond the budget a failed job is put off by the longest backoff. Its last attempt is its last all the same: a handler
that always fails must come to an end. That an outage of any length kills no job is what breakers are for.

Nothing is done for jobs that succeed: first attempts are counted anyway, and looked up when one has failed.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

WINDOW_SECONDS: Final = 10
SHARE: Final = 0.2
PER_SECOND: Final = 10


@dataclass(slots=True)
class _Second:
    """One in which something failed."""

    number: int
    firsts: int
    """First attempts before it, since the worker's start."""
    retries: int = 0


class RetryBudget:
    """Of one worker."""

    def __init__(self, *, firsts: Callable[[], int], log: Any) -> None:
        """`firsts`: first attempts since the worker's start."""
        self._firsts = firsts
        self._log = log
        self._seconds: deque[_Second] = deque()
        self._refused_at = float("-inf")

    def spend(self, now: float) -> bool:
        """Whether a job may be tried again soon. If so that counts."""
        number, firsts = int(now), self._firsts()
        while self._seconds and self._seconds[0].number <= number - WINDOW_SECONDS:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1].number < number:
            self._seconds.append(_Second(number, firsts))
        spent = sum(second.retries for second in self._seconds)
        allowed = PER_SECOND * WINDOW_SECONDS + SHARE * (firsts - self._seconds[0].firsts)
        if spent < allowed:
            self._seconds[-1].retries += 1
            return True
        if now - self._refused_at > WINDOW_SECONDS:
            self._log.warning("too much fails: retries are put off", retries=spent, seconds=WINDOW_SECONDS)
        self._refused_at = now
        return False

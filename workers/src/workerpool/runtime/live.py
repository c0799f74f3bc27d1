"""Live settings: what the collector last said, for as long as it holds."""

import random
import time
from collections.abc import Callable

from workerpool.protocol import Delivery, Settings


class LiveSettings:
    """The settings in force: the collector's until they lapse, else the environment's."""

    def __init__(self, defaults: Delivery, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._defaults = defaults
        self._clock = clock
        self._settings: Settings | None = None
        self._until = 0.0

    def apply(self, settings: Settings) -> None:
        """Replace what was said before."""
        self._settings = settings
        self._until = self._clock() + settings.ttl_seconds

    @property
    def _current(self) -> Settings | None:
        if self._settings is not None and self._clock() >= self._until:
            self._settings = None
        return self._settings

    @property
    def fence(self) -> str:
        """Id of the fence; empty: jobs may be taken."""
        return self._current.fence if self._current else ""

    @property
    def delivery(self) -> Delivery:
        """Retry policy and lease."""
        said = self._current.delivery if self._current else None
        return said or self._defaults

    @property
    def lapses_in(self) -> float | None:
        """Seconds until the settings lapse, None when there are none."""
        return None if self._current is None else max(0.0, self._until - self._clock())


def retry_delay(delivery: Delivery, *, failures: int, chance: Callable[[], float] = random.random) -> float:
    """Seconds until the next attempt: uniform(0, min(cap, base * 2^n)), n = failures before this one.

    Full jitter, from "Exponential Backoff And Jitter" (M. Brooker, 2015): of the usual forms it makes the fewest calls
    to what is already failing.
    """
    exponent = min(max(0, failures - 1), 62)
    ceiling: float = min(delivery.backoff_max_seconds, delivery.backoff_seconds * 2**exponent)
    return chance() * ceiling

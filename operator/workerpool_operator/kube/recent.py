"""What was last used a moment ago: a mapping that does not grow with all that has come and gone."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps a value until its key has not been set for `seconds`, and the `limit` that were set last."""

    def __init__(self, *, seconds: float, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing."""
        self._seconds = seconds
        self._limit = limit
        self._clock = clock
        self._kept: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, or None when it is unknown or forgotten."""
        value, at = self._kept.get(key, (None, 0.0))
        return value if value is not None and self._clock() - at < self._seconds else None

    def set(self, key: K, value: V) -> None:
        """Keep it from now on, and forget what is too old or one too many."""
        now = self._clock()
        self._kept[key] = (value, now)
        self._kept.move_to_end(key)
        while len(self._kept) > self._limit or now - self._oldest() >= self._seconds:
            self._kept.popitem(last=False)

    def forget(self, key: K) -> None:
        """Drop it, if it is there."""
        self._kept.pop(key, None)

    def __len__(self) -> int:
        """How many are kept; those that nobody has asked about since they became too old are among them."""
        return len(self._kept)

    def _oldest(self) -> float:
        return next(iter(self._kept.values()))[1]

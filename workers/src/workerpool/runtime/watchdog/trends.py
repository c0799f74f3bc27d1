"""When a figure is worth a warning: pure, so that a test need not wait for a worker to leak."""

from collections import deque
from collections.abc import Sequence
from typing import Final

_SAMPLES: Final = 30
"""Readings that growth is judged by; five minutes at a heartbeat of 10 s."""


class Alarm:
    """On when a value was above `on` so many times in a row, off again when it is below `off`."""

    def __init__(self, *, on: float, off: float, times: int = 1) -> None:
        self._on, self._off, self._times = on, off, times
        self._above = 0
        self.ringing = False

    def look(self, value: float) -> bool:
        """Take a reading in; whether the alarm went on or off by it."""
        before = self.ringing
        self._above = self._above + 1 if value > self._on else 0
        if self._above >= self._times:
            self.ringing = True
        elif value < self._off:
            self.ringing = False
        return self.ringing is not before


class Growth:
    """By how much a figure has grown over the last readings, whatever its spikes."""

    def __init__(self, samples: int = _SAMPLES) -> None:
        self._values: deque[float] = deque(maxlen=samples)

    def add(self, value: float) -> float:
        """Take a reading in; the growth from the first third of the readings to the last, 0.1 is ten percent.

        0 until there are enough readings. Medians: a job that needed much for a moment is no growth.
        """
        self._values.append(value)
        if len(self._values) < (self._values.maxlen or 0):
            return 0.0
        values = list(self._values)
        third = len(values) // 3
        before = _median(values[:third])
        return _median(values[-third:]) / before - 1 if before else 0.0


def _median(values: Sequence[float]) -> float:
    # `statistics` takes 10 ms to load, in each worker that starts.
    return sorted(values)[len(values) // 2]

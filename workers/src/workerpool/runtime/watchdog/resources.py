"""Warnings about what the process uses: said once when it begins and once when it is over."""

from collections.abc import Callable
from typing import Any, Final

from workerpool.runtime.watchdog.trends import Alarm, Growth

CPU_PERCENT: Final = (90.0, 75.0)
"""Of the cores that it may use: warned about above the first, for three heartbeats, until it is below the second."""
MEMORY_GROWTH: Final = (0.25, 0.10)
"""Over the last 30 heartbeats."""
OPEN_FILES: Final = (0.8, 0.6)
"""Of what the process may open."""


class Resources:
    """Looks once per heartbeat."""

    def __init__(self, *, cores: int, open_files: Callable[[], tuple[int, int]], log: Any) -> None:
        """`open_files` tells how many are open and how many may be."""
        self._cores = cores
        self._open_files = open_files
        self._log = log
        self._cpu = Alarm(on=CPU_PERCENT[0], off=CPU_PERCENT[1], times=3)
        self._memory = Alarm(on=MEMORY_GROWTH[0], off=MEMORY_GROWTH[1], times=3)
        self._files = Alarm(on=OPEN_FILES[0], off=OPEN_FILES[1])
        self._growth = Growth()

    def look(self, *, cpu_percent: float, memory_bytes: int) -> None:
        """Take the figures of a heartbeat in."""
        busy = cpu_percent / self._cores
        if self._cpu.look(busy):
            self._say(self._cpu, "cpu is saturated: more slots would make jobs slower", percent_of_cores=round(busy))
        grown = self._growth.add(memory_bytes)
        if self._memory.look(grown):
            percent = round(100 * grown)
            self._say(self._memory, "memory grows", grown_percent=percent, memory_bytes=memory_bytes)
        used, allowed = self._open_files()
        if self._files.look(used / allowed):
            self._say(self._files, "open files run out", open_files=used, allowed=allowed)

    def _say(self, alarm: Alarm, text: str, **fields: Any) -> None:
        if alarm.ringing:
            self._log.warning(text, **fields)
        else:
            self._log.info(f"over: {text}", **fields)

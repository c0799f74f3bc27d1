"""What processes have used and hold, from /proc: they themselves and what they started."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import psutil

LOOK_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Over one window."""

    millicores: float
    rss_mb: float
    """MiB, mean of all looks."""


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time since their start. Raises psutil.NoSuchProcess."""
    return float(sum(sum(process.cpu_times()[:2]) for process in _trees(pids)))


async def over(seconds: float, pids: Callable[[], list[int]]) -> Usage:
    """Look for so long; `pids` is asked at each look and raises when one of the processes has ended."""
    held: list[float] = []
    started, used = time.monotonic(), cpu_seconds(pids())
    while (left := started + seconds - time.monotonic()) > 0:
        held.append(_rss_mb(pids()))
        await asyncio.sleep(min(LOOK_SECONDS, left))
    used, passed = cpu_seconds(pids()) - used, time.monotonic() - started
    return Usage(millicores=1000 * used / passed, rss_mb=statistics.fmean(held))


def _rss_mb(pids: Iterable[int]) -> float:
    return float(sum(process.memory_info().rss for process in _trees(pids))) / 2**20


def _trees(pids: Iterable[int]) -> list[psutil.Process]:
    trees = [psutil.Process(pid) for pid in pids]
    return [*trees, *(child for process in trees for child in process.children(recursive=True))]

"""Worker-seconds: how long workers have been there, and idle, added up between two looks at a pool."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from workerpool_operator.domain.usage import Usage


class Seconds(NamedTuple):
    """Since this replica leads."""

    used: float
    idle: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    usage: Usage
    since: float
    before: Seconds

    def at(self, now: float) -> Seconds:
        passed = now - self.since
        return Seconds(self.before.used + self.usage.workers * passed, self.before.idle + self.usage.idle * passed)


class Meter:
    """Of one pool. Fed by the event loop, read by whichever thread answers a scrape: it is replaced as a whole."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: Mapping[str, _Count] = {}

    def feed(self, usages: Iterable[Usage], *, versions: Iterable[str]) -> None:
        """From now on there are these workers. `versions` of the pool without any keep what they have."""
        now, known = self._clock(), self._counts
        said = {version: Usage(version=version, workers=0, idle=0.0) for version in versions}
        said |= {one.version: one for one in usages}
        none = Seconds(0.0, 0.0)
        self._counts = {
            version: _Count(usage=one, since=now, before=known[version].at(now) if version in known else none)
            for version, one in said.items()
        }

    def seconds(self) -> dict[str, Seconds]:
        """By version, up to this moment."""
        now = self._clock()
        return {version: count.at(now) for version, count in self._counts.items()}

"""Lines that are kept of what many workers wrote: the newest, within bounds. Pure.

Workers may have written gigabytes, and whoever looks has one machine.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from workerpool_operator.cli.logs.lines import Choice, Line

MOST_LOOKED: Final = 50_000
"""Lines of each worker that are looked through: about what a node keeps of a container by default, 10 MiB."""
MOST_LINES: Final = 50_000
MOST_BYTES: Final = 32 * 1024 * 1024
"""Kept of all workers together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which lines, and how many of them."""

    choice: Choice = field(default_factory=Choice)
    since: datetime | None = None
    tail: int | None = None
    """The last so many of each worker that are chosen; None: all of them."""
    previous: bool = False
    """Of the containers before their last restart."""

    @property
    def looked_through(self) -> int:
        """How many of a worker's last lines have to be read for that."""
        if self.choice.by_line or self.tail is None:
            return MOST_LOOKED
        return min(self.tail, MOST_LOOKED)


class Kept:
    """The newest lines. Each worker's come in the order in which it wrote them."""

    def __init__(self, tail: int | None, *, lines: int = MOST_LINES, size: int = MOST_BYTES) -> None:
        """At most `tail` lines of a worker (None: all), and of all together at most `lines` and `size` bytes."""
        self.dropped = False
        """Some had to go for the sake of the bounds."""
        self._tail = tail
        self._lines, self._size = lines, size
        self._by_worker: dict[str, deque[Line]] = {}
        self._count = self._bytes = 0

    def add(self, worker: str, line: Line) -> None:
        """One more of this worker's."""
        mine = self._by_worker.setdefault(worker, deque())
        mine.append(line)
        self._count, self._bytes = self._count + 1, self._bytes + len(line.text)
        if self._tail is not None and len(mine) > self._tail:
            self._count, self._bytes = self._count - 1, self._bytes - len(mine.popleft().text)
        # Twice as many for a while, so that it is not sorted for each line.
        if self._count > 2 * self._lines or self._bytes > 2 * self._size:
            self._shrink()

    def of(self, worker: str) -> int:
        """How many of its lines there are."""
        return len(self._by_worker.get(worker, ()))

    def all(self) -> list[Line]:
        """Of all workers, in the order of time."""
        if self._count > self._lines or self._bytes > self._size:
            self._shrink()
        return sorted((line for mine in self._by_worker.values() for line in mine), key=lambda line: line.at)

    def _shrink(self) -> None:
        self.dropped = True
        kept: dict[str, deque[Line]] = {}
        self._count = self._bytes = 0
        for worker, line in self._newest_first():
            if self._count == self._lines or self._bytes + len(line.text) > self._size:
                break
            self._count, self._bytes = self._count + 1, self._bytes + len(line.text)
            kept.setdefault(worker, deque()).appendleft(line)
        self._by_worker = kept

    def _newest_first(self) -> Iterator[tuple[str, Line]]:
        every = [(worker, line) for worker, mine in self._by_worker.items() for line in mine]
        return iter(sorted(every, key=lambda one: one[1].at)[::-1])

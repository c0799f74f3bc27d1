"""A partition that is ours: what has been read of it and not been given out, and its ledger."""

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from aiokafka import TopicPartition

from workerpool.broker._kafka.ledger import Ledger
from workerpool.broker._kafka.wire import due_at

READ_AHEAD: Final = 1_000
"""Records of a partition of jobs that wait for their time which are read before they are due. One behind these comes
late, when it is due before all of them."""


class Waiting(NamedTuple):
    """A record that was read and not given out; in the order in which they are to be."""

    due: float
    """Unix seconds; 0 where jobs wait for no time."""
    offset: int
    record: Any


@dataclass(slots=True, eq=False)
class Part:
    """Of one consumer, until the partition is somebody else's."""

    partition: TopicPartition
    ledger: Ledger
    timed: bool
    """Its jobs wait for their time."""
    next: int
    """Offset of the record to be read next."""
    _ready: deque[Waiting] = field(default_factory=deque)
    _timed: list[Waiting] = field(default_factory=list)

    def read(self, record: Any) -> None:
        """A record came. Those between it and the one before do not exist: they belonged to transactions."""
        if record.offset < self.next:
            return
        self.skip_to(record.offset)
        self.next = record.offset + 1
        if not self.ledger.is_done(record.offset):
            self._add(record)

    def skip_to(self, offset: int) -> bool:
        """There are no records from the next one to before this offset; returns whether that says anything new."""
        news = offset > self.next
        for missing in range(self.next, offset):
            self.ledger.finish(missing)
        self.next = max(self.next, offset)
        return news

    def put_back(self, record: Any) -> None:
        """It was not given out after all, or nobody works on it any more."""
        if self.timed:
            self._add(record)
        else:
            self._ready.appendleft(Waiting(0.0, record.offset, record))

    @property
    def hungry(self) -> bool:
        """Whether more is to be read."""
        if self.timed:
            return len(self._timed) < READ_AHEAD
        return not self._ready and self.ledger.has_room(self.next)

    @property
    def held_up(self) -> bool:
        """Whether nothing is given out before the first unfinished job has ended."""
        return not self.ledger.has_room(self._ready[0].offset if self._ready else self.next)

    def due(self, now: float) -> bool:
        """Whether there is one to be given out; `now` in unix seconds."""
        first = self._first()
        return first is not None and first.due <= now and self.ledger.has_room(first.offset)

    def next_due(self) -> float | None:
        """Unix seconds when the first one is due that waits for its time; None: none is known."""
        return self._timed[0].due if self._timed else None

    def pop(self) -> Any:
        """The first that is `due`."""
        return (heapq.heappop(self._timed) if self.timed else self._ready.popleft()).record

    def _add(self, record: Any) -> None:
        if self.timed:
            heapq.heappush(self._timed, Waiting(due_at(record), record.offset, record))
        else:
            self._ready.append(Waiting(0.0, record.offset, record))

    def _first(self) -> Waiting | None:
        waiting = self._timed if self.timed else self._ready
        return waiting[0] if waiting else None

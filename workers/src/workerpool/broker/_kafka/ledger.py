"""What is begun and what is done of a partition's jobs, beyond the one offset that Kafka keeps. Pure.

Kafka keeps an offset per partition and group, before which all is done, and with it a text of up to 4,096 bytes. The
text says of each job from that offset on whether it is done, or how often it was given out. So an outcome is kept for
each job, in whatever order jobs end; a partition goes over to another consumer without a finished job being repeated;
and who finds a job that was given out and has no outcome knows how many attempts died with their workers. The idea is
from Confluent's parallel-consumer, which keeps the finished ones in this way.

One byte per job, deflated, in base 85. Jobs end in about the order in which they began, so some hundred bytes are
usual. `WINDOW` bounds it: 10,000 jobs of which every second one is done, at random, need 2,600 bytes.
"""

import base64
import zlib
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 10_000
"""Jobs from the first unfinished one to the last one that is given out: then the partition waits for that first one."""
_DONE: Final = 255
_MOST_DELIVERIES: Final = 200
_LONGEST_TEXT: Final = 4_000
_FORMAT: Final = "wp1"


class Ledger:
    """Of one partition, seen by the consumer that has it or by an observer."""

    def __init__(self, base: int, marks: bytes = b"") -> None:
        self.base = base
        """Offset of the first job that is not done."""
        self._marks = bytearray(marks)
        self._settle()

    def is_done(self, offset: int) -> bool:
        """Whether this job has its outcome."""
        return offset < self.base or self._mark(offset) == _DONE

    def deliveries(self, offset: int) -> int:
        """How often it was given out without having got an outcome."""
        return 0 if self.is_done(offset) else self._mark(offset)

    def has_room(self, offset: int) -> bool:
        """Whether this job may be given out yet."""
        return offset - self.base < WINDOW

    def begin(self, offset: int) -> None:
        """It is given out, once more."""
        self._set(offset, min(_MOST_DELIVERIES, self._mark(offset) + 1))

    def unbegin(self, offset: int) -> None:
        """It was not given out after all."""
        if not self.is_done(offset):
            self._set(offset, max(0, self._mark(offset) - 1))

    def finish(self, offset: int) -> None:
        """It has its outcome, or there is no such job."""
        if offset >= self.base:
            self._set(offset, _DONE)
            self._settle()

    def counts(self) -> tuple[int, int]:
        """Jobs given out and without an outcome, and jobs done beyond the base."""
        done = self._marks.count(_DONE)
        return len(self._marks) - done - self._marks.count(0), done

    def text(self, writer: str) -> str:
        """To be kept with the offset `base`; `writer` tells who has written it."""
        for marks in (bytes(self._marks), bytes(_DONE if mark == _DONE else 0 for mark in self._marks), b""):
            text = f"{_FORMAT}:{writer}:{base64.b85encode(zlib.compress(marks)).decode() if marks else ''}"
            # Shortened, it says less than is true: an attempt is not counted, or a job done is done again.
            if len(text) <= _LONGEST_TEXT:
                break
        return text

    def _mark(self, offset: int) -> int:
        index = offset - self.base
        return self._marks[index] if 0 <= index < len(self._marks) else 0

    def _set(self, offset: int, mark: int) -> None:
        index = offset - self.base
        if index >= len(self._marks):
            self._marks.extend(bytes(index + 1 - len(self._marks)))
        self._marks[index] = mark

    def _settle(self) -> None:
        """The base is where the first one is that is not done."""
        done = len(self._marks) - len(self._marks.lstrip(b"\xff"))
        del self._marks[:done]
        self.base += done


@dataclass(frozen=True, slots=True)
class Committed:
    """What Kafka keeps of a partition."""

    offset: int
    text: str = ""

    @property
    def writer(self) -> str:
        """Who has committed it; empty: not one of ours."""
        return self._parts[0]

    def ledger(self, *, beginning: int = 0) -> Ledger:
        """What it says; from `beginning` on, before which Kafka has deleted all."""
        marks = b""
        try:
            if self._parts[1]:
                marks = zlib.decompressobj().decompress(base64.b85decode(self._parts[1]), WINDOW)
        except (ValueError, zlib.error):
            marks = b""
        gone = max(0, beginning - self.offset)
        return Ledger(self.offset + gone, marks[gone:])

    @property
    def _parts(self) -> tuple[str, str]:
        shape, _, rest = self.text.partition(":")
        writer, _, marks = rest.partition(":")
        return (writer, marks) if shape == _FORMAT else ("", "")

"""Until when what a collector said holds, by its own word: the arithmetic, without a clock.

A collector says what is, once, and then only that it still is (`protocol.Holds`). That word is as old as it says, and
as old again as its way here was longer than the quickest one yet: the two monotonic clocks are compared, so a message
that waited in a stalled connection proves nothing about the time for which it waited. Neither clock need show the right
time, and steps of wall clocks do nothing.
"""

from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from workerpool_operator.protocol import Holds

What = TypeVar("What")


@dataclass(slots=True)
class Vouch:
    """One connection's word for all that it holds. Times are the receiver's monotonic seconds."""

    until: float = -inf
    """Up to then all of it was so."""
    _ahead: float = inf
    """How far this clock is ahead of the collector's, with the quickest way here."""

    def take(self, message: Holds, *, now: float) -> None:
        """Its word has arrived."""
        self._ahead = min(self._ahead, now - message.clock)
        self.until = max(self.until, message.clock + self._ahead - message.age_seconds)


@dataclass(frozen=True, slots=True)
class Told(Generic[What]):
    """What was said of one worker or queue."""

    what: What
    at: float
    """When it was so, by the receiver's monotonic clock."""
    vouch: Vouch | None = None
    """Of the connection that holds it; None: only that moment counts."""

    @property
    def moment(self) -> float:
        """Up to when it is known to have been so."""
        return self.at if self.vouch is None else max(self.at, self.vouch.until)

    def alone(self) -> "Told[What]":
        """The same, held no more: what was vouched for stays."""
        return Told(self.what, self.moment)

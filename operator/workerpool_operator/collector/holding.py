"""What is said once and then held: no news of a worker or of a queue is told as no news, by one message for all.

A worker that says the same again, or a queue that is read to be the same, changes nothing that went up. So nothing
goes up, but every `BEAT_SECONDS` one `Holds` with the moment since which each of them has been heard, or read: the
earliest of theirs. One that is late would hold that back for all; so after `LATE_SECONDS` it is told by itself, not
held, and its age grows at the operator as it does here. What is new goes up before the message that says that nothing
else is: else an operator would take for true what is not any more.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from workerpool.protocol import Report
from workerpool_operator.protocol import QueueSample

BEAT_SECONDS: Final = 2.0
LATE_SECONDS: Final = 12.0
"""A worker speaks every 10 s, and a queue at rest is read as often. With a beat this stays below what the operator
takes for silence (15 s)."""
SAME_CPU_CORES: Final = 0.005
"""What a worker that does nothing uses of a core changes from word to word, by less than this."""

Subject = tuple[str, str, str]
"""What is told of ("workers" or "samples"), the pool, and which of its workers (uid) or queues."""


class Announce(Protocol):
    """Who hears of every change."""

    def __call__(self, what: str, pool: str, *, within: float = 0.0, news: bool = True) -> None:
        """A subject has changed; it is soon enough to tell of that so many seconds later.

        Without `news` it has not: it is for whoever has to have everything repeated.
        """


def steady(before: Report | None, said: Report | None) -> Report | None:
    """What a worker says, with the CPU that it said before where it is about the same: else each word were news."""
    if before is None or said is None or before.cpu_cores is None or said.cpu_cores is None:
        return said
    if before.cpu_cores == said.cpu_cores or abs(before.cpu_cores - said.cpu_cores) > SAME_CPU_CORES:
        return said
    return said.model_copy(update={"cpu_cores": before.cpu_cores})


def repeats(before: QueueSample | None, sample: QueueSample) -> bool:
    """Whether a reading is no news after the one that was told: all of it is the same, and both are held."""
    return before is not None and sample.held and before == sample


class Late:
    """Those that have not been heard or read in time, until they are."""

    def __init__(self) -> None:
        self._late: set[Subject] = set()

    def __contains__(self, subject: Subject) -> bool:
        return subject in self._late

    def look(self, held: Iterable[tuple[Subject, float]], *, now: float) -> tuple[float, list[Subject]]:
        """Seconds since the earliest of the times at which each was last heard or read; and those that are late now.

        Who is late counts no more, and is named once.
        """
        earliest, found = now, list[Subject]()
        for subject, moment in held:
            if subject in self._late:
                continue
            if now - moment > LATE_SECONDS:
                found.append(subject)
            elif moment < earliest:
                earliest = moment
        self._late.update(found)
        return now - earliest, found

    def ends(self, subject: Subject) -> bool:
        """It has been heard, or is gone; whether it was late."""
        was = subject in self._late
        self._late.discard(subject)
        return was

    def keep(self, pools: Iterable[str]) -> None:
        """All others of them are gone."""
        kept = set(pools)
        self._late = {subject for subject in self._late if subject[1] in kept}

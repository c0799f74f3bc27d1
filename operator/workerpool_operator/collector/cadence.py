"""How soon a queue is read again, and whether a reading is worth telling: the arithmetic, without a clock.

A queue is read every `BUSY_SECONDS` while anything in it changes. One in which nothing does stands, with jobs, or is at
rest, without; then its broker is asked to say when a job comes (`watch`), with a reading now and then for what a broker
does not say: a job that is done, one whose delay is over. At rest readings come apart: the next one after a twelfth of
the time for which the queue has rested, so that where nobody watches the news of its next job is late by no more than a
twelfth of the pause before it. How far apart they come at most follows from what a reading costs the broker
(`longest_rest`), and from whether anything but a new job can happen at all. A queue whose jobs are gone by the time it
is read comes to rest as well, so that a trickle that idle workers take at once costs one reading a job, and no more
than one every `BUSY_SECONDS`.

All queues that are not at rest share `READINGS_PER_SECOND`: the more there are, the less often each is read. Without
that, 1,000 of them asked for more than a core, and readings came so late that they counted for none.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from workerpool_operator.protocol import QueueSample

BUSY_SECONDS: Final = 0.25
IDLE_SECONDS: Final = 0.5
"""At rest, the shortest time between two readings."""
WATCH_SECONDS: Final = 1.0
"""The shortest watch."""
REST_SHARE: Final = 12.0
LONGEST_REST_SECONDS: Final = 1.0
LONGEST_RESTS: Final[Mapping[str, float]] = {"rabbitmq": 5.0, "kafka": 5.0}
"""By kind of queue: a reading is two to four questions to RabbitMQ, each of them to a quorum's leader, and about ten to
Kafka; to the others it is one or two."""
LONGEST_WATCH_SECONDS: Final = 10.0
"""Of a queue at rest in which no job is delayed: all that can happen in it is that one comes. Most queues of a large
installation are like that most of the time. One that is put into it with a delay of less than this is found so late at
most."""
STANDING_SECONDS: Final = 1.0
"""Between two readings of a queue whose jobs stand."""
READINGS_PER_SECOND: Final = 400.0
BURST_SECONDS: Final = 0.1
"""From the reading that found a burst to the next: one that is put slowly was still growing."""
BUSY_AFTER_SECONDS: Final = 5.0
"""A queue that was seen moving is read often for this long."""
CONFIRM_BUSY_SECONDS: Final = 1.0
CONFIRM_STANDING_SECONDS: Final = 5.0
CONFIRM_IDLE_SECONDS: Final = 30.0
BACKOFF_FIRST_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What comes before the next reading, in seconds: first a sleep, then a watch that a new job ends."""

    sleep: float = 0.0
    watch: float = 0.0


class Crowd:
    """The queues of one collector that are not at rest."""

    def __init__(self) -> None:
        self._awake: set[object] = set()

    def count(self, queue: object, *, awake: bool) -> None:
        """Tell of one queue whether it is one of them."""
        (self._awake.add if awake else self._awake.discard)(queue)

    def pause(self, least: float) -> float:
        """Seconds between two readings of each of them, `least` while there are few."""
        return max(least, len(self._awake) / READINGS_PER_SECOND)


class Cadence:
    """The pace of one queue. Times are seconds of any one monotonic clock."""

    def __init__(self, *, every: float = 0.0, rest: float = LONGEST_REST_SECONDS, crowd: Crowd | None = None) -> None:
        """`every`: seconds that lie between two readings at least. `rest`: that lie between them at rest, at most.

        `crowd`: the collector's.
        """
        self._every = every
        self._crowd = crowd or Crowd()
        self._rest = rest
        self._told: tuple[object, float] | None = None
        self._told_arrivals: int | None = None
        self._moved_at = float("-inf")
        self._came_at = float("-inf")
        self._failures = 0
        self.confirm_seconds = max(every, CONFIRM_BUSY_SECONDS)
        self.held = False
        """Whether the queue is at rest, and is read so often that all at rest can be spoken of as one."""

    def next(
        self, sample: QueueSample, *, now: float, watchable: bool, woken: bool, still: bool = False
    ) -> tuple[Pace, bool]:
        """What comes before the next reading, and whether to tell this one.

        `watchable`: the broker can be watched. `woken`: this reading came early, because a watch saw a job. `still`: no
        job is delayed.
        """
        meaning = (sample.waiting, sample.in_flight, sample.dead_letters, sample.error, sample.message)
        changed = self._told is None or self._told[0] != meaning
        empty = not sample.waiting and not sample.in_flight
        if changed:
            self._moved_at = now
        busy = now - self._moved_at < BUSY_AFTER_SECONDS
        self._crowd.count(self, awake=busy or not empty)
        confirm = self._confirm(busy=busy, empty=empty)
        # Whoever was promised news every second must hear that it will come less often, or takes silence for a fault.
        slower, self.confirm_seconds = confirm > self.confirm_seconds, confirm
        self.held = empty and not busy and self._every <= LONGEST_WATCH_SECONDS
        told_at = self._told[1] if self._told else float("-inf")
        # Jobs that came and went between two readings keep a pool awake, so they are told, but not one by one.
        came = sample.arrivals_total != self._told_arrivals
        self._came_at = now if came or not empty else self._came_at
        passed = came and now - told_at >= CONFIRM_BUSY_SECONDS
        tell = changed or slower or passed or now - told_at >= self.confirm_seconds
        if tell:
            self._told = (meaning, now)
            self._told_arrivals = sample.arrivals_total
        if sample.error is not None:
            self._failures += 1
            return self._backoff(), tell
        self._failures = 0
        if self._every:
            return Pace(sleep=self._every), tell
        if busy:
            return Pace(sleep=self._crowd.pause(BURST_SECONDS if woken else BUSY_SECONDS)), tell
        if not empty:
            return _paced(self._crowd.pause(STANDING_SECONDS), watchable=watchable, woken=woken), tell
        pause = self._rested(now, left_to_watch=watchable and still)
        return _paced(max(pause, WATCH_SECONDS) if watchable else pause, watchable=watchable, woken=woken), tell

    def leave(self) -> None:
        """The queue is read no more."""
        self._crowd.count(self, awake=False)

    def _confirm(self, *, busy: bool, empty: bool) -> float:
        if busy:
            return max(self._every, CONFIRM_BUSY_SECONDS)
        return CONFIRM_IDLE_SECONDS if empty else max(self._every, CONFIRM_STANDING_SECONDS)

    def _rested(self, now: float, *, left_to_watch: bool) -> float:
        rested = now - max(self._moved_at, self._came_at)
        longest = max(self._rest, IDLE_SECONDS, LONGEST_WATCH_SECONDS if left_to_watch else 0.0)
        return min(max(rested / REST_SHARE, IDLE_SECONDS), longest)

    def _backoff(self) -> Pace:
        longest = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** min(self._failures - 1, 10))
        return Pace(sleep=longest * random.uniform(0.5, 1.0))  # noqa: S311  spreads load


def _paced(pause: float, *, watchable: bool, woken: bool) -> Pace:
    if not watchable:
        return Pace(sleep=pause)
    if woken:
        # The next job would wake us at once: however fast they come and go, readings keep the busy pace.
        return Pace(sleep=BUSY_SECONDS, watch=pause - BUSY_SECONDS)
    return Pace(watch=pause)


def longest_rest(queue: Mapping[str, Any]) -> float:
    """Seconds between two readings at rest, at most, of a queue as the resource describes it."""
    return max((rest for kind, rest in LONGEST_RESTS.items() if queue.get(kind)), default=LONGEST_REST_SECONDS)

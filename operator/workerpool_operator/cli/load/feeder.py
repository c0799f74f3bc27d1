"""Sends jobs when they are due, and measures how late it was itself."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from workerpool.broker import BrokerError, NewJob
from workerpool_operator.cli.load.schedule import Schedule

BATCH: Final = 500
RETRY_SECONDS: Final = 0.5
GIVE_UP_SECONDS: Final = 60.0
"""A broker that refuses for so long ends the load: jobs sent much too late would measure nothing."""


class Puts(Protocol):
    """The part of a broker that a feeder needs."""

    async def put(self, jobs: Sequence[NewJob], *, max_depth: int | None = None) -> int:
        """Put jobs; one whose id was put before is dropped."""


@dataclass(slots=True, kw_only=True)
class Feeder:
    """Sends the jobs of one schedule to one broker.

    Each job has an id, and the broker drops a second job of the same id: so a batch whose answer was lost is simply
    sent again.
    """

    schedule: Schedule
    job: Callable[[int], NewJob]
    on_sent: Callable[[int, float], None]
    """Called with the number of each job that was sent, and the monotonic time at which it was due."""
    lags: list[float] = field(default_factory=list)
    """How long after its time each job was in the queue, in seconds."""
    started_at: float = 0.0
    """Monotonic time of the first moment of the schedule; 0 before `run`."""
    sent: int = 0
    """Jobs that the broker has confirmed."""
    retries: int = 0
    """Batches that had to be sent again."""

    async def run(self, broker: Puts) -> None:
        """Send all jobs.

        Raises:
            BrokerError: the broker refused for `GIVE_UP_SECONDS`.
        """
        self.started_at = time.monotonic()
        number = 0
        while number < self.schedule.jobs:
            await asyncio.sleep(max(0.0, self._due(number) - time.monotonic()))
            batch = self._due_now(number)
            await self._put(broker, [self.job(each) for each in batch])
            in_queue = time.monotonic()
            for each in batch:
                self.lags.append(max(0.0, in_queue - self._due(each)))
            self.sent = number = batch.stop

    def _due(self, number: int) -> float:
        return self.started_at + self.schedule.due(number)

    def _due_now(self, first: int) -> range:
        now, last = time.monotonic(), min(first + BATCH, self.schedule.jobs)
        end = first + 1
        while end < last and self._due(end) <= now:
            end += 1
        # Before they are sent: a worker may tell of a job before our own call has returned.
        for number in range(first, end):
            self.on_sent(number, self._due(number))
        return range(first, end)

    async def _put(self, broker: Puts, jobs: Sequence[NewJob]) -> None:
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                await broker.put(jobs)
            except BrokerError:
                if time.monotonic() > give_up:
                    raise
                self.retries += 1
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

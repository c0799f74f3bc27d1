"""Sends jobs when they are due, and measures how late it was itself."""

import asyncio
import contextlib
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

    Each job has an id, by which most brokers drop a second one: so a batch whose answer was lost is simply sent again.
    RabbitMQ and Kafka keep both, see `repeated`.
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
    repeated: int = 0
    """The jobs in them: in the queue twice if the broker had taken the batch after all, and drops no duplicates."""
    _told_to_stop: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    def stop(self) -> None:
        """End `run` before all jobs are sent, but not between a batch and the broker's answer to it."""
        self._told_to_stop.set()

    async def run(self, broker: Puts) -> None:
        """Send all jobs, or those that are due until `stop`.

        Raises:
            BrokerError: the broker refused for `GIVE_UP_SECONDS`, or until `stop`.
        """
        self.started_at = time.monotonic()
        number = 0
        while number < self.schedule.jobs:
            await self._pause(self._due(number) - time.monotonic())
            if self._told_to_stop.is_set():
                return
            batch = self._due_now(number)
            await self._put(broker, [self.job(each) for each in batch])
            in_queue = time.monotonic()
            for each in batch:
                self.lags.append(max(0.0, in_queue - self._due(each)))
            self.sent = number = batch.stop

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not on after `stop`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told_to_stop.wait()

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
                await self._pause(RETRY_SECONDS)
                if self._told_to_stop.is_set():
                    raise
                self.retries += 1
                self.repeated += len(jobs)
            else:
                return

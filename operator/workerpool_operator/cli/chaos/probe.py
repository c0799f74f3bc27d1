"""Jobs of our own, at an even rate, for as long as something is broken, and what became of each of them.

As `wpool load` an open loop over the same records and the same ledger, but without a planned end: nobody knows before
how long a recovery takes.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool import Queue, broker
from workerpool.broker import Broker, BrokerError, NewJob
from workerpool_operator.cli.chaos.judge import Tally
from workerpool_operator.cli.load.ledger import Ledger
from workerpool_operator.cli.load.records import RecordReader, open_reader

_RETRY_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which jobs, and where they and the records of them are."""

    url: str = field(repr=False)  # may hold a password
    stream: str
    group: str = ""
    """Consumer group; the stream's name by default."""
    rate: float
    """Jobs per second."""
    type: str = "sleep"
    payload: Mapping[str, Any] = field(default_factory=lambda: {"seconds": 0.2, "record": True})
    records_url: str = field(default="", repr=False)
    """The Redis that records are in, where it is not that of the queue."""


class Probe:
    """Feeds and counts while it is used by `probing`."""

    def __init__(self, wish: Wish, queue: Broker, reader: RecordReader) -> None:
        self._wish = wish
        self._queue = queue
        self._reader = reader
        self._name = secrets.token_hex(4)
        self._ledger = Ledger(offset_ms=0.0)
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def done(self) -> float | None:
        """See `Jobs`."""
        return float(self._ledger.done)

    async def begin(self) -> None:
        """Start to feed.

        Raises:
            BrokerError: the broker cannot be reached.
        """
        await self._queue.depth()
        await self._reader.begin()
        self._tasks = [asyncio.create_task(self._feed(), name="feed"), asyncio.create_task(self._listen(), name="read")]

    async def finish(self, *, seconds: float) -> Tally:
        """See `Jobs`."""
        self._over.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tasks[0]
                while not self._ledger.settled:  # noqa: ASYNC110  it follows from what many records say together
                    await asyncio.sleep(_LOOK_SECONDS)
                await asyncio.sleep(4 * _LOOK_SECONDS)  # for what was done twice to be told twice
        outcome = self._ledger.outcome()
        return Tally(
            enqueued=outcome.enqueued,
            lost=outcome.unfinished + outcome.dead,
            duplicated=outcome.duplicated,
            interrupted=outcome.interrupted,
        )

    async def close(self) -> None:
        """Feed no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _feed(self) -> None:
        due, number = time.monotonic(), 0
        payload = json.dumps(self._wish.payload).encode()
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    await self._over.wait()
                    return
            job = NewJob(type=self._wish.type, payload=payload, job_id=f"chaos-{self._name}-{number}")
            due, number = max(due, time.monotonic() - 1.0) + 1.0 / self._wish.rate, number + 1
            # Before it is sent: a worker may tell of it before our own call has returned.
            self._ledger.sent(job.job_id, due=time.monotonic(), burst=0)
            if not await self._put(job):
                self._ledger.withdraw(job.job_id)

    async def _put(self, job: NewJob) -> bool:
        """Whether the broker has confirmed it; the same job, under the same id, until it does or all is over."""
        while True:
            try:
                await self._queue.put([job])
            except BrokerError:
                if self._over.is_set():
                    return False
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return True

    async def _listen(self) -> None:
        while True:
            try:
                batch = await self._reader.next()
            except BrokerError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._ledger.add(batch.records)
            self._ledger.add_dead(batch.dead)


class Uncounted:
    """Where nobody feeds: what workers tell in their metrics says whether jobs go on, and nothing of single ones."""

    done: float | None = None

    async def finish(self, *, seconds: float) -> None:
        """See `Jobs`."""
        del seconds


@contextlib.asynccontextmanager
async def probing(wish: Wish) -> AsyncIterator[Probe]:
    """Feed for as long as the context lasts, or until `finish`.

    Raises:
        ConfigurationError: an address is none.
        BrokerError: the broker cannot be reached.
    """
    queue = broker.connect(wish.url, stream=wish.stream, group=wish.group)
    try:
        async with (
            Queue.connect(wish.records_url or wish.url, stream=wish.stream, group=wish.group) as address,
            open_reader(address) as reader,
        ):
            probe = Probe(wish, queue, reader)
            try:
                await probe.begin()
                yield probe
            finally:
                await probe.close()
    finally:
        await queue.close()

"""One load from its first job to its last: feed, listen, wait until all is done, add up."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from workerpool import Queue, broker
from workerpool.broker import Broker, BrokerError, NewJob
from workerpool_operator.cli.load.feeder import Feeder
from workerpool_operator.cli.load.ledger import Ledger
from workerpool_operator.cli.load.reaction import PoolHistory
from workerpool_operator.cli.load.records import RecordReader, open_reader
from workerpool_operator.cli.load.report import End, Reaction, Report
from workerpool_operator.cli.load.schedule import Schedule

TICK_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 1.0
"""The queue must be empty for so long before the load is over."""
DOUBT_SECONDS: Final = 5.0
"""Longer, where the queue and the records do not agree: jobs missing, or foreign jobs in the same queue."""
DEFAULT_TYPE: Final = "sleep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where jobs go, and what they are."""

    url: str = field(repr=False)  # may hold a password
    stream: str
    group: str = ""
    """Consumer group; the stream's name by default."""
    type: str = DEFAULT_TYPE
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is sent when, and how long to wait for it."""

    target: Target
    schedule: Schedule
    patience_seconds: float = 600.0
    """How long jobs may take after the last one was sent."""
    name: str = field(default_factory=lambda: secrets.token_hex(4))
    """Part of each job's id: tells the jobs of this run from all others."""

    def job(self, number: int) -> NewJob:
        """The job of this number."""
        payload = json.dumps(self.target.payload).encode()
        return NewJob(type=self.target.type, payload=payload, job_id=self.job_id(number))

    def job_id(self, number: int) -> str:
        """Its id."""
        return f"load-{self.name}-{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a load is."""

    planned: int
    enqueued: int
    done: int | None
    """None where no worker has told of a job yet."""
    waiting: int
    in_flight: int
    lag: float
    """How late the feeder was with its last batch, in seconds."""
    trouble: str = ""
    """What keeps the figures from being up to date."""


async def run(
    load: Load,
    *,
    stop: asyncio.Event,
    pool: PoolHistory | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Send all jobs, wait until they are done, and report; `stop` ends it early, with what was measured.

    Raises:
        ConfigurationError: the address is not one of a Redis.
        BrokerError: the broker cannot be reached at the start.
    """
    target = load.target
    queue = broker.connect(target.url, stream=target.stream, group=target.group)
    try:
        async with (
            Queue.connect(target.url, stream=target.stream, group=target.group) as address,
            open_reader(address) as reader,
        ):
            return await _Run(load, queue, reader, pool=pool, on_progress=on_progress).until(stop)
    finally:
        await queue.close()


class _Run:
    def __init__(
        self,
        load: Load,
        queue: Broker,
        reader: RecordReader,
        *,
        pool: PoolHistory | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._load = load
        self._queue = queue
        self._reader = reader
        self._pool = pool
        self._on_progress = on_progress
        self._ledger = Ledger(offset_ms=0.0)
        self._feeder = Feeder(schedule=load.schedule, job=load.job, on_sent=self._sent)
        self._depth = (0, 0)  # waiting (delayed included), in flight
        self._empty_since: float | None = None
        self._caught_up_at = 0.0
        self._settled_at: float | None = None
        self._trouble = ""

    async def until(self, stop: asyncio.Event) -> Report:
        await self._queue.depth()
        self._ledger = Ledger(offset_ms=await self._reader.clock_offset() * 1000.0)
        await self._reader.begin()
        started = time.monotonic()
        feeding = asyncio.create_task(self._feeder.run(self._queue), name="feeder")
        listening = asyncio.create_task(self._listen(), name="records")
        try:
            end = await self._watch(feeding, stop)
        finally:
            for task in (feeding, listening):
                task.cancel()
            await asyncio.gather(feeding, listening, return_exceptions=True)
        for number in range(self._feeder.sent, self._ledger.enqueued):
            self._ledger.withdraw(self._load.job_id(number))
        return self._report(end, seconds=time.monotonic() - started)

    async def _watch(self, feeding: "asyncio.Task[None]", stop: asyncio.Event) -> End:
        fed_at: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await stop.wait()
            await self._look()
            if stop.is_set():
                return End.STOPPED
            if not feeding.done():
                continue
            if isinstance(feeding.exception(), BrokerError):
                return End.BROKER_LOST
            feeding.result()
            now = time.monotonic()
            fed_at = fed_at or now
            if self._is_over(now, fed_at=fed_at):
                return End.DONE
            if now - fed_at > self._load.patience_seconds:
                return End.TIMED_OUT

    async def _look(self) -> None:
        try:
            depth = await self._queue.depth()
        except BrokerError as error:
            self._trouble, self._empty_since = str(error), None
        else:
            self._trouble = ""
            self._depth = (depth.waiting + (depth.delayed or 0), depth.in_flight or 0)
            empty = self._depth == (0, 0)
            self._empty_since = (self._empty_since or time.monotonic()) if empty else None
        lags = self._feeder.lags
        self._on_progress(
            Progress(
                planned=self._load.schedule.jobs,
                enqueued=self._feeder.sent,
                done=self._ledger.done if self._ledger.records else None,
                waiting=self._depth[0],
                in_flight=self._depth[1],
                lag=lags[-1] if lags else 0.0,
                trouble=self._trouble,
            )
        )

    def _is_over(self, now: float, *, fed_at: float) -> bool:
        """Whether nothing more will come: the queue is empty, and the records that were written are read."""
        settled = self._ledger.settled
        if not settled:
            self._settled_at = None
        else:
            self._settled_at = self._settled_at or now
            if now - self._settled_at > DOUBT_SECONDS:
                return True
        if self._empty_since is None or self._caught_up_at < self._empty_since:
            return False
        return now - max(self._empty_since, fed_at) > (SETTLE_SECONDS if settled else DOUBT_SECONDS)

    async def _listen(self) -> None:
        while True:
            asked = time.monotonic()
            try:
                batch = await self._reader.next()
            except BrokerError:
                await asyncio.sleep(TICK_SECONDS)
                continue
            self._ledger.add(batch.records)
            self._ledger.add_dead(batch.dead)
            if not batch.records and not batch.dead:
                self._caught_up_at = asked

    def _sent(self, number: int, due: float) -> None:
        self._ledger.sent(self._load.job_id(number), due=due, burst=self._load.schedule.burst_of(number))

    def _report(self, end: End, *, seconds: float) -> Report:
        feeder = self._feeder
        reaction = None
        if self._pool:
            moments = [feeder.started_at + offset for offset in self._load.schedule.burst_starts()]
            reaction = Reaction.of(self._pool, bursts=moments)
        return Report.of(
            self._ledger.outcome(),
            end=end,
            planned=self._load.schedule.jobs,
            lags=feeder.lags,
            retries=feeder.retries,
            reaction=reaction,
            seconds=seconds,
            phases=self._load.schedule.phases,
        )

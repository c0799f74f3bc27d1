"""Feeds a trace to a queue, and takes in what workers tell of each job."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench.reaction.figures import Done, Work
from bench.reaction.traces import Trace
from workerpool import Queue, broker
from workerpool.broker import BrokerError, NewJob
from workerpool_operator.cli.load.feeder import Feeder
from workerpool_operator.cli.load.ledger import Event, Ledger, Outcome, Record
from workerpool_operator.cli.load.records import RecordReader, open_reader

PATIENCE_SECONDS: Final = 120.0
"""Beyond the window: for jobs that come back when their lease has ended."""
_TICK_SECONDS: Final = 0.25
_SAID_EVERY_SECONDS: Final = 15.0


class NotMeasuredError(Exception):
    """A run did not go as the method wants it; the message says how."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What became of the jobs; seconds from the start of the trace."""

    began: float
    """The start, by the monotonic clock."""
    outcome: Outcome
    works: tuple[Work, ...]
    jobs: tuple[Done, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a trace is sent."""

    url: str
    stream: str
    group: str


async def play(trace: Trace, place: Place, *, over: Callable[[], bool], tell: Callable[[str], None]) -> Played:
    """Send all jobs, and listen until they are done, and the window has ended or `over` says that all is at rest.

    Raises:
        NotMeasuredError: not every job was done in time.
        BrokerError: Redis was lost.
    """
    target = broker.connect(place.url, stream=place.stream, group=place.group)
    try:
        async with (
            Queue.connect(place.url, stream=place.stream, group=place.group) as queue,
            open_reader(queue) as reader,
        ):
            run = _Run(trace=trace, reader=reader)
            offset = await reader.clock_offset()
            await reader.begin()
            return await run.until(over, target, offset=offset, tell=tell)
    finally:
        await target.close()


@dataclass(kw_only=True)
class _Run:
    trace: Trace
    reader: RecordReader
    records: list[Record] = field(default_factory=list)

    async def until(
        self, over: Callable[[], bool], target: broker.Broker, *, offset: float, tell: Callable[[str], None]
    ) -> Played:
        ledger = Ledger(offset_ms=offset * 1000.0)
        feeder = Feeder(
            schedule=self.trace.schedule,
            job=self._job,
            on_sent=lambda number, due: ledger.sent(_id(number), due=due, burst=0),
        )
        tasks = [
            asyncio.create_task(feeder.run(target), name="feeder"),
            asyncio.create_task(self._listen(ledger), name="records"),
        ]
        try:
            await self._wait(tasks[0], feeder, ledger, over=over, tell=tell)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        outcome = ledger.outcome()
        if outcome.done < len(self.trace.jobs):
            raise NotMeasuredError(f"{outcome.dead} jobs are among the dead letters")
        return Played(
            began=feeder.started_at,
            outcome=outcome,
            works=works(self.records, zero_ms=(feeder.started_at + offset) * 1000.0),
            jobs=done(self.trace, self.records, zero_ms=(feeder.started_at + offset) * 1000.0),
        )

    async def _wait(
        self,
        feeding: asyncio.Task[None],
        feeder: Feeder,
        ledger: Ledger,
        *,
        over: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        said_at = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if feeding.done():
                feeding.result()  # raises what ended it
            now = time.monotonic()
            passed = now - feeder.started_at if feeder.started_at else 0.0
            if now - said_at >= _SAID_EVERY_SECONDS:
                said_at = now
                tell(f"{passed:.0f} s: sent {feeder.sent} of {len(self.trace.jobs)}, done {ledger.done}")
            if feeding.done() and ledger.settled and (passed > self.trace.window or over()):
                return
            if passed > self.trace.window + PATIENCE_SECONDS:
                raise NotMeasuredError(f"only {ledger.done} of {len(self.trace.jobs)} jobs were done")

    async def _listen(self, ledger: Ledger) -> None:
        while True:
            with contextlib.suppress(BrokerError):  # it is asked again, from where it was
                batch = await self.reader.next()
                self.records += batch.records
                ledger.add(batch.records)
                ledger.add_dead(batch.dead)
                continue
            await asyncio.sleep(_TICK_SECONDS)

    def _job(self, number: int) -> NewJob:
        payload = {"seconds": self.trace.jobs[number].seconds, "record": True}
        return NewJob(type="sleep", payload=json.dumps(payload).encode(), job_id=_id(number))


def works(records: list[Record], *, zero_ms: float) -> tuple[Work, ...]:
    """Give the attempts out of the records; `zero_ms` is the start of the trace by Redis' clock."""
    open_: dict[tuple[str, str], float] = {}
    found: list[Work] = []
    for record in records:
        key, at = (record.pod, record.job), (record.at_ms - zero_ms) / 1000.0
        began = open_.pop(key, None)
        if began is not None:
            found.append(Work(pod=record.pod, began=began, ended=at))
        if record.event is Event.START:
            open_[key] = at
    return (*found, *(Work(pod=pod, began=began, ended=math.inf) for (pod, _), began in open_.items()))


def done(trace: Trace, records: list[Record], *, zero_ms: float) -> tuple[Done, ...]:
    """Give each job of the trace with the time at which it was first done."""
    ends: dict[str, float] = {}
    for record in records:
        if record.event is Event.FINISH:
            ends.setdefault(record.job, (record.at_ms - zero_ms) / 1000.0)
    return tuple(Done(due=job.due, done=ends.get(_id(number), math.inf)) for number, job in enumerate(trace.jobs))


def _id(number: int) -> str:
    """Of a job; each run has a stream of its own, so nothing else is told apart by it."""
    return f"job-{number}"

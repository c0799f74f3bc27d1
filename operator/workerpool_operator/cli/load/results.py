"""Reads what workers tell of each job where the queue is not in Redis: from a second queue beside it.

A worker of job type `sleep` puts each record, as a job, into the queue `S-results` beside the queue `S`, which every
broker has (`Queue.beside`): so the same user and the same address do. It is a queue, so who reads a record has it
alone: two loads at a time on one queue take each other's. Records of an earlier load that nobody has read are passed
over.

In Kafka the topic has to be there. Where it is not, or may not be used, there are no records, and the load says so.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from workerpool.broker import Broker, BrokerError, Taken
from workerpool_operator.cli.load.ledger import Event, Record
from workerpool_operator.cli.load.records import Batch

NAME: Final = "results"
"""Of the queue beside."""
WAIT_SECONDS: Final = 0.25
COUNT: Final = 1000
LOOK_SECONDS: Final = 1.0
"""Between two looks at how many dead letters there are."""
_PAGE: Final = 10_000
_REMEMBERED: Final = 100_000
"""Ids of records: one that comes again, since its acknowledgement was lost, comes within a lease."""
_EVENTS: Final = {event.value: event for event in Event}


class ResultReader:
    """Takes records, and looks for new dead letters. Methods raise `BrokerError`; after one, call them again."""

    def __init__(self, queue: Broker, results: Broker | None) -> None:
        """`queue`: of the jobs. `results`: of the records; None where workers write none."""
        self._dead = DeadWatch(queue)
        self._results = results
        self._seen: dict[str, None] = {}

    async def begin(self) -> None:
        """Take the present dead letters as the beginning, and see that there is a place for records."""
        await self._dead.begin()
        if self._results is not None:
            await self._results.depth()
            await self._take(self._results, wait=0.0)

    async def clock_offset(self) -> float:
        """0: each record says when it came, by our own clock."""
        return 0.0

    async def next(self) -> Batch:
        """What has come since the last call; waits for `WAIT_SECONDS` at most."""
        dead = await self._dead.next(wait=0.0 if self._results else WAIT_SECONDS)
        if self._results is None:
            return Batch(dead=dead)
        taken, came = await self._take(self._results, wait=WAIT_SECONDS)
        fresh = list(self._not_seen(taken))
        return Batch(records=tuple(record for job in fresh if (record := parse(job, came_ms=came))), dead=dead)

    async def close(self) -> None:
        """Let go of the records' queue."""
        if self._results is not None:
            await self._results.close()

    async def _take(self, results: Broker, *, wait: float) -> tuple[Sequence[Taken], float]:
        taken = await results.take(limit=COUNT, wait=wait)
        came = time.monotonic() * 1000.0
        if taken:
            with contextlib.suppress(BrokerError):  # then they come again, and are known by their ids
                await results.ack(taken)
        return taken, came

    def _not_seen(self, taken: Sequence[Taken]) -> Iterator[Taken]:
        for job in taken:
            if job.job_id not in self._seen:
                self._seen[job.job_id] = None
                yield job
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]


class DeadWatch:
    """New dead letters of a queue. They are read only when there are more than before: in RabbitMQ that is dear."""

    def __init__(self, queue: Broker) -> None:
        self._queue = queue
        self._known = 0
        self._last = ""
        self._look_at = 0.0

    async def begin(self) -> None:
        """Those that are there do not count."""
        if (await self._queue.depth()).dead_letters:
            self._known = len(await self._read())

    async def next(self, *, wait: float) -> tuple[str, ...]:
        """Ids of jobs that died since the last look; after `wait` seconds, or the next look, if that is sooner."""
        pause = self._look_at - time.monotonic()
        if pause > 0:
            await asyncio.sleep(min(wait, pause))
            return ()
        self._look_at = time.monotonic() + LOOK_SECONDS
        there = (await self._queue.depth()).dead_letters or 0
        if there <= self._known:
            self._known = there
            return ()
        found = await self._read()
        self._known += len(found)
        return found

    async def _read(self) -> tuple[str, ...]:
        found: list[str] = []
        while page := await self._queue.dead_letters(limit=_PAGE, after=self._last):
            self._last = page[-1].token
            found += (letter.job_id for letter in page)
            if len(page) < _PAGE:
                break
        return tuple(found)


def parse(job: Taken, *, came_ms: float) -> Record | None:
    """The record in a job; None for one that is none, since anyone may write there."""
    try:
        said: Any = json.loads(job.payload)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    event, name, at = _EVENTS.get(str(said.get("event"))), said.get("job"), said.get("at")
    if event is None or not isinstance(name, str) or not name or not isinstance(at, int | float):
        return None
    pod, node = str(said.get("pod", "")), str(said.get("node", ""))
    return Record(event, name, at * 1000.0, pod=pod, node=node, came_ms=came_ms)

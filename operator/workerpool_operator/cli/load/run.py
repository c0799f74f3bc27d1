"""One load from its first job to its last: feed, listen, wait until all is done, add up."""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from workerpool import Queue, broker
from workerpool.broker import Broker, BrokerError, NewJob
from workerpool_operator.cli.load.feeder import Feeder
from workerpool_operator.cli.load.ledger import Ledger
from workerpool_operator.cli.load.reaction import PoolHistory
from workerpool_operator.cli.load.readers import Reader, Way, open_records
from workerpool_operator.cli.load.report import End, Reaction, Report, Told
from workerpool_operator.cli.load.results import ResultReader
from workerpool_operator.cli.load.schedule import Schedule
from workerpool_operator.cli.load.workers import MetricsError, Scraper, WorkerFigures

TICK_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 1.0
"""The queue must be empty for so long before the load is over."""
DOUBT_SECONDS: Final = 5.0
"""Longer, where the queue and the records do not agree: jobs missing, or foreign jobs in the same queue."""
LAST_SECONDS: Final = 6.0
"""At the end, for a batch that the broker has not answered yet: a little longer than it may take to answer."""
DEFAULT_TYPE: Final = "sleep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where jobs go, and what they are."""

    url: str = field(repr=False)  # may hold a password
    stream: str = ""
    """What names the queue in its broker; empty where the address says it all."""
    group: str = ""
    """Consumer group; the stream's name by default."""
    type: str = DEFAULT_TYPE
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recorded(self) -> bool:
        """Whether workers are asked to write records."""
        return self.payload.get("record") is True

    def unrecorded(self) -> "Target":
        """The same, with no records asked for."""
        return replace(self, payload={**self.payload, "record": False})


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
    workers: Scraper | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Send all jobs, wait until they are done, and report; `stop` ends it early, with what was measured.

    `workers`: who is asked for metrics where no records tell of single jobs.

    Raises:
        ConfigurationError: the address is none, or something that belongs to it is missing.
        BrokerError: the broker cannot be reached at the start.
    """
    target = load.target
    queue = broker.connect(target.url, stream=target.stream, group=target.group)
    try:
        await queue.depth()
        async with contextlib.AsyncExitStack() as stack:
            address = Queue.connect(target.url, stream=target.stream, group=target.group)
            await stack.enter_async_context(address)
            found = await _begin(stack, target, address, queue)
            if target.recorded and found.way is Way.DEPTH:
                load = replace(load, target=target.unrecorded())
            if workers is not None and not load.target.recorded:
                found = await _asked(workers, found)
            return await _Run(load, queue, found, pool=pool, on_progress=on_progress).until(stop)
    finally:
        await queue.close()


@dataclass(frozen=True, slots=True)
class _Found:
    """What tells of single jobs."""

    reader: Reader
    way: Way
    why: str = ""
    """Nothing does that was asked for: why."""
    figures: WorkerFigures | None = None
    """What tells of all jobs together, where nothing tells of single ones."""


async def _asked(workers: Scraper, found: _Found) -> _Found:
    """With what workers say in their metrics, if they can be asked."""
    figures = WorkerFigures(workers)
    try:
        await figures.begin()
    except MetricsError as error:
        return replace(found, why="; ".join(filter(None, (found.why, str(error)))))
    return replace(found, figures=figures)


async def _begin(stack: contextlib.AsyncExitStack, target: Target, address: Queue, queue: Broker) -> _Found:
    """A reader of what workers write, at its beginning; without a place for it, one of dead letters only."""
    if target.recorded or address.source.system == "redis":
        try:
            reader, way = await stack.enter_async_context(open_records(address, queue))
            await reader.begin()
        except BrokerError as error:
            if address.source.system == "redis":
                raise
            why = str(error)
        else:
            return _Found(reader, way)
    else:
        why = ""
    bare = ResultReader(queue, None)
    await bare.begin()
    return _Found(bare, Way.DEPTH, why)


class _Run:
    def __init__(
        self,
        load: Load,
        queue: Broker,
        found: _Found,
        *,
        pool: PoolHistory | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._load = load
        self._queue = queue
        self._found = found
        self._over = asyncio.Event()
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
        self._ledger = Ledger(offset_ms=await self._found.reader.clock_offset() * 1000.0)
        started = time.monotonic()
        feeding = asyncio.create_task(self._feeder.run(self._queue), name="feeder")
        tasks = [feeding, asyncio.create_task(self._listen(), name="records")]
        if self._found.figures is not None:
            tasks.append(asyncio.create_task(self._found.figures.follow(self._over), name="metrics"))
        try:
            end = await self._watch(feeding, stop, listening=tasks[1:])
        finally:
            await self._end(*tasks)
        return self._report(end, seconds=time.monotonic() - started, unconfirmed=self._withdraw())

    async def _end(self, *tasks: "asyncio.Task[None]") -> None:
        """Feed no more, and hear the broker's answer to what it was given, so that it is known what it has."""
        self._feeder.stop()
        self._over.set()
        await asyncio.wait(tasks, timeout=LAST_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _withdraw(self) -> int:
        """How many jobs the broker was given and nobody knows whether it has them: they count nowhere else."""
        unsure = [self._load.job_id(number) for number in range(self._feeder.sent, self._ledger.enqueued)]
        unheard = [job_id for job_id in unsure if not self._ledger.told_of(job_id)]
        for job_id in unheard:
            self._ledger.withdraw(job_id)
        return len(unheard)

    async def _watch(
        self, feeding: "asyncio.Task[None]", stop: asyncio.Event, *, listening: "list[asyncio.Task[None]]"
    ) -> End:
        fed_at: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_SECONDS):
                    await stop.wait()
            await self._look()
            if stop.is_set():
                return End.STOPPED
            for task in listening:
                if task.done():
                    task.result()  # it ends only by an error that nobody expected: raise it
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
        while not self._over.is_set():
            asked = time.monotonic()
            try:
                batch = await self._found.reader.next()
            except BrokerError:
                await asyncio.sleep(TICK_SECONDS)
                continue
            self._ledger.add(batch.records)
            self._ledger.add_dead(batch.dead)
            if not batch.records and not batch.dead:
                self._caught_up_at = asked

    def _sent(self, number: int, due: float) -> None:
        self._ledger.sent(self._load.job_id(number), due=due, burst=self._load.schedule.burst_of(number))

    def _report(self, end: End, *, seconds: float, unconfirmed: int) -> Report:
        feeder = self._feeder
        drops = self._queue.capabilities.deduplicate
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
            unconfirmed=unconfirmed,
            repeated=0 if drops else feeder.repeated,
            by=self._found.way,
            why=self._found.why,
            told=self._told(),
        )

    def _told(self) -> Told | None:
        figures = self._found.figures
        if figures is None or figures.last_done_at is None:
            return None
        return Told(figures.now(), figures.last_done_at - self._feeder.started_at)

"""The producer's side: putting jobs into a queue."""

import asyncio
import math
import os
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from workerpool._job import JobSpec, encode_payload
from workerpool._source import Source, check_rate, sources_from
from workerpool.broker import BrokerUnavailable, Credentials, DeadJob, DeadJobs, Depth, NewJob, Priority
from workerpool.errors import ConfigurationError, QueueFull, RateLimited

if TYPE_CHECKING:
    from workerpool._pace import Pace
    from workerpool.telemetry.tracing import QueueTraces, Tracing

OnFull = Literal["wait", "raise"]
_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 0.5


class Queue:
    """A queue to put jobs into. Make one per process and keep it: it holds a connection.

    Example:
        ```python
        async with Queue.from_env() as queue:
            await queue.enqueue("resize", {"url": "https://..."}, job_id="image-17")
        ```
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._broker = source.connect()
        self._pace = None if source.rate_limit is None else _pace(source.rate_limit)

    @classmethod
    def from_env(cls, name: str = "", *, env: Mapping[str, str] | None = None) -> Self:
        """The queue that `QUEUE_<NAME>_URL` and its companions describe; with one queue its name may be left out.

        Raises:
            ConfigurationError: there is no such queue, or more than one to choose from.
        """
        sources = sources_from(os.environ if env is None else env)
        if name and name not in sources:
            variable = "QUEUE_" + name.upper().replace("-", "_") + "_URL"
            raise ConfigurationError(f"{variable} is missing: write an address such as redis://redis:6379/0")
        if not name and len(sources) != 1:
            known = ", ".join(sources) or "none: set QUEUE_MAIN_URL and QUEUE_MAIN_STREAM"
            raise ConfigurationError(f"name the queue; the environment describes {known}")
        return cls(sources[name] if name else next(iter(sources.values())))

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        stream: str = "",
        group: str = "",
        name: str = "main",
        credentials: Credentials | None = None,
        rate_limit: float | None = None,
    ) -> Self:
        """A queue by its address, see `workerpool.broker.connect`. Nothing is dialled before the first use.

        `rate_limit`: jobs per second that this object enqueues at most, spread evenly; after a pause it catches up on
        one second's worth. In the environment it is `QUEUE_<NAME>_RATE_LIMIT`.

        A `memory://` queue is this object: hand it to `Worker` to have its jobs done.
        """
        store = None
        if url.startswith("memory:"):
            from workerpool.broker._memory_store import MemoryStore  # noqa: PLC0415  few use it, all would load it

            store = MemoryStore()
        credentials = credentials or Credentials()
        return cls(
            Source(
                name=name,
                url=url,
                stream=stream,
                group=group,
                credentials=credentials,
                rate_limit=check_rate(rate_limit),
                store=store,
            )
        )

    async def enqueue(
        self,
        type: str,  # noqa: A002  the word that the wire and the handler use
        payload: Any = None,
        *,
        job_id: str = "",
        delay: float = 0.0,
        tenant: str = "",
        priority: str = Priority.NORMAL,
        ordering_key: str = "",
        expires_in: float | None = None,
        max_depth: int | None = None,
        on_full: OnFull = "wait",
        timeout: float = 5.0,  # noqa: ASYNC109  bounds waiting for room, not one call
    ) -> None:
        """Put one job; see `JobSpec` and `enqueue_many`."""
        spec = JobSpec(type, payload, job_id, delay, tenant, priority, ordering_key, expires_in)
        await self.enqueue_many([spec], max_depth=max_depth, on_full=on_full, timeout=timeout)

    async def enqueue_many(
        self,
        specs: Iterable[JobSpec],
        *,
        max_depth: int | None = None,
        on_full: OnFull = "wait",
        timeout: float = 5.0,  # noqa: ASYNC109  bounds waiting for room, not one call
    ) -> None:
        """Put jobs, in order and with few round trips.

        Args:
            specs: The jobs.
            max_depth: Put none that would make more jobs wait than this.
            on_full: With no room, or no turn within the rate limit: `wait` for it up to `timeout`, or `raise` at once.
            timeout: Seconds to wait for room, for a turn, and for a broker that is away when every job has an id of its
                own and the broker drops duplicates: only then can a repetition do no harm.

        Raises:
            QueueFull: there was no room; `.enqueued` of the jobs, from the first, are in the queue.
            RateLimited: there was no turn; `.enqueued` as above.
            PayloadInvalid: a payload is not JSON or too large; nothing was put.
            BrokerUnavailable: the broker is away; what was asked may have happened.
            BrokerError: another of its kinds.
        """
        if max_depth is not None and max_depth < 0:
            raise ConfigurationError("max_depth is 0 or more, or None where the queue may be of any length")
        jobs = [_new_job(spec) for spec in specs]
        if self._traces is None or not jobs:
            await self._put(jobs, max_depth=max_depth, on_full=on_full, seconds=timeout)
            return
        with self._traces.sending(jobs) as traced:
            await self._put(traced, max_depth=max_depth, on_full=on_full, seconds=timeout)

    async def _put(self, jobs: Sequence[NewJob], *, max_depth: int | None, on_full: OnFull, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause, put = loop.time() + seconds, _FIRST_PAUSE_SECONDS, 0
        repeatable = self._broker.capabilities.deduplicate and all(job.job_id for job in jobs)
        turns = 0
        while put < len(jobs):
            turns = turns or await self._turns(len(jobs) - put, deadline if on_full == "wait" else 0.0, enqueued=put)
            try:
                accepted = await self._broker.put(jobs[put : put + turns], max_depth=max_depth)
            except BrokerUnavailable:
                if not repeatable or loop.time() >= deadline:
                    raise
                accepted = 0
            else:
                if accepted < turns and (on_full == "raise" or loop.time() >= deadline):
                    raise QueueFull(max_depth or 0, enqueued=put + accepted)
            put, turns = put + accepted, turns - accepted
            if turns:
                await asyncio.sleep(min(random.uniform(pause / 2, pause), max(0.0, deadline - loop.time())))  # noqa: S311
                pause = _FIRST_PAUSE_SECONDS if accepted else min(_LONGEST_PAUSE_SECONDS, pause * 2)

    async def _turns(self, jobs: int, until: float, *, enqueued: int) -> int:
        """How many of so many jobs may be put now; waits for the first."""
        if self._pace is None or self.source.rate_limit is None:
            return jobs
        now = asyncio.get_running_loop().time()
        count, after = self._pace.turns(jobs, now=now, until=max(now, until))
        if not count:
            raise RateLimited(self.source.rate_limit, after=after, enqueued=enqueued)
        if after:
            await asyncio.sleep(after)
        return count

    def beside(self, name: str) -> Self:
        """Another queue of the same broker, reached in the same way, for what workers tell of their jobs.

        It is `S-NAME` beside the queue `S`, in SQLite the file `PATH-NAME`; who uses it first makes it, but for Kafka,
        where the topic has to be there. Close it as any other one.

        Raises:
            ConfigurationError: this queue is in memory, where no other process could find the other one.
        """
        return type(self)(self.source.beside(name))

    async def depth(self) -> Depth:
        """Read the queue; see `Depth`."""
        return await self._broker.depth()

    async def dead_letters(self, *, limit: int = 100, after: str = "") -> list[DeadJob]:
        """A page of the dead letters, oldest first; for the next one give the last one's `token` as `after`."""
        return await self._broker.dead_letters(limit=limit, after=after)

    async def redrive(
        self, *, reason: str = "", job_id: str = "", version: str = "", moved: Callable[[int], None] = lambda _: None
    ) -> int:
        """Let dead jobs wait again, in their order and with no attempt counted; return how many.

        All of them, or those that died for this reason (see `DeathReason`), or of this job id, or that this version of
        the workers gave up: what a bad version left is done by the one before, when it has gone. What dies meanwhile is
        left. After an error some may have been moved: call it again for the others, no job is doubled. `moved` hears of
        each chunk how many it were.

        Raises:
            BrokerError: one of its kinds.
        """
        return await self._broker.redrive(DeadJobs(reason=reason, job_id=job_id, version=version, moved=moved))

    async def purge(
        self, *, reason: str = "", job_id: str = "", version: str = "", moved: Callable[[int], None] = lambda _: None
    ) -> int:
        """Delete dead letters for good, chosen as in `redrive`; return how many."""
        return await self._broker.purge(DeadJobs(reason=reason, job_id=job_id, version=version, moved=moved))

    async def close(self) -> None:
        """Let go of the broker; with traces, send the last ones first, for at most 2 s."""
        if self._tracing is not None:
            await self._tracing.flush()
        await self._broker.close()

    @cached_property
    def _tracing(self) -> "Tracing | None":
        from workerpool.telemetry.tracing import tracing  # noqa: PLC0415  who only reads the depth does not need it

        return tracing()

    @cached_property
    def _traces(self) -> "QueueTraces | None":
        return self._tracing.of(self.source.system, self._broker.stream) if self._tracing is not None else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()


def _pace(rate: float) -> "Pace":
    from workerpool._pace import Pace  # noqa: PLC0415  few use it, all would load it

    return Pace(rate)


def _new_job(spec: JobSpec) -> NewJob:
    if not spec.type:
        raise ConfigurationError("a job needs a type: the name of its handler")
    if not math.isfinite(spec.delay):
        raise ConfigurationError("delay is a number of seconds")
    if spec.expires_in is not None and not max(0.0, spec.delay) < spec.expires_in < math.inf:
        raise ConfigurationError("expires_in is a number of seconds above 0, and above the delay: else it never runs")
    try:
        priority = Priority(spec.priority)
    except ValueError as error:
        known = ", ".join(Priority)
        raise ConfigurationError(f"{spec.priority!r} is no priority: write one of {known}") from error
    return NewJob(
        type=spec.type,
        payload=encode_payload(spec.payload),
        job_id=spec.job_id,
        delay=max(0.0, spec.delay),
        tenant=spec.tenant,
        priority=priority,
        ordering_key=spec.ordering_key,
        expires_in=spec.expires_in,
    )

"""Reads the queues: one task for each, so that a broker that hangs hurts nobody else.

How often is in `cadence`. Between two readings of a queue at rest its broker is watched: a job that comes ends that at
once. Where it cannot be watched, a worker that begins a job ends the pause (`stir`). A reading that says the same as
the one before is sent on only every few seconds, to say that it still holds, and at rest not at all: then it is held
(`holding`). `poll_seconds` tells the operator which of the two it may expect.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Protocol, runtime_checkable

import structlog
from pydantic import ValidationError

from workerpool import broker, errors
from workerpool_operator.collector.board import Board
from workerpool_operator.collector.cadence import BUSY_SECONDS, Cadence, Crowd, Pace, longest_rest
from workerpool_operator.protocol import PoolConfig, QueueSample, SampleError

TIMEOUT_SECONDS: Final = 3.0
SETTLE_SECONDS: Final = 0.03
"""From when a watch saw a job until the reading: whoever puts 60 jobs one by one needs 10 to 30 ms nearby, and a pool
should not grow for the first of them alone."""
WATCH_LATE_SECONDS: Final = 2.0
"""A watch that is over its time by this much has failed."""
WATCH_AGAIN_SECONDS: Final = 60.0
"""After a watch that failed, the queue is polled for this long."""

_ERRORS: Final[tuple[tuple[type[Exception], SampleError], ...]] = (
    (errors.CredentialsMissing, SampleError.CREDENTIALS_MISSING),
    (errors.AuthenticationFailed, SampleError.AUTHENTICATION_FAILED),
    (errors.TLSFailed, SampleError.TLS_FAILED),
    (errors.QueueNotFound, SampleError.QUEUE_NOT_FOUND),
    (errors.SchemaMismatch, SampleError.SCHEMA_MISMATCH),
    (errors.BadAnswer, SampleError.BAD_ANSWER),
)

_log = structlog.get_logger(__name__)


class Observed(Protocol):
    """What a sampler needs of a broker."""

    @property
    def capabilities(self) -> broker.Capabilities:
        """What the broker can do."""

    async def depth(self) -> broker.Depth:
        """Read the queue; raises BrokerError."""

    async def wait_for_arrival(self, seconds: float) -> bool:
        """Wait so long at most for what the latest `depth` did not see; raises BrokerError."""

    async def close(self) -> None:
        """Close the connection: the next call opens another."""


@runtime_checkable
class PolledSlowly(Protocol):
    """An `Observed` that is not to be read more often."""

    poll_seconds: float
    """Between two readings."""


class PollObserver(Protocol):
    """Hears of each poll, for metrics."""

    def polled(self, pool: str, queue: str, *, seconds: float, error: str, lag: Mapping[int, int] | None) -> None:
        """A poll ended. `lag` is that of `broker.Depth`; None where there is none, or nothing was read."""


class Samplers:
    """The samplers of all queues; `apply` starts and stops them as the pools come, change and go."""

    def __init__(
        self,
        board: Board,
        *,
        connect: Callable[[str, dict[str, Any]], Observed],
        observer: PollObserver,
    ) -> None:
        """`connect(pool, queue)` makes the broker of a queue, without dialling it."""
        self._board = board
        self._connect = connect
        self._observer = observer
        self._crowd = Crowd()
        self._tasks: dict[tuple[str, str], tuple[tuple[str, dict[str, Any]], _Sampler, asyncio.Task[None]]] = {}
        """(pool, queue) -> (what it samples: the pool's uid and the queue; who does it; the task)."""

    def apply(self, pools: tuple[PoolConfig, ...]) -> None:
        """Sample exactly these pools' queues."""
        wanted = {(pool.name, queue["name"]): (pool.uid, queue) for pool in pools for queue in pool.queues}
        for key, (source, _, task) in list(self._tasks.items()):
            if wanted.get(key) != source:
                task.cancel()
                del self._tasks[key]
        for key, source in wanted.items():
            if key not in self._tasks:
                sampler = self._sampler(key[0], source[1])
                with structlog.contextvars.bound_contextvars(pool=key[0]):  # on all lines of the task
                    task = asyncio.create_task(sampler.run(), name=f"sample-{key[0]}-{key[1]}")
                self._tasks[key] = (source, sampler, task)

    def read_now(self, pool: str) -> None:
        """Read all queues of a pool at once."""
        for key, (_, sampler, _) in self._tasks.items():
            if key[0] == pool:
                sampler.read_now()

    def stir(self, pool: str) -> None:
        """A worker of the pool has begun a job: queues at rest of which nobody else would tell are read soon."""
        for key, (_, sampler, _) in self._tasks.items():
            if key[0] == pool:
                sampler.stir()

    async def stop(self) -> None:
        """Stop all samplers."""
        tasks = [task for *_, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _sampler(self, pool: str, queue: dict[str, Any]) -> "_Sampler":
        def heed(sample: QueueSample, tell: bool) -> None:  # noqa: FBT001  a callback
            self._board.sampled(pool, sample, tell=tell)

        def polled(seconds: float, error: str, lag: Mapping[int, int] | None) -> None:
            self._observer.polled(pool, queue["name"], seconds=seconds, error=error, lag=lag)

        name = queue["name"]
        return _Sampler(
            name,
            connect=lambda: self._connect(pool, queue),
            running=lambda: self._board.running(pool, queue=name),
            heed=heed,
            polled=polled,
            rest=longest_rest(queue),
            crowd=self._crowd,
        )


class _Sampler:
    """Reads one queue."""

    def __init__(
        self,
        queue: str,
        *,
        connect: Callable[[], Observed],
        running: Callable[[], int],
        heed: Callable[[QueueSample, bool], None],
        polled: Callable[[float, str, Mapping[int, int] | None], None],
        rest: float,
        crowd: Crowd,
    ) -> None:
        """`heed(sample, tell)` hears of each reading. `running`: jobs of the queue that its workers say they run.

        `rest`, `crowd`: as `Cadence` has them.
        """
        self._queue = queue
        self._running = running
        self._heed = heed
        self._polled = polled
        self._source, self._undialable = _made(connect)
        every = self._source.poll_seconds if isinstance(self._source, PolledSlowly) else 0.0
        self._cadence = Cadence(every=every, rest=max(every, rest), crowd=crowd)
        self._stirrable = False
        self._read_at = float("-inf")
        self._polled_until: float | None = None
        """The latest watch has failed: no other one before then."""
        self._delayed: int | None = None
        """Jobs that the latest reading found delayed; None: it does not tell."""
        self._lag: Mapping[int, int] | None = None
        self._read_now = False
        self._pausing: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Read until cancelled."""
        woken = False
        try:
            while True:
                started = _now()
                self._read_now = False
                sample = await self._read()
                now = _now()
                self._read_at = started
                self._polled(now - started, str(sample.error) if sample.error else "", self._lag)
                watchable, still = self._is_watchable(now), self._delayed == 0
                pace, tell = self._cadence.next(sample, now=now, watchable=watchable, woken=woken, still=still)
                known = replace(sample, poll_seconds=self._cadence.confirm_seconds, held=self._cadence.held)
                self._heed(known, tell)
                self._stirrable = pace.sleep > BUSY_SECONDS and not pace.watch and sample.error is None
                woken = await self._pause(pace)
        finally:
            self._cadence.leave()
            await self._close()

    async def _close(self) -> None:
        if self._source is not None:
            with suppress(Exception):
                await self._source.close()

    def read_now(self) -> None:
        """End the pause in progress, or the next one: a reading in progress began before this was asked."""
        self._read_now = True
        if self._pausing is not None and not self._pausing.expired():
            self._pausing.reschedule(0.0)

    def stir(self) -> None:
        """End the pause of a queue at rest that is not watched, once `BUSY_SECONDS` have passed since it was read."""
        pausing = self._pausing
        if not self._stirrable or pausing is None or pausing.expired() or isinstance(self._source, PolledSlowly):
            return
        due = max(_now(), self._read_at + BUSY_SECONDS)
        before = pausing.when()
        if before is None or due < before:
            pausing.reschedule(due)

    async def _read(self) -> QueueSample:
        self._lag = None
        if self._source is None:
            return _failed(self._queue, SampleError.UNREACHABLE, self._undialable)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                depth = await self._source.depth()
            sample = self._sample(depth)
        except TimeoutError:
            # Its other end may be gone without a word: TCP would hold on to it for a quarter of an hour.
            await self._close()
            return _failed(self._queue, SampleError.UNREACHABLE, f"no answer within {TIMEOUT_SECONDS:g} s")
        except errors.BrokerError as error:
            return _failed(self._queue, _reason(error), str(error))
        except Exception as error:  # noqa: BLE001  one queue must not stop the others
            _log.exception("sampler_crashed", queue=self._queue)
            return _failed(self._queue, SampleError.BAD_ANSWER, type(error).__name__)
        self._delayed, self._lag = depth.delayed, depth.lag
        return sample

    def _sample(self, depth: broker.Depth) -> QueueSample:
        """The reading. Raises BadAnswer for figures that no queue can have: what they mean nobody knows."""
        try:
            return QueueSample(
                queue=self._queue,
                age_seconds=0.0,
                waiting=depth.waiting - depth.blocked,  # more workers would not help the others
                blocked=depth.blocked,
                in_flight=self._running() if depth.in_flight is None else depth.in_flight,
                oldest_age_seconds=depth.oldest_age_seconds,
                arrivals_total=depth.arrivals_total,
                dead_letters=depth.dead_letters,
                partitions=depth.partitions,
            )
        except ValidationError as error:
            wrong = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors(include_input=False))
            raise errors.BadAnswer(f"the broker's figures make no sense ({wrong})") from error

    async def _pause(self, pace: Pace) -> bool:
        """Wait as the pace says; return whether a job has ended it."""
        if self._read_now:
            return False
        woken = False
        with suppress(TimeoutError):  # `read_now` lets it expire
            async with asyncio.timeout(None) as self._pausing:
                await asyncio.sleep(pace.sleep)
                if pace.watch and self._source is not None:
                    woken = await self._watch(self._source, pace.watch)
                if woken:
                    await asyncio.sleep(SETTLE_SECONDS)
        self._pausing = None
        return woken

    def _is_watchable(self, now: float) -> bool:
        if self._source is None or not self._source.capabilities.notifies:
            return False
        return self._polled_until is None or now >= self._polled_until

    async def _watch(self, source: Observed, seconds: float) -> bool:
        """Whether a job came. A watch that fails says nothing of the queue: the reading that follows does."""
        started = _now()
        try:
            async with asyncio.timeout(seconds + WATCH_LATE_SECONDS):
                woken = await source.wait_for_arrival(seconds)
            if not woken and _now() - started < seconds / 2:
                raise errors.BadAnswer("it ends too soon")  # noqa: TRY301  else readings would follow one another
        except Exception as error:  # noqa: BLE001  a refusal, a lost connection, silence: polling does without it
            if self._polled_until is None:
                _log.warning("queue_is_polled", queue=self._queue, watch_failed=str(error) or type(error).__name__)
            self._polled_until = _now() + WATCH_AGAIN_SECONDS
            return False
        self._polled_until = None
        return woken


def _failed(queue: str, error: SampleError, message: str) -> QueueSample:
    return QueueSample(queue=queue, age_seconds=0.0, error=error, message=message[:512])


def _reason(error: errors.BrokerError) -> SampleError:
    return next((reason for kind, reason in _ERRORS if isinstance(error, kind)), SampleError.UNREACHABLE)


def _made(connect: Callable[[], Observed]) -> tuple[Observed | None, str]:
    """The broker; or none, and why it cannot even be dialled, a port above 65535 for example."""
    try:
        return connect(), ""
    except Exception as error:  # noqa: BLE001  it is told like a broker that does not answer
        return None, str(error) or type(error).__name__


def _now() -> float:
    return asyncio.get_running_loop().time()

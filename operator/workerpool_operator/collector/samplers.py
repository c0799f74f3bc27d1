"""Reads the queues: one task for each, so that a broker that hangs hurts nobody else.

A queue is read every `BUSY_SECONDS` while jobs wait, run or have just come, else every `IDLE_SECONDS`. A reading that
says the same as the one before is sent on only every few seconds, to say that it still holds; `poll_seconds` tells
the operator which of the two it may expect.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from workerpool import broker, errors
from workerpool_operator.collector.board import Board
from workerpool_operator.protocol import PoolConfig, QueueSample, SampleError

BUSY_SECONDS: Final = 0.25
IDLE_SECONDS: Final = 0.5
BUSY_AFTER_SECONDS: Final = 5.0
"""A queue that was seen moving is read often for this long."""
CONFIRM_BUSY_SECONDS: Final = 1.0
CONFIRM_IDLE_SECONDS: Final = 10.0
TIMEOUT_SECONDS: Final = 3.0
BACKOFF_FIRST_SECONDS: Final = 0.5
BACKOFF_MAX_SECONDS: Final = 5.0

_ERRORS: Final[tuple[tuple[type[Exception], SampleError], ...]] = (
    (errors.CredentialsMissing, SampleError.CREDENTIALS_MISSING),
    (errors.AuthenticationFailed, SampleError.AUTHENTICATION_FAILED),
    (errors.TLSFailed, SampleError.TLS_FAILED),
    (errors.QueueNotFound, SampleError.QUEUE_NOT_FOUND),
    (errors.BadAnswer, SampleError.BAD_ANSWER),
)

_log = structlog.get_logger(__name__)


class Depths(Protocol):
    """What a sampler needs of a broker."""

    async def depth(self) -> broker.Depth:
        """Read the queue; raises BrokerError."""

    async def close(self) -> None:
        """Close the connection."""


class PollObserver(Protocol):
    """Hears of each poll, for metrics."""

    def polled(self, pool: str, queue: str, *, seconds: float, error: str) -> None:
        """A poll ended."""


class Samplers:
    """The samplers of all queues; `apply` starts and stops them as the pools come, change and go."""

    def __init__(
        self,
        board: Board,
        *,
        connect: Callable[[str, dict[str, Any]], Depths],
        observer: PollObserver,
    ) -> None:
        """`connect(pool, queue)` makes the broker of a queue, without dialling it."""
        self._board = board
        self._connect = connect
        self._observer = observer
        self._tasks: dict[tuple[str, str], tuple[tuple[str, dict[str, Any]], asyncio.Task[None]]] = {}
        """(pool, queue) -> (what it samples: the pool's uid and the queue; who does it)."""
        self._now: dict[tuple[str, str], asyncio.Event] = {}

    def apply(self, pools: tuple[PoolConfig, ...]) -> None:
        """Sample exactly these pools' queues."""
        wanted = {(pool.name, queue["name"]): (pool.uid, queue) for pool in pools for queue in pool.queues}
        for key, (source, task) in list(self._tasks.items()):
            if wanted.get(key) != source:
                task.cancel()
                del self._tasks[key], self._now[key]
        for key, source in wanted.items():
            if key not in self._tasks:
                self._now[key] = asyncio.Event()
                task = asyncio.create_task(self._sample(*key, source[1]), name=f"sample-{key[0]}-{key[1]}")
                self._tasks[key] = (source, task)

    def read_now(self, pool: str) -> None:
        """Read all queues of a pool at once."""
        for key, event in self._now.items():
            if key[0] == pool:
                event.set()

    async def stop(self) -> None:
        """Stop all samplers."""
        tasks = [task for _, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _sample(self, pool: str, name: str, queue: dict[str, Any]) -> None:
        """Read one queue until cancelled."""
        source = self._source(pool, queue)
        cadence = _Cadence()
        try:
            while True:
                started = time.monotonic()
                sample = await self._read(source, name)
                self._observer.polled(
                    pool, name, seconds=time.monotonic() - started, error=str(sample.error) if sample.error else ""
                )
                pause, tell = cadence.next(sample, now=time.monotonic())
                if tell:
                    self._board.sampled(pool, sample.model_copy(update={"poll_seconds": cadence.confirm_seconds}))
                await self._pause((pool, name), pause)
        finally:
            with suppress(Exception):
                await source.close()

    def _source(self, pool: str, queue: dict[str, Any]) -> Depths:
        try:
            return self._connect(pool, queue)
        except Exception as error:  # noqa: BLE001  what cannot be dialled is told like what does not answer
            return _NoBroker(str(error) or type(error).__name__)

    async def _read(self, source: Depths, name: str) -> QueueSample:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                depth = await source.depth()
        except TimeoutError:
            return _failed(name, SampleError.UNREACHABLE, f"no answer within {TIMEOUT_SECONDS:g} s")
        except errors.BrokerError as error:
            return _failed(name, _reason(error), str(error))
        except Exception as error:  # noqa: BLE001  one queue must not stop the others
            _log.exception("sampler_crashed", queue=name)
            return _failed(name, SampleError.BAD_ANSWER, type(error).__name__)
        return QueueSample(
            queue=name,
            age_seconds=0.0,
            waiting=depth.waiting,
            in_flight=depth.in_flight,
            oldest_age_seconds=depth.oldest_age_seconds,
            arrivals_total=depth.arrivals_total,
            dead_letters=depth.dead_letters,
        )

    async def _pause(self, key: tuple[str, str], seconds: float) -> None:
        event = self._now[key]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        event.clear()


class _NoBroker:
    """Stands for a broker that cannot even be dialled, a port above 65535 for example: each reading says why."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def depth(self) -> broker.Depth:
        """Fails."""
        raise errors.BrokerError(self._why)

    async def close(self) -> None:
        """There is nothing to close."""


class _Cadence:
    """How soon to read again, and whether the reading is worth telling."""

    def __init__(self) -> None:
        self._told: tuple[object, float] | None = None
        self._moved_at = float("-inf")
        self._failures = 0
        self.confirm_seconds = CONFIRM_BUSY_SECONDS

    def next(self, sample: QueueSample, *, now: float) -> tuple[float, bool]:
        """(seconds until the next reading, whether to tell this one)."""
        meaning = (sample.waiting, sample.in_flight, sample.dead_letters, sample.error, sample.message)
        changed = self._told is None or self._told[0] != meaning
        if changed or sample.waiting or sample.in_flight:
            self._moved_at = now
        busy = now - self._moved_at < BUSY_AFTER_SECONDS
        # Whoever was promised news every second must hear that it will come less often, or takes silence for a fault.
        slower = not busy and self.confirm_seconds != CONFIRM_IDLE_SECONDS
        self.confirm_seconds = CONFIRM_BUSY_SECONDS if busy else CONFIRM_IDLE_SECONDS
        told_at = self._told[1] if self._told else float("-inf")
        tell = changed or slower or now - told_at >= self.confirm_seconds
        if tell:
            self._told = (meaning, now)
        if sample.error is None:
            self._failures = 0
            return (BUSY_SECONDS if busy else IDLE_SECONDS), tell
        self._failures += 1
        longest = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** min(self._failures - 1, 10))
        return longest * random.uniform(0.5, 1.0), tell  # noqa: S311  spreads load


def connect_from(credentials: Path) -> Callable[[str, dict[str, Any]], Depths]:
    """Brokers of queues as the resource describes them, with credentials from files below a directory."""

    def connect(pool: str, queue: dict[str, Any]) -> Depths:
        folder = credentials / pool / queue["name"]
        named, tls = queue.get("credentials") or {}, queue.get("tls") or {}
        certificate = tls.get("clientCertRef")
        redis = queue["redisStream"]
        return broker.connect(
            redis["url"],
            stream=redis["stream"],
            group=redis["group"],
            credentials=broker.Credentials(
                username_file=folder / "username" if named.get("username") else None,
                password_file=folder / "password" if named.get("password") else None,
                ca_file=folder / "ca.crt" if tls.get("caRef") else None,
                cert_file=folder / "tls.crt" if certificate else None,
                key_file=folder / "tls.key" if certificate else None,
            ),
            timeout=TIMEOUT_SECONDS,
        )

    return connect


def _failed(queue: str, error: SampleError, message: str) -> QueueSample:
    return QueueSample(queue=queue, age_seconds=0.0, error=error, message=message[:512])


def _reason(error: errors.BrokerError) -> SampleError:
    return next((reason for kind, reason in _ERRORS if isinstance(error, kind)), SampleError.UNREACHABLE)

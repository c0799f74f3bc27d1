"""Reads what workers tell of each job, and which jobs ended in the dead letters, from the Redis of the queue."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from workerpool import Queue
from workerpool.redis import Redis
from workerpool_operator.cli.load.ledger import Record

BLOCK_MS: Final = 250
COUNT: Final = 2000
_CLOCK_PROBES: Final = 5
_NONE: Final = b"0-0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was told since the last look."""

    records: tuple[Record, ...] = ()
    dead: tuple[str, ...] = ()
    """Ids of jobs that are in the dead letters."""


class RecordReader:
    """Follows `{S}:user:results` and `{S}:dead` of stream `S` from now on. Methods raise `BrokerError`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._results, self._dead = redis.key("results").encode(), redis.dead_letters.encode()
        self._seen: dict[bytes, bytes] = {}

    async def begin(self) -> None:
        """Take the present ends of the streams as the beginning."""
        for key in (self._results, self._dead):
            last = await self._redis.call("XREVRANGE", key, "+", "-", "COUNT", 1)
            self._seen[key] = last[0][0] if last else _NONE

    async def clock_offset(self) -> float:
        """Redis' unix time minus our monotonic time, in seconds, from the quickest of a few questions."""
        best = (float("inf"), 0.0)
        for _ in range(_CLOCK_PROBES):
            asked = time.monotonic()
            seconds, microseconds = await self._redis.call("TIME")
            answered = time.monotonic()
            offset = int(seconds) + int(microseconds) / 1e6 - (asked + answered) / 2
            best = min(best, (answered - asked, offset))
        return best[1]

    async def next(self) -> Batch:
        """What has come since the last call; waits for `BLOCK_MS` at most. After an error, call it again."""
        answer = await self._redis.call(
            *("XREAD", "COUNT", COUNT, "BLOCK", BLOCK_MS, "STREAMS"), *self._seen.keys(), *self._seen.values()
        )
        entries: dict[bytes, Sequence[Any]] = dict(answer or ())
        for key, found in entries.items():
            self._seen[key] = found[-1][0]
        told = [Record.parse(entry_id, _mapping(flat)) for entry_id, flat in entries.get(self._results, ())]
        dead = [_mapping(flat).get(b"id", b"") for _, flat in entries.get(self._dead, ())]
        return Batch(
            records=tuple(record for record in told if record),
            dead=tuple(job_id.decode(errors="replace") for job_id in dead),
        )


@asynccontextmanager
async def open_reader(queue: Queue) -> AsyncIterator[RecordReader]:
    """A reader with a connection of its own; nothing is sent yet."""
    async with Redis(queue) as redis:
        yield RecordReader(redis)


def _mapping(flat: Sequence[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=False))

"""Reads what workers tell of each job, and which jobs ended in the dead letters, from the Redis of the queue."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio
from redis import exceptions

from workerpool_operator.cli.load.ledger import Record

BLOCK_MS: Final = 250
COUNT: Final = 2000
_CLOCK_PROBES: Final = 5
_NONE: Final = b"0-0"
_TIMEOUT_SECONDS: Final = 10.0


class RecordsError(Exception):
    """Redis did not give the records; it may later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What was told since the last look."""

    records: tuple[Record, ...] = ()
    dead: tuple[str, ...] = ()
    """Ids of jobs that are in the dead letters."""


class RecordReader:
    """Follows `{S}:results` and `{S}:dead` of stream `S` from now on."""

    def __init__(self, client: "redis.asyncio.Redis", *, stream: str) -> None:
        base = stream if re.search(r"\{[^}]+\}", stream) else "{" + stream + "}"
        self._client: Any = client  # redis-py's annotations mix its two clients
        self._results, self._dead = f"{base}:results".encode(), f"{base}:dead".encode()
        self._seen: dict[bytes, bytes] = {}

    async def begin(self) -> None:
        """Take the present ends of the streams as the beginning.

        Raises:
            RecordsError: Redis cannot be asked.
        """
        async with self._asking():
            for key in (self._results, self._dead):
                last = await self._client.xrevrange(key, count=1)
                self._seen[key] = last[0][0] if last else _NONE

    async def clock_offset(self) -> float:
        """Redis' unix time minus our monotonic time, in seconds, from the quickest of a few questions.

        Raises:
            RecordsError: Redis cannot be asked.
        """
        best = (float("inf"), 0.0)
        async with self._asking():
            for _ in range(_CLOCK_PROBES):
                asked = time.monotonic()
                seconds, microseconds = await self._client.time()
                answered = time.monotonic()
                offset = seconds + microseconds / 1e6 - (asked + answered) / 2
                best = min(best, (answered - asked, offset))
        return best[1]

    async def next(self) -> Batch:
        """What has come since the last call; waits for `BLOCK_MS` at most.

        Raises:
            RecordsError: Redis cannot be asked; a later call goes on where this one began.
        """
        async with self._asking():
            answer = await self._client.xread(dict(self._seen), count=COUNT, block=BLOCK_MS)
        entries: Mapping[bytes, list[tuple[bytes, Mapping[bytes, bytes]]]] = dict(answer or ())
        for key, found in entries.items():
            self._seen[key] = found[-1][0]
        records = [Record.parse(entry_id, fields) for entry_id, fields in entries.get(self._results, ())]
        dead = [fields.get(b"id", b"").decode(errors="replace") for _, fields in entries.get(self._dead, ())]
        return Batch(records=tuple(record for record in records if record), dead=tuple(dead))

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                yield
        except (exceptions.RedisError, OSError) as error:
            # The connection may be in the middle of an answer: a new one next time.
            await self._client.connection_pool.disconnect(inuse_connections=True)
            raise RecordsError(str(error) or "no answer in time") from error


@asynccontextmanager
async def open_reader(url: str, *, stream: str) -> AsyncIterator[RecordReader]:
    """A reader with a connection of its own; nothing is sent yet."""
    # Without a socket timeout, redis-py does not use asyncio.wait_for, which before Python 3.12 may swallow the
    # cancellation of its caller; `_asking` has a timeout around everything.
    client = redis.asyncio.Redis.from_url(url, socket_connect_timeout=_TIMEOUT_SECONDS, client_name="wpool-load")
    try:
        yield RecordReader(client, stream=stream)
    finally:
        await client.aclose()

"""The Redis of a queue, for what a worker keeps beside it: results, marks, counters.

It is the SDK's own connection with the queue's address and credentials, and knows no command by name. A worker that
does more with Redis takes a client library of its own choice.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from workerpool._queue import Queue
from workerpool.broker._redis.keys import Keys, beside
from workerpool.broker._redis.link import RedisAddress, RedisLink
from workerpool.broker._redis.scripts import Script

__all__ = ["Redis"]


class Redis:
    """Calls to the Redis that holds a queue. Nothing is dialled before the first one.

    Raises:
        ConfigurationError: the queue is not on Redis.
    """

    def __init__(self, queue: Queue, *, timeout: float = 5.0) -> None:
        source = queue.source
        self._stream = source.stream
        self._link = RedisLink(
            RedisAddress.parse(source.url), source.credentials, timeout=timeout, name="workerpool-user"
        )

    def key(self, name: str) -> str:
        """A key of your own: `{S}:user:NAME`, in the hash slot of the queue's stream S. No key of the SDK begins so."""
        return beside(self._stream, f"user:{name}")

    @property
    def dead_letters(self) -> str:
        """The key of the queue's dead letters, to read."""
        return Keys(self._stream, "").dead

    def cache_keys(self, cache: str, key: str) -> tuple[str, str]:
        """Of a value in the cache of this name, and of the lock on it."""
        return beside(self._stream, f"cache:v:{cache}:{key}"), beside(self._stream, f"cache:l:{cache}:{key}")

    async def call(self, *command: Any) -> Any:
        """Send one command; the answer as Redis gives it: bytes, ints, lists, None.

        Raises:
            BrokerError: one of its kinds. It may have happened nevertheless, if Redis was away.
        """
        return await self._link.call(*command)

    async def run(self, script: Script, keys: Sequence[str], *args: Any) -> Any:
        """What a script returns; see `call`."""
        return await self._link.run(script, keys, *args)

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

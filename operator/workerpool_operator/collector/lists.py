"""Depths of queues that other libraries keep in Redis as they like: the lengths of their keys.

A list, a sorted set, a set and a hash each have a length; a key that is not there has none, as all of these libraries
take the key of an empty queue away. One script counts all of them in one moment, so that a job that is moved from one
to another is counted once.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from workerpool.broker import Credentials, Depth
from workerpool.broker._redis import RedisAddress
from workerpool.broker._redis.link import RedisLink
from workerpool.errors import BadAnswer, QueueNotFound
from workerpool_operator.collector.questions.sources import DEPTH_ONLY

_LENGTHS: Final = """
local commands = {list = 'LLEN', zset = 'ZCARD', set = 'SCARD', hash = 'HLEN', none = ''}
local lengths = {}
for place, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  local command = commands[kind]
  if command == nil then
    lengths[place] = kind
  else
    lengths[place] = command == '' and 0 or redis.call(command, key)
  end
end
return lengths
"""


class RedisLists:
    """One queue in one or more keys.

    Its jobs in flight are those of `running`, and those that the pool's workers report where it is empty.
    """

    capabilities = DEPTH_ONLY

    def __init__(
        self, url: str, credentials: Credentials, *, keys: Sequence[str], running: Sequence[str], timeout: float
    ) -> None:
        """Raises ConfigurationError for a URL that is none."""
        self._link = RedisLink(RedisAddress.parse(url), credentials, timeout=timeout, name="workerpool-collector")
        self._keys, self._running = tuple(keys), tuple(running)

    async def depth(self) -> Depth:
        """Count. Raises BrokerError: QueueNotFound for a key that has no length."""
        keys = (*self._keys, *self._running)
        lengths = await self._link.call("EVAL", _LENGTHS, len(keys), *keys)
        if not (isinstance(lengths, list) and len(lengths) == len(keys)):
            raise BadAnswer("this is no answer to the lengths of keys")
        for key, length in zip(keys, lengths, strict=True):
            if not isinstance(length, int):
                kind = length.decode("ascii", errors="replace") if isinstance(length, bytes) else "something else"
                hint = ": name it in redisStream" if kind == "stream" else ""
                raise QueueNotFound(f"the key {key!r} is a {kind}, and not a list, a set or a hash{hint}")
        waiting, running = sum(lengths[: len(self._keys)]), sum(lengths[len(self._keys) :])
        in_flight = running if self._running else None
        return Depth(waiting, in_flight, None, oldest_age_seconds=None, arrivals_total=None, dead_letters=None)

    async def wait_for_arrival(self, seconds: float) -> bool:
        """A blocking read would take the job."""
        await asyncio.sleep(seconds)
        return False

    async def close(self) -> None:
        """The next call dials anew."""
        await self._link.close()

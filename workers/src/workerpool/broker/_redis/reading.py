"""What an observer sees of a queue."""

import asyncio
from typing import Final

from workerpool.broker._redis import scripts
from workerpool.broker._redis.keys import Keys
from workerpool.broker._redis.link import RedisLink
from workerpool.broker._types import Depth
from workerpool.errors import BadAnswer

_ENOUGH_BYTES: Final = 64 * 1024
"""Of an entry that is received only to be dropped."""


async def depth(link: RedisLink, stream: str, keys: Keys, group: str) -> tuple[Depth, bytes]:
    """The figures, of one moment, and the id of the last entry that ever was.

    Raises:
        BadAnswer: Redis does not know how many wait.
        BrokerError: another of its kinds.
    """
    reply = await link.run(scripts.DEPTH, (stream, keys.delayed, keys.dead, keys.stats), group)
    # Also lower than before: a stream made anew, or a replica that lags, may go on with lower ids.
    waiting, in_flight, delayed, age_ms, arrivals, letters, blocked, last_seen = reply
    if waiting is None:
        raise BadAnswer("Redis cannot say how many entries wait (lag is unknown after an XDEL), too many to count")
    figures = Depth(
        waiting=int(waiting),
        in_flight=int(in_flight),
        delayed=int(delayed),
        oldest_age_seconds=int(age_ms) / 1000.0,
        arrivals_total=int(arrivals),
        dead_letters=int(letters),
        blocked=int(blocked),
    )
    return figures, last_seen


async def arrival(link: RedisLink, stream: str, *, after: bytes, seconds: float) -> bool:
    """Wait for an entry after this one. Redis sends it along: it is dropped, and when it is large not even received."""
    block = ("BLOCK", max(1, round(seconds * 1000)))
    command = ("XREAD", "COUNT", 1, *block, "STREAMS", stream, after)
    try:
        reply = await link.call(*command, wait=seconds, cut_off=_ENOUGH_BYTES)
    except asyncio.CancelledError:
        await link.close()  # Redis would answer nothing else on it until the block is over
        raise
    return reply is not None

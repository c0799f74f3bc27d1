"""The dead letters of a queue: listed, let loose again, deleted."""

from typing import Any

from workerpool.broker._redis import scripts
from workerpool.broker._redis.link import RedisLink
from workerpool.broker._redis.wire import dead_from
from workerpool.broker._types import DeadJob, DeadJobs


async def page(link: RedisLink, dead: str, *, limit: int, after: str) -> list[DeadJob]:
    """At most `limit` of them, after the entry `after`."""
    start = f"({after}" if after else "-"
    entries: list[Any] = await link.call("XRANGE", dead, start, "+", "COUNT", limit)
    return [dead_from(entry_id, fields) for entry_id, fields in entries]


async def remove(link: RedisLink, keys: tuple[str, str, str], group: str, which: DeadJobs, *, redrive: bool) -> int:
    """Redrive or purge, chunk by chunk, up to the last one that was there at first; return how many.

    Without that end a redrive would go round for ever with jobs that die again at once.
    """
    moved, after, last = 0, b"", b""
    while True:
        chunk, after, last = await link.run(
            scripts.REDRIVE, keys, group, after, last, which.reason, which.job_id, int(redrive), which.version
        )
        moved += int(chunk)
        which.moved(int(chunk))
        if not after:
            return moved

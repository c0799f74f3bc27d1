"""The dead letters' table."""

from typing import Final

from workerpool.broker._postgres.link import PostgresLink
from workerpool.broker._trace_text import from_text
from workerpool.broker._types import DeadJob, DeadJobs

_CHUNK: Final = 500
"""As in `schema`: fewer than this, and there are no more."""
_PAGE: Final = """
SELECT serial, id, type, payload, attempts, reason, error, traceback, version, worker, at, tenant, priority, key, trace
FROM workerpool.dead WHERE queue = $1 AND serial > $2 ORDER BY serial LIMIT $3
"""
_NEWEST: Final = "SELECT coalesce(max(serial), 0) AS serial FROM workerpool.dead WHERE queue = $1"
_REMOVE: Final = "SELECT workerpool.remove_dead($1, $2, $3, $4, $5, $6) AS removed"


async def page(link: PostgresLink, queue: int, *, limit: int, after: int) -> list[DeadJob]:
    """At most `limit` of them, after the serial `after`."""
    found = await link.rows(_PAGE, queue, after, limit)
    return [DeadJob(str(serial), *(*rest, from_text(trace))) for serial, *rest, trace in found]


async def remove(link: PostgresLink, queue: int, channel: str, which: DeadJobs, *, redrive: bool) -> int:
    """Redrive or purge those that are there now, chunk by chunk; return how many."""
    [newest] = await link.rows(_NEWEST, queue)
    total = 0
    while True:
        chosen = (which.reason, which.job_id, newest["serial"], redrive)
        [row] = await link.rows(_REMOVE, queue, channel, *chosen)
        moved = int(row["removed"])
        total += moved
        if moved < _CHUNK:
            return total

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

_REMOVE_OF_VERSION: Final = f"""
WITH gone AS (
    DELETE FROM workerpool.dead WHERE serial IN (
        SELECT d.serial FROM workerpool.dead AS d
        WHERE d.queue = $1 AND d.serial <= $5 AND d.version = $7
        AND ($3 = '' OR d.reason = $3) AND ($4 = '' OR d.id = $4)
        ORDER BY d.serial LIMIT {_CHUNK} FOR UPDATE
    ) RETURNING *
), put AS (
    INSERT INTO workerpool.jobs (queue, id, type, payload, due, tenant, priority, key, trace)
    SELECT queue, id, type, payload, extract(epoch FROM clock_timestamp()), tenant, priority, key, trace
    FROM gone WHERE $6 ORDER BY serial
)
SELECT count(*) AS removed, CASE WHEN $6 AND count(*) > 0 THEN pg_notify($2, 'job') END AS told FROM gone
"""  # noqa: S608  constants
"""As `workerpool.remove_dead`, which does not know of versions, and whose arguments cannot change: see `schema`."""


async def page(link: PostgresLink, queue: int, *, limit: int, after: int) -> list[DeadJob]:
    """At most `limit` of them, after the serial `after`."""
    found = await link.rows(_PAGE, queue, after, limit)
    return [DeadJob(str(serial), *(*rest, from_text(trace))) for serial, *rest, trace in found]


async def remove(link: PostgresLink, queue: int, channel: str, which: DeadJobs, *, redrive: bool) -> int:
    """Redrive or purge those that are there now, chunk by chunk; return how many."""
    [newest] = await link.rows(_NEWEST, queue)
    total = 0
    while True:
        chosen = (queue, channel, which.reason, which.job_id, newest["serial"], redrive)
        if which.version:
            [row] = await link.rows(_REMOVE_OF_VERSION, *chosen, which.version)
        else:
            [row] = await link.rows(_REMOVE, *chosen)
        moved = int(row["removed"])
        total += moved
        which.moved(moved)
        if moved < _CHUNK:
            return total

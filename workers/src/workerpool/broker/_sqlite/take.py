"""Which rows are taken: expired leases first, then what waits, in order."""

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from workerpool.broker._sqlite import fair
from workerpool.broker._sqlite.shed import CHUNK, sweep
from workerpool.broker._sqlite.tenants import Rooms
from workerpool.broker._trace_text import from_text
from workerpool.broker._types import DeathReason, Taken

_EXPIRED: Final = """
SELECT serial FROM jobs WHERE owner IS NOT NULL AND owner != :me AND lease_until <= :now
ORDER BY due, serial LIMIT :limit
"""
_WAITING: Final = f"""
SELECT serial FROM jobs WHERE owner IS NULL AND due <= :now AND {fair.WANTED} ORDER BY due, serial LIMIT :limit
"""  # noqa: S608
_ROW: Final = """
SELECT serial, id, type, payload, attempts, due, redelivered OR owner IS NOT NULL, checkpoint, tenant, priority, key,
    trace, begun
FROM jobs WHERE serial = ?
"""
_LEASE: Final = """
UPDATE jobs
SET attempts = attempts + 1, redelivered = redelivered OR owner IS NOT NULL, owner = ?, lease_until = ?
WHERE serial = ?
"""


class Taker(NamedTuple):
    """Who takes."""

    owner: str
    lease: float
    """Seconds for which a job is the owner's."""
    shed_after: Mapping[str, float]
    without: str
    """Types of jobs for which there is no room, as a JSON list."""


def take(database: sqlite3.Connection, *, who: Taker, limit: int) -> tuple[list[Taken], Counter[DeathReason]]:
    """Up to `limit` jobs, which are the taker's from now on; and how many were not to be run."""
    now = time.time()
    dropped = sweep(database, owner=who.owner, after=who.shed_after, now=now)
    if any(count >= CHUNK for count in dropped.values()):
        return [], dropped  # there may be more of them, which nobody must be given
    values = {"now": now, "me": who.owner, "limit": limit, "without": who.without}

    def lease_out(serial: int) -> Taken:
        row = database.execute(_ROW, (serial,)).fetchone()
        database.execute(_LEASE, (who.owner, now + who.lease, serial))
        return _taken(row, now)

    found = [lease_out(serial) for (serial,) in database.execute(_EXPIRED, values).fetchall()]
    values["limit"] = limit - len(found)
    if not database.execute("SELECT 1 FROM stats WHERE name = 'ordered'").fetchone():
        return found + [lease_out(serial) for (serial,) in database.execute(_WAITING, values).fetchall()], dropped
    rooms = Rooms(database, now)
    fair.tag(database, now, rooms, without=who.without)
    while len(found) < limit and (chosen := fair.choose(database, now, rooms, without=who.without)) is not None:
        found.append(lease_out(chosen))
    return found, dropped


def _taken(row: tuple[Any, ...], now: float) -> Taken:
    serial, job_id, type_, payload, attempts, due, redelivered, checkpoint, tenant, priority, key, trace, begun = row
    return Taken(
        token=str(serial),
        job_id=job_id,
        type=type_,
        payload=payload,
        attempt=attempts + 1,
        waited=max(0.0, now - due),
        redelivered=bool(redelivered),
        checkpoint=checkpoint,
        tenant=tenant,
        priority=priority,
        ordering_key=key,
        trace=from_text(trace),
        begun=bool(begun),
    )

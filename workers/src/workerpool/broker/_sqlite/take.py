"""Which rows are taken: expired leases first, then what waits, in order."""

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from workerpool.broker._sqlite import fair
from workerpool.broker._sqlite.shed import CHUNK, sweep
from workerpool.broker._sqlite.tenants import Rooms
from workerpool.broker._sqlite.trace import from_text
from workerpool.broker._types import DeathReason, Taken

_EXPIRED: Final = """
SELECT serial FROM jobs WHERE owner IS NOT NULL AND owner != :me AND lease_until <= :now
ORDER BY due, serial LIMIT :limit
"""
_WAITING: Final = "SELECT serial FROM jobs WHERE owner IS NULL AND due <= :now ORDER BY due, serial LIMIT :limit"
_ROW: Final = """
SELECT serial, id, type, payload, attempts, due, owner, checkpoint, tenant, priority, key, trace FROM jobs
WHERE serial = ?
"""
_LEASE: Final = "UPDATE jobs SET attempts = attempts + 1, owner = ?, lease_until = ? WHERE serial = ?"


def take(
    database: sqlite3.Connection, *, owner: str, limit: int, lease: float, shed_after: Mapping[str, float]
) -> tuple[list[Taken], Counter[DeathReason]]:
    """Up to `limit` jobs, which are the owner's from now on for `lease` seconds; and how many were not to be run."""
    now = time.time()
    dropped = sweep(database, owner=owner, after=shed_after, now=now)
    if any(count >= CHUNK for count in dropped.values()):
        return [], dropped  # there may be more of them, which nobody must be given
    values = {"now": now, "me": owner, "limit": limit}

    def lease_out(serial: int) -> Taken:
        row = database.execute(_ROW, (serial,)).fetchone()
        database.execute(_LEASE, (owner, now + lease, serial))
        return _taken(row, now)

    found = [lease_out(serial) for (serial,) in database.execute(_EXPIRED, values).fetchall()]
    values["limit"] = limit - len(found)
    if not database.execute("SELECT 1 FROM stats WHERE name = 'ordered'").fetchone():
        return found + [lease_out(serial) for (serial,) in database.execute(_WAITING, values).fetchall()], dropped
    rooms = Rooms(database, now)
    fair.tag(database, now, rooms)
    while len(found) < limit and (chosen := fair.choose(database, now, rooms)) is not None:
        found.append(lease_out(chosen))
    return found, dropped


def _taken(row: tuple[Any, ...], now: float) -> Taken:
    serial, job_id, type_, payload, attempts, due, owner, checkpoint, tenant, priority, key, trace = row
    return Taken(
        token=str(serial),
        job_id=job_id,
        type=type_,
        payload=payload,
        attempt=attempts + 1,
        waited=max(0.0, now - due),
        redelivered=owner is not None,
        checkpoint=checkpoint,
        tenant=tenant,
        priority=priority,
        ordering_key=key,
        trace=from_text(trace),
    )

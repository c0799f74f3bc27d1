"""Jobs that are not to be run leave the table for the dead letters; the rules are those of `workerpool.broker._shed`.

The indexes find them, so they need not wait for their turn.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Final

from workerpool.broker._shed import TEXTS
from workerpool.broker._types import DeathReason

CHUNK: Final = 500
"""Jobs per transaction: more would hold up everyone else."""
_EXPIRED: Final = """
SELECT serial FROM jobs WHERE expires IS NOT NULL AND expires <= :now
AND ((owner IS NULL AND due <= :now) OR (owner != :me AND lease_until <= :now)) ORDER BY expires LIMIT :chunk
"""
_LATE: Final = """
SELECT serial FROM jobs WHERE owner IS NULL AND due < :now - :after AND priority = :class
AND NOT begun AND NOT redelivered ORDER BY due LIMIT :chunk
"""
_BURY: Final = """
INSERT INTO dead
(id, type, payload, attempts, reason, error, traceback, version, worker, at, tenant, priority, key, trace)
SELECT id, type, payload, attempts, ?, ?, '', '', ?, ?, tenant, priority, key, trace FROM jobs WHERE serial = ?
"""


def sweep(database: sqlite3.Connection, *, owner: str, after: Mapping[str, float], now: float) -> Counter[DeathReason]:
    """Move the first CHUNK of each kind; return how many, by why."""
    values = {"now": now, "me": owner, "chunk": CHUNK}
    found = {DeathReason.EXPIRED: database.execute(_EXPIRED, values).fetchall(), DeathReason.SHED: []}
    for priority, seconds in after.items():
        late = database.execute(_LATE, {**values, "after": seconds, "class": priority}).fetchall()
        found[DeathReason.SHED] += [row for row in late if row not in found[DeathReason.EXPIRED]]
    for reason, rows in found.items():
        database.executemany(_BURY, [(reason.value, TEXTS[reason], owner, now, serial) for (serial,) in rows])
        database.executemany("DELETE FROM jobs WHERE serial = ?", rows)
    return Counter({reason: len(rows) for reason, rows in found.items() if rows})

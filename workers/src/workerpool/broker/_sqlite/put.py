"""Putting jobs into the table."""

import sqlite3
import time
import uuid
from collections.abc import Sequence
from typing import Any, Final

from workerpool.broker._sqlite import clock
from workerpool.broker._trace_text import to_text
from workerpool.broker._types import NewJob

_DEDUPLICATION_SECONDS: Final = 600.0


def put(database: sqlite3.Connection, jobs: Sequence[NewJob], max_depth: int | None) -> int:
    """As many as there is room for, from the first; return how many."""
    now, fresh, accepted = time.time(), 0, 0
    clock.note(database)
    room: float = float("inf")
    if max_depth is not None:
        query = "SELECT count(*) FROM jobs WHERE owner IS NULL AND due <= ?"
        room = max_depth - database.execute(query, (now,)).fetchone()[0]
    for job in jobs:
        known: Any = None
        if job.job_id:
            known = database.execute("SELECT 1 FROM seen WHERE id = ? AND until > ?", (job.job_id, now)).fetchone()
        if known is None:
            if fresh >= room:
                break
            fresh += 1
            if job.job_id:
                seen = (job.job_id, now + _DEDUPLICATION_SECONDS)
                database.execute("INSERT OR REPLACE INTO seen (id, until) VALUES (?, ?)", seen)
            database.execute(
                "INSERT INTO jobs (id, type, payload, due, tenant, priority, key, trace, expires)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    job.job_id or uuid.uuid4().hex,
                    job.type,
                    job.payload,
                    now + job.delay,
                    job.tenant,
                    job.priority.value,
                    job.ordering_key,
                    to_text(job.trace),
                    None if job.expires_in is None else now + job.expires_in,
                ),
            )
        accepted += 1
    database.execute(
        "INSERT INTO stats (name, value) VALUES ('put', ?)"
        " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        (fresh,),
    )
    if not all(job.plain for job in jobs):
        database.execute("INSERT OR IGNORE INTO stats (name, value) VALUES ('ordered', 1)")
    return accepted

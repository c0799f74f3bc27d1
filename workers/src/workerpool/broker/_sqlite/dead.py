"""The dead letters' table."""

import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from workerpool.broker._trace_text import from_text, to_text
from workerpool.broker._types import DeadJob, DeadJobs, DeadLetter

CHUNK: Final = 500
"""Jobs per transaction: longer ones would hold up everyone else."""
_WHICH: Final = (
    "serial <= :last AND (:reason = '' OR reason = :reason) AND (:id = '' OR id = :id)"
    " AND (:version = '' OR version = :version)"
)
_CHUNK: Final = f"SELECT serial FROM dead WHERE {_WHICH} ORDER BY serial LIMIT :chunk"  # noqa: S608  constants


def bury(database: sqlite3.Connection, letters: Sequence[DeadLetter], *, owner: str) -> frozenset[str]:
    """Move those that are the owner's to the dead letters; return the tokens of the others."""
    lost = set()
    for letter in letters:
        job = letter.job
        if database.execute("DELETE FROM jobs WHERE serial = ? AND owner = ?", (job.token, owner)).rowcount:
            order = (job.tenant, job.priority, job.ordering_key, to_text(job.trace))
            text = (letter.reason.value, letter.error, letter.traceback, letter.version, letter.worker)
            database.execute(
                "INSERT INTO dead (id, type, payload, attempts, reason, error, traceback, version, worker,"
                " at, tenant, priority, key, trace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (job.job_id, job.type, job.payload, job.attempt, *text, time.time(), *order),
            )
        else:
            lost.add(job.token)
    return frozenset(lost)


def page(database: sqlite3.Connection, *, limit: int, after: int) -> list[DeadJob]:
    """At most `limit` of them, after the serial `after`."""
    rows = database.execute(
        "SELECT serial, id, type, payload, attempts, reason, error, traceback, version, worker, at,"
        " tenant, priority, key, trace FROM dead"
        " WHERE serial > ? ORDER BY serial LIMIT ?",
        (after, limit),
    )
    return [DeadJob(str(serial), *(*rest, from_text(trace))) for serial, *rest, trace in rows]


def newest(database: sqlite3.Connection) -> int:
    """Serial of the last one: what dies later is left by a redrive or purge that begins now."""
    [serial] = database.execute("SELECT coalesce(max(serial), 0) FROM dead").fetchone()
    return int(serial)


def remove(database: sqlite3.Connection, which: DeadJobs, last: int, *, redrive: bool) -> int:
    """Redrive or purge the first CHUNK of them up to the serial `last`; return how many."""
    values = {
        "reason": which.reason,
        "id": which.job_id,
        "version": which.version,
        "last": last,
        "chunk": CHUNK,
        "now": time.time(),
    }
    if redrive:
        database.execute(
            "INSERT INTO jobs (id, type, payload, due, tenant, priority, key, trace)"  # noqa: S608  constants
            " SELECT id, type, payload, :now, tenant, priority, key, trace FROM dead"
            f" WHERE serial IN ({_CHUNK}) ORDER BY serial",
            values,
        )
    return database.execute(f"DELETE FROM dead WHERE serial IN ({_CHUNK})", values).rowcount  # noqa: S608  constants

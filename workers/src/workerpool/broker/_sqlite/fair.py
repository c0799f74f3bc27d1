"""The fair order in tables; the rules are those of `workerpool.broker._fair`.

Who holds an ordering key is not written down: it is in flight, or has been tried, or is the first in line. Tags are
given when jobs are taken: V and the order of arrival have not changed since those jobs came.
"""

import sqlite3
from typing import Final

from workerpool.broker._fair import next_class, start_tag
from workerpool.broker._types import Priority

# A job may run when no other one of its key is in flight, and it holds the key or is the first that wants it.
MAY_RUN: Final = """
owner IS NULL AND due <= :now AND (key = '' OR NOT EXISTS (
    SELECT 1 FROM jobs AS other WHERE other.key = jobs.key AND other.serial != jobs.serial AND (
        other.owner IS NOT NULL OR (jobs.attempts = 0 AND (
            other.attempts > 0 OR (other.due <= :now AND other.serial < jobs.serial))))))
"""
_UNTAGGED: Final = f"SELECT serial, priority, tenant FROM jobs WHERE tag IS NULL AND {MAY_RUN} ORDER BY serial"  # noqa: S608
_OLDEST: Final = f"SELECT due FROM jobs WHERE priority = :class AND tag NOT NULL AND {MAY_RUN} ORDER BY due LIMIT 1"  # noqa: S608
_FIRST: Final = f"""
SELECT serial, tag FROM jobs WHERE priority = :class AND tag NOT NULL AND {MAY_RUN} ORDER BY tag, serial LIMIT 1
"""  # noqa: S608


def tag(database: sqlite3.Connection, now: float) -> None:
    """Give start tags to those that may run and have none yet."""
    untagged = database.execute(_UNTAGGED, {"now": now}).fetchall()
    if not untagged:
        return
    virtual: dict[str, float] = dict(database.execute("SELECT priority, tag FROM virtual"))
    finish = {(class_, tenant): end for class_, tenant, end in database.execute("SELECT * FROM fair")}
    tags = []
    for serial, class_, tenant in untagged:
        start = start_tag(virtual.get(class_, 0.0), finish.get((class_, tenant)))
        finish[class_, tenant] = start + 1
        tags.append((start, serial))
    database.executemany("UPDATE jobs SET tag = ? WHERE serial = ?", tags)
    changed = {(class_, tenant) for _, class_, tenant in untagged}
    rows = [(class_, tenant, finish[class_, tenant]) for class_, tenant in changed]
    database.executemany("INSERT OR REPLACE INTO fair VALUES (?, ?, ?)", rows)


def choose(database: sqlite3.Connection, now: float) -> int | None:
    """The serial of the job that runs next, which is to be leased at once; None when none can run."""
    oldest = {}
    for priority in Priority:
        row = database.execute(_OLDEST, {"now": now, "class": priority.value}).fetchone()
        if row is None:  # nobody waits in this class: tags begin anew
            database.execute("DELETE FROM fair WHERE priority = ?", (priority.value,))
            database.execute("DELETE FROM virtual WHERE priority = ?", (priority.value,))
        else:
            oldest[priority] = row[0]
    if not oldest:
        return None
    chosen = next_class(oldest).value
    serial, virtual = database.execute(_FIRST, {"now": now, "class": chosen}).fetchone()
    database.execute("INSERT OR REPLACE INTO virtual VALUES (?, ?)", (chosen, virtual))
    database.execute("DELETE FROM fair WHERE priority = ? AND finish <= ?", (chosen, virtual))
    return int(serial)

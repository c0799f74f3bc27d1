"""The fair order in tables; the rules are those of `workerpool.broker._fair`.

Who holds an ordering key is not written down: it is in flight, or has been tried, or is the first in line. Tags are
given when jobs are taken: V and the order of arrival have not changed since those jobs came. A job of a tenant with a
limit has one only while there is room for it.
"""

import math
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from workerpool.broker._fair import next_class, start_tag
from workerpool.broker._sqlite.tenants import Rooms
from workerpool.broker._types import Priority

NOTHING: Final = "[]"
"""No type, as JSON."""
# A job may run when no other one of its key is in flight, and it holds the key or is the first that wants it.
MAY_RUN: Final = """
owner IS NULL AND due <= :now AND (key = '' OR NOT EXISTS (
    SELECT 1 FROM jobs AS other WHERE other.key = jobs.key AND other.serial != jobs.serial AND (
        other.owner IS NOT NULL OR (jobs.attempts = 0 AND (
            other.attempts > 0 OR (other.due <= :now AND other.serial < jobs.serial))))))
"""
# Nor when its tenant is at its limit.
HAS_ROOM: Final = "tenant NOT IN (SELECT value FROM json_each(:full))"
# Nor when the taker has no room for its type.
WANTED: Final = "type NOT IN (SELECT value FROM json_each(:without))"
_UNTAGGED: Final = f"""
SELECT serial, priority, tenant FROM jobs WHERE tag IS NULL AND {HAS_ROOM} AND {WANTED} AND {MAY_RUN} ORDER BY serial
"""  # noqa: S608
_BEHIND: Final = f"""
SELECT count(*) FILTER (WHERE owner IS NULL AND due <= :now) - (SELECT count(*) FROM jobs WHERE {MAY_RUN}) FROM jobs
"""  # noqa: S608
_TAGGED: Final = f"""
SELECT count(*) FROM jobs WHERE tenant = :tenant AND tag NOT NULL AND owner IS NULL AND due <= :now AND {WANTED}
"""  # noqa: S608
_CANDIDATE: Final = f"priority = :class AND tag NOT NULL AND {HAS_ROOM} AND {WANTED} AND {MAY_RUN}"
# Those that were passed have tags behind it.
_VIRTUAL: Final = "INSERT INTO virtual VALUES (?, ?) ON CONFLICT (priority) DO UPDATE SET tag = max(tag, excluded.tag)"
_OLDEST: Final = f"SELECT due FROM jobs WHERE {_CANDIDATE} ORDER BY due LIMIT 1"  # noqa: S608
_FIRST: Final = f"SELECT serial, tag, tenant FROM jobs WHERE {_CANDIDATE} ORDER BY tag, serial LIMIT 1"  # noqa: S608


def tag(database: sqlite3.Connection, now: float, rooms: Rooms, *, without: str) -> None:
    """Give start tags to those that may run and have none yet: of a tenant with a limit as many as it has room for."""
    untagged = database.execute(_UNTAGGED, {"now": now, "full": rooms.full, "without": without}).fetchall()
    if rooms.free:
        untagged = _within_limits(database, rooms, untagged, {"now": now, "without": without})
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


def _within_limits(
    database: sqlite3.Connection, rooms: Rooms, untagged: list[tuple[int, str, str]], values: Mapping[str, Any]
) -> list[tuple[int, str, str]]:
    left = {
        tenant: free - database.execute(_TAGGED, {**values, "tenant": tenant}).fetchone()[0]
        for tenant, free in rooms.free.items()
    }
    chosen = []
    for row in untagged:
        if (room := left.get(row[2], math.inf)) > 0:
            left[row[2]] = room - 1
            chosen.append(row)
    return chosen


def choose(database: sqlite3.Connection, now: float, rooms: Rooms, *, without: str) -> int | None:
    """The serial of the job that runs next, which is to be leased at once; None when none can run."""
    oldest, values = {}, {"now": now, "full": rooms.full, "without": without}
    for priority in Priority:
        row = database.execute(_OLDEST, {**values, "class": priority.value}).fetchone()
        if row is not None:
            oldest[priority] = row[0]
        elif without == NOTHING:  # nobody waits in this class: tags begin anew
            database.execute("DELETE FROM fair WHERE priority = ?", (priority.value,))
            database.execute("DELETE FROM virtual WHERE priority = ?", (priority.value,))
    if not oldest:
        return None
    chosen = next_class(oldest).value
    serial, virtual, tenant = database.execute(_FIRST, {**values, "class": chosen}).fetchone()
    rooms.spend(tenant)
    database.execute(_VIRTUAL, (chosen, virtual))
    database.execute("DELETE FROM fair WHERE priority = ? AND finish <= ?", (chosen, virtual))
    return int(serial)


def blocked(database: sqlite3.Connection, now: float) -> int:
    """How many of those that are due no free consumer could take."""
    rooms = Rooms(database, now)
    [behind] = database.execute(_BEHIND, {"now": now}).fetchone()
    if not rooms.free:
        return int(behind)
    able = database.execute(f"SELECT tenant, count(*) FROM jobs WHERE {MAY_RUN} GROUP BY tenant", {"now": now})  # noqa: S608
    return int(behind + sum(max(0, count - rooms.free.get(tenant, math.inf)) for tenant, count in able.fetchall()))

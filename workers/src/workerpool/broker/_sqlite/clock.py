"""The machine's clock may be set back: all times in the file go back with it.

Else nothing that waits would be due until the clock is where it was, and nobody's lease would expire. How far it went
back is known from the time that was noted last: whenever jobs were put, and by consumers once a second. A clock that
is set ahead cannot be told from a file that nobody used: it makes delayed jobs due, and lets leases expire that are
not extended in time.
"""

import sqlite3
import time
from typing import Final

_TOLERATED_SECONDS: Final = 2.0
"""Less is corrected by no one: a job is late by it."""
_TIMES: Final = (
    ("jobs", "due"),
    ("jobs", "lease_until"),
    ("jobs", "expires"),
    ("seen", "until"),
    ("buckets", "at"),
    ("said", "at"),
)


def follow(database: sqlite3.Connection) -> None:
    """Bring the times in the file into line with a clock that was set back. Within the transaction that reads them."""
    noted = database.execute("SELECT value FROM stats WHERE name = 'clock'").fetchone()
    if noted is None or (now := time.time()) >= noted[0] - _TOLERATED_SECONDS:
        return
    for table, column in _TIMES:
        database.execute(f"UPDATE {table} SET {column} = {column} - ?", (noted[0] - now,))  # noqa: S608  constants
    note(database)


def note(database: sqlite3.Connection) -> None:
    """Keep what time it is. Within a transaction, as `follow`: a time from before it may be one that is no more."""
    database.execute("INSERT OR REPLACE INTO stats (name, value) VALUES ('clock', ?)", (time.time(),))

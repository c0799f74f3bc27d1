"""The tables, and how the file is opened."""

import sqlite3
from typing import Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    payload BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    owner TEXT,
    lease_until REAL,
    checkpoint BLOB NOT NULL DEFAULT x''
);
CREATE INDEX IF NOT EXISTS jobs_by_due ON jobs (owner, due);
CREATE TABLE IF NOT EXISTS dead (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL, attempts INTEGER NOT NULL,
    reason TEXT NOT NULL, error TEXT NOT NULL, traceback TEXT NOT NULL, version TEXT NOT NULL, worker TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stats (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


def open_file(path: str, timeout: float) -> sqlite3.Connection:
    """Open it, and make what is not there."""
    database = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database

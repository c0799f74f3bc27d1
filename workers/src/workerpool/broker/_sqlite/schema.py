"""The tables, and how the file is opened."""

import sqlite3
import time
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
    checkpoint BLOB NOT NULL DEFAULT x'',
    tenant TEXT NOT NULL DEFAULT '',
    priority TEXT NOT NULL DEFAULT 'normal',
    key TEXT NOT NULL DEFAULT '',
    tag REAL,
    expires REAL,
    begun INTEGER NOT NULL DEFAULT 0,
    trace TEXT NOT NULL DEFAULT '',
    redelivered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_by_key ON jobs (key) WHERE key != '';
CREATE INDEX IF NOT EXISTS jobs_by_due ON jobs (owner, due);
CREATE TABLE IF NOT EXISTS dead (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL, type TEXT NOT NULL, payload BLOB NOT NULL, attempts INTEGER NOT NULL,
    reason TEXT NOT NULL, error TEXT NOT NULL, traceback TEXT NOT NULL, version TEXT NOT NULL, worker TEXT NOT NULL,
    at REAL NOT NULL,
    tenant TEXT NOT NULL DEFAULT '', priority TEXT NOT NULL DEFAULT 'normal', key TEXT NOT NULL DEFAULT '',
    trace TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS fair (priority TEXT, tenant TEXT, finish REAL NOT NULL, PRIMARY KEY (priority, tenant));
CREATE TABLE IF NOT EXISTS virtual (priority TEXT PRIMARY KEY, tag REAL NOT NULL);
CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, tokens REAL NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS said (limits TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stats (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
_ADDED: Final = (
    ("jobs", "trace", "TEXT NOT NULL DEFAULT ''"),
    ("jobs", "expires", "REAL"),
    ("jobs", "begun", "INTEGER NOT NULL DEFAULT 0"),
    ("jobs", "redelivered", "INTEGER NOT NULL DEFAULT 0"),
    ("dead", "trace", "TEXT NOT NULL DEFAULT ''"),
)
"""Columns that files of earlier versions do not have: table, name, declaration."""


def open_file(path: str, timeout: float) -> sqlite3.Connection:
    """Open it, and make what is not there."""
    database = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        _write_ahead(database, timeout)
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
        _add_columns(database)
        database.execute("CREATE INDEX IF NOT EXISTS jobs_by_expiry ON jobs (expires) WHERE expires IS NOT NULL")
    except BaseException:
        database.close()
        raise
    return database


def identify(database: sqlite3.Connection) -> str:
    """What tells the queue in this file from every other one: the first who asks draws it."""
    # Behind a letter: the column would make a number of what looks like one.
    database.execute("INSERT OR IGNORE INTO stats VALUES ('identity', 'q' || lower(hex(randomblob(16))))")
    [identity] = database.execute("SELECT value FROM stats WHERE name = 'identity'").fetchone()
    return str(identity)


def _add_columns(database: sqlite3.Connection) -> None:
    missing = [column for column in _ADDED if not _has(database, column)]
    if not missing:
        return
    database.execute("BEGIN IMMEDIATE")
    for column in missing:
        if not _has(database, column):  # somebody else was faster
            database.execute("ALTER TABLE {} ADD COLUMN {} {}".format(*column))
    database.execute("COMMIT")


def _has(database: sqlite3.Connection, column: tuple[str, str, str]) -> bool:
    table, name, _ = column
    return any(name == row[1] for row in database.execute(f"PRAGMA table_info({table})"))


def _write_ahead(database: sqlite3.Connection, timeout: float) -> None:
    """Readers and a writer at once. The file's first users may be in each other's way: SQLite does not wait here."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.01)  # on the thread of this broker, which has nothing else to do
        else:
            return

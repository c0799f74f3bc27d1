"""Where the storm's jobs have their effects, and what tells afterwards what happened: one SQLite file.

Every row is committed before the job goes on, so what a killed worker wrote is there, and what is not there it did not
come to. That is the proof that a kill hit a busy worker: once the process is gone, it has a run without an end.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workerpool import Job

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    worker TEXT NOT NULL,
    ended TEXT
);
CREATE INDEX IF NOT EXISTS unfinished ON runs (worker) WHERE ended IS NULL;
CREATE INDEX IF NOT EXISTS finished ON runs (job) WHERE ended = 'done';
CREATE TABLE IF NOT EXISTS effects (job TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS skipped (job TEXT NOT NULL);
"""
_DONE = "SELECT count(DISTINCT job) FROM runs WHERE ended = 'done'"
_DOUBLED = "SELECT count(*) FROM (SELECT 1 FROM effects GROUP BY job HAVING count(*) > 1)"
_MISSING = f"{_DONE} AND job NOT IN (SELECT job FROM effects)"  # noqa: S608  of constants
_LOCKED_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the store tells. Counts of jobs, but for `duplicates` and `skipped`."""

    done: int
    """Ran to the end of their handler at least once."""
    duplicates: int
    """Runs to the end of a handler, after the first one of a job: an unguarded counter at that place is so much off."""
    effects_missing: int
    """Done, and the effect is not there."""
    effects_doubled: int
    """The effect is there more than once."""
    skipped: int
    """Runs that `job.once` kept from a second effect."""


class Store:
    """A connection to the file, which is made when it is not there."""

    def __init__(self, path: str) -> None:
        self._database = sqlite3.connect(path, timeout=_LOCKED_SECONDS, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.executescript(_SCHEMA)

    @contextmanager
    def run(self, job_id: str, *, worker: str) -> Iterator[None]:
        """Record a run: its begin, and whether it came to its end or was cancelled."""
        begin = "INSERT INTO runs (job, worker) VALUES (?, ?)"
        row = self._database.execute(begin, (job_id, worker)).lastrowid
        ended = "cancelled"
        try:
            yield
            ended = "done"
        finally:
            self._database.execute("UPDATE runs SET ended = ? WHERE run = ?", (ended, row))

    async def effect(self, job: Job) -> None:
        """Have the effect of a job, in one transaction with its mark. Nothing waits in between but for the lock."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            first = await job.once(self._database)
            self._database.execute(f"INSERT INTO {'effects' if first else 'skipped'} (job) VALUES (?)", (job.id,))  # noqa: S608
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def done(self) -> int:
        """How many jobs are done."""
        return self._count(_DONE)

    def busy(self) -> frozenset[str]:
        """Workers, living or dead, that have a run without an end."""
        return frozenset(
            row[0] for row in self._database.execute("SELECT DISTINCT worker FROM runs WHERE ended IS NULL")
        )

    def found(self) -> Found:
        """Everything, for the end."""
        done = self.done()
        runs = self._count("SELECT count(*) FROM runs WHERE ended = 'done'")
        return Found(
            done=done,
            duplicates=runs - done,
            effects_missing=self._count(_MISSING),
            effects_doubled=self._count(_DOUBLED),
            skipped=self._count("SELECT count(*) FROM skipped"),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _count(self, query: str) -> int:
        (count,) = self._database.execute(query).fetchone()
        return int(count)

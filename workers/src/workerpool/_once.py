"""Effects exactly once: a mark for each job, set in the transaction that holds the effects.

Both are committed or neither is, and the mark's primary key lets one of two attempts through, also when they run at the
same time: the second one waits for the first one's transaction, and then finds the mark.

The driver is told by its shape, so none is imported: sqlite3 and aiosqlite, psycopg (also its asyncio connection) and
psycopg2, asyncpg.
"""

import inspect
from typing import Any, Final

from workerpool.errors import ConfigurationError

TABLE: Final = """\
CREATE TABLE IF NOT EXISTS workerpool_done (
    stream TEXT NOT NULL,
    job_id TEXT NOT NULL,
    at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (stream, job_id)
)"""
"""Made when it is missing in SQLite. In Postgres it belongs into a migration: made by two transactions at once, one of
them would fail, and workers need no right to make tables."""
_MARK: Final = "INSERT INTO workerpool_done (stream, job_id) VALUES ({0}, {1}) ON CONFLICT DO NOTHING"
_PSYCOPG_IDLE: Final = 0


async def once(connection: Any, stream: str, job_id: str) -> bool:
    """Mark the job as done in the connection's transaction; False: it is marked already.

    Raises:
        ConfigurationError: no transaction is open, so the mark would be committed alone; or an unknown driver.
        Exception: what the driver raises; the transaction is as the driver leaves it.
    """
    if hasattr(connection, "is_in_transaction"):
        _require(connection.is_in_transaction())
        status = await connection.execute(_MARK.format("$1", "$2"), stream, job_id)
        return str(status).endswith(" 1")
    if hasattr(connection, "in_transaction"):
        _require(connection.in_transaction or _begins_by_itself(connection))
        await _answer(connection.execute(TABLE))
        cursor = await _answer(connection.execute(_MARK.format("?", "?"), (stream, job_id)))
    elif hasattr(connection, "info"):
        _require(not connection.autocommit or connection.info.transaction_status != _PSYCOPG_IDLE)
        cursor = connection.cursor()
        await _answer(cursor.execute(_MARK.format("%s", "%s"), (stream, job_id)))
    else:
        kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
        raise ConfigurationError(f"{kind} is no connection of sqlite3, aiosqlite, psycopg or asyncpg")
    return bool(cursor.rowcount == 1)


def once_sync(connection: Any, stream: str, job_id: str) -> bool:
    """The same for a connection that is not asyncio's."""
    if not hasattr(connection, "commit") or inspect.iscoroutinefunction(connection.commit):
        raise ConfigurationError("an asyncio connection is used with `await job.once(...)`")
    try:
        once(connection, stream, job_id).send(None)
    except StopIteration as done:  # at once: there was nothing to wait for
        return bool(done.value)
    raise AssertionError("a connection with a plain commit has an asynchronous execute")


def _begins_by_itself(connection: Any) -> bool:
    """Whether SQLite's driver opens a transaction before an INSERT."""
    return connection.isolation_level is not None and getattr(connection, "autocommit", None) is not True


def _require(in_transaction: bool) -> None:  # noqa: FBT001  a statement of fact
    if not in_transaction:
        text = "begin a transaction before job.once: the mark and the effects must be committed together"
        raise ConfigurationError(text)


async def _answer(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result

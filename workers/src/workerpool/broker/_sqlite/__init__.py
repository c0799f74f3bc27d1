"""A queue in an SQLite file: `SqliteBroker`."""

from workerpool.broker._sqlite.broker import SqliteBroker

__all__ = ["SqliteBroker"]

"""Queues in a PostgreSQL database: `PostgresBroker`."""

from workerpool.broker._postgres.address import PostgresAddress
from workerpool.broker._postgres.broker import PostgresBroker

__all__ = ["PostgresAddress", "PostgresBroker"]

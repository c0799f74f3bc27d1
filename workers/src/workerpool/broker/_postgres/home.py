"""The queue's row, and the tables that it is in: looked up once, made when they are not there."""

import asyncpg

from workerpool.broker._postgres import schema, statements
from workerpool.broker._postgres.failures import is_missing
from workerpool.broker._postgres.link import PostgresLink
from workerpool.errors import AuthenticationFailed, QueueNotFound


class Home:
    """Of one queue.

    Attributes:
        identity: What tells it from every other one; empty until it was looked up.
    """

    def __init__(self, link: PostgresLink, name: str) -> None:
        self.identity = ""
        self._link = link
        self._name = name
        self._queue: int | None = None

    async def queue(self) -> int:
        """Its number. Raises BrokerError."""
        if self._queue is None:
            if await self._version() < schema.VERSION:
                await self._make()
            found = await self._link.rows(statements.FIND, self._name)
            if not found:
                await self._link.rows(statements.ADD, self._name)
                found = await self._link.rows(statements.FIND, self._name)
            self._queue, self.identity = found[0]["queue"], found[0]["identity"]
        return self._queue

    def leave(self) -> None:
        """It is not where it was: look it up anew."""
        self._queue = None

    async def _version(self) -> int:
        try:
            [row] = await self._link.rows(statements.VERSION)
        except QueueNotFound as error:
            if error.__cause__ is None or not is_missing(error.__cause__):
                raise
            return 0
        return int(row["version"])

    async def _make(self) -> None:
        try:
            await self._link.script(schema.text())
        except AuthenticationFailed as error:
            if isinstance(error.__cause__, asyncpg.InsufficientPrivilegeError):
                raise QueueNotFound(
                    f"{error}: the schema workerpool is not there or too old, and this user may not make it"
                ) from error
            raise

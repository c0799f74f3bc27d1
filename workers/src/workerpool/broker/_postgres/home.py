"""The queue's row, and the tables that it is in: looked up once, made or brought forward where that is needed."""

import random
import time
from typing import Final

import asyncpg

from workerpool.broker._postgres import schema, statements
from workerpool.broker._postgres.failures import is_busy, is_missing
from workerpool.broker._postgres.link import PostgresLink
from workerpool.errors import AuthenticationFailed, BrokerUnavailable, QueueNotFound, SchemaMismatch

_AGAIN_SECONDS: Final = 5.0
"""From one attempt to change the tables to the next, on the average: each one that finds them in use holds up the
others for a moment, and a whole fleet may be waiting to make one."""
_BY_HAND: Final = "let its owner run what `python -m workerpool.postgres_schema` prints"


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
        self._not_before = 0.0  # monotonic: the tables were in use when we wanted to change them

    async def queue(self) -> int:
        """Its number. Raises BrokerError."""
        if self._queue is None:
            version, oldest = await self._versions()
            if oldest > schema.VERSION:
                raise _too_new(version, oldest)
            if version < schema.VERSION:
                await self._bring_forward(version)
            found = await self._link.rows(statements.FIND, self._name)
            if not found:
                await self._link.rows(statements.ADD, self._name)
                found = await self._link.rows(statements.FIND, self._name)
            self._queue, self.identity = found[0]["queue"], found[0]["identity"]
        return self._queue

    async def check_absent(self) -> None:
        """For who only reads, and found no function of ours: return if there are no tables either.

        Raises:
            SchemaMismatch: there are, of another version.
        """
        version, oldest = await self._versions()
        if oldest > schema.VERSION:
            raise _too_new(version, oldest)
        if 0 < version < schema.VERSION:
            raise SchemaMismatch(
                f"the tables are of version {version}, and version {schema.VERSION} is needed to read them: the first "
                f"worker or producer of this version brings them forward; or {_BY_HAND}"
            )
        if version:
            raise QueueNotFound("the schema workerpool is damaged: its tables are there, and not its functions")

    def leave(self) -> None:
        """It is not where it was: look it up anew."""
        self._queue = None

    async def _versions(self) -> tuple[int, int]:
        """Of the tables, and the oldest that a program may need to work with them; 0 and 0 where there are none."""
        try:
            found = await self._link.rows(statements.VERSION)
        except QueueNotFound as error:
            if error.__cause__ is None or not is_missing(error.__cause__):
                raise
            return 0, 0
        return (found[0]["version"], found[0]["oldest"]) if found else (0, 0)

    async def _bring_forward(self, version: int) -> None:
        what = f"the tables are of version {version}, and version {schema.VERSION} is needed"
        if time.monotonic() < self._not_before:
            raise BrokerUnavailable(f"{self._link.where}: {what}; they are in use, another attempt follows")
        try:
            await self._link.script(schema.text())
        except AuthenticationFailed as error:
            if not isinstance(error.__cause__, asyncpg.InsufficientPrivilegeError):
                raise
            if version == 0:
                text = f"{error}: there is no schema workerpool, and this user may not make it; {_BY_HAND}"
                raise QueueNotFound(text) from error
            raise SchemaMismatch(f"{error}: {what}, and this user may not change them; {_BY_HAND}") from error
        except BrokerUnavailable as error:
            if error.__cause__ is None or not is_busy(error.__cause__):
                raise
            self._not_before = time.monotonic() + _AGAIN_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311  no secret
            raise BrokerUnavailable(f"{error}: {what}; somebody's long transaction uses them") from error


def _too_new(version: int, oldest: int) -> SchemaMismatch:
    return SchemaMismatch(
        f"the tables are of version {version}, for programs that know version {oldest}; this one knows "
        f"{schema.VERSION}: use a newer version of the package workerpool"
    )

"""A PostgreSQL server, by one connection at a time: dialled when needed, dropped when it fails, dialled anew.

A call is never repeated behind its caller's back: it may have happened. A new connection reads the credentials and the
CA anew. Calls follow one another: a connection of PostgreSQL answers one at a time.

A statement is prepared once per connection, and then costs one round trip. Behind a pooler that gives each transaction
another connection (PgBouncer's `pool_mode = transaction`) that is no use, and neither is LISTEN: there each call is a
transaction of its own, and `notifies` is False. Such a pooler gives itself away by its process id, which is not that
of the server's process.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import asyncpg

from workerpool._own_thread import Lookup
from workerpool.broker._credentials import Credentials
from workerpool.broker._postgres.address import PostgresAddress
from workerpool.broker._postgres.failures import broken, is_unusable, refused
from workerpool.broker._postgres.schema import INDEXES_ONLY
from workerpool.errors import BadAnswer, BrokerUnavailable, CredentialsMissing

if TYPE_CHECKING:
    from asyncpg.prepared_stmt import PreparedStatement

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
T = TypeVar("T")
_OLDEST_VERSION: Final = 13
"""Whose btree indexes keep the versions of a row small; and `gen_random_uuid` comes with it."""


class PostgresLink:
    """Calls to one database, each answered or failed within `timeout` seconds."""

    def __init__(self, address: PostgresAddress, credentials: Credentials, *, timeout: float, name: str) -> None:
        self._address = address
        self._lookup = Lookup(address.host)
        self._credentials = credentials
        self._timeout = timeout
        self._name = name
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None
        self._prepared: dict[str, PreparedStatement[asyncpg.Record]] = {}
        self._connects = 0
        self._pooled = False

    @property
    def generation(self) -> int:
        """Number of the connection in use, 0 while there is none: a change tells that one was lost in between."""
        return self._connects if self._connection is not None and not self._connection.is_closed() else 0

    @property
    def notifies(self) -> bool:
        """Whether the server can tell us anything unasked. Known once there is a connection."""
        return not self._pooled

    async def rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """What a statement returns.

        Raises:
            BrokerError: one of its kinds.
        """

        async def fetch(connection: Connection) -> list[asyncpg.Record]:
            if self._pooled:
                async with connection.transaction():
                    return await connection.fetch(query, *arguments)
            statement = self._prepared.get(query)
            if statement is None:
                statement = self._prepared[query] = await connection.prepare(query)
            return await statement.fetch(*arguments)

        return await self._call(fetch)

    async def script(self, text: str) -> None:
        """Run many statements without arguments, in one transaction."""

        async def execute(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(text)

        await self._call(execute)

    async def listen(self, channel: str, hear: Callable[[str], None], *, lost: Callable[[], None]) -> int:
        """Hear what is told on a channel, until the connection is lost; returns its generation."""

        async def add(connection: Connection) -> int:
            if not self._pooled:
                await connection.add_listener(channel, lambda *told: hear(str(told[-1])))
                connection.add_termination_listener(lambda *_: lost())
            return self._connects

        return await self._call(add)

    async def close(self) -> None:
        """Close the connection. Never raises."""
        connection, self._connection = self._connection, None
        self._prepared = {}
        if connection is not None:
            connection.terminate()
            await asyncio.sleep(0)  # let the transport close its socket

    @property
    def where(self) -> str:
        """For texts."""
        return f"{self._address.host}:{self._address.port}"

    async def _call(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._timeout), self._turn:
                try:
                    return await work(await self._connected())
                except BaseException as error:
                    if is_unusable(error):  # also when cancelled: its answer would be taken for the next one's
                        await self.close()
                    raise
        except asyncpg.PostgresError as error:
            raise refused(error, self.where) from error
        except TimeoutError as error:  # a server that hangs: whatever comes now comes too late
            raise BrokerUnavailable(f"{self.where}: no answer within {self._timeout:g} s") from error
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise broken(error, self.where) from error

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._prepared = {}
            self._connection = await self._dial()
            self._connects += 1
        return self._connection

    async def _dial(self) -> Connection:
        *others, last = await self._lookup.addresses()
        try:
            for found in others:
                with contextlib.suppress(OSError):
                    return await self._open(found.host)
            return await self._open(last.host)
        except (asyncpg.InternalClientError, asyncpg.InterfaceError) as error:
            raise BadAnswer(f"{self.where}: {error}") from error

    async def _open(self, host: str) -> Connection:
        address = self._address
        username = self._credentials.username() or address.username
        if not username:
            raise CredentialsMissing("no user name: put it into the credentials or the URL")
        connection = await asyncpg.connect(
            host=host,
            port=address.port,
            database=address.database,
            user=username,
            password=self._credentials.password() or address.password or "",
            ssl=self._tls() or False,
            statement_cache_size=0,
            server_settings={"application_name": self._name},
        )
        try:
            await self._look(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _look(self, connection: Connection) -> None:
        """Who is it that answers?"""
        if connection.get_server_version().major < _OLDEST_VERSION:
            raise BadAnswer(f"{self.where}: PostgreSQL {_OLDEST_VERSION} is the oldest that will do")
        async with connection.transaction():
            process = await connection.fetchval("SELECT pg_backend_pid()")
        self._pooled = process != connection.get_server_pid()
        if not self._pooled:  # whoever gave up waiting must not leave a process behind that goes on
            milliseconds = round(self._timeout * 1000)
            settings = (f"statement_timeout = {milliseconds}", *INDEXES_ONLY)
            await connection.execute("; ".join(f"SET {setting}" for setting in settings))

    def _tls(self) -> ssl.SSLContext | None:
        if not self._address.tls:
            return None
        files = self._credentials
        files.require_tls_files()
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.name = self._address.host
        if files.ca_file is not None:
            context.load_verify_locations(files.ca_file)
        else:
            context.load_default_certs()
        if files.cert_file is not None:
            context.load_cert_chain(files.cert_file, files.key_file)
        return context


class _NamedContext(ssl.SSLContext):
    """Verifies a name, whatever address was dialled: asyncpg would take the address for the name."""

    name: str

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  as it is there
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """See `ssl.SSLContext`."""
        del server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, self.name, session)

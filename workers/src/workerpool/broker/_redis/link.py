"""A Redis, by one connection at a time: dialled when needed, dropped when it fails, dialled anew at the next call.

A call is never repeated behind its caller's back: it may have happened. A new connection reads the credentials and the
CA anew.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from workerpool._own_thread import Lookup
from workerpool.broker._credentials import Credentials
from workerpool.broker._redis.resp import ConnectionLostError, NotRedisError, RedisReplyError, RespConnection
from workerpool.broker._redis.scripts import Script
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    QueueNotFound,
    TLSFailed,
)

# Answers that mean "not now": the server loads its data, lost its primary, cannot write or takes no more clients. One
# without memory is a `FullError`.
_NOT_NOW: Final = (
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "READONLY",
    "MISCONF",
    "NOREPLICAS",
    "BUSY ",
    "ERR max number of clients",
)
# Of these, the ones of a server that is no primary (any more): there may be another one at its address by now, and only
# a new connection gets there.
_NOT_HERE: Final = ("READONLY", "MASTERDOWN", "NOREPLICAS")
_NO_ACCESS: Final = (
    "NOAUTH",
    "WRONGPASS",
    "NOPERM",
    "ERR AUTH",
    "ERR invalid password",
    "ERR The user executing the script can't run",  # NOPERM of a script's command, Redis 7.0
    "ERR ACL failure in script",  # since 7.2
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis is, without what it takes to get in."""

    host: str
    port: int = 6379
    db: int = 0
    tls: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "RedisAddress":
        """From `redis://[user:password@]host[:port][/db]`, or `rediss://` for TLS.

        Raises:
            ConfigurationError: the URL is something else; the text does not repeat it, it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or 6379
            db = int(parts.path.strip("/") or 0)
        except ValueError as error:
            raise ConfigurationError("a Redis URL looks like redis://host:6379/0") from error
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname or parts.query or parts.fragment or db < 0:
            raise ConfigurationError("a Redis URL looks like redis://host:6379/0, or rediss:// for TLS; no options")
        return cls(
            host=parts.hostname,
            port=port,
            db=db,
            tls=parts.scheme == "rediss",
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


class RedisLink:
    """Calls to one Redis, each answered or failed within `timeout` seconds."""

    def __init__(self, address: RedisAddress, credentials: Credentials, *, timeout: float, name: str) -> None:
        self._address = address
        self._lookup = Lookup(address.host)
        self._credentials = credentials
        self._timeout = timeout
        self._name = name
        self._dialling = asyncio.Lock()
        self._connection: RespConnection | None = None
        self._connects = 0

    @property
    def generation(self) -> int:
        """Number of the connection in use, 0 while there is none: a change tells that one was lost in between."""
        return self._connects if self._connection is not None and self._connection.usable else 0

    async def call(self, *command: Any, wait: float = 0.0, cut_off: int | None = None) -> Any:
        """The raw answer (bytes, ints, lists, None).

        Args:
            command: The command and its arguments.
            wait: Seconds that the server itself may take.
            cut_off: See `RespConnection.call`.

        Raises:
            BrokerError: one of its kinds.
        """
        connection: RespConnection | None = None
        try:
            async with asyncio.timeout(self._timeout + wait):
                connection = await self._connected()
                return await connection.call(*command, cut_off=cut_off)
        except RedisReplyError as error:
            if connection is not None and str(error).startswith(_NOT_HERE):
                await self._leave(connection)
            raise _refused(error) from error
        except TimeoutError as error:
            await self.close()  # a server that hangs: whatever comes now comes too late
            # A Redis without TLS waits silently for the rest of what it takes for a command.
            hint = ", maybe it does not speak TLS" if self._address.tls and connection is None else ""
            raise BrokerUnavailable(f"{self._where}: no answer within {self._timeout:g} s{hint}") from error
        except ssl.SSLError as error:
            raise TLSFailed(f"{self._where}: {error.reason or error}") from error
        except NotRedisError as error:
            raise BadAnswer(f"{self._where}: this is not Redis") from error
        except (ConnectionLostError, OSError) as error:
            raise BrokerUnavailable(f"{self._where}: {error}") from error

    async def run(self, script: Script, keys: Sequence[str], *args: Any) -> Any:
        """What a script returns; sends its text only when Redis does not know it."""
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except _NoScriptError:
            return await self.call("EVAL", script.text, len(keys), *keys, *args)

    async def close(self) -> None:
        """Close the connection. Never raises."""
        if self._connection is not None:
            await self._leave(self._connection)

    async def _leave(self, connection: RespConnection) -> None:
        if self._connection is connection:  # there may be a newer one by now
            self._connection = None
        connection.close()
        await asyncio.sleep(0)  # let the transport close its socket

    @property
    def _where(self) -> str:
        return f"{self._address.host}:{self._address.port}"

    async def _connected(self) -> RespConnection:
        async with self._dialling:
            if self._connection is None or not self._connection.usable:
                self._connection = await self._dial()
                self._connects += 1
            return self._connection

    async def _dial(self) -> RespConnection:
        address = self._address
        username = self._credentials.username() or address.username
        password = self._credentials.password() or address.password
        connection = await RespConnection.open(self._lookup, address.port, tls=self._tls())
        try:
            if password is not None:
                await connection.call("AUTH", *([username] if username else []), password)
            if address.db:
                await connection.call("SELECT", address.db)
            try:
                await connection.call("CLIENT", "SETNAME", self._name)
            except RedisReplyError as error:
                if str(error).startswith("NOAUTH"):
                    raise  # a name is a nicety, credentials are not
        except BaseException:
            connection.close()
            await asyncio.sleep(0)  # let the transport close its socket
            raise
        return connection

    def _tls(self) -> ssl.SSLContext | None:
        if not self._address.tls:
            return None
        files = self._credentials
        files.require_tls_files()
        context = ssl.create_default_context(cafile=files.ca_file)
        if files.cert_file is not None:
            context.load_cert_chain(files.cert_file, files.key_file)
        return context


class FullError(BrokerUnavailable):
    """Redis has no memory left for this (`maxmemory`, `noeviction`), and did nothing."""


class _NoScriptError(BrokerError):
    """Redis does not know the script by its name: it was restarted, or never saw it."""


_KINDS: Final[tuple[tuple[tuple[str, ...], type[BrokerError]], ...]] = (
    (("NOSCRIPT",), _NoScriptError),
    (_NO_ACCESS, AuthenticationFailed),
    (("OOM",), FullError),
    (_NOT_NOW, BrokerUnavailable),
)


def _refused(error: RedisReplyError) -> BrokerError:
    text = str(error)
    for prefixes, kind in _KINDS:
        if text.startswith(prefixes):
            return kind(text)
    if text.startswith("WRONGTYPE"):
        return QueueNotFound(f"the key of the queue holds something that is not a stream: {text}")
    if text.startswith("ERR DB index"):
        return QueueNotFound(f"no such database: {text}")
    return BadAnswer(text)

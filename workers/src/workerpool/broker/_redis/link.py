"""One connection to Redis: dials when needed, is dropped after any failure, and dials anew at the next call.

redis-py's connections are used without its client and pool: a reconnect must read the credentials and the CA anew, a
call must not be repeated behind our back (it may have happened), and the blocking read needs to know the id of its
connection so that another one can end it.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry as RetryPolicy
from redis.backoff import NoBackoff

from workerpool.broker._redis.scripts import Script
from workerpool.broker._types import Credentials
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    QueueNotFound,
    TLSFailed,
)

# Answers that mean "not now": the server loads its data, lost its primary, or cannot write.
_NOT_NOW: Final = (
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "READONLY",
    "MISCONF",
    "OOM",
    "NOREPLICAS",
    "TRYAGAIN",
    "BUSY ",
)
_NO_ACCESS: Final = ("NOAUTH", "WRONGPASS", "NOPERM")


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
    """Calls on one connection, one at a time, each answered or failed within `timeout` seconds."""

    def __init__(self, address: RedisAddress, credentials: Credentials, *, timeout: float, name: str) -> None:
        self._address = address
        self._credentials = credentials
        self._timeout = timeout
        self._name = name
        self._lock = asyncio.Lock()
        self._connection: Any = None
        self._connects = 0

    @property
    def generation(self) -> int:
        """Number of the connection in use, 0 while there is none: a change tells that one was lost in between."""
        return self._connects if self._connection is not None else 0

    async def call(self, *command: Any, wait: float = 0.0) -> Any:
        """The raw answer (bytes, ints, lists, None). `wait`: seconds that the server itself may take.

        Raises:
            BrokerError: one of its kinds.
        """
        try:
            async with asyncio.timeout(self._timeout + wait), self._lock:
                return await self._exchange(command)
        except BrokerError:
            raise
        except exceptions.ResponseError as error:
            raise _refused(error) from error
        except (exceptions.RedisError, OSError, TimeoutError) as error:
            raise self._broken(error) from error

    async def run(self, script: Script, keys: Sequence[str], *args: Any) -> Any:
        """What a script returns; sends its text only when Redis does not know it."""
        try:
            return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except _NoScriptError:
            return await self.call("EVAL", script.text, len(keys), *keys, *args)

    async def close(self) -> None:
        """Close the connection. Never raises."""
        await self._drop()

    async def _exchange(self, command: Sequence[Any]) -> Any:
        try:
            connection = await self._connected()
            await connection.send_command(*command, check_health=False)
            return await connection.read_response(disable_decoding=True)
        except exceptions.ResponseError:
            raise  # the connection is fine, the command is not
        except BaseException:  # or cancelled in the middle: an answer may still be on its way
            await self._drop()
            raise

    async def _connected(self) -> Any:
        if self._connection is None:
            connection = self._new_connection()
            await connection.connect()
            self._connection = connection
            self._connects += 1
        return self._connection

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.disconnect(nowait=True)
            except (OSError, exceptions.RedisError):
                return  # it is gone, which is what was wanted

    def _new_connection(self) -> Any:
        address, files = self._address, self._credentials
        options: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "db": address.db,
            "username": files.username() or address.username,
            "password": files.password() or address.password,
            # Time is kept by `call`. redis-py would keep it with asyncio.wait_for, which swallows a cancellation before
            # Python 3.12, and takes a late answer for none, so that the next command would read it.
            "socket_timeout": None,
            "socket_connect_timeout": self._timeout,
            "socket_keepalive": True,
            "protocol": 2,
            "client_name": self._name or None,
            "retry": RetryPolicy(NoBackoff(), 0),
        }
        if not address.tls:
            return redis.asyncio.Connection(**options)
        files.require_tls_files()
        options["ssl_ca_certs"] = str(files.ca_file) if files.ca_file else None
        options["ssl_certfile"] = str(files.cert_file) if files.cert_file else None
        options["ssl_keyfile"] = str(files.key_file) if files.key_file else None
        return redis.asyncio.SSLConnection(**options)

    def _broken(self, error: BaseException) -> BrokerError:
        where = f"{self._address.host}:{self._address.port}"
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLError):
                return TLSFailed(f"{where}: {cause.reason or cause}")
        if isinstance(error, exceptions.AuthenticationError):
            return AuthenticationFailed(f"{where}: {error}")
        if isinstance(error, TimeoutError | exceptions.TimeoutError):
            # A Redis without TLS waits silently for the rest of what it takes for a command.
            hint = ", maybe it does not speak TLS" if self._address.tls and self._connection is None else ""
            return BrokerUnavailable(f"{where}: no answer within {self._timeout:g} s{hint}")
        if isinstance(error, exceptions.InvalidResponse):
            return BadAnswer(f"{where}: this is not Redis")
        return BrokerUnavailable(f"{where}: {error}")


class _NoScriptError(BrokerError):
    """Redis does not know the script by its name: it was restarted, or never saw it."""


def _causes(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _refused(error: exceptions.ResponseError) -> BrokerError:
    text = str(error)
    if isinstance(error, exceptions.NoScriptError):
        return _NoScriptError(text)
    if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError) or text.startswith(_NO_ACCESS):
        return AuthenticationFailed(text)
    if text.startswith(_NOT_NOW) or isinstance(
        error, exceptions.ReadOnlyError | exceptions.OutOfMemoryError | exceptions.ClusterDownError
    ):
        return BrokerUnavailable(text)
    if text.startswith("WRONGTYPE"):
        return QueueNotFound(f"the key of the queue holds something that is not a stream: {text}")
    return BadAnswer(text)

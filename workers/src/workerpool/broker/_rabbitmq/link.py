"""A RabbitMQ, by one connection at a time: dialled when needed, dropped when it fails, dialled anew at the next call.

A call is never repeated behind its caller's back: it may have happened. A new connection reads the credentials and the
CA anew.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from workerpool._own_thread import Lookup
from workerpool.broker._credentials import Credentials
from workerpool.broker._rabbitmq.address import RabbitAddress
from workerpool.broker._rabbitmq.amqp import AmqpConnection
from workerpool.broker._rabbitmq.messages import (
    ConnectionLostError,
    HungUpError,
    Login,
    NotAmqpError,
    RefusedError,
    RejectedError,
    UnroutableError,
)
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    QueueNotFound,
    TLSFailed,
)

_GOODBYE_SECONDS: Final = 1.0
_DEFAULT_USER: Final = "guest"
_ACCESS_REFUSED: Final = 403
_NOT_FOUND: Final = 404
_PRECONDITION_FAILED: Final = 406
_NOT_ALLOWED: Final = 530
_INTERNAL_ERROR: Final = 541
_OUR_MISTAKES: Final = frozenset({501, 502, 503, 504, 505, 540})
"""What we sent made no sense to it: most often it is too old, or something else."""


class RabbitLink:
    """Calls to one RabbitMQ, each answered or failed within `timeout` seconds."""

    def __init__(
        self,
        address: RabbitAddress,
        credentials: Credentials,
        *,
        timeout: float,
        name: str,
        heartbeat: Callable[[], float],
        opened: Callable[[AmqpConnection], Awaitable[None]],
    ) -> None:
        """`heartbeat`: seconds, asked at each connection. `opened`: what is done with a new connection first."""
        self._address = address
        self._lookup = Lookup(address.host)
        self._credentials = credentials
        self._timeout = timeout
        self._name = name
        self._heartbeat = heartbeat
        self._opened = opened
        self._dialling = asyncio.Lock()
        self._connection: AmqpConnection | None = None

    @property
    def current(self) -> AmqpConnection | None:
        """The connection in use; None while there is none."""
        return self._connection if self._connection is not None and self._connection.usable else None

    @property
    def where(self) -> str:
        """Host and port, for people."""
        return f"{self._address.host}:{self._address.port}"

    @asynccontextmanager
    async def calling(self, *, wait: float = 0.0) -> AsyncIterator[AmqpConnection]:
        """A connection for one or a few calls, whose errors become those of brokers.

        `wait`: seconds that RabbitMQ itself may take beyond the timeout.

        Raises:
            BrokerError: one of its kinds.
        """
        connection: AmqpConnection | None = None
        try:
            async with asyncio.timeout(self._timeout + wait):
                connection = await self.connected()
                yield connection
        except RefusedError as error:
            raise refused(error, where=self.where) from error
        except TimeoutError as error:
            why = connection.blocked if connection is not None else ""
            self.drop()  # whatever comes now comes too late
            raise BrokerUnavailable(self._silence(why, dialled=connection is not None)) from error
        except (UnroutableError, RejectedError) as error:
            self.drop()  # the queue may be gone: a new connection declares it anew
            kind = QueueNotFound if isinstance(error, UnroutableError) else BrokerUnavailable
            raise kind(f"{self.where}: {error}") from error
        except ssl.SSLCertVerificationError as error:
            raise TLSFailed(f"{self.where}: its certificate is not accepted: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise TLSFailed(f"{self.where}: {error.reason or error}") from error
        except HungUpError as error:
            ours = "does not accept our" if self._credentials.cert_file is not None else "wants a"
            text = f"it hung up as soon as TLS was set up: maybe it {ours} client certificate"
            raise TLSFailed(f"{self.where}: {text}") from error
        except NotAmqpError as error:
            raise BadAnswer(f"{self.where}: this is not RabbitMQ: {error}") from error
        except (ConnectionLostError, OSError) as error:
            raise BrokerUnavailable(f"{self.where}: {error}") from error

    def drop(self) -> None:
        """End the connection at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def close(self) -> None:
        """Say goodbye and end the connection. Never raises."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with contextlib.suppress(TimeoutError, RefusedError, ConnectionLostError, NotAmqpError, OSError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await connection.leave()
        connection.close()
        await asyncio.sleep(0)  # let the transport close its socket

    async def connected(self) -> AmqpConnection:
        """Within `calling`: a connection, a new one where the one before has ended."""
        async with self._dialling:
            while self._connection is None or not self._connection.usable:
                self._connection = None
                with declaring():
                    self._connection = await self._open()
            return self._connection

    async def _open(self) -> AmqpConnection:
        connection = await self._dial()
        try:
            await self._opened(connection)
        except BaseException:
            connection.close()
            await asyncio.sleep(0)  # let the transport close its socket
            raise
        return connection

    async def _dial(self) -> AmqpConnection:
        address = self._address
        files = self._credentials
        username, password = files.username() or address.username, files.password() or address.password
        login = Login(
            vhost=address.vhost,
            username=username or _DEFAULT_USER,
            password=password or _DEFAULT_USER,
            by_certificate=address.tls and files.cert_file is not None and not username and not password,
            name=self._name,
            heartbeat_seconds=max(1, round(self._heartbeat())),
        )
        return await AmqpConnection.open(self._lookup, address.port, tls=self._tls(), login=login)

    def _tls(self) -> ssl.SSLContext | None:
        if not self._address.tls:
            return None
        files = self._credentials
        files.require_tls_files()
        context = ssl.create_default_context(cafile=files.ca_file)
        if files.cert_file is not None:
            context.load_cert_chain(files.cert_file, files.key_file)
        return context

    def _silence(self, blocked: str, *, dialled: bool) -> str:
        if blocked:
            return f"{self.where}: RabbitMQ takes no jobs now: {blocked}"
        # A RabbitMQ without TLS waits silently for the rest of what it takes for a frame.
        hint = ", maybe it does not speak TLS" if self._address.tls and not dialled else ""
        return f"{self.where}: no answer within {self._timeout:g} s{hint}"


@contextmanager
def declaring() -> Iterator[None]:
    """Suppress what two who declare the same new queue at once do to each other: that is tried again, on a new dial.

    RabbitMQ takes it for a fault of its own and ends one's connection.
    """
    try:
        yield
    except RefusedError as error:
        if error.code != _INTERNAL_ERROR:
            raise


def refused(error: RefusedError, *, where: str) -> BrokerError:
    """What a refusal means. Its text names what it is about, and holds no credentials."""
    text = f"{where}: {error.text}"
    if "authentication mechanism EXTERNAL" in text:
        text = f"{where}: the client certificate is of no user that it knows: {error.text}"
    if error.code == _ACCESS_REFUSED or (error.code == _NOT_ALLOWED and "refused for user" in error.text):
        return AuthenticationFailed(text)
    if error.code == _NOT_FOUND or (error.code == _NOT_ALLOWED and "not found" in error.text):
        return QueueNotFound(text)
    if error.code == _PRECONDITION_FAILED and "inequivalent arg" in error.text:
        return QueueNotFound(f"a queue of that name is there, and was declared otherwise: {text}")
    if error.code in _OUR_MISTAKES:
        return BadAnswer(text)
    return BrokerUnavailable(text)

"""From an address and files to a connection of nats-py."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final

from nats import errors as nats_errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from workerpool._own_thread import Lookup
from workerpool.broker._credentials import Credentials
from workerpool.broker._nats.address import NatsAddress
from workerpool.broker._nats.login import Login, login_of
from workerpool.errors import (
    AuthenticationFailed,
    BadAnswer,
    BrokerError,
    BrokerUnavailable,
    TLSFailed,
)

_GOODBYE_SECONDS: Final = 0.2
_NO_ACCESS: Final = ("authorization", "authentication", "permissions")
_OLDEST: Final = (2, 12)
"""Its streams hold a message back until a given time."""


class _StrictClient(Client):
    """Sends no password in the clear to an address that is to be encrypted: nats-py goes by what the server wants."""

    encrypted = False

    def logged_in_by(self, login: Login) -> dict[str, Any]:
        """Options of `connect`."""
        if login.signer is None:
            return {"user": login.username or None, "password": login.password or None, "token": login.token or None}
        jwt = bytearray(login.signer.jwt.encode())
        self._auth_configured = True  # which it forgets where it has no file to read
        self._public_nkey = login.signer.public
        return {"signature_cb": login.signer.sign, "user_jwt_cb": (lambda: jwt) if jwt else None}

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002
        if self.encrypted and initial_connection:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise nats_errors.SecureConnWantedError
            info["tls_required"] = True  # where it is the client's choice
        await super()._process_info(info, initial_connection)


class Connection:
    """One connection."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def is_connected(self) -> bool:
        """Whether it stands, as far as one knows."""
        return bool(self.client.is_connected)

    @property
    def is_secured(self) -> bool:
        """Whether TLS was set up."""
        writer = getattr(self.client._transport, "_io_writer", None)  # noqa: SLF001  not told otherwise
        return writer is not None and writer.get_extra_info("ssl_object") is not None

    @property
    def max_payload(self) -> int:
        """Bytes of the largest message."""
        return int(self.client.max_payload)

    async def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Send."""
        await self.client.publish(subject, payload, reply=reply, headers=headers)

    async def hear(self, subject: str, heard: Callable[[Msg], Awaitable[None]]) -> None:
        """Call `heard` for each message, of which none is dropped."""
        await self.client.subscribe(subject, cb=heard, pending_msgs_limit=0, pending_bytes_limit=0)

    async def hang_up(self) -> None:
        """Close it. A server that hangs is not waited for. Never raises."""
        writer = getattr(self.client._transport, "_io_writer", None)  # noqa: SLF001  nats-py closes politely only
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self.client.close()
        if writer is not None:
            writer.transport.abort()
        await asyncio.sleep(0)  # let the transport close its socket


class Dialler:
    """Finds a server that answers, of the one that was named and those that it told of."""

    def __init__(self, address: NatsAddress, credentials: Credentials, *, timeout: float) -> None:
        self._address = address
        self._credentials = credentials
        self._timeout = timeout
        self._lookup = Lookup(address.host)
        self._last: Client | None = None

    @property
    def where(self) -> str:
        """For people."""
        return f"{self._address.host}:{self._address.port}"

    async def dial(self, *, lost: Callable[[str], None], forbidden: Callable[[str], None]) -> Connection:
        """A connection. `lost` hears of its end, `forbidden` of what the server does not allow.

        Raises:
            BrokerError: one of its kinds.
        """
        login, options = self._login(), self._tls_options()
        try:
            async with asyncio.timeout(self._timeout):
                targets = await self._targets()
                for number, (host, port) in enumerate(targets):
                    seconds = max(0.2, self._timeout / (len(targets) - number + 1))
                    try:
                        return await self._to(
                            host, port, login, options, seconds=seconds, lost=lost, forbidden=forbidden
                        )
                    except BrokerUnavailable:
                        if number == len(targets) - 1:
                            raise
        except TimeoutError as error:
            raise BrokerUnavailable(f"{self.where}: no answer within {self._timeout:g} s") from error
        except OSError as error:
            raise BrokerUnavailable(f"{self.where}: {error}") from error
        raise BrokerUnavailable(f"{self.where}: no address")

    async def _targets(self) -> list[tuple[str, int]]:
        others = self._others()
        try:
            named = [(found.host, self._address.port) for found in await self._lookup.addresses()]
        except OSError:
            if not others:
                raise
            named = []
        return [*named, *(other for other in others if other not in named)]

    def _others(self) -> list[tuple[str, int]]:
        """Those that the last one has told of: when it was dialled, or since, as others have joined its cluster."""
        uris = self._last.discovered_servers if self._last else []
        return [(uri.hostname, uri.port or 4222) for uri in uris if uri.hostname]

    def _login(self) -> Login:
        address, files = self._address, self._credentials
        return login_of(files.username() or address.username, files.password() or address.password)

    def _tls_options(self) -> dict[str, Any]:
        return {"tls": self._tls(), "tls_hostname": self._address.host} if self._address.tls else {}

    def _tls(self) -> ssl.SSLContext:
        files = self._credentials
        files.require_tls_files()
        try:
            context = ssl.create_default_context(cafile=files.ca_file)
            if files.cert_file is not None:
                context.load_cert_chain(files.cert_file, files.key_file)
        except (ssl.SSLError, OSError) as error:
            raise TLSFailed(f"a certificate file cannot be used: {error}") from error
        return context

    async def _to(
        self,
        host: str,
        port: int,
        login: Login,
        options: dict[str, Any],
        *,
        seconds: float,
        lost: Callable[[str], None],
        forbidden: Callable[[str], None],
    ) -> Connection:
        said: list[Exception] = []

        async def error(problem: Exception) -> None:
            said.append(problem)
            if "permissions violation" in str(problem).lower():
                forbidden(str(problem))

        async def closed() -> None:
            lost(str(said[-1]) if said else "the connection was lost")

        client = _StrictClient()
        client.encrypted = self._address.tls
        connection = Connection(client)
        try:
            await client.connect(
                servers=[f"{'tls' if self._address.tls else 'nats'}://{f'[{host}]' if ':' in host else host}:{port}"],
                name="workerpool",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=seconds,  # type: ignore[arg-type]  # any number will do
                flush_timeout=self._timeout,
                ping_interval=20,
                error_cb=error,
                closed_cb=closed,
                **client.logged_in_by(login),
                **options,
            )
            if not client.is_connected:  # the server hung up instead of an answer
                raise ConnectionResetError("it hung up")  # noqa: TRY301
            self._check_version(client)
        except BaseException as problem:
            reason = self._reason(problem, said, connection) if isinstance(problem, Exception) else None
            await connection.hang_up()
            if reason is None:
                raise
            raise self._explained(reason) from problem
        self._last = client
        return connection

    def _reason(self, problem: Exception, said: list[Exception], connection: Connection) -> Exception:
        """What it was, where nats-py tells only that no server is left, or the server only that it goes."""
        if isinstance(problem, ConnectionError) and connection.is_secured and self._credentials.cert_file is None:
            # Its word that it wants a certificate and ours may cross.
            return TLSFailed(f"{self.where}: it hung up once TLS was set up: maybe it wants a client certificate")
        return said[-1] if isinstance(problem, nats_errors.NoServersError) and said else problem

    def _check_version(self, client: Client) -> None:
        version = client.connected_server_version
        if (version.major, version.minor) < _OLDEST:
            wanted = ".".join(map(str, _OLDEST))
            raise BadAnswer(f"{self.where}: this is NATS {version.major}.{version.minor}; {wanted} or later is needed")

    def _explained(self, error: Exception) -> BrokerError:
        if isinstance(error, BrokerError):
            return error
        text = str(error) or type(error).__name__
        if isinstance(error, ssl.SSLError):
            return TLSFailed(f"{self.where}: {error.reason or error}")
        if isinstance(error, nats_errors.SecureConnWantedError):
            return TLSFailed(f"{self.where}: the server does not speak TLS")
        if any(word in text.lower() for word in _NO_ACCESS):
            return AuthenticationFailed(f"{self.where}: {text}")
        if "INFO message" in text:
            return BadAnswer(f"{self.where}: this is not NATS")
        return BrokerUnavailable(f"{self.where}: {text}")

"""One GET to an address that a pool names, within narrow limits.

The address is chosen by whoever may write a pool, so the collector must not become a way to reach what that person
cannot: it has no rights of the operator, stands in the pool's own namespace under its network policies, sends no
credentials but those that the pool names, follows no redirect, reads at most a megabyte, repeats nothing of an answer,
and does not connect to its own machine, nor to the addresses at which clouds hand out credentials. What is connected to
is what was looked at: the name is resolved once for each question.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from workerpool._own_thread import Lookup
from workerpool.broker import Credentials
from workerpool.errors import AuthenticationFailed, BadAnswer, BrokerUnavailable, QueueNotFound, TLSFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_BYTES: Final = 1024 * 1024
_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
"""Where clouds answer their machines, beside the link-local addresses."""
_UNAUTHORIZED: Final = frozenset({401, 403, 407})
_NOT_FOUND: Final = frozenset({404, 410})
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)
_BUSY: Final = 429
_SERVER: Final = 500


def is_forbidden(address: Address) -> bool:
    """Whether no pool's question may go there."""
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    kinds = (address.is_loopback, address.is_link_local, address.is_multicast, address.is_unspecified)
    return any(kinds) or address in _METADATA


class Fetcher:
    """GETs of one URL, each on a connection of its own: the credentials and the CA are read anew."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        timeout: float,
        forbidden: Callable[[Address], bool] = is_forbidden,
    ) -> None:
        self._url = URL(url)
        self._credentials = credentials
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._resolver = _Resolver(self._url.host or "", forbidden)
        self._forbidden = forbidden
        self._where = f"{self._url.host}:{self._url.port}"

    async def get(self, query: Mapping[str, str] | None = None) -> bytes:
        """The body of the answer.

        Raises:
            BrokerError: one of its kinds.
        """
        self._check_literal()
        connector = aiohttp.TCPConnector(resolver=self._resolver, force_close=True, use_dns_cache=False)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=self._timeout, auto_decompress=False) as session,
                session.get(
                    self._url.update_query(query) if query else self._url,
                    headers=self._headers(),
                    ssl=self._tls(),
                    allow_redirects=False,
                ) as response,
            ):
                self._check(response)
                return await self._body(response)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise TLSFailed(f"{self._where}: {_reason(error)}") from error
        except TimeoutError as error:
            raise BrokerUnavailable(f"{self._where}: no whole answer within {self._timeout.total:g} s") from error
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise BrokerUnavailable(f"{self._where}: cannot be reached, or broke off") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise BadAnswer(f"{self._where}: this is not HTTP") from error

    def _check_literal(self) -> None:
        """A name is looked at by the resolver, which aiohttp does not ask for an address."""
        try:
            address = ipaddress.ip_address(self._url.host or "")
        except ValueError:
            return
        if self._forbidden(address):
            raise AuthenticationFailed(f"{self._where}: no pool may ask this address")

    def _headers(self) -> dict[str, str]:
        """Basic with a username, else a bearer token."""
        username, password = self._credentials.username(), self._credentials.password()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "workerpool-collector"}
        if password and username:
            headers["Authorization"] = aiohttp.encode_basic_auth(username, password)
        elif password:
            headers["Authorization"] = f"Bearer {password}"
        return headers

    def _tls(self) -> ssl.SSLContext | bool:
        files = self._credentials
        files.require_tls_files()
        if self._url.scheme != "https" or not (files.ca_file or files.cert_file):
            return True  # verified by the image's own list
        try:
            context = ssl.create_default_context(cafile=files.ca_file)
            if files.cert_file is not None:
                context.load_cert_chain(files.cert_file, files.key_file)
        except (ssl.SSLError, OSError) as error:
            raise TLSFailed(f"a certificate file cannot be used: {error}") from error
        return context

    def _check(self, response: aiohttp.ClientResponse) -> None:
        status, where = response.status, self._where
        if status in _UNAUTHORIZED:
            raise AuthenticationFailed(f"{where}: HTTP {status}")
        if status in _NOT_FOUND:
            raise QueueNotFound(f"{where}: HTTP {status}")
        if status in _REDIRECTS:
            raise BadAnswer(f"{where}: HTTP {status}; redirects are not followed: write the address that it leads to")
        if status == _BUSY or status >= _SERVER:
            raise BrokerUnavailable(f"{where}: HTTP {status}")
        if status != _OK:
            raise BadAnswer(f"{where}: HTTP {status}")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise BadAnswer(f"{where}: the answer is compressed, although none was asked for")

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for part in response.content.iter_any():
            body += part
            if len(body) > MOST_BYTES:
                raise BadAnswer(f"{self._where}: the answer is larger than {MOST_BYTES // 1024} KiB")
        return bytes(body)


class _Resolver(AbstractResolver):
    """Of one host: one thread of ours at most, and no address that is forbidden."""

    def __init__(self, host: str, forbidden: Callable[[Address], bool]) -> None:
        self._lookup = Lookup(host)
        self._forbidden = forbidden

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        """All addresses, or none if one of them is forbidden: who names both means the forbidden one."""
        found = await self._lookup.addresses()
        if any(self._forbidden(ipaddress.ip_address(each.host.partition("%")[0])) for each in found):
            raise AuthenticationFailed(f"{host}: leads to an address that no pool may ask")
        return [
            ResolveResult(
                hostname=host, host=each.host, port=port, family=each.family, proto=0, flags=socket.AI_NUMERICHOST
            )
            for each in found
        ]

    async def close(self) -> None:
        """Nothing to close."""


def _reason(error: Any) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(cause, "reason", None) or cause)

"""The TLS port of the API, whose own certificate and whose trust in the front proxy may change while it serves.

OpenSSL verifies clients by the context that the listening socket was opened with, and a context forgets no authority.
So a new authority means a new socket beside the old one on the same port, then the old one's end with all of its
connections: what the old authority vouched for counts no longer.
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from workerpool_operator.serve.admission import Admission
from workerpool_operator.serve.external_metrics.identity import FrontProxy
from workerpool_operator.serve.external_metrics.proxy import FrontProxyKeeper
from workerpool_operator.serve.listener import Listener, Port, Refusal
from workerpool_operator.serve.tls import CHECK_SECONDS, ServerCertificate

RETRY_SECONDS: Final = 1.0
MAX_STRANGERS: Final = 128
"""Connections that have not shown the front proxy's certificate: other replicas, people with tokens, anybody."""
MAX_FRONT_PROXIES: Final = 256
"""Connections of API servers. Each keeps no more than 25 to one address that are idle."""

_log = structlog.get_logger(__name__)


class MetricsServer:
    """Serves the application that `app(proxy)` makes: a new one for each configuration of the front proxy."""

    def __init__(
        self,
        app: Callable[[FrontProxy], web.Application],
        *,
        refusal: Refusal,
        keeper: FrontProxyKeeper,
        tls: Path,
        host: str | None,
        port: int,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        """`started()` is called when the port is open."""
        self._app = app
        self._refusal = refusal
        self._admission = Admission(strangers=MAX_STRANGERS, vouched=MAX_FRONT_PROXIES)
        self._keeper = keeper
        self._tls = tls
        self._host = host
        self._port = port
        self._started = started

    async def run(self) -> None:
        """Serve until cancelled. Raises when the certificate or the port cannot be used at the start."""
        proxy = self._keeper.current
        certificate, listener = await self._start(proxy)
        serving = [listener]
        self._started()
        try:
            while True:
                wanted = await self._changed(proxy, certificate)
                try:
                    certificate, listener = await self._start(wanted)
                except (OSError, ssl.SSLError) as error:  # a half-written pair: the next look finds it whole
                    _log.warning("not_served_anew", error=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                proxy = wanted
                serving.append(listener)
                await serving[0].stop()
                del serving[0]
        finally:
            await asyncio.gather(*(each.stop() for each in serving))

    async def _start(self, proxy: FrontProxy) -> tuple[ServerCertificate, Listener]:
        certificate = ServerCertificate(self._tls)
        if proxy.ca_pem:
            certificate.accept_clients(proxy.ca_pem)
        listener = Listener(self._app(proxy), admission=self._admission, refusal=self._refusal)
        await listener.start(Port(host=self._host, port=self._port, tls=certificate.context, shared=True))
        return certificate, listener

    async def _changed(self, proxy: FrontProxy, certificate: ServerCertificate) -> FrontProxy:
        """Return another configuration than `proxy` once there is one; renew the certificate meanwhile."""
        while True:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    return await self._keeper.changed(proxy)
            except TimeoutError:
                certificate.renew()

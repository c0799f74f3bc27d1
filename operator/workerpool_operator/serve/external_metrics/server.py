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

from workerpool_operator.serve.external_metrics.identity import FrontProxy
from workerpool_operator.serve.external_metrics.proxy import FrontProxyKeeper
from workerpool_operator.serve.tls import CHECK_SECONDS, ServerCertificate

RETRY_SECONDS: Final = 1.0

_log = structlog.get_logger(__name__)


class MetricsServer:
    """Serves the application that `app(proxy)` makes: a new one for each configuration of the front proxy."""

    def __init__(
        self,
        app: Callable[[FrontProxy], web.Application],
        *,
        keeper: FrontProxyKeeper,
        tls: Path,
        host: str | None,
        port: int,
    ) -> None:
        self._app = app
        self._keeper = keeper
        self._tls = tls
        self._host = host
        self._port = port

    async def run(self) -> None:
        """Serve until cancelled. Raises when the certificate or the port cannot be used at the start."""
        proxy = self._keeper.current
        certificate, runner = await self._start(proxy)
        try:
            while True:
                wanted = await self._changed(proxy, certificate)
                try:
                    certificate, started = await self._start(wanted)
                except (OSError, ssl.SSLError) as error:  # a half-written pair: the next look finds it whole
                    _log.warning("not_served_anew", error=str(error))
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                await _end(runner)
                proxy, runner = wanted, started
        finally:
            await _end(runner)

    async def _start(self, proxy: FrontProxy) -> tuple[ServerCertificate, web.AppRunner]:
        certificate = ServerCertificate(self._tls)
        if proxy.ca_pem:
            certificate.accept_clients(proxy.ca_pem)
        runner = web.AppRunner(self._app(proxy), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, ssl_context=certificate.context, reuse_port=True)
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        return certificate, runner

    async def _changed(self, proxy: FrontProxy, certificate: ServerCertificate) -> FrontProxy:
        """Return another configuration than `proxy` once there is one; renew the certificate meanwhile."""
        while True:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    return await self._keeper.changed(proxy)
            except TimeoutError:
                certificate.renew()


async def _end(runner: web.AppRunner) -> None:
    """Close the socket, let requests under way end, then cut the connections instead of waiting for TLS goodbyes."""
    connections = [handler.transport for handler in runner.server.connections] if runner.server else []
    await runner.cleanup()
    for transport in connections:
        if transport is not None:
            transport.abort()

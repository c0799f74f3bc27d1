"""Another provider of the external metrics API, as a cluster may have one: it answers whatever a test wants it to."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from e2e.cluster.aggregation import AggregatedApi, own_address
from e2e.cluster.pki import Authority
from e2e.cluster.ports import free_port

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
SERVICE = "another-provider"


@dataclass(kw_only=True)
class Provider:
    """Serves one value for everything, or, where that is None, says that it knows no such metric."""

    value: Callable[[], int | None]
    broken: bool = False
    """It answers 500, as an adapter does whose own source is away."""
    asked: int = 0
    """How often a value was asked for."""

    def app(self) -> web.Application:
        """Give the application, without any authentication."""
        app = web.Application()
        base = f"/apis/{GROUP}/{VERSION}"
        app.router.add_get("/apis", _json({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}))
        app.router.add_get(base, _json(_RESOURCES))
        app.router.add_get(base + "/namespaces/{namespace}/{metric}", self._metric)
        return app

    async def _metric(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.broken:
            return _failure(500, reason="InternalError", message="unable to fetch metrics")
        value = self.value()
        if value is None:
            return _failure(404, reason="NotFound", message="no such metric")
        item = {
            "metricName": request.match_info["metric"],
            "metricLabels": {},
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": str(value),
        }
        kind = {"kind": "ExternalMetricValueList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}}
        return web.json_response(kind | {"items": [item]})


def _failure(code: int, *, reason: str, message: str) -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
    return web.json_response(status | {"message": message}, status=code)


_RESOURCES = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{GROUP}/{VERSION}",
    "resources": [
        {
            "name": "externalmetrics",
            "singularName": "",
            "namespaced": True,
            "kind": "ExternalMetricValueList",
            "verbs": ["get"],
        }
    ],
}


@asynccontextmanager
async def serving(provider: Provider, *, home: Path, namespace: str) -> AsyncIterator[AggregatedApi]:
    """Serve it on this machine for as long as the context lasts; give how it is registered, which it is not yet."""
    authority = Authority(home=home, name="ca")
    host = f"{SERVICE}.{namespace}.svc"
    pair = authority.issue("provider", common_name=host, hosts=[host])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)
    address = own_address()
    port = free_port(address)
    runner = web.AppRunner(provider.app(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, port, ssl_context=context).start()
        yield AggregatedApi(
            group=GROUP,
            version=VERSION,
            service=SERVICE,
            namespace=namespace,
            address=address,
            port=port,
            authority=authority.pair.cert,
        )
    finally:
        await runner.cleanup()


def _json(document: Mapping[str, object]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(document)

    return answer

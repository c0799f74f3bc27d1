"""Health and metrics over plain HTTP, for the kubelet and Prometheus.

`/healthz` says that the event loop turns and no vital task has ended; `/readyz` that the watches have begun. Neither
depends on the API server being there now: an outage must not restart operators that only have to wait.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

METRICS_TYPE: Final = "text/plain; version=0.0.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Where the answers come from."""

    alive: Callable[[], bool]
    ready: Callable[[], bool]
    metrics: Callable[[], Awaitable[bytes]]


def health_app(health: Health) -> web.Application:
    """The application that serves them."""

    async def healthz(_: web.Request) -> web.Response:
        return _answer(good=health.alive())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(good=health.ready())

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=await health.metrics(), headers={"Content-Type": METRICS_TYPE})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


def _answer(*, good: bool) -> web.Response:
    return web.Response(text="ok\n") if good else web.Response(status=503, text="not yet\n")

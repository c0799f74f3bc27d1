"""The page on the user's own machine: routes, the guard before them, and what is said when something is wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from workerpool_operator.kube import ClusterAccess, Kube
from workerpool_operator.ui import guard as guards
from workerpool_operator.ui.guard import Asked, Guard
from workerpool_operator.ui.hub import PROGRAM, Hub
from workerpool_operator.ui.site import ROUTES, Site, asset

_log = structlog.stdlib.get_logger(__name__)

_ADDRESS: Final = "127.0.0.1"
_ANOTHER: Final = "Press Enter where wpool ui runs, or start it anew, for another."
LARGEST_FORM: Final = 4_096


class PageServer:
    """Answers requests of one browser."""

    def __init__(self, site: Site, guard: Guard) -> None:
        self._site = site
        self._guard = guard

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._guarded], client_max_size=LARGEST_FORM)
        app.on_response_prepare.append(harden)
        at = f"/{self._guard.realm}"
        app.router.add_get(f"{at}/login", self._login)
        app.router.add_get(f"{at}/static/{{file}}", asset)
        for method, path, name in ROUTES:
            app.router.add_route(method, f"{at}/{path}", self._site.answer(name))
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if refusal := self._guard.refusal(_asked(request)):
            return self._site.message(refusal.status, refusal.message, inside=False)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return self._site.message(error.status, "There is no such page." if error.status == 404 else error.reason)  # noqa: PLR2004
        except Exception as error:  # noqa: BLE001  said where we run, and never with its inner workings
            _log.error("a page could not be made", page=request.path.removeprefix(self._guard.root), error=repr(error))
            return self._site.message(500, "This page could not be made. What is wrong stands where wpool ui runs.")

    async def _login(self, request: web.Request) -> web.Response:
        if self._guard.redeem(request.query.get("token", "")):
            # Not a redirect: after one from another site's link, a Strict cookie would not be sent.
            response = self._site.welcome()
            response.headers["Set-Cookie"] = self._guard.cookie_header()
            return response
        if self._guard.knows(_asked(request)):
            return self._site.welcome()
        return self._site.message(403, "This link is used up or wrong: it is good once. " + _ANOTHER, inside=False)


def _asked(request: web.Request) -> Asked:
    return Asked(
        method=request.method,
        path=request.path,
        hosts=request.headers.getall(hdrs.HOST, []),
        origins=request.headers.getall(hdrs.ORIGIN, []),
        fetch_site=request.headers.get("Sec-Fetch-Site", ""),
        cookie=request.cookies.get(guards.COOKIE, ""),
    )


async def harden(_: web.Request, response: web.StreamResponse) -> None:
    """The headers of every answer."""
    response.headers.update(guards.HEADERS)


async def _tell_trouble(hub: Hub, tell: Callable[[str], None]) -> None:
    """Say each change, until it is cancelled."""
    said = ""
    while True:
        if hub.pulse.trouble != said:
            said = hub.pulse.trouble
            tell(said)
        await hub.bell.wait(seconds=1)


@contextlib.asynccontextmanager
async def served(
    access: ClusterAccess,
    *,
    namespace: str | None = None,
    port: int = 0,
    prometheus: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Guard]:
    """Serve the page on 127.0.0.1; `port` 0: a free one. The guard has the link.

    `tell` hears why the API server cannot be asked, as soon as it cannot, and an empty text when it can again.

    Raises:
        OSError: the port is taken.
    """
    access = access.acting_as(PROGRAM)
    async with Kube(access) as kube:
        hub = Hub(access, kube, namespace=namespace)
        guard = Guard(port=port)
        site = Site(hub, root=guard.root, prometheus=prometheus)
        runner = web.AppRunner(PageServer(site, guard).app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, _ADDRESS, port).start()
            guard.port = runner.addresses[0][1]
            async with hub.running():
                telling = asyncio.create_task(_tell_trouble(hub, tell))
                try:
                    yield guard
                finally:
                    telling.cancel()
        finally:
            await runner.cleanup()

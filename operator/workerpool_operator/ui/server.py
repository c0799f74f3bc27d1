"""The page's server: routes, the guard before them, and what is said when something is wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from workerpool_operator.kube import ClusterAccess, Kube, KubeError
from workerpool_operator.ui import guard as guards
from workerpool_operator.ui import verbs, views
from workerpool_operator.ui.board import Board
from workerpool_operator.ui.cost import Costs
from workerpool_operator.ui.guard import Asked, Guard
from workerpool_operator.ui.hub import Hub
from workerpool_operator.ui.render import SECTIONS, Pages
from workerpool_operator.ui.shared import TroubleError
from workerpool_operator.ui.stream import Outlet, open_stream, stream_page, stream_pool, stream_pools

_log = structlog.stdlib.get_logger(__name__)

_ADDRESS: Final = "127.0.0.1"
_STATIC: Final = {"wpool.js": "text/javascript", "wpool.css": "text/css", "icon.svg": "image/svg+xml"}
_ANOTHER: Final = "Press Enter where wpool ui runs, or start it anew, for another."
_LARGEST_FORM: Final = 4_096
_FIRST_SECONDS: Final = 2.0
"""A page waits so long for the first listing; after that it says that it is coming."""


class PageServer:
    """Answers requests of one browser, with what `hub` knows."""

    def __init__(self, hub: Hub, guard: Guard, *, prometheus: str = "") -> None:
        self._hub = hub
        self._guard = guard
        self._costs = Costs(prometheus)
        self._pages = Pages(root=guard.root, server=hub.access.server, user_namespace=hub.access.namespace)
        self._board = Board(self._pages.row)
        self._static = {name: (files(__package__) / "static" / name).read_bytes() for name in _STATIC}

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._guarded], client_max_size=_LARGEST_FORM)
        app.on_response_prepare.append(_harden)
        at = f"/{self._guard.realm}"
        app.router.add_get(f"{at}/login", self._login)
        app.router.add_get(f"{at}/", self._pools)
        app.router.add_get(f"{at}/budgets", self._budgets)
        app.router.add_get(f"{at}/cost", self._cost)
        app.router.add_get(f"{at}/pool/{{namespace}}/{{name}}", self._pool)
        app.router.add_post(f"{at}/pool/{{namespace}}/{{name}}/{{verb}}", self._do)
        app.router.add_get(f"{at}/live/pools", self._live_pools)
        app.router.add_get(f"{at}/live/budgets", self._live_budgets)
        app.router.add_get(f"{at}/live/pool/{{namespace}}/{{name}}", self._live_pool)
        app.router.add_get(f"{at}/static/{{file}}", self._file)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if refusal := self._guard.refusal(_asked(request)):
            return self._message(refusal.status, refusal.message, inside=False)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return self._message(error.status, "There is no such page." if error.status == 404 else error.reason)  # noqa: PLR2004
        except Exception as error:  # noqa: BLE001  said where we run, and never with its inner workings
            _log.error("a page could not be made", page=request.path.removeprefix(self._guard.root), error=repr(error))
            return self._message(500, "This page could not be made. What is wrong stands where wpool ui runs.")

    def _message(self, status: int, message: str, *, inside: bool = True) -> web.Response:
        """`inside`: to somebody who may know where our pages are."""
        return _html(self._pages.page("message.html", message=message, status=status, inside=inside), status=status)

    async def _login(self, request: web.Request) -> web.Response:
        if self._guard.redeem(request.query.get("token", "")):
            # Not a redirect: after one from another site's link, a Strict cookie would not be sent.
            response = _html(self._pages.page("welcome.html"))
            response.headers["Set-Cookie"] = self._guard.cookie_header()
            return response
        if self._guard.knows(_asked(request)):
            return _html(self._pages.page("welcome.html"))
        return self._message(403, "This link is used up or wrong: it is good once. " + _ANOTHER, inside=False)

    async def _pools(self, _: web.Request) -> web.Response:
        await self._settled()
        self._board.update(self._hub.table)
        return _html(
            self._pages.page(
                "pools.html",
                hub=self._hub,
                rows=list(self._board.rows()),
                revision=self._board.revision,
                totals=views.totals(self._hub.pools.objects.values()),
                trouble=self._hub.pulse.trouble,
                namespace=self._hub.namespace,
            )
        )

    async def _pool(self, request: web.Request) -> web.Response:
        await self._settled()
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        pool = self._hub.pool(namespace, name)
        if pool is None:
            why = self._hub.pools.refusal or f"There is no pool {namespace}/{name} any more, or there never was."
            return self._message(404, why)
        room = self._hub.room(namespace, name)
        rights = await self._hub.rights(namespace)
        may = rights.change if rights else None
        sections = {one: self._pages.section(one, room, pool, may_change=may) for one in SECTIONS}
        return _html(
            self._pages.page(
                "pool.html",
                sections=sections,
                key=views.key_of(pool),
                namespace=namespace,
                name=name,
                trouble=self._hub.pulse.trouble,
            )
        )

    async def _do(self, request: web.Request) -> web.Response:
        said = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        try:
            pool = await self._hub.fresh(namespace, name)
            message, status = await verbs.do(self._hub.access, pool, request.match_info["verb"], said), 200
        except verbs.StaleError as error:
            message, status = str(error), 409
        except TroubleError as error:
            message, status = str(error), 422
        except KubeError as error:
            message, status = f"Not done. {error}", error.status or 503
        if request.headers.get(hdrs.ACCEPT) == "application/json":
            return web.json_response({"message": message}, status=status)
        return self._message(status, message)

    async def _budgets(self, _: web.Request) -> web.Response:
        await self._settled()
        return _html(self._pages.page("budgets.html", trouble=self._hub.pulse.trouble, table=self._budget_table()))

    def _budget_table(self) -> str:
        feed = self._hub.budgets
        return self._pages.page("budget_table.html", feed=feed, budgets=views.budgets(feed.objects.values()))

    async def _cost(self, request: web.Request) -> web.Response:
        found = await self._costs.ask(request.query.get("window", "7d"), namespace=self._hub.namespace)
        return _html(self._pages.page("cost.html", trouble=self._hub.pulse.trouble, found=found))

    async def _live_pools(self, request: web.Request) -> web.StreamResponse:
        said = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        since = int(said) if said.isdecimal() and said.isascii() else -1
        return await _streamed(
            request, lambda outlet: stream_pools(outlet, self._hub, self._pages, self._board, since=since)
        )

    async def _live_budgets(self, request: web.Request) -> web.StreamResponse:
        return await _streamed(
            request,
            lambda outlet: stream_page(outlet, self._hub, self._pages, lambda: {"budgets": self._budget_table()}),
        )

    async def _live_pool(self, request: web.Request) -> web.StreamResponse:
        log = request.query.get("log")
        names = None if log is None else tuple(one for one in (log,) if one != "*")
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        return await _streamed(
            request,
            lambda outlet: stream_pool(outlet, self._hub, self._pages, namespace=namespace, name=name, log=names),
        )

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in _STATIC:
            raise web.HTTPNotFound
        return web.Response(body=self._static[name], content_type=_STATIC[name], charset="utf-8")

    async def _settled(self) -> None:
        """The first listing is there, or is refused, or takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_SECONDS):
                while not (self._hub.pools.read or self._hub.pools.refusal or self._hub.pulse.trouble):
                    await self._hub.bell.wait(seconds=0.2)


async def _streamed(request: web.Request, stream: Callable[[Outlet], Awaitable[None]]) -> web.StreamResponse:
    """Send until the browser goes, which is no error."""
    response = await open_stream(request)
    with contextlib.suppress(ConnectionResetError):
        await stream(Outlet(response))
    return response


def _asked(request: web.Request) -> Asked:
    return Asked(
        method=request.method,
        path=request.path,
        hosts=request.headers.getall(hdrs.HOST, []),
        origins=request.headers.getall(hdrs.ORIGIN, []),
        fetch_site=request.headers.get("Sec-Fetch-Site", ""),
        cookie=request.cookies.get(guards.COOKIE, ""),
    )


def _html(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(guards.HEADERS)


@contextlib.asynccontextmanager
async def served(
    access: ClusterAccess, *, namespace: str | None = None, port: int = 0, prometheus: str = ""
) -> AsyncIterator[Guard]:
    """Serve the page on 127.0.0.1; `port` 0: a free one. The guard has the link.

    Raises:
        OSError: the port is taken.
    """
    async with Kube(access) as kube:
        hub = Hub(access, kube, namespace=namespace)
        guard = Guard(port=port)
        server = PageServer(hub, guard, prometheus=prometheus)
        runner = web.AppRunner(server.app(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, _ADDRESS, port)
            await site.start()
            guard.port = runner.addresses[0][1]
            async with hub.running():
                yield guard
        finally:
            await runner.cleanup()

"""The pages of one user: what is answered to each path, by what `hub` knows. Who may ask is decided before."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Final

from aiohttp import hdrs, web

from workerpool_operator.kube import KubeError, errors
from workerpool_operator.ui import verbs, views
from workerpool_operator.ui.board import Board
from workerpool_operator.ui.cost import Costs
from workerpool_operator.ui.hub import Hub
from workerpool_operator.ui.outcomes import AskFirstError, NotDoneError, StaleError
from workerpool_operator.ui.render import SECTIONS, Pages
from workerpool_operator.ui.shared import TroubleError, with_note
from workerpool_operator.ui.stream import (
    EVERYBODY,
    AskedLog,
    Outlet,
    open_stream,
    stream_coming,
    stream_page,
    stream_pool,
    stream_pools,
)

STATIC: Final = {
    "wpool.js": "text/javascript",
    "login.js": "text/javascript",
    "wpool.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_FIRST_SECONDS: Final = 2.0
"""A page waits so long for the first listing; after that it says that it is coming."""
ROUTES: Final = (
    ("GET", "", "pools"),
    ("GET", "budgets", "budgets"),
    ("GET", "cost", "cost"),
    ("GET", "pool/{namespace}/{name}", "pool"),
    ("POST", "pool/{namespace}/{name}/{verb}", "do"),
    ("GET", "live/pools", "live_pools"),
    ("GET", "live/budgets", "live_budgets"),
    ("GET", "live/pool/{namespace}/{name}", "live_pool"),
)
"""(method, path below the root, method of `Site`)."""


class Site:
    """Answers one user's requests. `root`: the path of the first page."""

    def __init__(self, hub: Hub, *, root: str, prometheus: str = "") -> None:
        self._hub = hub
        self._costs = Costs(prometheus)
        self._pages = Pages(root=root, server=hub.access.server, home=hub.home)
        self._board = Board(self._pages.row)

    def answer(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """What answers a route of this name."""
        found: Callable[[web.Request], Awaitable[web.StreamResponse]] = getattr(self, name)
        return found

    def message(self, status: int, message: str, *, inside: bool = True) -> web.Response:
        """`inside`: to somebody who may know where our pages are."""
        return html(self._pages.page("message.html", message=message, status=status, inside=inside), status=status)

    def welcome(self) -> web.Response:
        """Leads to the first page."""
        return html(self._pages.page("welcome.html"))

    async def pools(self, _: web.Request) -> web.Response:
        """The table of pools."""
        await self._settled()
        self._board.update(self._hub.table)
        return html(
            self._pages.page(
                "pools.html",
                hub=self._hub,
                rows=list(self._board.rows()),
                revision=self._board.revision,
                totals=views.totals(self._hub.pools.objects.values()),
                trouble=self._hub.trouble,
                namespace=self._hub.namespace,
            )
        )

    async def pool(self, request: web.Request) -> web.Response:
        """One pool."""
        await self._settled()
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        pool = self._hub.pool(namespace, name)
        if pool is None:
            return self._no_pool(namespace, name)
        room = self._hub.room(namespace, name)
        rights = await self._hub.rights(namespace)
        may = rights.change if rights else None
        sections = {one: self._pages.section(one, room, pool, may_change=may) for one in SECTIONS}
        return html(
            self._pages.page(
                "pool.html",
                sections=sections,
                key=views.key_of(pool),
                namespace=namespace,
                name=name,
                trouble=self._hub.trouble,
            )
        )

    def _no_pool(self, namespace: str, name: str) -> web.Response:
        """There is none, or it is not known yet: the page goes on by itself then."""
        feed = self._hub.pools
        if feed.refusal and (feed.forbidden or feed.read):
            return self.message(403 if feed.forbidden else 503, feed.refusal)
        if feed.read:
            return self.message(404, f"There is no pool {namespace}/{name} any more, or there never was.")
        why = with_note(feed.refusal or "Pools are being read, which takes longer than usual", "It goes on by itself.")
        about = {"namespace": namespace, "name": name, "trouble": self._hub.trouble, "why": why}
        return html(self._pages.page("coming.html", **about), status=503 if feed.refusal else 200)

    async def do(self, request: web.Request) -> web.Response:
        """A button was pressed."""
        said = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        asks = False
        try:
            pool = await self._hub.fresh(namespace, name)
            message, status = await verbs.do(self._hub.access, pool, request.match_info["verb"], said), 200
        except AskFirstError as error:
            message, status, asks = str(error), 428, True
        except StaleError as error:
            message, status = str(error), 409
        except TroubleError as error:
            message, status = str(error), 422
        except NotDoneError as error:
            message, status = str(error), 503
        except errors.Forbidden as error:
            message, status = f"Not done, as you may not do this: {error.detail}", 403
        except KubeError as error:
            message, status = f"Not done. {error}", error.status or 503
        if request.headers.get(hdrs.ACCEPT) == "application/json":
            return web.json_response({"ask" if asks else "message": message}, status=status)
        return self.message(status, message)

    async def budgets(self, _: web.Request) -> web.Response:
        """Who has what of budgets."""
        await self._settled()
        return html(self._pages.page("budgets.html", trouble=self._hub.trouble, table=self._budget_table()))

    def _budget_table(self) -> str:
        feed = self._hub.budgets
        return self._pages.page("budget_table.html", feed=feed, budgets=views.budgets(feed.objects.values()))

    async def cost(self, request: web.Request) -> web.Response:
        """What was used."""
        found = await self._costs.ask(request.query.get("window", "7d"), namespace=self._hub.namespace)
        return html(self._pages.page("cost.html", trouble=self._hub.trouble, found=found))

    async def live_pools(self, request: web.Request) -> web.StreamResponse:
        """Changes of the table."""
        said = _since(request)
        since = int(said) if said.isdecimal() and said.isascii() else -1
        return await _streamed(
            request, lambda outlet: stream_pools(outlet, self._hub, self._pages, self._board, since=since)
        )

    async def live_budgets(self, request: web.Request) -> web.StreamResponse:
        """Changes of budgets."""
        return await _streamed(
            request,
            lambda outlet: stream_page(outlet, self._hub, self._pages, lambda: {"budgets": self._budget_table()}),
        )

    async def live_pool(self, request: web.Request) -> web.StreamResponse:
        """Changes of one pool, and its log."""
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        if "coming" in request.query:
            return await _streamed(request, lambda outlet: stream_coming(outlet, self._hub, self._pages))
        log = request.query.get("log")
        asked = None if log is None else AskedLog(pod="" if log == EVERYBODY else log, since=_since(request))
        return await _streamed(
            request,
            lambda outlet: stream_pool(outlet, self._hub, self._pages, namespace=namespace, name=name, log=asked),
        )

    async def _settled(self) -> None:
        """The first listing is there, or is refused, or takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_SECONDS):
                while not (self._hub.pools.read or self._hub.pools.refusal or self._hub.pulse.trouble):
                    await self._hub.bell.wait(seconds=0.2)


def _since(request: web.Request) -> str:
    """How far this browser has come: what the browser itself repeats counts more than the address, which is older."""
    return request.headers.get("Last-Event-ID") or request.query.get("since", "")


async def _streamed(request: web.Request, stream: Callable[[Outlet], Awaitable[None]]) -> web.StreamResponse:
    """Send until the browser goes, which is no error."""
    response = await open_stream(request)
    with contextlib.suppress(ConnectionResetError):
        await stream(Outlet(request, response))
    return response


async def asset(request: web.Request) -> web.Response:
    """A script, a style or a picture of ours: nothing of the cluster is in them."""
    name = request.match_info["file"]
    if name not in STATIC:
        raise web.HTTPNotFound
    body = (files(__package__) / "static" / name).read_bytes()
    return web.Response(body=body, content_type=STATIC[name], charset="utf-8")


def html(text: str, *, status: int = 200) -> web.Response:
    """A page."""
    return web.Response(text=text, content_type="text/html", status=status)

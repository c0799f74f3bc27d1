"""The page in the cluster: routes, and the gate before them. Without a token there is a login and nothing else.

The token comes as a header that our script sends, never as a cookie: so no browser sends it by itself, for another
page or by another name of this address. It is good for what the API server lets its owner do, and nothing is done with
any other rights: the program has none.
"""

import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from workerpool_operator.ui.home import IN_CLUSTER
from workerpool_operator.ui.render import Pages
from workerpool_operator.ui.server import LARGEST_FORM, harden
from workerpool_operator.ui.site import ROUTES, STATIC, asset, html
from workerpool_operator.ui.visitors import NotAdmittedError, Visitor, Visitors

_log = structlog.stdlib.get_logger(__name__)

NAMESPACE_HEADER: Final = "Wpool-Namespace"
_VISITOR: Final = web.RequestKey("visitor", Visitor)
_OPEN: Final = frozenset({"/healthz", *(f"/static/{name}" for name in STATIC)})
"""What everybody may have: there is nothing of the cluster in it."""
_TOKEN: Final = re.compile(r"Bearer ([A-Za-z0-9\-._~+/]{1,8000}=*)")
_STREAM: Final = "text/event-stream"
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class Gate:
    """Answers whoever brings a token, with what it may see."""

    def __init__(self, visitors: Visitors, *, server: str) -> None:
        self._visitors = visitors
        self._pages = Pages(root="/", server=server, home=IN_CLUSTER)

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._guarded], client_max_size=LARGEST_FORM)
        app.on_response_prepare.append(harden)
        app.router.add_get("/healthz", _healthz)
        app.router.add_get("/static/{file}", asset)
        for method, path, name in ROUTES:
            app.router.add_route(method, f"/{path}", _of_visitor(name))
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in _OPEN:
            return await handler(request)
        said = request.headers.getall(hdrs.AUTHORIZATION, [])
        if not said and request.method in {"GET", "HEAD"}:
            return html(self._pages.page("login.html"), status=200 if request.path == "/" else 401)
        try:
            visitor = await self._visitors.admit(_token(said), _namespace(request))
        except NotAdmittedError as error:
            if request.headers.get(hdrs.ACCEPT) == _STREAM:  # of a page that is shown, and says this on it
                return web.Response(status=error.status, text=str(error))
            return self._message(error.status, str(error))
        request[_VISITOR] = visitor
        with visitor.asking():
            return await self._answered(request, handler)

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return self._message(error.status, "There is no such page." if error.status == 404 else error.reason)  # noqa: PLR2004
        except Exception as error:  # noqa: BLE001  said in the log, and never with its inner workings to a browser
            _log.error("a page could not be made", page=request.path, error=repr(error))
            return self._message(500, "This page could not be made. What is wrong stands in the log of its pod.")

    def _message(self, status: int, message: str) -> web.Response:
        return html(self._pages.page("message.html", message=message, status=status, inside=True), status=status)


def _token(said: list[str]) -> str:
    found = _TOKEN.fullmatch(said[0]) if len(said) == 1 else None
    if found is None:
        raise NotAdmittedError(401, "Send one token, as `Authorization: Bearer TOKEN`.")
    return found[1]


def _namespace(request: web.Request) -> str | None:
    said = request.headers.get(NAMESPACE_HEADER, "")
    if said and not _NAMESPACE.fullmatch(said):
        raise NotAdmittedError(400, "That is no name of a namespace.")
    return said or None


def _of_visitor(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        return await request[_VISITOR].site.answer(name)(request)

    return answer


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


@contextlib.asynccontextmanager
async def opened(visitors: Visitors, *, server: str, bind: str, port: int) -> AsyncIterator[int]:
    """Serve the page; gives the port, for `port` 0.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(Gate(visitors, server=server).app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, bind, port).start()
        async with visitors.running():
            found: int = runner.addresses[0][1]
            yield found
    finally:
        await runner.cleanup()

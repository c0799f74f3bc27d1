"""What changes, sent to the browser as it changes: server-sent events.

A message is JSON: `patch`, a list of elements of the page by id, each with its new HTML; `log`, lines of text;
`reload`, where the browser has missed more than is known. The browser changes only what is different.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from workerpool_operator.ui.board import Board
from workerpool_operator.ui.hub import Hub
from workerpool_operator.ui.logtail import LogTail, Wanted, everybody
from workerpool_operator.ui.render import SECTIONS, Pages
from workerpool_operator.ui.room import Room

TICK_SECONDS: Final = 1.0
GATHER_SECONDS: Final = 0.05
"""Changes that come together are sent together."""
_PING_TICKS: Final = 15
EVERYBODY: Final = "*"
"""As the log that is asked for: of all workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLog:
    """Whose lines a browser wants."""

    pod: str
    """Empty: of all workers of the pool."""
    since: str = ""
    """How far it has come, as it was told; empty: it has none yet."""


class Outlet:
    """One browser tab. Sends an element only when its HTML is another than before."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self._response = response
        self._sent: dict[str, str] = {}
        self._quiet = 0

    def changed(self, elements: Mapping[str, str]) -> list[dict[str, str]]:
        """Those that this tab does not have yet."""
        news = [{"id": key, "html": html} for key, html in elements.items() if self._sent.get(key) != html]
        self._sent |= elements
        return news

    async def send(self, message: Mapping[str, object], *, position: str = "0") -> None:
        """A message, if there is anything in it; now and then a sign of life.

        `position`: how far the browser has come with it, which it says when it connects again. `0`: nothing to say.

        Raises:
            ConnectionResetError: the browser has gone.
        """
        if self._request.transport is None or self._request.transport.is_closing():
            raise ConnectionResetError
        filled = {key: value for key, value in message.items() if value}
        if filled:
            self._quiet = 0
            await self._response.write(f"id: {position}\ndata: {json.dumps(filled)}\n\n".encode())
            return
        self._quiet += 1
        if self._quiet >= _PING_TICKS:
            self._quiet = 0
            await self._response.write(b": still here\n\n")


async def open_stream(request: web.Request) -> web.StreamResponse:
    """Begin to answer."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"retry: 1000\n\n")
    return response


async def stream_pools(outlet: Outlet, hub: Hub, pages: Pages, board: Board, *, since: int) -> None:
    """The table of pools, until the browser goes."""
    while True:
        board.update(hub.table)
        changes = board.since(since)
        if changes is None:
            await outlet.send({"reload": True})
            return
        patch: list[dict[str, Any]] = outlet.changed({"banner": pages.banner(hub), "summary": pages.summary(hub)})
        patch += [
            {"id": f"pool:{change.key}", "html": change.html, "into": "pools", "after": f"pool:{change.after}"}
            for change in changes
        ]
        since = board.revision
        await outlet.send({"patch": patch}, position=str(since))
        await _news(hub)


async def stream_page(outlet: Outlet, hub: Hub, pages: Pages, elements: Callable[[], Mapping[str, str]]) -> None:
    """A page of a few elements, until the browser goes."""
    while True:
        await outlet.send({"patch": outlet.changed({"banner": pages.banner(hub), **elements()})})
        await _news(hub)


async def stream_coming(outlet: Outlet, hub: Hub, pages: Pages) -> None:
    """A pool's page while pools are read for the first time: loaded anew as soon as it is known what there is."""
    while not (hub.pools.read or hub.pools.forbidden):
        await outlet.send({"patch": outlet.changed({"banner": pages.banner(hub)})})
        await _news(hub)
    await outlet.send({"reload": True})


async def stream_pool(
    outlet: Outlet, hub: Hub, pages: Pages, *, namespace: str, name: str, log: AskedLog | None
) -> None:
    """One pool, until the browser goes."""
    if log is None:
        await _pool_elements(outlet, hub, pages, namespace=namespace, name=name)
        return
    tail = LogTail(hub.access, namespace=namespace, named=not log.pod, since=log.since)
    async with tail.running():
        await _pool_elements(outlet, hub, pages, namespace=namespace, name=name, log=(log, tail))


async def _pool_elements(
    outlet: Outlet, hub: Hub, pages: Pages, *, namespace: str, name: str, log: tuple[AskedLog, LogTail] | None = None
) -> None:
    while True:
        room, pool = hub.room(namespace, name), hub.pool(namespace, name)
        elements = {"banner": pages.banner(hub)}
        if pool is not None:
            rights = await hub.rights(namespace)
            may = rights.change if rights else None
            elements |= {part: pages.section(part, room, pool, may_change=may) for part in SECTIONS}
            elements["gone"] = pages.page("gone.html", gone=False)
        elif hub.pools.read:
            elements["gone"] = pages.page("gone.html", gone=True)
        lines, position = _lines(room, *log) if log else ([], "0")
        await outlet.send({"patch": outlet.changed(elements), "log": lines}, position=position)
        await _news(hub)


def _lines(room: Room, asked: AskedLog, tail: LogTail) -> tuple[list[str], str]:
    """What has come since, of the workers that there are now."""
    tail.look(Wanted(pods=(asked.pod,)) if asked.pod else everybody(room.pods.objects.values(), room.pods.refusal))
    return tail.take()


async def _news(hub: Hub) -> None:
    await hub.bell.wait(seconds=TICK_SECONDS)
    await asyncio.sleep(GATHER_SECONDS)

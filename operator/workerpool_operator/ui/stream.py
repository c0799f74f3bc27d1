"""What changes, sent to the browser as it changes: server-sent events.

A message is JSON: `patch`, a list of elements of the page by id, each with its new HTML; `log`, lines of text;
`reload`, where the browser has missed more than is known. The browser changes only what is different.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from workerpool_operator.ui.board import Board
from workerpool_operator.ui.hub import Hub
from workerpool_operator.ui.logtail import LogTail
from workerpool_operator.ui.render import SECTIONS, Pages

TICK_SECONDS: Final = 1.0
GATHER_SECONDS: Final = 0.05
"""Changes that come together are sent together."""
_PING_TICKS: Final = 15


class Outlet:
    """One browser tab. Sends an element only when its HTML is another than before."""

    def __init__(self, response: web.StreamResponse) -> None:
        self._response = response
        self._sent: dict[str, str] = {}
        self._quiet = 0

    def changed(self, elements: Mapping[str, str]) -> list[dict[str, str]]:
        """Those that this tab does not have yet."""
        news = [{"id": key, "html": html} for key, html in elements.items() if self._sent.get(key) != html]
        self._sent |= elements
        return news

    async def send(self, message: Mapping[str, object], *, revision: int = 0) -> None:
        """A message, if there is anything in it; now and then a sign of life."""
        filled = {key: value for key, value in message.items() if value}
        if filled:
            self._quiet = 0
            await self._response.write(f"id: {revision}\ndata: {json.dumps(filled)}\n\n".encode())
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
        await outlet.send({"patch": patch}, revision=since)
        await _news(hub)


async def stream_page(outlet: Outlet, hub: Hub, pages: Pages, elements: Callable[[], Mapping[str, str]]) -> None:
    """A page of a few elements, until the browser goes."""
    while True:
        await outlet.send({"patch": outlet.changed({"banner": pages.banner(hub), **elements()})})
        await _news(hub)


async def stream_pool(
    outlet: Outlet, hub: Hub, pages: Pages, *, namespace: str, name: str, log: tuple[str, ...] | None
) -> None:
    """One pool, until the browser goes. `log`: whose log lines to send; empty: all pods'."""
    if log is None:
        await _pool_elements(outlet, hub, pages, namespace=namespace, name=name, tail=None)
        return
    room = hub.room(namespace, name)
    for _ in range(20):
        if log or room.pods.objects or room.pods.refusal:
            break
        await hub.bell.wait(seconds=0.25)
    names = log or tuple(sorted(room.pods.objects))
    tail = LogTail(hub.access, namespace=namespace, pods=names)
    async with tail.running():
        await _pool_elements(outlet, hub, pages, namespace=namespace, name=name, tail=tail)


async def _pool_elements(
    outlet: Outlet, hub: Hub, pages: Pages, *, namespace: str, name: str, tail: LogTail | None
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
        lines = tail.take() if tail else []
        await outlet.send({"patch": outlet.changed(elements), "log": lines})
        await _news(hub)


async def _news(hub: Hub) -> None:
    await hub.bell.wait(seconds=TICK_SECONDS)
    await asyncio.sleep(GATHER_SECONDS)

"""Follows all objects of a kind by the API server's own watch, so that no state in between is missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from workerpool_operator.kube import ClusterAccess
from workerpool_operator.kube.kinds import Kind

Json = dict[str, Any]

_SERVER_SECONDS = 300
_RETRY_SECONDS = 0.2
_GONE = 410


class WatchLostError(Exception):
    """The watch cannot go on without a gap, so what was seen proves nothing."""


async def follow(access: ClusterAccess, kind: Kind, *, on_event: Callable[[str, Json], None]) -> None:
    """Call ``on_event(type, object)`` for what is there (as ADDED) and for each change, until cancelled.

    Raises:
        WatchLostError: events may have been lost.
    """
    async with access.watch_session() as session:
        version = await _list(session, access.server + kind.path(), kind=kind, on_event=on_event)

        def seen(newest: str) -> None:
            nonlocal version
            version = newest

        while True:
            try:
                await _watch(session, access.server + kind.path(), version=version, on_event=on_event, seen=seen)
            except aiohttp.ClientConnectionError:  # an API server that is away for a while loses nothing
                await asyncio.sleep(_RETRY_SECONDS)


async def _list(session: aiohttp.ClientSession, url: str, *, kind: Kind, on_event: Callable[[str, Json], None]) -> str:
    async with session.get(url) as answer:
        answer.raise_for_status()
        body = await answer.json()
    for item in body["items"]:
        on_event("ADDED", {"apiVersion": kind.api_version, "kind": kind.kind, **item})
    return str(body["metadata"]["resourceVersion"])


async def _watch(
    session: aiohttp.ClientSession,
    url: str,
    *,
    version: str,
    on_event: Callable[[str, Json], None],
    seen: Callable[[str], None],
) -> None:
    query = {
        "watch": "true",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(_SERVER_SECONDS),
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_read=_SERVER_SECONDS + 30)
    async with session.get(url, params=query, timeout=timeout) as answer:
        if answer.status == _GONE:
            raise WatchLostError(f"{url}: resource version {version} is gone")
        answer.raise_for_status()
        async for line in answer.content:
            event = json.loads(line)
            if event["type"] == "ERROR":
                raise WatchLostError(f"{url}: {event['object'].get('message')}")
            if event["type"] != "BOOKMARK":
                on_event(event["type"], event["object"])
            seen(event["object"]["metadata"]["resourceVersion"])

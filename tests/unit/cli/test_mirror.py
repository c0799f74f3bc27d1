"""A live copy of objects, by an API server that is played: something stands before it and speaks in its place."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from workerpool_operator.cli import mirror as mirror_module
from workerpool_operator.cli.mirror import Mirror
from workerpool_operator.kube import ClusterAccess, Kube, errors, kinds

POD = {"metadata": {"name": "thumbs-1", "namespace": "media"}}
NONSENSE: list[Any] = [
    {"type": "ADDED"},
    {"type": "ADDED", "object": None},
    {"type": "MODIFIED", "object": {"metadata": {}}},
    {"object": POD},
    {"type": "DELETED", "object": "thumbs-1"},
    [],
    "maintenance",
]


FORBIDDEN = object()


class PlayedServer:
    """Lists one pod, and says one thing in each watch: the last of them for ever."""

    def __init__(self, *says: Any) -> None:
        self.items: list[Any] = [POD]
        self.watches = self.listings = 0
        self.lists_again = asyncio.Event()
        self.lists_again.set()
        self._says = says

    async def pods(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            self.listings += 1
            if self.listings > 1:
                await self.lists_again.wait()
            return web.json_response({"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": self.items})
        said = self._says[min(self.watches, len(self._says) - 1)]
        self.watches += 1
        if said is FORBIDDEN:
            return web.json_response({"kind": "Status", "code": 403}, status=403)
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(json.dumps(said).encode() + b"\n")
        if self.watches >= len(self._says):
            await asyncio.sleep(60)
        return answer


async def mirrored(played: PlayedServer, folder: Path, look: Callable[[Mirror], Awaitable[None]]) -> None:
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/media/pods", played.pods)
    async with TestServer(app, shutdown_timeout=0.1) as server:
        config = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "media"}}],
            "clusters": [{"name": "c", "cluster": {"server": str(server.make_url("")).rstrip("/")}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        access = await ClusterAccess.find(path)
        async with Kube(access) as kube, Mirror(access, kube, kinds.POD, namespace="media") as mirror:
            await look(mirror)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  the mirror tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("nonsense", NONSENSE, ids=json.dumps)
async def test_nonsense_in_a_watch_is_told_and_looked_at_again(
    nonsense: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what comes after it counts."""
    monkeypatch.setattr(mirror_module, "RETRY_SECONDS", 0.0)
    later = {"type": "ADDED", "object": {"metadata": {"name": "thumbs-2", "namespace": "media"}}}
    played = PlayedServer(nonsense, later)
    played.lists_again.clear()

    async def look(mirror: Mirror) -> None:
        await until(lambda: "what comes" in mirror.error)
        assert set(mirror.objects) == {"thumbs-1"}
        played.lists_again.set()
        await until(lambda: set(mirror.objects) == {"thumbs-1", "thumbs-2"})
        assert mirror.error == ""

    await mirrored(played, tmp_path, look)


async def test_nonsense_in_the_first_listing_is_refused(tmp_path: Path) -> None:
    played = PlayedServer({})
    played.items = [{"kind": "Pod"}]

    async def look(_: Mirror) -> None:
        raise AssertionError("there is nothing to look at")

    with pytest.raises(errors.Unavailable, match="what comes in the API server's name is no object of it"):
        await mirrored(played, tmp_path, look)


async def test_what_may_not_be_watched_is_read_now_and_then_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not each second: of a large pool all pods come each time."""
    played = PlayedServer(FORBIDDEN)

    async def look(mirror: Mirror) -> None:
        await until(lambda: mirror.error == "you may not watch pods, so they are read every 15 s")
        assert played.listings == 1
        monkeypatch.setattr(mirror_module, "UNWATCHED_SECONDS", 0.1)

    await mirrored(played, tmp_path, look)
    monkeypatch.setattr(mirror_module, "RETRY_SECONDS", 60)
    played = PlayedServer(FORBIDDEN)

    async def again(mirror: Mirror) -> None:
        played.items = [POD, {"metadata": {"name": "thumbs-2", "namespace": "media"}}]
        await until(lambda: set(mirror.objects) == {"thumbs-1", "thumbs-2"})
        assert "you may not watch pods" in mirror.error

    await mirrored(played, tmp_path, again)

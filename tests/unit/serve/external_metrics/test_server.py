"""The port whose trust changes while it serves."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from e2e.cluster.pki import Authority
from workerpool_operator.serve.external_metrics import server
from workerpool_operator.serve.external_metrics.proxy import FrontProxyKeeper


class Opened:
    """A listener whose requests under way take as long as they like."""

    made: list["Opened"]

    def __init__(self, *_: Any, **__: Any) -> None:
        self.open = False
        self.stopping = asyncio.Event()
        self.quiet = asyncio.Event()
        self.made.append(self)

    async def start(self, _: object) -> None:
        self.open = True

    async def stop(self) -> None:
        self.stopping.set()
        await self.quiet.wait()
        self.open = False


async def test_whoever_ends_it_while_the_authority_changes_leaves_no_port_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one was left behind, with all who had reached it."""
    Opened.made = []
    monkeypatch.setattr(server, "Listener", Opened)
    Authority(home=tmp_path, name="ca").issue("tls", common_name="metrics", hosts=["metrics"])
    authorities = [Authority(home=tmp_path / name, name="ca").pair.cert.read_text() for name in ("old", "new")]

    async def read() -> Mapping[str, str]:
        return {"requestheader-client-ca-file": authorities[0]}

    keeper = FrontProxyKeeper(read)
    await keeper.refresh()
    up = asyncio.Event()
    port = server.MetricsServer(
        lambda _: web.Application(),
        refusal=lambda _: web.Response(),
        keeper=keeper,
        tls=tmp_path,
        host=None,
        port=0,
        started=up.set,
    )
    serving = asyncio.create_task(port.run())
    await up.wait()
    del authorities[0]
    await keeper.refresh()
    async with asyncio.timeout(10):
        await Opened.made[0].stopping.wait()
    assert [each.open for each in Opened.made] == [True, True]
    serving.cancel()
    for each in Opened.made:
        each.quiet.set()
    await asyncio.gather(serving, return_exceptions=True)
    assert [each.open for each in Opened.made] == [False, False]

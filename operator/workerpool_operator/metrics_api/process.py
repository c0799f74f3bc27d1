"""The work of the process: the API's parts, wired, over what the operator tells."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from aiohttp import web

from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, kinds
from workerpool_operator.metrics_api.messages import BEAT_SECONDS, Settings, Update
from workerpool_operator.metrics_api.mirror import Mirror
from workerpool_operator.metrics_api.tally import Tally
from workerpool_operator.serve.external_metrics import (
    Backend,
    Forwarder,
    FrontProxyKeeper,
    Gate,
    LeaderAccess,
    MetricsServer,
    Values,
    malformed,
    metrics_app,
)
from workerpool_operator.serve.external_metrics.identity import FrontProxy
from workerpool_operator.serve.tls import TrustedAuthority

FRONT_PROXY_CONFIG: Final = ObjectRef(kinds.CONFIG_MAP, "kube-system", "extension-apiserver-authentication")


class Process:
    """Answers, by what comes from the operator."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._mirror = Mirror()
        self._tally = Tally()

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve until the operator is gone. Raises when it cannot be served."""
        following = asyncio.create_task(self._follow(reader))
        tasks = {following, asyncio.create_task(self._serve()), asyncio.create_task(self._report(writer))}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if following not in done:
            done.pop().result()

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                self._mirror.take(Update.of(line))

    async def _report(self, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while True:
                writer.write(self._tally.line())
                await writer.drain()
                await asyncio.sleep(BEAT_SECONDS)

    async def _serve(self) -> None:
        access = await ClusterAccess.find()
        async with Kube(access, observer=self._tally) as kube:

            async def front_proxy() -> Mapping[str, str]:
                found: dict[str, Any] = await kube.get(FRONT_PROXY_CONFIG)
                data: Mapping[str, str] = found.get("data") or {}
                return data

            leader = Forwarder(
                LeaderAccess(
                    address=self._mirror.leader,
                    authorization=access.authorization,
                    context=TrustedAuthority(self._settings.tls).context,
                    server_name=self._settings.server_name,
                )
            )
            backend = Backend(
                gate=Gate(kube),
                values=Values(self._mirror, self._mirror.pools),
                leads=self._mirror.leads,
                leader=leader,
                observer=self._tally,
            )
            try:
                await self._answer(backend, FrontProxyKeeper(front_proxy))
            finally:
                await leader.close()

    async def _answer(self, backend: Backend, keeper: FrontProxyKeeper) -> None:
        def app(proxy: FrontProxy) -> web.Application:
            return metrics_app(backend, proxy=proxy)

        await keeper.refresh()
        server = MetricsServer(
            app,
            refusal=malformed(self._tally),
            keeper=keeper,
            tls=self._settings.tls,
            host=self._settings.host,
            port=self._settings.port,
            started=self._tally.serving,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(keeper.run())
            group.create_task(server.run())

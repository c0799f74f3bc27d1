"""The external metrics API beside the operator: its own thread, event loop, client and credentials.

What the two sides share is read without waiting: the board of values, the names of pools in the store, the Lease as the
elector last saw it.
"""

import asyncio
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from workerpool_operator.controller.config import OperatorConfig
from workerpool_operator.controller.store import Store
from workerpool_operator.controller.threads import in_own_thread
from workerpool_operator.kube import ClusterAccess, Kube, LeaderElector, ObjectRef, kinds
from workerpool_operator.metrics import OperatorMetrics
from workerpool_operator.serve import ValueBoard
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

SWITCH_SECONDS: Final = 0.0001
"""How long a thread that waits for the interpreter's lock lets the one that holds it go on.

A request needs the lock anew some seven times, after each system call and each step of TLS. Who waits asks for it only
when nobody has let go of it for this long. The operator's loop, when it is busy, lets go of it more often than in
Python's default of 5 ms, and takes it again before anybody else has woken up: so requests waited for seconds. Nobody is
interrupted while nobody waits.
"""
FRONT_PROXY_CONFIG: Final = ObjectRef(kinds.CONFIG_MAP, "kube-system", "extension-apiserver-authentication")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalMetrics:
    """Everything that the API needs of the operator."""

    config: OperatorConfig
    access: ClusterAccess
    elector: LeaderElector
    store: Store
    board: ValueBoard
    metrics: OperatorMetrics

    async def run(self) -> None:
        """Serve until cancelled. Raises when the port or the certificate cannot be used."""
        sys.setswitchinterval(SWITCH_SECONDS)
        await in_own_thread(self._serve(), name="external-metrics")

    async def _serve(self) -> None:
        access = await self.access.another()
        async with Kube(access, observer=self.metrics) as kube:

            async def front_proxy() -> Mapping[str, str]:
                found: dict[str, Any] = await kube.get(FRONT_PROXY_CONFIG)
                data: Mapping[str, str] = found.get("data") or {}
                return data

            keeper = FrontProxyKeeper(front_proxy)
            leader = Forwarder(
                LeaderAccess(
                    address=lambda: self.elector.holder_address,
                    authorization=access.authorization,
                    context=TrustedAuthority(self.config.tls).context,
                    server_name=self.config.external_metrics_host,
                )
            )
            backend = Backend(
                gate=Gate(kube),
                values=Values(self.board, self._pools),
                leads=lambda: self.elector.leading,
                leader=leader,
                observer=self.metrics,
            )

            def app(proxy: FrontProxy) -> web.Application:
                return metrics_app(backend, proxy=proxy)

            try:
                await keeper.refresh()
                server = MetricsServer(
                    app,
                    refusal=malformed(self.metrics),
                    keeper=keeper,
                    tls=self.config.tls,
                    host=self.config.bind,
                    port=self.config.external_metrics_port,
                )
                async with asyncio.TaskGroup() as group:
                    group.create_task(keeper.run())
                    group.create_task(server.run())
            finally:
                await leader.close()

    def _pools(self, namespace: str) -> Collection[str]:
        return self.store.names(kinds.WORKER_POOL, namespace).keys()

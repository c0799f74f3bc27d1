"""A replica of the external metrics API with its TLS, its reviews by a real API server, and callers of every kind."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from e2e.cluster.pki import Authority, Pair
from tests.support.waiting import until
from workerpool_operator.domain.metric import METRIC
from workerpool_operator.serve.external_metrics import (
    Backend,
    Forwarder,
    FrontProxyKeeper,
    Gate,
    LeaderAccess,
    MetricsServer,
    Reviews,
    Values,
    malformed,
    metrics_app,
)
from workerpool_operator.serve.external_metrics.identity import FrontProxy
from workerpool_operator.serve.tls import TrustedAuthority
from workerpool_operator.serve.values import ValueBoard

BASE = "/apis/external.metrics.k8s.io/v1beta1"
HOST = "workerpool-operator-external-metrics.workerpool-system.svc"
HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"


@dataclass
class Replica:
    """One replica; `pools` are those it knows, `leader` is where it takes the leader to be."""

    home: Path
    port: int
    address: str = "127.0.0.1"
    leads: bool = True
    leader: str = ""
    token: str = ""
    pools: dict[str, set[str]] = field(default_factory=dict)
    board: ValueBoard = field(default_factory=ValueBoard)
    answered: list[int] = field(default_factory=list)
    """The HTTP status of each answer."""

    @property
    def at(self) -> str:
        return f"{self.address}:{self.port}"

    def want(self, namespace: str, pool: str, value: int, *, seconds: float = 600.0) -> None:
        """A value that is fresh for so long."""
        self.pools.setdefault(namespace, set()).add(pool)
        self.board.read(namespace, pool, "main", age=0.0, stale_after=seconds)
        self.board.publish(namespace, pool, value, queues=("main",))

    def metrics_request(self, *, kind: str, code: int, seconds: float) -> None:
        self.answered.append(code)

    async def authorization(self) -> str:
        return f"Bearer {self.token}"


@asynccontextmanager
async def serving(
    replica: Replica, reviews: Reviews, *, front_proxy: Callable[[], Awaitable[Mapping[str, str]]], reread: float = 60.0
) -> AsyncIterator[Replica]:
    """Serve until the end of the context."""
    replica.board.begin()
    keeper = FrontProxyKeeper(front_proxy, reread_seconds=reread)
    forwarder = Forwarder(
        LeaderAccess(
            address=lambda: replica.leader,
            authorization=replica.authorization,
            context=TrustedAuthority(replica.home).context,
            server_name=HOST,
        )
    )
    backend = Backend(
        gate=Gate(reviews),
        values=Values(replica.board, lambda namespace: tuple(replica.pools.get(namespace, ()))),
        leads=lambda: replica.leads,
        leader=forwarder,
        observer=replica,
    )

    def app(proxy: FrontProxy) -> web.Application:
        return metrics_app(backend, proxy=proxy)

    await keeper.refresh()
    server = MetricsServer(
        app,
        refusal=malformed(replica),
        keeper=keeper,
        tls=replica.home,
        host=replica.address,
        port=replica.port,
    )
    tasks = [asyncio.create_task(server.run()), asyncio.create_task(keeper.run())]

    async def answers() -> bool:
        with suppress(aiohttp.ClientError):
            return (await Caller(replica).get("/healthz")).status == 200
        return False

    try:
        await until(answers, what="the metrics port")
        yield replica
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await forwarder.close()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    document: dict[str, Any]

    @property
    def values(self) -> dict[str, str]:
        """Value by pool."""
        return {item["metricLabels"]["pool"]: item["value"] for item in self.document["items"]}


@dataclass
class Caller:
    """Somebody who asks a replica directly, as an API server does, or somebody who would like to be one."""

    replica: Replica
    certificate: Pair | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.replica.home / "ca.crt"))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate.cert, self.certificate.key)
        return context

    async def get(self, path: str, *, session: aiohttp.ClientSession | None = None) -> Answer:
        if session is None:
            async with aiohttp.ClientSession() as once:
                return await self.get(path, session=once)
        url = f"https://{self.replica.at}{path}"
        async with session.get(
            url, ssl=self.context(), server_hostname=HOST, headers=self.headers, timeout=aiohttp.ClientTimeout(total=10)
        ) as answer:
            text = await answer.text()
            return Answer(answer.status, json.loads(text) if answer.content_type == "application/json" else {})

    async def value(self, namespace: str, pool: str, *, session: aiohttp.ClientSession | None = None) -> Answer:
        path = f"{BASE}/namespaces/{namespace}/{METRIC}?labelSelector=pool%3D{pool}"
        return await self.get(path, session=session)


def certify(home: Path) -> None:
    """Make the certificate that a replica serves with, as the chart would."""
    authority = Authority(home=home, name="ca")
    authority.issue("tls", common_name=HOST, hosts=[HOST])

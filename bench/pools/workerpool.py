"""The operator, and a collector in each namespace, as processes: what the image runs."""

from __future__ import annotations

import asyncio
import shutil
import sys
from typing import Any, Final

import aiohttp

from bench.pools.stage import GROUP, JOBS, JOBS_PER_WORKER, Stage, name_of
from e2e.cluster.ports import free_ports
from e2e.cluster.processes import Daemon
from e2e.faults.process import NAMESPACE, OperatorProcess
from e2e.support.images import ROOT
from e2e.support.wait import until
from workerpool_operator import protocol
from workerpool_operator.domain.desired import COLLECTOR_NAME, COMPONENT_LABEL, POOL_LABEL
from workerpool_operator.kube import errors, kinds

Json = dict[str, Any]

_API: Final = ""
"""The audience of a token for the API server itself."""
_TOKEN_SECONDS: Final = 6 * 3600
_READY_SECONDS: Final = 120.0
_RIGHTS: Final = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": COLLECTOR_NAME},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}],
}
"""As the chart has them; the operator binds them in each namespace with pools."""


class WorkerPools:
    """WorkerPools in mode auto, which is direct where no external metrics API is served: the chart's default."""

    name = "workerpool"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._operator = OperatorProcess.prepare(stage.home, tls=stage.home / "operator-tls")
        self._collectors: list[Daemon] = []

    async def prepare(self) -> None:
        """Resource definitions, namespaces, and an operator that leads."""
        stage = self._stage
        for crd in sorted((ROOT / "crds").glob("*.yaml")):
            await asyncio.to_thread(stage.apply_file, crd)
        await stage.namespaces(NAMESPACE)
        await asyncio.to_thread(stage.apply, _RIGHTS)
        await until(self._served, seconds=_READY_SECONDS, what="WorkerPools served")
        self._operator.start()
        await until(self._leads, seconds=_READY_SECONDS, what=f"the operator leads; see {self._operator.log}")

    async def create(self) -> None:
        """All WorkerPools, and a collector in each namespace as soon as the operator has made what it needs."""
        collecting = [self._collect(place) for place in self._stage.load.places()]
        await asyncio.gather(self._stage.create(self._pool), *collecting)

    def pids(self) -> list[int]:
        """The operator and all collectors."""
        return [self._operator.pid(), *(collector.pid() for collector in self._collectors)]

    def _pool(self, number: int) -> Json:
        stream = {"url": self._stage.redis.url, "stream": name_of(number), "group": GROUP}
        return {
            "apiVersion": kinds.WORKER_POOL.api_version,
            "kind": kinds.WORKER_POOL.kind,
            "metadata": {"name": name_of(number), "namespace": self._stage.load.place(number)},
            "spec": {
                "worker": {"image": "registry.example/worker:1"},
                "queues": [{"name": "main", "redisStream": stream}],
                "scaling": {"targets": {"queueDepthPerReplica": JOBS_PER_WORKER}, "maxReplicas": JOBS},
            },
        }

    async def _collect(self, place: str) -> None:
        """Start the namespace's collector, with what its pod would find mounted."""
        home = self._stage.home / f"collector-{place}"
        (home / "api").mkdir(parents=True, exist_ok=True)

        async def allowed() -> bool:
            try:
                (home / "token").write_text(await self._token(place, protocol.TOKEN_AUDIENCE))
                (home / "api" / "token").write_text(await self._token(place, _API))
            except aiohttp.ClientResponseError:
                return False
            return True

        await until(allowed, seconds=600, what=f"the service account of the collector in {place}")
        shutil.copy(self._stage.plane.authority.pair.cert, home / "api" / "ca.crt")
        stream, metrics, health = free_ports(3)
        daemon = self._stage.daemon(
            f"collector-{place}",
            *(sys.executable, "-m", "workerpool_operator.collector"),
            env={
                "POD_NAMESPACE": place,
                "POD_NAME": COLLECTOR_NAME,
                "OPERATOR_STREAM": f"127.0.0.1:{self._operator.endpoint.port}",
                "OPERATOR_CA": self._operator.endpoint.authority,
                "OPERATOR_TOKEN": str(home / "token"),
                "API_SERVER": self._stage.plane.url,
                "API_DIRECTORY": str(home / "api"),
                "CREDENTIALS": str(home / "credentials"),
                "BIND_ADDRESS": "127.0.0.1",
                "STREAM_PORT": str(stream),
                "METRICS_PORT": str(metrics),
                "HEALTH_PORT": str(health),
            },
        )
        daemon.ensure()
        self._collectors.append(daemon)

    async def _token(self, place: str, audience: str) -> str:
        path = kinds.SERVICE_ACCOUNT.path(namespace=place, name=COLLECTOR_NAME, subresource="token")
        spec = {"audiences": [audience] if audience else [], "expirationSeconds": _TOKEN_SECONDS}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        async with self._stage.session.post(self._stage.access.server + path, json=request) as answer:
            answer.raise_for_status()
            return str((await answer.json())["status"]["token"])

    async def _served(self) -> bool:
        try:
            await self._stage.kube.list(kinds.WORKER_POOL).all()
        except errors.KindNotServed:
            return False
        return True

    async def _leads(self) -> bool:
        self._operator.check()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self._operator.http_port}/metrics") as answer,
            ):
                return "workerpool_operator_leader 1.0" in await answer.text()
        except aiohttp.ClientError:
            return False


def pool_of(deployment: Json) -> str:
    """The pool of a worker Deployment; empty for a collector."""
    labels = deployment["metadata"].get("labels", {})
    return str(labels.get(POOL_LABEL, "")) if labels.get(COMPONENT_LABEL) == "worker" else ""

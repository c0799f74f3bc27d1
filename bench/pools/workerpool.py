"""The operator, and a collector in each namespace, as processes: what the image runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from bench.pools.collectors import collector
from bench.pools.stage import GROUP, JOBS, JOBS_PER_WORKER, Stage, name_of
from e2e.cluster.processes import Daemon
from e2e.faults.process import NAMESPACE, OperatorProcess
from e2e.support.images import ROOT
from e2e.support.wait import until
from workerpool_operator.domain.desired import COLLECTOR_NAME, COMPONENT_LABEL, POOL_LABEL
from workerpool_operator.kube import errors, kinds

Json = dict[str, Any]

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

    def __init__(self, stage: Stage, *, settings: Mapping[str, str] | None = None) -> None:
        """`settings`: environment variables of the operator, besides those that it gets anyway."""
        self._stage = stage
        self.operator = OperatorProcess.prepare(stage.home, tls=stage.home / "operator-tls", settings=settings)
        self._collectors: list[Daemon] = []

    async def prepare(self) -> None:
        """Resource definitions, namespaces, and an operator that leads."""
        stage = self._stage
        for crd in sorted((ROOT / "crds").glob("*.yaml")):
            await asyncio.to_thread(stage.apply_file, crd)
        await stage.namespaces(NAMESPACE)
        await asyncio.to_thread(stage.apply, _RIGHTS)
        await until(self._served, seconds=_READY_SECONDS, what="WorkerPools served")
        self.operator.start()
        await until(self._leads, seconds=_READY_SECONDS, what=f"the operator leads; see {self.operator.log}")

    async def create(self) -> None:
        """All WorkerPools, and a collector in each namespace as soon as the operator has made what it needs."""
        collecting = [self._collect(place) for place in self._stage.load.places()]
        await asyncio.gather(self._stage.create(self._pool), *collecting)

    async def looked_after(self) -> int:
        """How many have a Deployment of workers."""
        return len(self._stage.sizes.sizes)

    def pids(self) -> list[int]:
        """The operator and all collectors."""
        return [self.operator.pid(), *(collector.pid() for collector in self._collectors)]

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
        self._collectors.append(await collector(self._stage, place, endpoint=self.operator.endpoint))

    async def _served(self) -> bool:
        try:
            await self._stage.kube.list(kinds.WORKER_POOL).all()
        except errors.KindNotServed:
            return False
        return True

    async def _leads(self) -> bool:
        self.operator.check()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.operator.http_port}/metrics") as answer,
            ):
                return "workerpool_operator_leader 1.0" in await answer.text()
        except aiohttp.ClientError:
            return False


def pool_of(deployment: Json) -> str:
    """The pool of a worker Deployment; empty for a collector."""
    labels = deployment["metadata"].get("labels", {})
    return str(labels.get(POOL_LABEL, "")) if labels.get(COMPONENT_LABEL) == "worker" else ""

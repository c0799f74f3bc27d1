"""A control plane on which an HPA scales a pool: all of it real but pods and queue.

Real are the API server with its aggregator, the controller manager with its HPA controller, and the operator, a process
of its own whose metrics API stands behind the aggregator. Played are the collector (`faults.collector`), which says of
the queue what a scenario wants, and the kubelet (`faults.kubelet`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.aggregation import AggregatedApi, own_address
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.ports import free_port
from e2e.faults.collector import Script, ScriptedCollector, collector_token
from e2e.faults.process import NAMESPACE, OperatorProcess, release_lease
from e2e.faults.witness import Ledger, Witness
from e2e.hpa.provider import GROUP, VERSION
from e2e.support.kubectl import Kubectl, condition
from e2e.support.wait import until
from workerpool_operator.controller.config import EXTERNAL_METRICS_SERVICE
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

Json = dict[str, Any]

POOL = "main"
QUEUE = "jobs"
PERIOD = 15.0
"""An HPA looks so often, unless the controller manager was told otherwise."""
MOST = 30


@dataclass(kw_only=True)
class HpaStage:
    """One namespace with one pool that wants a worker for each job."""

    kube: Kube
    kubectl: Kubectl
    namespace: str
    collector: ScriptedCollector
    witness: Witness
    ledger: Ledger
    operator: OperatorProcess
    home: Path
    """A folder of its own."""
    own_api: AggregatedApi
    """The operator's metrics API, as the chart registers it."""

    async def create(self, *, name: str = POOL, **scaling: Any) -> None:
        """Make the pool, or another one beside it, which whoever makes it deletes."""
        await self.kube.create(_pool(self.namespace, name, **scaling))

    def jobs(self, count: int) -> None:
        """From now on so many jobs wait in the queue."""
        self.collector.say(POOL, Script(queue=QUEUE, waiting=count))

    async def patch(self, spec: Mapping[str, Any]) -> None:
        """Change fields of the pool's spec."""
        await self.kube.merge_patch(self._ref(kinds.WORKER_POOL), {"spec": dict(spec)})

    async def pool(self) -> Json:
        """Give the pool."""
        return await self.kube.get(self._ref(kinds.WORKER_POOL))

    async def hpa(self) -> Json:
        """Give the pool's HPA; empty where there is none."""
        try:
            return await self.kube.get(self._ref(kinds.HORIZONTAL_POD_AUTOSCALER))
        except errors.NotFound:
            return {}

    async def condition(self) -> tuple[str, str]:
        """Status and reason of the pool's condition ScalingActive."""
        found = (await self.pool()).get("status", {}).get("conditions", [])
        return next(((one["status"], one["reason"]) for one in found if one["type"] == "ScalingActive"), ("", ""))

    async def wait_workers(self, count: int, *, seconds: float = 3 * PERIOD) -> None:
        """Wait until the pool has so many workers."""

        async def has() -> bool:
            return len(self.witness.ready_workers(self.namespace, POOL)) == count

        await until(has, seconds=seconds, what=f"{count} workers")

    async def wait_size(self, size: int, *, seconds: float = 3 * PERIOD) -> None:
        """Wait until the pool has so many workers, and its spec asks for as many."""

        async def has() -> bool:
            asked = int((await self.pool())["spec"]["replicas"])
            return len(self.witness.ready_workers(self.namespace, POOL)) == size == asked

        await until(has, seconds=seconds, what=f"{size} workers, and as many in spec.replicas")

    async def wait_condition(self, status: str, reason: str, *, seconds: float) -> None:
        """Wait until the pool's condition ScalingActive is this."""

        async def has() -> bool:
            return await self.condition() == (status, reason)

        await until(has, seconds=seconds, what=f"ScalingActive={status} because of {reason}")

    async def register(self, api: AggregatedApi) -> None:
        """Have the cluster ask this one for external metrics, and wait until it does."""
        await asyncio.to_thread(self.kubectl.apply, *api.objects())

        async def available() -> bool:
            found = await asyncio.to_thread(self.kubectl.get, "apiservice", api.name)
            return condition(found, "Available") == "True"

        await until(available, seconds=60, what=f"the APIService served by {api.service}")

    def _ref(self, kind: kinds.Kind) -> ObjectRef:
        return ObjectRef(kind, self.namespace, POOL)


@asynccontextmanager
async def hpa_stage(
    plane: ControlPlane, *, home: Path, namespace: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[HpaStage]:
    """Run an operator on this control plane, which serves WorkerPools, and give a new namespace to play in.

    `settings` are environment variables of the operator's process; its log lies in `home`. One stage at a time: they
    share the Lease and the place of the metrics API.
    """
    address, kubectl = own_address(), _kubectl(plane)
    port = free_port(address)
    served = {"BIND_ADDRESS": "0.0.0.0", "POD_IP": address, "EXTERNAL_METRICS_PORT": str(port)}  # noqa: S104
    operator = OperatorProcess.prepare(home, tls=home / "tls", settings={**served, **(settings or {})})
    plane.write_kubeconfig(operator.kubeconfig, user="operator", groups=["system:masters"])
    access = await ClusterAccess.find(plane.kubeconfig)
    async with Kube(access) as kube, access.watch_session() as session:
        for name in (NAMESPACE, namespace):
            with suppress(errors.AlreadyExists):
                await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        witness = Witness(access, kube)
        collector = ScriptedCollector(
            endpoint=operator.endpoint,
            token=lambda: collector_token(session, access.server, namespace),
            pods=lambda pool: witness.ready_workers(namespace, pool),
        )
        own_api = AggregatedApi(
            group=GROUP,
            version=VERSION,
            service=EXTERNAL_METRICS_SERVICE,
            namespace=NAMESPACE,
            address=address,
            port=port,
            authority=operator.tls / "ca.crt",
        )
        stage = HpaStage(
            kube=kube,
            kubectl=kubectl,
            namespace=namespace,
            collector=collector,
            witness=witness,
            ledger=witness.open(namespace),
            operator=operator,
            home=home,
            own_api=own_api,
        )
        playing = {asyncio.create_task(one.run()) for one in (witness, collector)}
        operator.start()
        try:
            # The API server would look again only half a minute after it found nobody.
            await until(lambda: _answers(own_api), seconds=100, what=f"the metrics port; see {operator.log}")
            await stage.register(own_api)
            yield stage
        finally:
            operator.kill()
            for task in playing:
                task.cancel()
            await asyncio.wait(playing)
            with suppress(errors.NotFound):
                await kube.delete(ObjectRef(kinds.WORKER_POOL, namespace, POOL))
            await release_lease(kube)


async def _answers(api: AggregatedApi) -> bool:
    with suppress(OSError):
        _, writer = await asyncio.open_connection(api.address, api.port)
        writer.close()
        return True
    return False


def _kubectl(plane: ControlPlane) -> Kubectl:
    path = f"{plane.kubectl.parent}:{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(plane.kubeconfig)}
    return Kubectl(kubeconfig=plane.kubeconfig, environment=environment)


def _pool(namespace: str, name: str, **scaling: Any) -> Json:
    return {
        "apiVersion": "workerpool.dev/v1alpha1",
        "kind": "WorkerPool",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "worker": {"image": "worker:1", "maxWorkers": 1},
            "queues": [{"name": QUEUE, "redisStream": {"url": "redis://redis:6379/0", "stream": "s", "group": "s"}}],
            "scaling": {
                "maxReplicas": MOST,
                "targets": {"queueDepthPerReplica": 1},
                "cooldownSeconds": 0,
                "scaleDown": {"stabilizationSeconds": 0},
                **scaling,
            },
        },
    }

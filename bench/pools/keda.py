"""KEDA: its operator and its metrics API server as processes, at the settings of its own `config/minimal`.

Not as there: the certificates are made before the start, as no kubelet would mount those that KEDA makes; addresses and
ports are those of this machine.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from bench.pools.stage import GROUP, JOBS, JOBS_PER_WORKER, Stage, name_of
from e2e.cluster import toolchain
from e2e.cluster.aggregation import AggregatedApi, own_address
from e2e.cluster.pki import Authority
from e2e.cluster.ports import free_ports
from e2e.cluster.processes import Daemon
from e2e.keda.install import ADAPTER, MODULE, NAMESPACE, OPERATOR
from e2e.support.wait import until
from workerpool_operator.kube import errors, kinds

Json = dict[str, Any]

LABEL: Final = "bench-pool"
_READY_SECONDS: Final = 120.0


class Keda:
    """A ScaledObject for each queue: Redis streams by the group's lag, all else at its default."""

    name = "keda"

    def __init__(self, stage: Stage, *, kubeconfig: Path | None = None) -> None:
        """`kubeconfig`: of whom it is to the API server, by default the administrator."""
        self._stage = stage
        self._kubeconfig = kubeconfig or stage.plane.kubeconfig
        self._tls = stage.home / "keda-tls"
        address = own_address()
        self._grpc, self._health, self._metrics, self._adapter_metrics, port = free_ports(5, "127.0.0.1", address)
        self._api = AggregatedApi(
            group="external.metrics.k8s.io",
            version="v1beta1",
            service=ADAPTER,
            namespace=NAMESPACE,
            address=address,
            port=port,
            authority=self._tls / "ca.crt",
        )
        self._daemons: tuple[Daemon, ...] = ()

    async def prepare(self) -> None:
        """Its kinds, its processes, and a Deployment without workers for each queue."""
        stage = self._stage
        toolchain.ensure(toolchain.KEDA, toolchain.KEDA_ADAPTER)
        crds = toolchain.module_folder(toolchain.KEDA, MODULE) / "config" / "crd" / "bases"
        await asyncio.to_thread(stage.apply_file, crds)
        await stage.namespaces(NAMESPACE)
        await until(self._served, seconds=_READY_SECONDS, what="KEDA's kinds served")
        hosts = [f"{name}.{NAMESPACE}.svc" for name in (OPERATOR, ADAPTER)]
        Authority(home=self._tls, name="ca").issue("tls", common_name=OPERATOR, hosts=[*hosts, "127.0.0.1"])
        self._daemons = (self._operator(), self._adapter())
        for daemon in self._daemons:
            daemon.ensure()
        await until(self._listens, seconds=_READY_SECONDS, what=f"KEDA's metrics API; its logs are in {stage.home}")
        await asyncio.to_thread(stage.apply, *self._api.objects())
        await stage.create(self._deployment)
        await stage.until_sized(0, check=self.pids)
        await stage.until_quiet(check=self.pids)

    async def create(self) -> None:
        """All ScaledObjects."""
        await self._stage.create(self._scaled_object)

    async def looked_after(self) -> int:
        """How many have an HPA."""
        return len(await self._stage.kube.list(kinds.HORIZONTAL_POD_AUTOSCALER).all())

    def pids(self) -> list[int]:
        """Both processes."""
        return [daemon.pid() for daemon in self._daemons]

    @property
    def metrics_url(self) -> str:
        """Where its operator tells of itself."""
        return f"http://127.0.0.1:{self._metrics}/metrics"

    def restart(self) -> None:
        """Kill its operator as a power cut would, and start a new one."""
        operator = self._operator()
        operator.stop(grace=0)
        operator.ensure()

    def _operator(self) -> Daemon:
        return self._stage.daemon(
            OPERATOR,
            str(toolchain.path(toolchain.KEDA)),
            "--leader-elect",
            "--zap-log-level=info",
            "--zap-encoder=console",
            "--zap-time-encoding=rfc3339",
            f"--kubeconfig={self._kubeconfig}",
            f"--cert-dir={self._tls}",
            f"--metrics-service-bind-address=127.0.0.1:{self._grpc}",
            f"--health-probe-bind-address=127.0.0.1:{self._health}",
            f"--metrics-bind-address=127.0.0.1:{self._metrics}",
            env=_ENVIRONMENT,
        )

    def _adapter(self) -> Daemon:
        kubeconfig = self._kubeconfig
        return self._stage.daemon(
            ADAPTER,
            str(toolchain.path(toolchain.KEDA_ADAPTER)),
            f"--secure-port={self._api.port}",
            f"--bind-address={self._api.address}",
            f"--port={self._adapter_metrics}",
            "--zap-log-level=error",
            f"--client-ca-file={self._tls / 'ca.crt'}",
            f"--tls-cert-file={self._tls / 'tls.crt'}",
            f"--tls-private-key-file={self._tls / 'tls.key'}",
            f"--cert-dir={self._tls}",
            f"--kubeconfig={kubeconfig}",
            f"--lister-kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
            f"--metrics-service-address=127.0.0.1:{self._grpc}",
            env=_ENVIRONMENT,
        )

    def _deployment(self, number: int) -> Json:
        labels = {LABEL: name_of(number)}
        return {
            "apiVersion": kinds.DEPLOYMENT.api_version,
            "kind": kinds.DEPLOYMENT.kind,
            "metadata": {"name": name_of(number), "namespace": self._stage.load.place(number), "labels": labels},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "worker", "image": "registry.example/worker:1"}]},
                },
            },
        }

    def _scaled_object(self, number: int) -> Json:
        trigger = {
            "address": f"127.0.0.1:{self._stage.redis.port}",
            "stream": name_of(number),
            "consumerGroup": GROUP,
            "lagCount": str(JOBS_PER_WORKER),
        }
        return {
            "apiVersion": kinds.SCALED_OBJECT.api_version,
            "kind": kinds.SCALED_OBJECT.kind,
            "metadata": {"name": name_of(number), "namespace": self._stage.load.place(number)},
            "spec": {
                "scaleTargetRef": {"name": name_of(number)},
                "minReplicaCount": 0,
                "maxReplicaCount": JOBS,
                "triggers": [{"type": "redis-streams", "metadata": trigger}],
            },
        }

    async def _served(self) -> bool:
        try:
            await self._stage.kube.list(kinds.SCALED_OBJECT).all()
        except errors.KindNotServed:
            return False
        return True

    async def _listens(self) -> bool:
        self.pids()
        try:
            _, writer = await asyncio.open_connection(self._api.address, self._api.port)
        except OSError:
            return False
        writer.close()
        return True


_ENVIRONMENT: Final = {
    "POD_NAMESPACE": NAMESPACE,
    "KEDA_CLUSTER_OBJECT_NAMESPACE": NAMESPACE,
    "WATCH_NAMESPACE": "",
    "KEDA_HTTP_DEFAULT_TIMEOUT": "",
}


def pool_of(deployment: Json) -> str:
    """The queue that a Deployment works on; empty for another."""
    return str(deployment["metadata"].get("labels", {}).get(LABEL, ""))

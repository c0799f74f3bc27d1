"""Thousands of pools on a real API server, an operator, and what both need of a cluster, played.

A real control plane holds the pools and every object that the operator makes of them; nobody runs their pods: the
Deployments' status is written by this program, as a cluster would that has all of them ready. The operator does not
watch pods, so those cost it nothing. Collectors are played, one a namespace, over the operator's real stream.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from e2e.cluster.arguments import Extra
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import say
from e2e.faults.collector import Script, ScriptedCollector
from e2e.faults.process import NAMESPACE, OperatorProcess
from workerpool_operator import protocol
from workerpool_operator.domain.desired import COLLECTOR_NAME
from workerpool_operator.kube import ClusterAccess, Kube, ObjectRef, errors, kinds

ROOT = Path(__file__).resolve().parents[1]
WORKERS = 4
PARALLEL = 24
IDLE_REPEAT_SECONDS = 10.0
"""How often a real collector confirms a queue at rest."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One control plane, and an operator that has not been started."""

    plane: ControlPlane
    operator: OperatorProcess
    access: ClusterAccess
    kube: Kube
    session: aiohttp.ClientSession


@asynccontextmanager
async def stage(name: str, *, home: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Stage]:
    """A control plane that does not throttle, and an operator with these settings, ended with the context."""
    extra = Extra(apiserver_args=("--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000"))
    with ControlPlane(name=name, data_dir=home / "plane", controller_manager=False, extra=extra) as plane:
        operator = OperatorProcess.prepare(home / "operator", tls=home / "tls", settings=settings)
        access = await ClusterAccess.find(plane.kubeconfig)
        async with Kube(access, timeout_seconds=30) as kube, access.watch_session() as session:
            try:
                yield Stage(plane=plane, operator=operator, access=access, kube=kube, session=session)
            finally:
                operator.kill()


@dataclass(kw_only=True)
class Fleet:
    """Many pools on a stage."""

    stage: Stage
    pools: int
    namespaces: int

    async def start(self) -> None:
        """The resource definitions, the namespaces, and an operator that leads."""
        await self.prepare()
        self.stage.operator.kubeconfig.write_text(self.stage.plane.kubeconfig.read_text())
        self.stage.operator.start()
        await self.until("the operator leads", self.leads)

    async def create(self) -> None:
        """All pools, and everything that the operator makes of them."""
        await for_each(self.create_pool, range(self.pools))
        await self.until("every pool has a status", self.all_reconciled, every=2.0)

    async def make_all_ready(self) -> None:
        """Have all workers run, as far as the operator sees."""
        await for_each(self.make_ready, range(self.pools))

    async def prepare(self) -> None:
        """The resource definitions and the namespaces."""
        for crd in sorted((ROOT / "crds").glob("*.yaml")):
            self.kubectl("apply", "--server-side", "-f", str(crd))
        await self.until("the resource is served", self._served)
        for name in (NAMESPACE, *map(namespace_of, range(self.namespaces))):
            with suppress(errors.AlreadyExists):
                await self.stage.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    async def _served(self) -> bool:
        """Not by `kubectl wait`, which fails on a definition whose conditions are still null."""
        try:
            await self.stage.kube.list(kinds.WORKER_POOL).all()
        except errors.KindNotServed:
            return False
        return True

    def kubectl(self, *arguments: str, stdin: str | None = None) -> None:
        """Run kubectl as administrator."""
        command = [str(self.stage.plane.kubectl), "--kubeconfig", str(self.stage.plane.kubeconfig), *arguments]
        subprocess.run(command, check=True, capture_output=True, text=True, input=stdin)

    async def create_pool(self, number: int) -> None:
        """Make one pool."""
        redis = {"url": "redis://redis:6379/0", "stream": f"jobs-{number}", "group": "workers"}
        spec = {
            "worker": {"image": "registry.example/worker:1"},
            "queues": [{"name": "main", "redisStream": redis}],
            "scaling": {"minReplicas": WORKERS},
        }
        await self.stage.kube.create(
            {
                "apiVersion": "workerpool.dev/v1alpha1",
                "kind": "WorkerPool",
                "metadata": {"name": pool_of(number), "namespace": self.home(number)},
                "spec": spec,
            }
        )

    async def make_ready(self, number: int) -> None:
        """Write what the Deployment controller would once all pods are ready."""
        selector = f"workerpool.dev/pool={pool_of(number)}"
        listing = self.stage.kube.list(kinds.DEPLOYMENT, namespace=self.home(number), label_selector=selector)
        for body in await listing.all():
            counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), WORKERS)
            status = {**counts, "observedGeneration": body["metadata"]["generation"]}
            ref = ObjectRef(kinds.DEPLOYMENT, self.home(number), body["metadata"]["name"])
            await self.stage.kube.merge_patch(ref, {"status": status}, subresource="status")

    def collector(self, number: int) -> ScriptedCollector:
        """A collector of the namespace that reports all of its pools at rest."""
        namespace = namespace_of(number)
        names = [pool_of(n) for n in range(self.pools) if self.home(n) == namespace]

        async def token() -> str:
            path = kinds.SERVICE_ACCOUNT.path(namespace=namespace, name=COLLECTOR_NAME, subresource="token")
            request = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": [protocol.TOKEN_AUDIENCE]},
            }
            async with self.stage.session.post(self.stage.access.server + path, json=request) as answer:
                answer.raise_for_status()
                return str((await answer.json())["status"]["token"])

        collector = ScriptedCollector(
            endpoint=self.stage.operator.endpoint, token=token, pods=lambda _: {}, repeat_seconds=IDLE_REPEAT_SECONDS
        )
        for name in names:
            collector.say(name, Script(queue="main"))
        return collector

    def home(self, number: int) -> str:
        """The namespace of a pool."""
        return namespace_of(number % self.namespaces)

    async def until(self, what: str, condition: Callable[[], Awaitable[bool]], *, every: float = 0.2) -> None:
        """Wait for it, half an hour at most."""
        deadline = time.monotonic() + 1800
        while not await condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"did not see: {what}")
            await asyncio.sleep(every)

    async def leads(self) -> bool:
        """Whether the operator leads."""
        return await self.metric("workerpool_operator_leader") == 1

    async def all_reconciled(self) -> bool:
        """Whether every pool has a status."""
        listing = self.stage.kube.list(kinds.WORKER_POOL)
        seen = [bool(body.get("status", {}).get("observedGeneration")) async for body in listing]
        say(f"{sum(seen)} of {self.pools} pools have a status")
        return len(seen) == self.pools and all(seen)

    async def metric(self, name: str, having: str = "") -> float:
        """Sum of a metric's samples; 0 while the operator does not answer."""
        url = f"http://127.0.0.1:{self.stage.operator.http_port}/metrics"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            return 0.0
        lines = [line for line in text.splitlines() if line.startswith((name + "{", name + " ")) and having in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def process(self) -> psutil.Process:
        """The operator's process."""
        for process in psutil.process_iter(["cmdline", "environ"]):
            with suppress(psutil.Error):
                environ, arguments = process.info["environ"] or {}, process.info["cmdline"] or []
                mine = environ.get("KUBECONFIG") == str(self.stage.operator.kubeconfig)
                if mine and arguments[1:] == ["-m", "workerpool_operator"]:
                    return process
        raise RuntimeError("the operator does not run; see " + str(self.stage.operator.log))

    def cpu(self) -> float:
        """Seconds of CPU that the operator and the process that answers HPAs have used."""
        operator = self.process()
        times = [process.cpu_times() for process in (operator, *operator.children())]
        return float(sum(one.user + one.system for one in times))


async def for_each(do: Callable[[int], Awaitable[None]], numbers: Iterable[int]) -> None:
    """Do it for all, some at a time, trying again what the API server turned away."""
    turn = asyncio.Semaphore(PARALLEL)

    async def one(number: int) -> None:
        async with turn:
            for _ in range(20):
                try:
                    await do(number)
                except errors.AlreadyExists:
                    return
                except errors.KubeError as error:
                    if not error.retryable:
                        raise
                    await asyncio.sleep(1)
                else:
                    return

    await asyncio.gather(*map(one, numbers))


def namespace_of(number: int) -> str:
    """Name of a namespace."""
    return f"team-{number:03d}"


def pool_of(number: int) -> str:
    """Name of a pool."""
    return f"pool-{number:05d}"

"""The operator at thousands of pools: what a cold start costs, and what it costs to have them at rest.

A real control plane holds the pools and every object that the operator makes of them; nobody runs their pods: the
Deployments' status is written by this program, as a cluster would that has all of them ready. The operator does not
watch pods, so those cost it nothing. Collectors are played, one a namespace, over the operator's real stream.

    uv run python -m bench.scale --pools 5000 --json scale.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
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
REST_SECONDS = 60.0
PARALLEL = 24
CALM_SECONDS = 10.0
CALM_REQUESTS = 25
CALM_LOOKS = 25
IDLE_REPEAT_SECONDS = 10.0
"""How often a real collector confirms a queue at rest."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured. Seconds of CPU are the operator's own, user and system."""

    pools: int
    namespaces: int
    create_seconds: float
    """From the first pool created to the last one with its objects and a status."""
    create_cpu_seconds: float
    start_seconds: float
    """From the start of a new operator process, over existing pools, until every pool was reconciled."""
    start_cpu_seconds: float
    settled_cpu_seconds: float
    """From that start until nothing moved any more: the collectors have dialled and every pool has their word."""
    start_api_requests: int
    start_writes: int
    rss_mb: float
    rest_cpu_percent_of_core: float
    rest_api_requests_per_second: float
    rest_reconciles_per_second: float


@dataclass(kw_only=True)
class Bench:
    """One control plane, one operator, many pools."""

    plane: ControlPlane
    operator: OperatorProcess
    access: ClusterAccess
    kube: Kube
    session: aiohttp.ClientSession
    pools: int
    namespaces: int

    async def run(self) -> Figures:
        """All measurements, in order."""
        await self._prepare()
        self.operator.kubeconfig.write_text(self.plane.kubeconfig.read_text())
        self.operator.start()
        await self._until("the operator leads", self._leads)
        before, started = self._cpu(), time.monotonic()
        await self._each(self._create_pool, range(self.pools))
        await self._until("every pool has a status", self._all_reconciled, every=2.0)
        create = (time.monotonic() - started, self._cpu() - before)
        say(f"created in {create[0]:.0f} s")
        await self._each(self._make_ready, range(self.pools))
        collectors = [asyncio.create_task(self._collector(number).run()) for number in range(self.namespaces)]
        await self._calm()
        self.operator.kill()
        started = time.monotonic()
        self.operator.start()
        await self._until("every pool was reconciled again", self._all_counted, every=0.5)
        start = (time.monotonic() - started, self._cpu(), await self._metric("workerpool_operator_api_requests_total"))
        writes = await self._metric("workerpool_operator_api_requests_total", 'verb="apply"')
        say(f"restarted in {start[0]:.0f} s")
        await self._calm()
        settled = self._cpu()
        requests = await self._metric("workerpool_operator_api_requests_total")
        reconciled = await self._metric("workerpool_operator_reconcile_total")
        cpu = self._cpu()
        await asyncio.sleep(REST_SECONDS)
        rest_cpu = self._cpu() - cpu
        rest_reconciles = await self._metric("workerpool_operator_reconcile_total") - reconciled
        rest_requests = await self._metric("workerpool_operator_api_requests_total") - requests
        for collector in collectors:
            collector.cancel()
        await asyncio.gather(*collectors, return_exceptions=True)
        return Figures(
            pools=self.pools,
            namespaces=self.namespaces,
            create_seconds=round(create[0], 1),
            create_cpu_seconds=round(create[1], 1),
            start_seconds=round(start[0], 1),
            start_cpu_seconds=round(start[1], 1),
            settled_cpu_seconds=round(settled, 1),
            start_api_requests=int(start[2]),
            start_writes=int(writes),
            rss_mb=round(self._process().memory_info().rss / 2**20, 1),
            rest_cpu_percent_of_core=round(100 * rest_cpu / REST_SECONDS, 2),
            rest_api_requests_per_second=round(rest_requests / REST_SECONDS, 2),
            rest_reconciles_per_second=round(rest_reconciles / REST_SECONDS, 2),
        )

    async def _prepare(self) -> None:
        for crd in sorted((ROOT / "crds").glob("*.yaml")):
            self._kubectl("apply", "--server-side", "-f", str(crd))
        self._kubectl("wait", "--for=condition=Established", "crd/workerpools.workerpool.dev")
        for name in (NAMESPACE, *map(_namespace, range(self.namespaces))):
            with suppress(errors.AlreadyExists):
                await self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def _kubectl(self, *arguments: str) -> None:
        command = [str(self.plane.kubectl), "--kubeconfig", str(self.plane.kubeconfig), *arguments]
        subprocess.run(command, check=True, capture_output=True)

    async def _create_pool(self, number: int) -> None:
        redis = {"url": "redis://redis:6379/0", "stream": f"jobs-{number}", "group": "workers"}
        spec = {
            "worker": {"image": "registry.example/worker:1"},
            "queues": [{"name": "main", "redisStream": redis}],
            "scaling": {"minReplicas": WORKERS},
        }
        await self.kube.create(
            {
                "apiVersion": "workerpool.dev/v1alpha1",
                "kind": "WorkerPool",
                "metadata": {"name": _pool(number), "namespace": self._home(number)},
                "spec": spec,
            }
        )

    async def _make_ready(self, number: int) -> None:
        """Write what the Deployment controller would once all pods are ready."""
        selector = f"workerpool.dev/pool={_pool(number)}"
        listing = self.kube.list(kinds.DEPLOYMENT, namespace=self._home(number), label_selector=selector)
        for body in await listing.all():
            counts = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), WORKERS)
            status = {**counts, "observedGeneration": body["metadata"]["generation"]}
            ref = ObjectRef(kinds.DEPLOYMENT, self._home(number), body["metadata"]["name"])
            await self.kube.merge_patch(ref, {"status": status}, subresource="status")

    def _collector(self, number: int) -> ScriptedCollector:
        namespace = _namespace(number)
        names = [_pool(n) for n in range(self.pools) if self._home(n) == namespace]

        async def token() -> str:
            path = kinds.SERVICE_ACCOUNT.path(namespace=namespace, name=COLLECTOR_NAME, subresource="token")
            request = {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"audiences": [protocol.TOKEN_AUDIENCE]},
            }
            async with self.session.post(self.access.server + path, json=request) as answer:
                answer.raise_for_status()
                return str((await answer.json())["status"]["token"])

        collector = ScriptedCollector(
            endpoint=self.operator.endpoint, token=token, pods=lambda _: {}, repeat_seconds=IDLE_REPEAT_SECONDS
        )
        for name in names:
            collector.say(name, Script(queue="main"))
        return collector

    def _home(self, number: int) -> str:
        return _namespace(number % self.namespaces)

    async def _each(self, do: Callable[[int], Awaitable[None]], numbers: Iterable[int]) -> None:
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

    async def _until(self, what: str, condition: Callable[[], Awaitable[bool]], *, every: float = 0.2) -> None:
        deadline = time.monotonic() + 1800
        while not await condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"did not see: {what}")
            await asyncio.sleep(every)

    async def _calm(self) -> None:
        """Wait until the operator makes no more requests than its lease does, and looks at hardly any pool."""
        while True:
            requests = await self._metric("workerpool_operator_api_requests_total")
            looks = await self._metric("workerpool_operator_reconcile_total")
            await asyncio.sleep(CALM_SECONDS)
            requests = await self._metric("workerpool_operator_api_requests_total") - requests
            looks = await self._metric("workerpool_operator_reconcile_total") - looks
            if requests <= CALM_REQUESTS and looks <= CALM_LOOKS:
                return

    async def _leads(self) -> bool:
        return await self._metric("workerpool_operator_leader") == 1

    async def _all_counted(self) -> bool:
        if not await self._leads():
            return False
        return await self._metric("workerpool_operator_reconcile_total") >= self.pools + self.namespaces

    async def _all_reconciled(self) -> bool:
        listing = self.kube.list(kinds.WORKER_POOL)
        seen = [bool(body.get("status", {}).get("observedGeneration")) async for body in listing]
        say(f"{sum(seen)} of {self.pools} pools have a status")
        return len(seen) == self.pools and all(seen)

    async def _metric(self, name: str, having: str = "") -> float:
        """Sum of a metric's samples; 0 while the operator does not answer."""
        url = f"http://127.0.0.1:{self.operator.http_port}/metrics"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            return 0.0
        lines = [line for line in text.splitlines() if line.startswith((name + "{", name + " ")) and having in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def _process(self) -> psutil.Process:
        for process in psutil.process_iter(["cmdline", "environ"]):
            with suppress(psutil.Error):
                environ = process.info["environ"] or {}
                if environ.get("KUBECONFIG") == str(self.operator.kubeconfig) and "workerpool_operator" in " ".join(
                    process.info["cmdline"] or []
                ):
                    return process
        raise RuntimeError("the operator does not run; see " + str(self.operator.log))

    def _cpu(self) -> float:
        times = self._process().cpu_times()
        return float(times.user + times.system)


def _namespace(number: int) -> str:
    return f"team-{number:03d}"


def _pool(number: int) -> str:
    return f"pool-{number:05d}"


async def _measure(pools: int, namespaces: int, home: Path) -> Figures:
    extra = Extra(apiserver_args=("--max-requests-inflight=2000", "--max-mutating-requests-inflight=1000"))
    with ControlPlane(name="bench-scale", data_dir=home / "plane", controller_manager=False, extra=extra) as plane:
        operator = OperatorProcess.prepare(home / "operator", tls=home / "tls")
        access = await ClusterAccess.find(plane.kubeconfig)
        async with Kube(access, timeout_seconds=30) as kube, access.watch_session() as session:
            bench = Bench(
                plane=plane,
                operator=operator,
                access=access,
                kube=kube,
                session=session,
                pools=pools,
                namespaces=namespaces,
            )
            try:
                return await bench.run()
            finally:
                operator.kill()


def main() -> int:
    """Measure, print, and write the figures to a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pools", type=int, default=5000, help="how many pools (default 5000)")
    parser.add_argument("--namespaces", type=int, default=50, help="over how many namespaces (default 50)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))
    with tempfile.TemporaryDirectory(prefix="wp-scale-") as home:
        figures = asyncio.run(_measure(arguments.pools, arguments.namespaces, Path(home)))
    text = json.dumps(asdict(figures), indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

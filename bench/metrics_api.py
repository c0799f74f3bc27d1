"""How fast the operator answers HPAs while it is busy with everything else.

An operator has a thousand pools whose queues change all the time, so its event loop is never idle. One caller asks for
one pool after the other at the pace of a thousand HPAs (each once in 15 s): first as the API server's front proxy
would, then through a real API server. The caller is a process of its own with one connection that stays open.

Everything shares the cores of one machine. What that alone costs shows by a server that does nothing but answer
(`bench.bare_server`), which the same caller asks in turn with the operator.

    uv run python -m bench.metrics_api --json metrics-api.json
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import psutil

from bench.bare_server import bare_server
from bench.fleet import Fleet, pool_of, stage
from e2e.cluster.aggregation import AggregatedApi, own_address
from e2e.cluster.pki import Authority, Pair
from e2e.cluster.ports import free_ports
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import say
from e2e.faults.collector import Script, ScriptedCollector
from e2e.faults.process import NAMESPACE
from workerpool_operator.controller.config import EXTERNAL_METRICS_SERVICE
from workerpool_operator.domain.metric import METRIC

BASE = "/apis/external.metrics.k8s.io/v1beta1"
HPA = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
HPA_PERIOD_SECONDS = 15.0
CHURN_SECONDS = 1.0
"""Each queue says something new this often: more than the operator can look at."""
_BEHIND = 10
"""Niceness of this process, which plays all collectors: elsewhere they run on other machines than the operator."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom the caller asks, and as whom."""

    host: str
    port: int
    server_name: str
    authority: Path
    client: Pair
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Of the answers to one caller, milliseconds."""

    requests: int
    refused: int
    """Answers other than 200."""
    p50_ms: float
    p99_ms: float
    worst_ms: float

    @classmethod
    def of(cls, seconds: Sequence[float], statuses: Sequence[int]) -> Latency:
        """Summed up."""
        hundredths = statistics.quantiles(seconds, n=100)
        return cls(
            requests=len(seconds),
            refused=len(statuses) - Counter(statuses)[200],
            p50_ms=round(1000 * hundredths[49], 2),
            p99_ms=round(1000 * hundredths[98], 2),
            worst_ms=round(1000 * max(seconds), 2),
        )


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured."""

    pools: int
    seconds: float
    """Length of each measurement."""
    rest_direct: Latency
    rest_bare: Latency
    busy_direct: Latency
    busy_bare: Latency
    """Of the server that does nothing but answer, asked in turn with the operator."""
    busy_aggregated: Latency
    busy_cpu_percent_of_core: float
    """Of the operator, all threads."""
    busy_reconciles_per_second: float
    load_average: float


class Caller:
    """One connection that stays open."""

    def __init__(self, target: Target) -> None:
        context = ssl.create_default_context(cafile=str(target.authority))
        context.load_cert_chain(target.client.cert, target.client.key)
        self._headers = target.headers
        self._connection = http.client.HTTPConnection(target.host, target.port)
        plain = socket.create_connection((target.host, target.port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.sock = context.wrap_socket(plain, server_hostname=target.server_name)
        self._took: list[float] = []
        self._statuses: list[int] = []

    def ask(self, path: str) -> None:
        """Ask once."""
        started = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        self._took.append(time.perf_counter() - started)
        self._statuses.append(answer.status)

    def close(self) -> Latency:
        """Hang up; how long the answers took."""
        self._connection.close()
        return Latency.of(self._took, self._statuses)


def call(targets: Sequence[Target], paths: Sequence[str], *, seconds: float, per_second: float) -> list[Latency]:
    """Ask for the paths in turn, at an even pace, each target for each; runs in a process of its own."""
    callers = [Caller(target) for target in targets]
    began = time.monotonic()
    for number in range(int(seconds * per_second)):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        for caller in callers if number % 2 else callers[::-1]:
            caller.ask(paths[number % len(paths)])
    return [caller.close() for caller in callers]


@dataclass(kw_only=True)
class Bench(Fleet):
    """The measurements."""

    address: str
    port: int
    bare_port: int
    seconds: float

    async def run(self) -> Figures:
        """All of them, in order."""
        await self.start()
        await self.create()
        await self.make_all_ready()
        collectors = [self.collector(number) for number in range(self.namespaces)]
        tasks = [asyncio.create_task(collector.run()) for collector in collectors]
        self._register()
        with (
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as caller,
            bare_server(self.address, self.bare_port, certificate=self._certificate(), clients=self._proxy.pair.cert),
        ):
            await self.until("every value", lambda: self._all_answered(caller), every=2.0)
            rest, rest_bare = await self._call(caller, self._direct(), self._bare())
            say(f"at rest: {rest}, a bare server: {rest_bare}")
            os.nice(_BEHIND)  # the caller runs already, and keeps its place
            tasks.append(asyncio.create_task(self._churn(collectors)))
            await asyncio.sleep(10)
            cpu, looks, started = self.cpu(), await self._looks(), time.monotonic()
            direct, bare = await self._call(caller, self._direct(), self._bare())
            elapsed = time.monotonic() - started
            cpu, looks = (self.cpu() - cpu) / elapsed, (await self._looks() - looks) / elapsed
            say(f"busy: {direct}, a bare server: {bare}")
            [aggregated] = await self._call(caller, self._aggregated())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return Figures(
            pools=self.pools,
            seconds=self.seconds,
            rest_direct=rest,
            rest_bare=rest_bare,
            busy_direct=direct,
            busy_bare=bare,
            busy_aggregated=aggregated,
            busy_cpu_percent_of_core=round(100 * cpu, 1),
            busy_reconciles_per_second=round(looks, 1),
            load_average=round(psutil.getloadavg()[0], 1),
        )

    async def _looks(self) -> float:
        return await self.metric("workerpool_operator_reconcile_total")

    async def _churn(self, collectors: Sequence[ScriptedCollector]) -> None:
        """Have each queue say something new all the time, from which no other size follows."""
        while True:
            for collector in collectors:
                for pool in collector.scripts:
                    collector.say(pool, Script(queue="main", waiting=random.randint(1, 70)))
                await asyncio.sleep(CHURN_SECONDS / len(collectors))

    async def _call(self, caller: ProcessPoolExecutor, *targets: Target, seconds: float | None = None) -> list[Latency]:
        paths = [
            f"{BASE}/namespaces/{self.home(number)}/{METRIC}?labelSelector=pool%3D{pool_of(number)}"
            for number in range(self.pools)
        ]
        pace = self.pools / HPA_PERIOD_SECONDS
        job = caller.submit(call, targets, paths, seconds=seconds or self.seconds, per_second=pace)
        return await asyncio.wrap_future(job)

    async def _all_answered(self, caller: ProcessPoolExecutor) -> bool:
        [seen] = await self._call(caller, self._direct(), seconds=HPA_PERIOD_SECONDS)
        say(f"{seen.requests - seen.refused} of {seen.requests} values are there")
        return seen.refused == 0

    @property
    def _proxy(self) -> Authority:
        return Authority(home=self.stage.plane.authority.home, name="front-proxy-ca")

    def _certificate(self) -> Pair:
        """What the operator serves with."""
        return Pair(cert=self.stage.operator.tls / "tls.crt", key=self.stage.operator.tls / "tls.key")

    def _direct(self) -> Target:
        return Target(
            host=self.address,
            port=self.port,
            server_name=f"{EXTERNAL_METRICS_SERVICE}.{NAMESPACE}.svc",
            authority=self.stage.operator.tls / "ca.crt",
            client=self._proxy.issue("front-proxy-client", common_name="front-proxy-client"),
            headers={"X-Remote-User": HPA},
        )

    def _bare(self) -> Target:
        return replace(self._direct(), port=self.bare_port)

    def _aggregated(self) -> Target:
        host, _, port = self.stage.plane.url.removeprefix("https://").partition(":")
        return Target(
            host=host,
            port=int(port),
            server_name=host,
            authority=self.stage.plane.authority.pair.cert,
            client=self.stage.plane.authority.issue("hpa", common_name=HPA),
            headers={},
        )

    def _register(self) -> None:
        """Have the API server pass requests on to the operator."""
        served = AggregatedApi(
            group="external.metrics.k8s.io",
            version="v1beta1",
            service=EXTERNAL_METRICS_SERVICE,
            namespace=NAMESPACE,
            address=self.address,
            port=self.port,
            authority=self.stage.operator.tls / "ca.crt",
        )
        items = {"kind": "List", "apiVersion": "v1", "items": served.objects()}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(items))


async def _measure(pools: int, namespaces: int, seconds: float, home: Path) -> Figures:
    address = own_address()
    port, bare_port = free_ports(2, address)
    settings = {"BIND_ADDRESS": "", "POD_IP": address, "EXTERNAL_METRICS_PORT": str(port)}
    async with stage("bench-metrics", home=home, settings=settings) as made:
        bench = Bench(
            stage=made,
            pools=pools,
            namespaces=namespaces,
            address=address,
            port=port,
            bare_port=bare_port,
            seconds=seconds,
        )
        return await bench.run()


def main() -> int:
    """Measure, print, and write the figures to a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.metrics_api", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pools", type=int, default=1000, help="how many pools (default 1000)")
    parser.add_argument("--namespaces", type=int, default=10, help="over how many namespaces (default 10)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each measurement (default 60)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    end_at_sigterm()
    with tempfile.TemporaryDirectory(prefix="wp-metrics-") as home:
        figures = asyncio.run(_measure(arguments.pools, arguments.namespaces, arguments.seconds, Path(home)))
    text = json.dumps(asdict(figures), indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

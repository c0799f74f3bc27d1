"""How fast pools react, on real pods: `uv run python -m bench.reaction.smoke --json FILE`.

Four questions, each with its own pool in the same namespace, one after the other:

* **idle start**: jobs come one by one while workers are idle. From when a job should have been sent to when its
  handler started, as the worker itself recorded it; p95 of all jobs.
* **burst decision**: a burst comes onto an idle queue, at a random moment. From just before the enqueue
  to when a watch of the pool brought a larger `status.scaling.desired`; p95 of all bursts.
* **from zero**: 60 jobs at 5 a replica, no worker there. From just before the enqueue to when a watch of the pods
  brought the first, and the twelfth, Ready pod; medians of the runs. This is the method by which KEDA was measured.
* **from zero in mode hpa**: the same, where an HPA that looks every 15 s, the default, sets the size.

The first three in mode direct. All through the API server's port-forward, whose round trip is part of the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from e2e.cluster import Provider
from e2e.cluster.base import DEFAULT_NAME
from e2e.cluster.processes import end_at_sigterm
from e2e.cluster.progress import Step, say
from e2e.support import diagnose, pools, redis
from e2e.support.failures import FAILURES
from e2e.support.stack import Stack
from e2e.support.wait import until
from workerpool.broker import BrokerError
from workerpool_operator.cli.load import Load, Report, Schedule, Target, burst, run, steady
from workerpool_operator.cli.load.report import End, spread
from workerpool_operator.cli.pool_watch import PoolWatch, watch_pool
from workerpool_operator.cli.quantiles import Quantiles
from workerpool_operator.kube import ClusterAccess, KubeError

NAMESPACE = "bench-reaction"
IDLE_JOBS = 200
IDLE_RATE = 10.0
BURSTS = 20
RUNS = 5
ZERO_JOBS, JOBS_PER_REPLICA = 60, 5
REPLICAS = ZERO_JOBS // JOBS_PER_REPLICA
IDLE_POLLING_SECONDS = 5.5
"""A collector reads a queue less often once nothing has moved for 5 s: bursts come after that."""
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Aim:
    """A figure's name, and what it should stay below."""

    name: str
    seconds: float


AIMS = (
    Aim(name="direct_idle_start_p95_seconds", seconds=0.1),
    Aim(name="direct_burst_decision_p95_seconds", seconds=1.0),
    Aim(name="from_zero_first_ready_median_seconds", seconds=2.5),
    Aim(name="from_zero_twelve_ready_median_seconds", seconds=14.0),
    Aim(name="hpa_15s_first_ready_median_seconds", seconds=2.5),
    Aim(name="hpa_15s_twelve_ready_median_seconds", seconds=14.0),
)
VALUES = ("externalMetrics.enabled=true",)
"""What the operator is installed with: mode hpa reads from it."""


@dataclass(frozen=True, kw_only=True)
class Awake:
    """From zero: one value for each run, in seconds."""

    first_ready: Sequence[float]
    twelve_ready: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Everything measured, in seconds."""

    idle_starts: Quantiles
    decisions: Sequence[float]
    direct: Awake
    hpa: Awake

    def to_json(self) -> dict[str, float]:
        """Give one value for each aim."""
        values = (
            self.idle_starts.p95,
            Quantiles.of(self.decisions).p95,
            statistics.median(self.direct.first_ready),
            statistics.median(self.direct.twelve_ready),
            statistics.median(self.hpa.first_ready),
            statistics.median(self.hpa.twelve_ready),
        )
        return {aim.name: round(value or 0.0, 4) for aim, value in zip(AIMS, values, strict=True)}


class NotMeasuredError(Exception):
    """A run did not go as the method wants it; the message says how."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The place where pools are measured."""

    stack: Stack
    broker: redis.Redis
    access: ClusterAccess
    url: str
    namespace: str
    chance: random.Random = field(default_factory=random.Random)

    async def measure(self) -> Figures:
        """Ask all four questions."""
        return Figures(
            idle_starts=await self.idle_starts(),
            decisions=await self.decisions(),
            direct=await self.from_zero("direct"),
            hpa=await self.from_zero("hpa"),
        )

    async def idle_starts(self) -> Quantiles:
        """Give the waits of jobs that come one by one to idle workers."""
        async with self._pool("idle", scaling={"minReplicas": 2, "maxReplicas": 2}) as watch:
            await self._ready(watch, 2)
            with Step(f"idle start: {IDLE_JOBS} jobs, one by one"):
                report = await self._load("idle", steady(rate=IDLE_RATE, jobs=IDLE_JOBS), job_seconds=0.005)
        _check(report, IDLE_JOBS)
        return report.waits

    async def decisions(self) -> list[float]:
        """Give the times of decisions on bursts that come onto an idle queue."""
        taken: list[float] = []
        scaling = {"minReplicas": 1, "maxReplicas": 4, "scaleDown": {"stabilizationSeconds": 0}}
        async with self._pool("burst", scaling=scaling) as watch:
            await self._ready(watch, 1)
            with Step(f"burst decision: {BURSTS} bursts on an idle queue"):
                for _ in range(BURSTS):
                    await self._quiet(watch, desired=1)
                    size = 4 * JOBS_PER_REPLICA
                    report = await self._load("burst", burst(jobs=size), job_seconds=0.2, watch=watch)
                    _check(report, size)
                    taken.append(_decision(report))
        return taken

    async def from_zero(self, mode: str) -> Awake:
        """Give the times until the first and the twelfth pod were Ready, in this mode."""
        first: list[float] = []
        twelve: list[float] = []
        name = f"zero-{mode}"
        async with self._pool(name, scaling={"mode": mode, "maxReplicas": REPLICAS}) as watch:
            for number in range(1, RUNS + 1):
                with Step(
                    f"from zero, {mode}: run {number} of {RUNS}, {ZERO_JOBS} jobs at {JOBS_PER_REPLICA} a replica"
                ):
                    await self._quiet(watch, desired=0)
                    one, all_ready = await self._wake(watch, name)
                say(f"  first Ready after {one:.2f} s, all {REPLICAS} after {all_ready:.2f} s")
                first.append(one)
                twelve.append(all_ready)
        return Awake(first_ready=first, twelve_ready=twelve)

    async def _wake(self, watch: PoolWatch, name: str) -> tuple[float, float]:
        # Long enough for all jobs to be there until the last pod is Ready: so the pool wants twelve until then.
        report = await self._load(name, burst(jobs=ZERO_JOBS), job_seconds=10.0, watch=watch)
        _check(report, ZERO_JOBS)
        times = report.reaction.ready_after if report.reaction else ()
        if len(times) < REPLICAS:
            raise NotMeasuredError(f"only {len(times)} of {REPLICAS} workers became Ready")
        return times[0], times[REPLICAS - 1]

    async def _load(
        self, name: str, schedule: Schedule, *, job_seconds: float, watch: PoolWatch | None = None
    ) -> Report:
        target = Target(url=self.url, stream=name, payload={"seconds": job_seconds, "record": True})
        load = Load(target=target, schedule=schedule, patience_seconds=_PATIENCE_SECONDS)
        return await run(load, stop=asyncio.Event(), pool=watch.history if watch else None)

    @contextlib.asynccontextmanager
    async def _pool(self, name: str, *, scaling: Mapping[str, Any]) -> AsyncIterator[PoolWatch]:
        kubectl = self.stack.kubectl
        manifest = pools.worker_pool(
            name,
            self.namespace,
            image=self.stack.images.worker,
            redis=self.broker.url,
            stream=name,
            worker={"maxWorkers": JOBS_PER_REPLICA},
            scaling={"targets": {"queueDepthPerReplica": JOBS_PER_REPLICA}, "cooldownSeconds": 1, **scaling},
        )
        kubectl.apply(manifest)
        try:
            pools.wait_watched(kubectl, self.namespace, name)
            async with watch_pool(self.access, namespace=self.namespace, name=name) as watch:
                yield watch
        finally:
            kubectl.delete("workerpool", name, namespace=self.namespace)

    async def _ready(self, watch: PoolWatch, count: int) -> None:
        async def are_ready() -> bool:
            return watch.history.ready.now >= count

        await until(are_ready, seconds=60, what=f"{count} workers Ready")

    async def _quiet(self, watch: PoolWatch, *, desired: int) -> None:
        """Wait until the pool rests at this size, then until its queue is read seldom, at a random phase."""
        emptied = time.monotonic()  # or before: this is called when a load has ended

        async def rests() -> bool:
            return watch.history.desired.now == desired and len(watch.pods.objects) == desired

        await until(rests, seconds=90, what=f"pool at rest with {desired} workers")
        slow = emptied + IDLE_POLLING_SECONDS
        await asyncio.sleep(max(0.0, slow - time.monotonic()) + self.chance.uniform(0.0, 1.0))


def _decision(report: Report) -> float:
    if report.reaction is None or report.reaction.decisions.p50 is None:
        raise NotMeasuredError("the pool did not grow on a burst")
    return report.reaction.decisions.p50


def _check(report: Report, jobs: int) -> None:
    if report.end is not End.DONE or report.jobs_done != jobs or report.jobs_interrupted:
        raise NotMeasuredError(f"a load went wrong: {json.dumps(report.to_json())}")


def _table(figures: Figures) -> Table:
    table = Table(title="Reaction", title_justify="left", box=None, pad_edge=False)
    for column in ("figure", "value", "aim", ""):
        table.add_column(column)
    values = figures.to_json()
    for aim in AIMS:
        met = values[aim.name] < aim.seconds
        verdict = "[green]met[/]" if met else "[bold red]MISSED[/]"
        table.add_row(aim.name, f"{values[aim.name]:.3f} s", f"< {aim.seconds:g} s", verdict)
    return table


async def _measure(stack: Stack, namespace: str) -> Figures:
    broker = redis.deploy(stack.kubectl, namespace, image=stack.images.redis)
    access = await ClusterAccess.from_kubeconfig(stack.cluster.kubeconfig)
    with broker.forwarded() as url:
        return await Bench(stack=stack, broker=broker, access=access, url=url, namespace=namespace).measure()


def main(arguments: Sequence[str]) -> int:
    """Measure; exit with 0 when it was measured, whatever the figures, with 1 when it could not be."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.reaction.smoke", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file, as one object")
    parser.add_argument("--provider", type=Provider, choices=list(Provider), default=Provider.AUTO)
    parser.add_argument("--name", default=DEFAULT_NAME, help="of the cluster (default: %(default)s)")
    options = parser.parse_args(arguments)
    end_at_sigterm()
    try:
        stack = Stack.ensure(provider=options.provider, name=options.name, values=VALUES)
        with stack.namespace(NAMESPACE) as namespace:
            try:
                figures = asyncio.run(_measure(stack, namespace))
            except (*FAILURES, NotMeasuredError, BrokerError, KubeError) as error:
                say(f"bench: {error}\n{diagnose.report(stack.kubectl, namespace)}")
                return 1
    except FAILURES as error:
        say(f"bench: {error}")
        return 1
    console = Console()
    console.print(_table(figures))
    console.print(f"idle start: {spread(figures.idle_starts)}", highlight=False)
    console.print(f"decisions: {spread(Quantiles.of(figures.decisions))}", highlight=False)
    if options.json:
        options.json.write_text(json.dumps(figures.to_json(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

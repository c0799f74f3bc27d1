"""KEDA with as many ScaledObjects, on the same kind of control plane, through the phases that it has too.

Its Deployments stand at 0 and their queues are empty, which is to its favour: its HPAs ask for nothing. What it would
cost with four workers each is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.pools.keda import Keda, pool_of
from bench.pools.stage import Load, Sizes
from bench.scale.exposition import Histogram, total
from bench.scale.ground import USER, Ground, ground
from bench.scale.meter import Exposition, Meter
from bench.scale.rows import KEDA, Figures
from bench.scale.watched import Names
from e2e.faults.watching import follow
from workerpool_operator.kube import kinds

_QUEUE: Final = 'name="scaledobject"'
_CONTROLLER: Final = 'controller="scaledobject"'


@dataclass(kw_only=True)
class Processes:
    """KEDA's operator and its metrics API server."""

    keda: Keda
    metrics: Exposition

    def pids(self) -> list[int]:
        """Both."""
        return self.keda.pids()

    async def waits(self) -> Histogram:
        """How long ScaledObjects were due before their turn came, as its operator tells."""
        return Histogram.of(await self.metrics.text(), "workqueue_queue_duration_seconds", _QUEUE)


@dataclass(kw_only=True)
class Run:
    """The phases at one size."""

    ground: Ground
    processes: Processes
    hpas: Names
    watch: asyncio.Task[None]
    longest: float

    async def measure(self, window: float) -> Figures:
        """All phases in order. `window`: seconds of the look at rest."""
        stage, load = self.ground.stage, self.ground.stage.load
        meter = Meter(self.processes, audit=self.ground.audit, user=USER)
        create = await meter.phase("create", self._create)
        await stage.until_quiet(check=self._check)
        await meter.calm()
        rest = await meter.rest(window)
        start = await meter.phase("cold start", self._restart)
        await meter.calm()
        after = await meter.rest(min(window, 30.0))
        return Figures(
            system=KEDA,
            objects=load.pools,
            namespaces=load.namespaces,
            create=create,
            rest=rest,
            start=start,
            start_rss_mb=after.rss_mb,
        )

    async def _create(self) -> None:
        """Until each ScaledObject has its HPA."""
        pools = self.ground.stage.load.pools
        await self.processes.keda.create()
        await self.ground.stage.until(
            "an HPA for each ScaledObject",
            lambda: len(self.hpas.there) >= pools,
            progress=lambda: f"{len(self.hpas.there):,} of {pools:,} HPAs",
            check=self._check,
            longest=self.longest,
        )

    async def _restart(self) -> None:
        """A new process of its operator, until that has looked at every ScaledObject."""
        pools = self.ground.stage.load.pools
        self.processes.keda.restart()
        await self.processes.metrics.until(
            "every ScaledObject reconciled by the new leader",
            lambda text: total(text, "controller_runtime_reconcile_total", _CONTROLLER) >= pools,
            check=self._check,
            longest=self.longest,
        )

    def _check(self) -> None:
        self.processes.pids()
        if self.watch.done():
            self.watch.result()


async def measure(load: Load, *, home: Path, window: float, longest: float) -> AsyncGenerator[Figures]:
    """KEDA at one size, once. `longest`: seconds that a phase may take.

    Raises:
        DaemonDiedError: one of the programs has ended; the message holds the end of its log.
        TimeoutError: a phase does not come to its end.
    """
    async with ground(load, home=home, sizes=Sizes(pool_of=pool_of)) as made:
        keda = Keda(made.stage, kubeconfig=made.kubeconfig)
        await keda.prepare()
        hpas = Names()
        watch = asyncio.create_task(
            follow(made.stage.access, kinds.HORIZONTAL_POD_AUTOSCALER, on_event=hpas.hear), name="hpas"
        )
        processes = Processes(keda=keda, metrics=Exposition(keda.metrics_url))
        try:
            run = Run(ground=made, processes=processes, hpas=hpas, watch=watch, longest=longest)
            yield await run.measure(window)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

"""The operator, phase after phase, and one real collector before the mass changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from bench.fleet import for_each
from bench.pools import usage
from bench.pools.collectors import collector
from bench.pools.stage import GROUP, Load, Stage, name_of
from bench.pools.workerpool import WorkerPools, pool_of
from bench.scale.exposition import Histogram, total
from bench.scale.ground import MORE, USER, WORKERS, Ground, collector_user, ground, kubeconfig_of
from bench.scale.meter import Exposition, Meter
from bench.scale.played import QUEUE, Collectors
from bench.scale.rows import OPERATOR_ALONE, Collector, Cost, Figures
from bench.scale.watched import Goal, Pods, Pools
from e2e.cluster.progress import say
from e2e.faults.process import OperatorProcess
from e2e.faults.watching import follow
from workerpool_operator.domain.shields import IDLE_SECONDS
from workerpool_operator.kube import ObjectRef, kinds

Json = dict[str, Any]

FIRST: Final = "registry.example/worker:1"
SECOND: Final = "registry.example/worker:2"
CHANGES: Final[tuple[tuple[str, Goal, Json], ...]] = (
    ("update", Goal(image=SECOND, size=WORKERS), {"worker": {"image": SECOND}}),
    ("grow", Goal(image=SECOND, size=MORE), {"scaling": {"minReplicas": MORE}}),
    ("shrink", Goal(image=SECOND, size=WORKERS), {"scaling": {"minReplicas": WORKERS}}),
)
"""Name of the phase, where all pools are to go, and what each spec is patched with."""
SHIELDED_SECONDS: Final = IDLE_SECONDS + 15.0
"""A worker without a job for so long loses the marks that keep its node: one write a pod, once, and no rest yet."""
SETTLE_SECONDS: Final = 30.0
"""A collector's first seconds: it dials, learns of its pools and lists their pods."""


@dataclass(kw_only=True)
class Operator:
    """The process under test."""

    process: OperatorProcess
    metrics: Exposition

    def pids(self) -> list[int]:
        """Its process, and what that starts counts with it."""
        return [self.process.pid()]

    async def waits(self) -> Histogram:
        """How long pools were due before their turn came."""
        return Histogram.of(await self.metrics.text(), "workerpool_operator_workqueue_wait_seconds")

    def restart(self) -> None:
        """Kill it as a power cut would: the new one waits until the lease of the dead one has run out."""
        self.process.kill()
        self.process.start()


@dataclass(kw_only=True)
class Run:
    """The phases at one size."""

    ground: Ground
    operator: Operator
    pools: Pools
    meter: Meter
    longest: float
    collectors: Collectors
    watches: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def stage(self) -> Stage:
        """Where it plays."""
        return self.ground.stage

    async def measure(self, window: float, *, changes: bool) -> AsyncGenerator[Figures]:
        """All phases in order: the figures without changes, and again with each. `window`: seconds of each look."""
        self.collectors.start()
        create = await self.meter.phase("create", self._create)
        await self._rested()
        rest = await self.meter.rest(window)
        start = await self.meter.phase("cold start", self._fail_over)
        await self._rested()
        after = await usage.over(SETTLE_SECONDS, self.operator.pids)
        figures = Figures(
            system=OPERATOR_ALONE,
            objects=self.stage.load.pools,
            namespaces=self.stage.load.namespaces,
            create=create,
            rest=rest,
            start=start,
            start_rss_mb=after.rss_mb,
            collector=await self._collector(window),
        )
        yield figures
        if changes:
            await self._rested()
            async for known in self._changes():
                yield replace(figures, changes=known)

    async def _changes(self) -> AsyncGenerator[dict[str, Cost]]:
        """New workers everywhere, one more everywhere, and one less: what is known after each."""
        found = dict[str, Cost]()
        for name, goal, spec in CHANGES:

            async def change(goal: Goal = goal, spec: Json = spec) -> None:
                self.pools.aim(goal)
                await for_each(lambda number: self._patch(number, spec), range(self.stage.load.pools))
                await self._arrived()

            found[name] = await self.meter.phase(name, change)
            yield dict(found)
            await self._settle()

    async def _create(self) -> None:
        await self.stage.create(self._pool)
        await self._arrived()

    async def _patch(self, number: int, spec: Json) -> None:
        ref = ObjectRef(kinds.WORKER_POOL, self.stage.load.place(number), name_of(number))
        await self.stage.kube.merge_patch(ref, {"spec": spec})

    async def _arrived(self) -> None:
        """Until all pools are where they were to go."""
        goal, pools = self.pools.goal, self.stage.load.pools
        await self.stage.until(
            f"all pools with {goal.size} ready workers of {goal.image}",
            lambda: len(self.pools.arrived) == pools,
            progress=lambda: f"{len(self.pools.arrived):,} of {pools:,} pools with {goal.size} of {goal.image}",
            check=self._check,
            longest=self.longest,
        )

    async def _rested(self) -> None:
        await asyncio.sleep(SHIELDED_SECONDS)
        await self._settle()

    async def _settle(self) -> None:
        await self.stage.until_quiet(check=self._check)
        await self.meter.calm()

    async def _fail_over(self) -> None:
        """A new process over what is there, until it leads and has looked at every pool."""
        load = self.stage.load
        self.operator.restart()
        await self.operator.metrics.until(
            "every pool reconciled by the new leader",
            lambda text: (
                total(text, "workerpool_operator_leader") == 1
                and total(text, "workerpool_operator_reconcile_total") >= load.pools + load.namespaces
            ),
            check=self._check,
            longest=self.longest,
        )

    async def _collector(self, window: float) -> Collector:
        """The real one of the first namespace, in place of the played one for so long."""
        place = self.stage.load.place(0)
        user = collector_user(place)
        await self.collectors.stop(place)
        daemon = await collector(self.stage, place, endpoint=self.operator.process.endpoint)
        await asyncio.sleep(SETTLE_SECONDS)
        started = usage.cpu_seconds([daemon.pid()])
        requests = await self.ground.audit.requests(user)
        seen = await usage.over(window, lambda: [daemon.pid()])
        requests = await self.ground.audit.requests(user) - requests
        await asyncio.to_thread(daemon.stop)
        self.collectors.begin(place)
        say(f"  one collector: {seen.millicores:.2f} mCPU, {seen.rss_mb:.0f} MB, {started:.1f} s of CPU to start")
        return Collector(
            start_cpu_seconds=started,
            millicores=seen.millicores,
            rss_mb=seen.rss_mb,
            requests_per_second=requests / window,
        )

    def _check(self) -> None:
        """Raise what has ended of all that has to go on."""
        self.operator.pids()
        self.collectors.check()
        for watch in self.watches:
            if watch.done():
                watch.result()

    def _pool(self, number: int) -> Json:
        stream = {"url": self.stage.redis.url, "stream": name_of(number), "group": GROUP}
        return {
            "apiVersion": kinds.WORKER_POOL.api_version,
            "kind": kinds.WORKER_POOL.kind,
            "metadata": {"name": name_of(number), "namespace": self.stage.load.place(number)},
            "spec": {
                "worker": {"image": FIRST},
                "queues": [{"name": QUEUE, "redisStream": stream}],
                "scaling": {"minReplicas": WORKERS},
                "rollout": {"strategy": "Rolling"},
            },
        }


async def measure(
    load: Load, *, home: Path, window: float, longest: float, changes: bool = True
) -> AsyncGenerator[Figures]:
    """The operator at one size, as far as it is known: the last are all. `longest`: seconds that a phase may take.

    `changes`: with the mass changes, which take longer than all the rest.

    Raises:
        DaemonDiedError: one of the programs has ended; the message holds the end of its log.
        TimeoutError: a phase does not come to its end.
    """
    pools = Pools(pool_of=pool_of, goal=Goal(image=FIRST, size=WORKERS))
    async with ground(load, home=home, sizes=pools) as made, _run(made, pools=pools, longest=longest) as run:
        async for figures in run.measure(window, changes=changes):
            yield figures


@asynccontextmanager
async def _run(made: Ground, *, pools: Pools, longest: float) -> AsyncIterator[Run]:
    """An operator that leads, and the watch on pods; both end with the context."""
    stage, load = made.stage, made.stage.load
    system = WorkerPools(stage, settings={"KUBECONFIG": str(kubeconfig_of(stage.home))})
    await system.prepare()
    process = system.operator
    operator = Operator(process=process, metrics=Exposition(f"http://127.0.0.1:{process.http_port}/metrics"))
    pods = Pods(pool_of=pool_of)
    names: dict[str, list[str]] = {place: [] for place in load.places()}
    for number in range(load.pools):
        names[load.place(number)].append(name_of(number))
    collectors = Collectors(stage=stage, endpoint=process.endpoint, pods=pods, names=names)
    pods.changed = collectors.changed
    watch = asyncio.create_task(follow(stage.access, kinds.POD, on_event=pods.hear), name="pods")
    try:
        yield Run(
            ground=made,
            operator=operator,
            pools=pools,
            meter=Meter(operator, audit=made.audit, user=USER),
            longest=longest,
            collectors=collectors,
            watches=[watch],
        )
    finally:
        watch.cancel()
        await collectors.stop_all()
        await asyncio.gather(watch, return_exceptions=True)

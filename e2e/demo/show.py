"""The show: bursts of jobs, watched until all are done and no worker is left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from e2e.demo.prepare import NAMESPACE, POOL, STREAM, Stage
from e2e.demo.view import Moment, View
from e2e.support.wait import NotInTimeError
from workerpool_operator.cli.load import Load, Progress, Report, Target, moments, run
from workerpool_operator.cli.pool_watch import PoolWatch, watch_pool
from workerpool_operator.kube import ClusterAccess

JOB_SECONDS = 0.5
WAVES = ((0, 20), (2, 40), (4, 70), (18, 30), (20, 60), (22, 90), (24, 120), (26, 150))
"""Seconds and jobs of each burst: two waves, each burst larger than its wave's last one, so that the pool has to grow
again and again; between the waves there is time to shrink while jobs still come."""
PATIENCE_SECONDS = 180.0
ZERO_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_STATE = f"/api/v1/namespaces/{NAMESPACE}/services/workerpool-collector:metrics/proxy/v1/state"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What was measured."""

    report: Report
    max_ready: int
    most_nodes: int
    """The largest number of nodes that had Ready workers at the same time."""
    to_zero_seconds: float
    """From when the load was over to when no worker was left that could take a job."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class State:
    """What the namespace's collector knows of the pool. None is "not known"."""

    waiting: int | None = None
    running: int | None = None
    oldest_seconds: float | None = None
    busy: int | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> State:
        """Take the collector's answer apart."""
        pool = answer.get("pools", {}).get(POOL)
        queues = pool["queues"] if pool else []
        if not queues or queues[0].get("error"):
            return cls()
        queue = queues[0]
        return cls(
            waiting=queue.get("waiting"),
            running=queue.get("in_flight"),
            oldest_seconds=queue.get("oldest_age_seconds"),
            busy=sum(worker["in_flight"] > 0 for worker in pool["workers"] if worker["connected"]),
        )


async def show(stage: Stage, view: View, *, stop: asyncio.Event) -> Shown:
    """Send all jobs, draw what happens, and wait until the pool is back at zero.

    Raises:
        BrokerError, KubeError: Redis or the API server went away.
        NotInTimeError: workers were left after `ZERO_SECONDS`.
    """
    access = await ClusterAccess.from_kubeconfig(stage.stack.cluster.kubeconfig)
    with stage.redis.forwarded() as url:
        async with watch_pool(access, namespace=NAMESPACE, name=POOL) as watch:
            show = _Show(watch, view)
            async with show.drawing(access):
                return await show.run(url, stop)


class _Show:
    def __init__(self, watch: PoolWatch, view: View) -> None:
        self._watch = watch
        self._view = view
        self._phase = "sending"
        self._state = State()
        self._progress: Progress | None = None
        self._trouble = ""
        self._started = time.monotonic()

    async def run(self, url: str, stop: asyncio.Event) -> Shown:
        target = Target(url=url, stream=STREAM, payload={"seconds": JOB_SECONDS, "record": True})
        load = Load(target=target, schedule=moments(*WAVES), patience_seconds=PATIENCE_SECONDS)
        report = await run(load, stop=stop, pool=self._watch.history, on_progress=self._see)
        done = time.monotonic()
        self._phase = "back to zero"
        if not stop.is_set():
            await self._until_empty()
        now = time.monotonic()
        history = self._watch.history  # goes on where the report ends: workers may come up behind the last job
        return Shown(
            report=report,
            max_ready=history.ready.largest,
            most_nodes=history.most_nodes,
            to_zero_seconds=now - done,
            seconds=now - self._started,
        )

    @contextlib.asynccontextmanager
    async def drawing(self, access: ClusterAccess) -> AsyncIterator[None]:
        """Draw what happens, for as long as the context lasts."""
        task = asyncio.create_task(self._draw(access), name="view")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _draw(self, access: ClusterAccess) -> None:
        async with access.watch_session() as session:
            while True:
                await self._look(session, access.server)
                self._view(self._moment())
                await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, session: aiohttp.ClientSession, server: str) -> None:
        """Ask the collector, through the API server as any user can."""
        try:
            async with session.get(server + _STATE, timeout=aiohttp.ClientTimeout(total=3)) as answer:
                answer.raise_for_status()
                self._state, self._trouble = State.of(json.loads(await answer.read())), ""
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._state, self._trouble = State(), f"collector: {error or type(error).__name__}"

    async def _until_empty(self) -> None:
        deadline = time.monotonic() + ZERO_SECONDS
        while self._watch.history.desired.now or self._workers():
            if time.monotonic() > deadline:
                raise NotInTimeError(f"back at zero: not within {ZERO_SECONDS:g} s, left are {self._workers()}")
            await asyncio.sleep(_LOOK_SECONDS / 2)

    def _workers(self) -> list[str]:
        """Name the pods that are not stopping; one that stops takes nothing, and waits a while to be scraped."""
        return sorted(
            name for name, pod in self._watch.pods.objects.items() if "deletionTimestamp" not in pod["metadata"]
        )

    def _see(self, progress: Progress) -> None:
        self._progress = progress
        if progress.enqueued == progress.planned:
            self._phase = "working"

    def _moment(self) -> Moment:
        progress, history, state = self._progress, self._watch.history, self._state
        return Moment(
            seconds=time.monotonic() - self._started,
            phase=self._phase,
            waiting=state.waiting,
            running=state.running,
            oldest_seconds=state.oldest_seconds,
            desired=history.desired.now,
            ready=history.ready.now,
            busy=state.busy,
            nodes=history.nodes,
            planned=progress.planned if progress else 0,
            sent=progress.enqueued if progress else 0,
            done=(progress.done or 0) if progress else 0,
            trouble=self._trouble or self._watch.pods.error or (progress.trouble if progress else ""),
        )

"""What one library's workers have to show.

Two workers and a queue: probes, figures, first attempts; a fence, after which the worker takes nothing and is stopped
when it is idle; SIGTERM in the middle of jobs; a Redis that is away for longer than a worker may be stuck; `kill -9` of
the processes that run its jobs, where it has such, and of a whole worker. Every job says in Redis what happened to it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from e2e.adapters.figures import UnexpectedError, wrong
from e2e.adapters.jobs import Jobs, produce
from e2e.adapters.libraries import App
from e2e.adapters.worker import LOOK_SECONDS, STUCK_SECONDS, AdaptedWorker, running
from e2e.cluster.progress import say
from e2e.support.redis_server import RedisServer
from workerpool.broker import Credentials, Depth
from workerpool.protocol import Settings
from workerpool_operator.collector.lists import RedisLists

_NOBODY: Final = "redis://127.0.0.1:1/0"
_FLAKY: Final = 3


@dataclass(frozen=True, kw_only=True)
class Row:
    """One library."""

    library: str
    jobs: int
    """Enqueued."""
    interrupted: int
    """Begun more often than they failed, or told as interrupted by a worker that left; before any was killed."""
    repeated: int
    """Begun more often than they failed, of those that waited or ran when a worker was killed: at least once is what
    these libraries promise."""
    lost: int
    """Never done."""
    metrics_ok: bool
    """Probes, figures under the contract's names and labels, jobs in flight, first attempts; a broker that is away."""
    drain_ok: bool
    """Nothing taken behind the fence, an idle worker stopped, SIGTERM in the middle of jobs: each with status 0."""
    kill_ok: bool
    """What killed workers held was put back by the library itself, and done."""


async def prove(app: App, folder: Path) -> Row:
    """All of it, on a Redis of its own. Raises NoEnvironmentError."""
    app.python()
    with RedisServer(folder / "redis") as server:
        async with AsyncExitStack() as stack:
            return await _Proof(app, server, folder, stack).run()


class _Proof:
    def __init__(self, app: App, server: RedisServer, folder: Path, stack: AsyncExitStack) -> None:
        self._app = app
        self._url = server.url
        self._folder = folder
        self._stack = stack
        self._server = server
        self._jobs = Jobs(app, server.url)
        self._workers: list[AdaptedWorker] = []
        self._told_interrupted = 0
        self._killed: set[str] = set()
        """Jobs that were in the queue when a worker was killed."""

    async def run(self) -> Row:
        metrics_ok = await self._holds(self._probes_and_figures)
        drain_ok = await self._holds(self._fence) and await self._holds(self._drain)
        metrics_ok = drain_ok and await self._holds(self._outage) and metrics_ok
        kill_ok = drain_ok and await self._holds(self._kill_children) and await self._holds(self._kill)
        await self._holds(self._all_done)
        return Row(
            library=self._app.library,
            jobs=len(self._jobs),
            interrupted=max(self._jobs.repeated(set(self._jobs.ids) - self._killed), self._told_interrupted),
            repeated=self._jobs.repeated(self._killed),
            lost=self._jobs.missing(),
            metrics_ok=metrics_ok,
            drain_ok=drain_ok,
            kill_ok=kill_ok,
        )

    async def _holds(self, phase: object) -> bool:
        assert callable(phase)
        try:
            await phase()
        except UnexpectedError as error:
            logs = "\n".join(f"--- {worker.pod}\n{worker.said()}" for worker in self._workers)
            say(f"{self._app.name}: {error}\n{logs}")
            return False
        return True

    async def _probes_and_figures(self) -> None:
        blind = await self._start("blind", url=_NOBODY)
        await self._depth()
        self._put("work", 0.01, 80)  # before any worker: a pool's start where jobs wait
        self._put("flaky", 0.0, _FLAKY)
        one, two = await self._start("one"), await self._start("two")
        for worker in (one, two):
            await self._ready(worker)
        await one.until(lambda: self._jobs.missing() == 0, "the first jobs done")
        figures = await self._settled(one, two)
        if found := wrong(figures, jobs=len(self._jobs), flaky=_FLAKY, slots=2 * self._app.slots):
            raise UnexpectedError(f"these metrics are wrong after {len(self._jobs)} jobs: {found}")
        await self._in_flight(one, two)
        if blind.alive and await blind.status("/ready") == 200:
            raise UnexpectedError("a worker that cannot reach its broker says that it is ready")

    async def _depth(self) -> None:
        """What waits is what the collector counts: on a Redis where nobody takes it."""
        if not self._app.keys:
            return
        with RedisServer(self._folder / "depth") as server:
            produce(self._app, server.url, "work", 0.0, [f"waits-{number}" for number in range(5)])
            depth = await self._read_depth(server.url)
        if (depth.waiting, depth.in_flight or 0) != (5, 0):
            raise UnexpectedError(f"five jobs wait, and the collector counts {depth}")

    async def _read_depth(self, url: str) -> Depth:
        lists = RedisLists(url, Credentials(), keys=self._app.keys, running=self._app.running, timeout=5)
        try:
            return await lists.depth()
        finally:
            await lists.close()

    async def _in_flight(self, one: AdaptedWorker, two: AdaptedWorker) -> None:
        """What runs is in flight, to the collector and to Prometheus, and nothing is when all is done."""
        jobs = min(4, 2 * self._app.slots)
        self._put("work", 2.0, jobs)
        await one.until(lambda: self._unfinished() == jobs, f"{jobs} jobs at work")
        if self._app.running and ((await self._read_depth(self._url)).in_flight or 0) < self._unfinished():
            raise UnexpectedError(f"{jobs} jobs are at work, and the collector counts fewer")
        figures = await self._sum(one, two)
        if figures["worker_jobs_in_progress"] < self._unfinished():
            raise UnexpectedError(f"{figures['worker_jobs_in_progress']:g} jobs in progress, while {jobs} are")
        await one.until(lambda: self._reported(one) + self._reported(two) >= jobs, "both tell the collector of them")
        await one.until(lambda: self._jobs.missing() == 0, "these jobs done")
        await one.until(lambda: self._reported(one) + self._reported(two) == 0, "nothing in flight")

    async def _fence(self) -> None:
        """Idle first: who is fenced takes nothing, finishes what it holds, and is stopped then."""
        one, two = self._workers[1:3]
        for fence in ("trial", ""):  # lifted again: this worker does the rest
            await two.collector.send(Settings(fence=fence, ttl_seconds=600))
            await two.until(partial(self._is_behind, two, fence), f"the fence {fence!r} reported")
        self._put("work", 0.2, 40)
        await one.until(lambda: any(pod == "one" for _, _, pod in self._jobs.said()[-40:]), "the first worker at work")
        await one.collector.send(Settings(fence="scale-in", ttl_seconds=600))
        report = await one.collector.report_where(lambda report: report.fence == "scale-in")
        held = report.in_flight
        begun = self._jobs.begun_by("one")
        if held < self._unfinished("one"):
            raise UnexpectedError(f"fenced with {held} jobs in flight, while {self._unfinished('one')} are")
        await one.until(lambda: self._reported(one) == 0, "the fenced worker idle")
        behind = self._jobs.begun_by("one")
        if behind - begun > held:
            raise UnexpectedError(f"it began {behind - begun} jobs behind the fence, and held {held}")
        self._put("work", 0.05, 40)
        await two.until(lambda: self._jobs.missing() == 0, "the other worker does all")
        if self._jobs.begun_by("one") != behind:
            raise UnexpectedError("it took a job behind the fence")
        if (status := await one.status("/healthz")) != 200:
            raise UnexpectedError(f"/healthz of a fenced worker is {status}")
        await self._stop(one)

    async def _drain(self) -> None:
        """SIGTERM in the middle of jobs: those that run are finished, the others are the next worker's."""
        two = self._workers[2]
        await two.collector.send(Settings(fence=""))
        three = await self._start("three")
        await self._ready(three)
        self._put("work", 1.0, 40)
        await two.until(lambda: self._unfinished("two") >= 1, "jobs in the middle")
        await self._stop(two)
        if not any(report.draining for report in two.collector.reports):
            raise UnexpectedError("it did not tell the collector that it drains")
        if left := self._unfinished("two"):
            raise UnexpectedError(f"it left {left} jobs unfinished")
        await three.until(lambda: self._jobs.missing() == 0, "the rest done by another worker", seconds=90)

    async def _outage(self) -> None:
        """The broker is away: said as `paused`, no cause for a restart, and over when it is back."""
        three = self._workers[3]
        await three.until(lambda: self._reported(three) == 0, "nothing in flight")
        self._server.stop()
        report = await three.collector.report_where(lambda report: report.paused)
        if not report.paused.startswith("broker"):
            raise UnexpectedError(f"without a broker it is paused by {report.paused!r}")
        over = time.monotonic() + STUCK_SECONDS + 5
        while time.monotonic() < over:
            if (status := await three.status("/healthz")) != 200:
                raise UnexpectedError(f"without a broker /healthz is {status}")
            await asyncio.sleep(LOOK_SECONDS)
        self._server.start()
        await three.collector.report_where(lambda report: not report.paused, seconds=60)
        self._put("work", 0.05, 20)
        await three.until(lambda: self._jobs.missing() == 0, "jobs done after that")

    async def _kill_children(self) -> None:
        """As when one job takes all memory: the worker goes on, and the job is begun again."""
        if self._app.lane != "cpu":
            return
        three = self._workers[3]
        self._killed.update(self._put("work", 1.0, 10))
        await three.until(lambda: self._unfinished("three") >= self._app.slots, "jobs in the middle")
        three.kill_children()
        await three.until(lambda: self._jobs.missing() == 0, "the jobs of killed processes done")
        await three.until(lambda: self._reported(three) == 0, "nothing in flight")

    async def _kill(self) -> None:
        """The library puts back what a dead worker held, when that one was silent for a while."""
        three, four = self._workers[3], await self._start("four")
        await self._ready(four)
        self._killed.update(self._put("work", 1.0, 20))
        await four.until(lambda: self._unfinished("four") >= self._app.slots, "jobs in the middle")
        four.kill()
        if not self._unfinished("four"):
            raise UnexpectedError("four was idle when it was killed")
        over = time.monotonic() + self._app.abandoned_seconds
        await three.until(lambda: time.monotonic() > over, "the time for which a worker may be silent")
        if self._app.sweep_lock:
            self._jobs.forget(self._app.sweep_lock)
        five = await self._start("five")
        await self._ready(five)
        self._killed.update(self._put("work", 0.05, 20))  # some look for abandoned jobs only as new ones come
        await five.until(lambda: self._jobs.missing() == 0, "the dead worker's jobs done by others")
        await five.until(lambda: self._reported(three) + self._reported(five) == 0, "nothing in flight")

    async def _stop(self, worker: AdaptedWorker) -> None:
        worker.terminate()
        if (status := await worker.leave()) != 0:
            raise UnexpectedError(f"{worker.pod} ended with {status}")
        if not worker.collector.last_words:
            raise UnexpectedError(f"{worker.pod} left without last words")
        self._told_interrupted += worker.collector.last_words[-1].interrupted

    async def _all_done(self) -> None:
        rescuer = await self._start("rescuer")
        await rescuer.until(lambda: self._jobs.missing() == 0, "every job done", seconds=30)

    async def _start(self, pod: str, *, url: str = "") -> AdaptedWorker:
        starting = running(self._app, pod, redis_url=url or self._url, folder=self._folder)
        self._workers.append(await self._stack.enter_async_context(starting))
        return self._workers[-1]

    async def _ready(self, worker: AdaptedWorker) -> None:
        """And known to its collector."""
        try:
            async with asyncio.timeout(60):
                while await worker.status("/ready") != 200:
                    if not worker.alive:
                        raise UnexpectedError(f"{worker.pod} has ended")
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise UnexpectedError(f"{worker.pod} is not ready after 60 s") from None
        if (status := await worker.status("/healthz")) != 200:
            raise UnexpectedError(f"/healthz of {worker.pod} is {status}")
        await worker.until(lambda: bool(worker.collector.reports), "reports to the collector")

    async def _settled(self, *workers: AdaptedWorker) -> Counter[str]:
        """Figures once nothing is in progress: a job says that it is done a moment before its library knows."""
        for worker in workers:
            await worker.until(partial(self._is_idle, worker), "nothing in flight")
        return await self._sum(*workers)

    async def _sum(self, *workers: AdaptedWorker) -> Counter[str]:
        total: Counter[str] = Counter()
        for worker in workers:
            for name, value in (await worker.figures()).items():
                total[name] += value  # type: ignore[assignment]  # a sum of floats
        return total

    def _reported(self, worker: AdaptedWorker) -> int:
        report = worker.collector.latest
        return report.in_flight if report is not None else 0

    @staticmethod
    def _is_behind(worker: AdaptedWorker, fence: str) -> bool:
        return worker.collector.latest is not None and worker.collector.latest.fence == fence

    def _is_idle(self, worker: AdaptedWorker) -> bool:
        return self._reported(worker) == 0

    def _put(self, kind: str, seconds: float, count: int) -> list[str]:
        count = max(min(count, 4), round(count * self._app.share))
        return self._jobs.put(kind, seconds, count)

    def _unfinished(self, pod: str = "") -> int:
        """Attempts at work on this worker, or on any."""
        running = self._jobs.running_on()
        return running[pod] if pod else running.total()

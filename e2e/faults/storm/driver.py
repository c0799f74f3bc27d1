"""The storm itself: one producer, a few workers, somebody who kills them, and at half time the broker's restart.

Nothing here goes by the clock but a random pause before each kill: kills are spread over the progress of the work, so a
slow machine has the same storm as a fast one. Every job is enqueued under an id, through the broker's restart too.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from e2e.cluster.progress import say
from e2e.faults.storm.brokers import Broker
from e2e.faults.storm.fleet import Fleet
from e2e.faults.storm.store import Found, Store
from workerpool import BrokerUnavailable, JobSpec, Queue

T = TypeVar("T")

_KILLED_BY: Final = 0.9
"""The share of the jobs by which all kills have happened: none of them should meet a queue that runs dry."""
_CHUNK: Final = 100
_MAX_WAITING: Final = 500
"""Jobs that wait at a time: so the producer goes on for almost as long as the workers."""
_LOOK_SECONDS: Final = 0.05
_DEPTH_SECONDS: Final = 0.5
_TELL_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.1
"""The longest pause between finding a worker busy and killing it: so the kill comes at any moment of a job."""
_STALLED_SECONDS: Final = 60.0
_ANSWER_SECONDS: Final = 5.0
_LEASE_SECONDS: Final = 2


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How hard it blows."""

    jobs: int = 10_000
    kills: int = 200
    """Of busy workers: a kill that met an idle one is made up for."""
    workers: int = 6
    slots: int = 4
    seed: int = 1
    job_seconds: tuple[float, float] = (0.02, 0.2)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of the jobs of one broker."""

    broker: str
    enqueued: int
    """Jobs that a producer was told were enqueued."""
    done: int
    lost: int
    """Enqueued, not done, and no more in the queue; dead letters are lost too."""
    duplicates: int
    effects_wrong: int
    kills: int
    kills_hitting_busy: int
    """Kills after which the worker had left a run without an end."""
    broker_restarts: int

    def broken(self, plan: Plan) -> list[str]:
        """What does not hold, for humans."""
        texts = []
        if self.lost:
            texts.append(f"{self.lost} jobs were lost")
        if self.effects_wrong:
            texts.append(f"{self.effects_wrong} jobs had their effect twice or not at all")
        if self.kills_hitting_busy < plan.kills:
            texts.append(f"{self.kills_hitting_busy} kills hit a busy worker, not {plan.kills}")
        return texts


class Stalled(Exception):  # noqa: N818  reads as what happened
    """No job was finished for a minute, although some are left."""


@dataclass(kw_only=True)
class Storm:
    """One broker's storm. `run` once; `row` tells what was found, also when it was interrupted."""

    name: str
    broker: Broker
    plan: Plan
    folder: Path
    enqueued: int = 0
    done: int = 0
    kills: int = 0
    hits: int = 0
    restarts: int = 0
    left: int = 0
    """Jobs that were still in the queue when it was interrupted."""
    _random: random.Random = field(init=False)
    _store: Store = field(init=False)
    _fleet: Fleet = field(init=False)
    _queue: Queue = field(init=False)
    _progress_at: float = field(init=False, default=0.0)
    """When a job was last found done."""
    _is_down: bool = field(init=False, default=False)
    """The broker was killed and does not answer yet."""
    _counts_in_flight: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        self._random = random.Random(self.plan.seed)  # noqa: S311  no secret
        path = self.folder / "store.db"
        self._store = Store(str(path))
        env = {
            **self.broker.env,
            "STORM_STORE": str(path),
            "MAX_WORKERS": str(self.plan.slots),
            "LEASE_SECONDS": str(_LEASE_SECONDS),
            "MAX_ATTEMPTS": "50",  # a job may be hit again and again, which is no fault of its own
            "BACKOFF_SECONDS": "0.1",
        }
        self._fleet = Fleet(env, log=self.folder / "workers.log")

    async def run(self) -> None:
        """Until every job is done, or nothing is left in the queue.

        Raises:
            Stalled: nothing moves any more.
            WorkerEnded: a worker ended by itself.
        """
        self._queue = Queue.from_env(env=self.broker.env)
        self._fleet.start(self.plan.workers)
        tasks = [asyncio.create_task(one) for one in self._forces()]
        finished = False
        try:
            await self._watch(tasks)
            finished = True
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._fleet.end()
            self.left = 0 if finished else await self._left()
            await self._queue.close()

    def row(self) -> Row:
        """What was found."""
        found = self.found()
        return Row(
            broker=self.name,
            enqueued=self.enqueued,
            done=found.done,
            lost=max(0, self.enqueued - found.done - self.left),
            duplicates=found.duplicates,
            effects_wrong=found.effects_missing + found.effects_doubled,
            kills=self.kills,
            kills_hitting_busy=self.hits,
            broker_restarts=self.restarts,
        )

    def found(self) -> Found:
        """What the store tells."""
        return self._store.found()

    def close(self) -> None:
        """Leave no process behind."""
        self._fleet.end()
        self._store.close()

    def _forces(self) -> list[Coroutine[Any, Any, None]]:
        return [self._produce(), self._kill(), self._restart()]

    async def _produce(self) -> None:
        specs = [self._job(number) for number in range(self.plan.jobs)]
        for first in range(0, len(specs), _CHUNK):
            chunk = specs[first : first + _CHUNK]
            while not await self._put(chunk):  # noqa: ASYNC110  the broker is another process
                await asyncio.sleep(_LOOK_SECONDS)
            self.enqueued += len(chunk)

    async def _put(self, chunk: list[JobSpec]) -> bool:
        """Whether all of these were put. Only where the broker drops duplicates does the SDK itself try for longer."""
        try:
            await self._queue.enqueue_many(chunk, max_depth=_MAX_WAITING, timeout=_STALLED_SECONDS)
        except BrokerUnavailable:
            if self._is_stalled():
                raise
            return False
        return True

    def _job(self, number: int) -> JobSpec:
        seconds = self._random.uniform(*self.plan.job_seconds)
        payload = {"seconds": round(seconds, 4), "effect_at": round(self._random.random(), 4)}
        return JobSpec("work", payload, job_id=f"job-{number}")

    async def _kill(self) -> None:
        while self.hits < self.plan.kills:
            due = _KILLED_BY * self.plan.jobs * self.hits / self.plan.kills
            await _until(lambda due=due: self.done >= due)  # type: ignore[misc]
            victim = self._random.choice(await _until(self._busy))
            await asyncio.sleep(self._random.uniform(0, _PAUSE_SECONDS))
            await asyncio.to_thread(self._fleet.kill, victim)
            self.kills += 1
            self.hits += victim in self._store.busy()  # it is dead: what has no end now never had one
            self._fleet.start()

    def _busy(self) -> list[str]:
        return sorted(self._store.busy().intersection(self._fleet.names))

    async def _restart(self) -> None:
        for number in range(self.broker.restarts):
            due = self.plan.jobs * (number + 1) / (self.broker.restarts + 1)
            await _until(lambda due=due: self.done >= due)  # type: ignore[misc]
            self._is_down = True
            await asyncio.to_thread(self.broker.restart)
            self._progress_at, self._is_down = time.monotonic(), False
            self.restarts += 1

    async def _watch(self, tasks: list[asyncio.Task[None]]) -> None:
        self._progress_at = told = looked = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            done, now = self._store.done(), time.monotonic()
            if done > self.done:
                self.done, self._progress_at = done, now
            for task in tasks:
                if task.done():
                    task.result()
            self._fleet.check()
            if now - told > _TELL_SECONDS:
                told = now
                say(self._progress())
            if self.enqueued == self.plan.jobs and now - looked > _DEPTH_SECONDS:
                looked = now
                if await self._depth() == 0 and (self._counts_in_flight or done == self.plan.jobs):
                    self.done = self._store.done()
                    return
            if self._is_stalled():
                raise Stalled(f"no job was finished for {_STALLED_SECONDS:g} s: {self._progress()}")

    def _is_stalled(self) -> bool:
        """A broker may take its time to start, on a machine that is busy otherwise: nobody can work until then."""
        return not self._is_down and time.monotonic() - self._progress_at > _STALLED_SECONDS

    def _progress(self) -> str:
        busy = f"{self.kills} kills ({self.hits} of busy workers)"
        return f"{self.name}: {self.done} of {self.plan.jobs} jobs done, {busy}, {self.restarts} restarts of the broker"

    async def _depth(self) -> int | None:
        """Jobs in the queue, as far as the broker tells; None while it does not answer."""
        try:
            depth = await self._queue.depth()
        except BrokerUnavailable:
            return None
        self._counts_in_flight = depth.in_flight is not None
        return depth.unfinished

    async def _left(self) -> int:
        """Jobs in the queue after an early end; all of them where the broker does not say, since none is known lost."""
        for _ in range(int(_ANSWER_SECONDS / _LOOK_SECONDS)):
            depth = await self._depth()
            if depth is not None:
                return depth
            await asyncio.sleep(_LOOK_SECONDS)
        return self.enqueued


async def _until(condition: Callable[[], T]) -> T:
    """What it was when it was true: asked once more it may be something else."""
    while not (found := condition()):  # noqa: ASYNC110  another process makes it true
        await asyncio.sleep(_LOOK_SECONDS / 2)
    return found

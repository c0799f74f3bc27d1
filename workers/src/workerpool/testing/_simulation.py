"""A played world: a queue in memory, workers on it, and a test that moves time and ends workers."""

import asyncio
import contextvars
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from workerpool._queue import Queue
from workerpool._worker import Worker
from workerpool.broker._memory_store import MemoryStore
from workerpool.runtime.contract import Contract
from workerpool.runtime.drain import Drained, Stop
from workerpool.runtime.evidence import Evidence
from workerpool.runtime.lanes import Kind
from workerpool.testing._broker import PlayedSource
from workerpool.testing._loop import PlayedLoop
from workerpool.testing._process import PROCESS, Process
from workerpool.testing._records import Line, Played, PlayedLog, Records

T = TypeVar("T")
Scenario = Callable[["Simulation"], Awaitable[T]]
"""An `async def` that is given a world of its own."""
_HOUR: Final = 3600.0


@dataclass(slots=True)
class _Crash:
    """Kill the worker that comes to this point for the `hits`-th time from now."""

    point: str
    hits: int
    restart: bool


@dataclass(slots=True, eq=False)
class _Started:
    """A worker, and what it takes to start it again."""

    process: Process
    worker: Worker
    env: Mapping[str, str]


class Simulation:
    """A world in which time is played. `simulate` makes one and gives it to a scenario.

    Attributes:
        queue: To enqueue jobs, and to look at the depth and the dead letters.
        random: Of the seed, for what the scenario itself leaves to chance.
    """

    def __init__(self, loop: PlayedLoop, *, seed: int) -> None:
        self._loop = loop
        self._records = Records()
        self._source = PlayedSource(url="memory://", store=MemoryStore(), records=self._records)
        self._started: list[_Started] = []
        self._crashes: list[_Crash] = []
        self._plain = contextvars.copy_context()
        loop.busy_elsewhere = self._busy_elsewhere
        self.queue = Queue(self._source)
        self.random = random.Random(seed)  # noqa: S311

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._loop.time()

    @property
    def jobs(self) -> Mapping[str, Played]:
        """All jobs that a worker has taken, by id."""
        return self._records.jobs

    @property
    def log(self) -> list[Line]:
        """What the workers logged."""
        return self._records.lines

    @property
    def processes(self) -> list[Process]:
        """The workers that live."""
        return [one.process for one in self._started if _lives(one.process)]

    def start(self, worker: Worker, *, env: Mapping[str, str] | None = None) -> Process:
        """Start the program's worker, as one more pod. It runs when the test waits.

        Args:
            worker: The handlers, lanes and the lifespan are its own; its queue is the simulation's.
            env: Of the worker contract, for example `{"MAX_WORKERS": "2", "LEASE_SECONDS": "30"}`. That of the machine
                does not count.

        Raises:
            ConfigurationError: a real one would refuse to start, too.
        """
        return self._start(worker, dict(env or {}), name=f"worker-{len(self._started) + 1}")

    def crash_at(self, point: str, *, hit: int = 1, restart: bool = True) -> None:
        """Kill the worker that comes to this point for the `hit`-th time from now, as SIGKILL would.

        Nothing of it goes on, not even a `finally`; its jobs come back when their leases run out. With `restart` the
        same worker begins anew at once, as kubelet would have it.

        Args:
            point: One that `testing.point` names, or `taken` (jobs were leased, nothing knows of them yet),
                `checkpointed`, `handled` (a handler ended, the broker does not know), `settled` (the broker knows, the
                worker does not).
            hit: Counts from 1.
            restart: False: it stays away.
        """
        self._crashes.append(_Crash(point, hit, restart))

    def kill(self, process: Process, *, restart: bool = True) -> None:
        """The same, now."""
        process.dead = True
        self._records.killed(process.name)
        [old] = [one for one in self._started if one.process is process]
        if restart:
            self._start(old.worker, old.env, name=process.name)

    async def stop(self, process: Process) -> Drained:
        """Ask it to drain, as SIGTERM does, and wait until it has ended."""
        process.stop.ask()
        await self.until(lambda: process.task is not None and process.task.done())
        assert process.task is not None
        return process.task.result()

    async def advance(self, seconds: float) -> None:
        """Move time: everything that is due until then happens, at its time. 0: what can happen now."""
        await self._loop.move(seconds)
        self._look()

    async def until(self, condition: Callable[[], bool], *, within: float = _HOUR) -> None:
        """Move time from event to event until this holds.

        Raises:
            AssertionError: it does not, within so many seconds.
        """
        deadline = self.now + within
        await self._loop.move(0.0, one=True)
        while not condition():
            self._look()
            if self.now >= deadline:
                raise AssertionError(f"not within {within:g} s: {_text(condition)}")
            await self._loop.move(deadline - self.now, one=True)
        self._look()

    async def finished(self, *, within: float = _HOUR) -> None:
        """Move time until no job waits, is delayed or runs."""
        store = self._source.store
        assert store is not None
        await self.until(lambda: not (store.waiting or store.delayed or store.in_flight), within=within)

    async def close(self) -> None:
        """End everything; time moves by itself."""
        self._records.over = True
        self._loop.free = True
        self._loop.thaw()
        tasks = []
        for one in self._started:
            task = one.process.task
            if task is not None:
                tasks.append(task)
                if one.process.dead:
                    task.cancel()
                else:
                    one.process.stop.ask()
                    one.process.stop.ask()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, worker: Worker, env: Mapping[str, str], *, name: str) -> Process:
        contract = Contract.from_env({**env, "WORKERPOOL_POD": name}, source=self._source)
        log = PlayedLog(name, self._records)
        evidence = Evidence(clock=self._loop.time)
        engine, metrics = worker.assemble(contract, evidence=evidence, log=log, watchdog=False)
        process = Process(name, metrics, reached=self._reached, stop=Stop())
        context = self._plain.copy()
        context.run(PROCESS.set, process)
        process.task = self._loop.create_task(engine.run(process.stop), name=name, context=context)
        self._started.append(_Started(process, worker, env))
        return process

    def _busy_elsewhere(self) -> bool:
        lanes = (lane for process in self.processes for lane in process.metrics.lanes.items())
        return any(figures.threads().busy for kind, figures in lanes if kind != Kind.IO)

    def _reached(self, point: str, process: Process) -> bool:
        for crash in self._crashes:
            if crash.point == point:
                crash.hits -= 1
        due = [crash for crash in self._crashes if crash.hits == 0]
        self._crashes = [crash for crash in self._crashes if crash.hits > 0]
        if due:
            self.kill(process, restart=any(crash.restart for crash in due))
        return bool(due)

    def _look(self) -> None:
        """A worker that ended with an error is the test's error."""
        for process in (one.process for one in self._started):
            if not process.dead and process.task is not None and process.task.done():
                process.task.result()


def simulate(scenario: Scenario[T], *, seed: int = 0) -> T:
    """Run a scenario in a world of its own, and return what it returns. For tests that are no `async def`.

    The same seed gives the same run, as long as handlers and scenario leave nothing to chance but by `random`, which is
    seeded for this while, and touch no threads and no clock but the event loop's.

    Raises:
        Stalled: everything waits, and the scenario moves no time.
        Exception: what the scenario raised, with a note that names the seed.
    """
    state = random.getstate()
    random.seed(seed)
    try:
        with asyncio.Runner(loop_factory=partial(PlayedLoop, seed)) as runner:
            return runner.run(_play(scenario, seed))
    except Exception as error:
        error.add_note(f"seed {seed}: simulate(scenario, seed={seed}) plays it again")
        raise
    finally:
        random.setstate(state)


async def _play(scenario: Scenario[T], seed: int) -> T:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, PlayedLoop)
    simulation = Simulation(loop, seed=seed)
    try:
        return await scenario(simulation)
    finally:
        await simulation.close()


@dataclass(frozen=True, slots=True)
class Failure:
    """A seed with which a scenario failed, and how."""

    seed: int
    error: Exception


def search(scenario: Scenario[Any], *, seeds: Iterable[int] = range(1000)) -> Failure | None:
    """Run a scenario with one seed after the other; the first failure, None when there is none."""
    for seed in seeds:
        try:
            simulate(scenario, seed=seed)
        except Exception as error:  # noqa: BLE001  that is what is looked for
            return Failure(seed, error)
    return None


def run_job(
    worker: Worker,
    type: str,  # noqa: A002  the word that the wire and the handler use
    payload: Any = None,
    *,
    crash_at: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
    within: float = _HOUR,
    seed: int = 0,
) -> Played:
    """Run one job, over all its attempts, to its end, and return what became of it.

    Args:
        worker: The handlers.
        type: Of the job.
        payload: Of the job.
        crash_at: Points at which its worker is killed, each once; see `Simulation.crash_at`.
        env: Of the worker contract.
        within: Played seconds.
        seed: See `simulate`.

    Raises:
        AssertionError: the job has not ended in time.
    """

    async def scenario(simulation: Simulation) -> Played:
        simulation.start(worker, env=env)
        for point in crash_at:
            simulation.crash_at(point)
        await simulation.queue.enqueue(type, payload, job_id="job")
        await simulation.finished(within=within)
        return simulation.jobs["job"]

    return simulate(scenario, seed=seed)


def _lives(process: Process) -> bool:
    return not process.dead and process.task is not None and not process.task.done()


def _text(condition: Callable[[], bool]) -> str:
    code = getattr(condition, "__code__", None)
    return f"the condition at line {code.co_firstlineno} of {code.co_filename}" if code else repr(condition)

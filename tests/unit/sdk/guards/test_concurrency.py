"""How many jobs a worker runs at a time: the limit that it finds itself, and the one it is told. In played time."""

import asyncio
import random
from collections import deque
from statistics import median
from typing import NamedTuple

import pytest

from workerpool import ConfigurationError, Job, JobSpec, Worker
from workerpool.guards import adaptive
from workerpool.testing import Process, Simulation, simulate


class Downstream:
    """Serves so many at a time, the others wait in their order."""

    def __init__(self, places: int, seconds: float) -> None:
        self.places, self.seconds = places, seconds
        self.busy = self.served = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def call(self) -> None:
        if self.busy >= self.places:
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]  # whoever ends this has counted us as busy
        else:
            self.busy += 1
        await asyncio.sleep(random.expovariate(1 / self.seconds))
        self.busy -= 1
        self.served += 1
        while self._waiting and self.busy < self.places:
            self.busy += 1
            self._waiting.popleft().set_result(None)


def calling(downstream: Downstream, *, adaptive: bool = True, slots: dict[str, int] | None = None) -> Worker:
    worker = Worker(adaptive=adaptive, slots=slots)

    @worker.job("call", timeout=600)
    async def call(job: Job) -> None:
        await downstream.call()

    return worker


def slots(process: Process, lane: str = "io") -> int:
    return process.metrics.lanes[lane].slots


async def rate(simulation: Simulation, downstream: Downstream, seconds: float) -> float:
    before = downstream.served
    await simulation.advance(seconds)
    return (downstream.served - before) / seconds


@pytest.fixture(autouse=True)
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptive, "cores", lambda: 2)


class Found(NamedTuple):
    """Slots, and jobs per second, before and after the downstream can take half as much."""

    slots: int
    per_second: float
    slots_after: int
    per_second_after: float


async def half_is_lost(simulation: Simulation) -> Found:
    downstream = Downstream(20, 1.0)
    process = simulation.start(calling(downstream), env={"MAX_WORKERS": "200"})
    await simulation.advance(0)
    assert slots(process) == 8
    await simulation.queue.enqueue_many([JobSpec("call")] * 4000, max_depth=10_000)
    await simulation.advance(60)
    before = await rate(simulation, downstream, 40)
    most = slots(process)
    downstream.places = 10
    await simulation.advance(30)
    found = Found(most, before, slots(process), await rate(simulation, downstream, 30))
    assert any(line.event == "concurrency limit" for line in simulation.log)
    return found


def test_a_worker_finds_what_its_downstream_can_take_and_follows_it() -> None:
    """Slots with each seed. What comes of it differs by chance, some 5 % either way, so over seeds."""
    found = [simulate(half_is_lost, seed=seed) for seed in range(3)]
    assert max(one.slots for one in found) <= 3 * 20
    assert max(one.slots_after for one in found) <= 3 * 10
    assert median(one.per_second for one in found) >= 0.85 * 20
    assert median(one.per_second_after for one in found) >= 0.9 * 10
    assert max(one.per_second for one in found) <= 1.1 * 20, "the downstream takes no more than it says"


def test_no_running_job_is_interrupted_when_the_limit_falls() -> None:
    async def scenario(simulation: Simulation) -> None:
        downstream = Downstream(100, 1.0)
        process = simulation.start(calling(downstream), env={"MAX_WORKERS": "50"})
        await simulation.queue.enqueue_many([JobSpec("call")] * 3000, max_depth=10_000)
        await simulation.advance(50)
        downstream.places, downstream.seconds = 3, 3.0
        await simulation.advance(60)
        assert slots(process) < 40, "by each ten jobs that end, and one does per second"
        downstream.places, downstream.seconds = 1000, 0.1
        await simulation.finished()
        assert downstream.served == 3000
        assert process.metrics.totals().started == 3000

    simulate(scenario)


def test_without_being_asked_nothing_is_adapted() -> None:
    async def scenario(simulation: Simulation) -> None:
        process = simulation.start(calling(Downstream(2, 1.0), adaptive=False), env={"MAX_WORKERS": "30"})
        await simulation.queue.enqueue_many([JobSpec("call")] * 300, max_depth=10_000)
        await simulation.advance(60)
        assert slots(process) == 30

    simulate(scenario)


def test_a_worker_that_is_told_a_limit_keeps_it_from_its_first_job() -> None:
    async def scenario(simulation: Simulation) -> None:
        downstream = Downstream(1000, 1.0)
        env = {"MAX_WORKERS": "30", "CONCURRENCY_PER_WORKER": "4"}
        process = simulation.start(calling(downstream, adaptive=False), env=env)
        await simulation.queue.enqueue_many([JobSpec("call")] * 50)
        most = 0
        while downstream.served < 50:
            await simulation.advance(0.1)
            most = max(most, downstream.busy)
        assert most == 4
        assert slots(process) == 4

    simulate(scenario)


def compute(job: Job) -> None:
    """Nothing is enqueued for it."""


def test_lanes_that_wait_find_their_limits_and_the_one_that_computes_has_its_cores() -> None:
    async def scenario(simulation: Simulation) -> None:
        worker = calling(Downstream(1, 1.0), slots={"cpu": 20})
        worker.job("blocking", timeout=1, kind="thread")(compute)
        worker.job("computing", timeout=1, kind="cpu")(compute)
        process = simulation.start(worker, env={"MAX_WORKERS": "100"})
        await simulation.advance(0)
        assert [slots(process, lane) for lane in ("io", "thread", "cpu")] == [8, 8, 20]

    simulate(scenario)


def test_under_a_limit_each_lane_keeps_its_share() -> None:
    """So one that stands still leaves the others theirs."""

    async def scenario(simulation: Simulation) -> None:
        worker = calling(Downstream(1, 1.0), adaptive=False, slots={"thread": 5})

        @worker.job("blocking", timeout=1)
        def blocking(job: Job) -> None:
            """Nothing is enqueued for it."""

        process = simulation.start(worker, env={"MAX_WORKERS": "12", "CONCURRENCY_PER_WORKER": "5"})
        await simulation.advance(0)
        assert (slots(process), slots(process, "thread")) == (3, 3), "rounded up: together they run five at most"

    simulate(scenario)


def test_a_limit_that_is_told_bounds_the_one_that_is_found() -> None:
    async def scenario(simulation: Simulation) -> None:
        env = {"MAX_WORKERS": "100", "CONCURRENCY_PER_WORKER": "12"}
        process = simulation.start(calling(Downstream(1000, 0.5)), env=env)
        await simulation.queue.enqueue_many([JobSpec("call")] * 1000, max_depth=10_000)
        await simulation.advance(25)
        assert slots(process) == 12

    simulate(scenario)


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_limit_that_makes_no_sense_is_refused(value: str) -> None:
    async def scenario(simulation: Simulation) -> None:
        with pytest.raises(ConfigurationError, match="CONCURRENCY_PER_WORKER"):
            simulation.start(calling(Downstream(1, 1)), env={"CONCURRENCY_PER_WORKER": value})

    simulate(scenario)

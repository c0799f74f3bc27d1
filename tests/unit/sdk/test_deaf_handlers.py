"""Handlers that ignore their cancellation: each loses its job, and none keeps its slot. In played time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

import pytest

from workerpool import Job, Worker
from workerpool.broker import Taken
from workerpool.broker._memory import MemoryBroker
from workerpool.runtime.stations import BLOCKS
from workerpool.testing import Outcome, Process, Simulation, simulate

ENV = {"MAX_WORKERS": "1", "LEASE_SECONDS": "6", "DRAIN_TIMEOUT": "1", "MAX_ATTEMPTS": "1"}


class Watched(Worker):
    """Lets its runtime be looked at."""

    def assemble(self, *arguments: Any, **more: Any) -> Any:
        self.assembled = super().assemble(*arguments, **more)
        return self.assembled


class Deaf:
    """Handlers that go on until they are let go."""

    def __init__(self, *, timeout: float | None) -> None:
        self.over = asyncio.Event()
        self.worker = Watched()

        @self.worker.job("deaf", timeout=timeout)
        async def deaf(job: Job) -> None:
            while not self.over.is_set():
                try:
                    await self.over.wait()
                except asyncio.CancelledError:
                    continue
            await job.checkpoint({})

        @self.worker.job("quick", timeout=5)
        async def quick(job: Job) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """A played world that ends waits for everything in it."""
        self.over.set()


def lose_leases(patch: pytest.MonkeyPatch, *, when: Callable[[], bool]) -> None:
    """The broker says that they are somebody else's."""
    real = MemoryBroker.extend

    async def extend(broker: MemoryBroker, jobs: Sequence[Taken]) -> frozenset[str]:
        return frozenset(job.token for job in jobs) if when() else await real(broker, jobs)

    patch.setattr(MemoryBroker, "extend", extend)


def wedged(process: Process) -> int:
    return process.metrics.lanes["io"].threads().wedged


def test_one_whose_lease_was_lost_gives_its_slot_to_others_and_is_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(simulation: Simulation) -> None:
        with Deaf(timeout=None) as deaf:
            process = simulation.start(deaf.worker, env=ENV)
            await simulation.queue.enqueue("deaf", job_id="d")
            await simulation.until(lambda: "d" in simulation.jobs)
            lose_leases(monkeypatch, when=lambda: not wedged(process))
            await simulation.queue.enqueue("quick", job_id="q")
            await simulation.until(lambda: "q" in simulation.jobs and simulation.jobs["q"].ended, within=6)
            assert wedged(process) == 1
            deaf.over.set()
            await simulation.until(lambda: not wedged(process), within=1)
            failed = process.metrics.lanes["io"].failed
            assert {reason.value: count for reason, count in failed.items() if count} == {"lease_lost": 1}

    simulate(scenario)


def test_one_whose_time_was_up_is_counted_once_whatever_becomes_of_it() -> None:
    async def scenario(simulation: Simulation) -> None:
        with Deaf(timeout=5) as deaf:
            process = simulation.start(deaf.worker, env=ENV)
            await simulation.queue.enqueue("deaf", job_id="d")
            await simulation.until(lambda: bool(wedged(process)), within=9)
            deaf.over.set()
            await simulation.until(lambda: not wedged(process), within=1)
            failed = process.metrics.lanes["io"].failed
            assert {reason.value: count for reason, count in failed.items() if count} == {"timeout": 1}
            assert simulation.jobs["d"].outcome is Outcome.DEAD

    simulate(scenario)


def test_a_drain_hands_its_job_back_and_says_that_it_lasts() -> None:
    async def scenario(simulation: Simulation) -> None:
        with Deaf(timeout=None) as deaf:
            process = simulation.start(deaf.worker, env=ENV)
            await simulation.queue.enqueue("deaf", job_id="d")
            await simulation.until(lambda: "d" in simulation.jobs)
            drained = await simulation.stop(process)
            assert (drained.interrupted, drained.unsettled, drained.stubborn) == (1, 0, True)
            assert simulation.jobs["d"].outcome is Outcome.HANDED_BACK

    simulate(scenario)


def test_one_is_known_as_well_after_another_handler_has_moved_to_a_lane_of_its_own() -> None:
    async def scenario(simulation: Simulation) -> None:
        with Deaf(timeout=5) as deaf:
            process = simulation.start(deaf.worker, env=ENV)
            await simulation.queue.enqueue("deaf")
            await simulation.until(lambda: bool(wedged(process)), within=9)
            stations = deaf.worker.assembled.engine._stations
            for _ in range(BLOCKS):
                stations.blocked("quick")
            assert set(process.metrics.lanes) == {"io", "thread"}
            assert (wedged(process), stations.wedged) == (1, True)
            drained = await simulation.stop(process)
            assert drained.stubborn, "the process is to leave without waiting for it"

    simulate(scenario)

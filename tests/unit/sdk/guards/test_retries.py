"""The retry budget: by itself, and in a worker in played time."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import structlog

from workerpool import Job, JobSpec, Worker
from workerpool.guards.retries import PER_SECOND, SHARE, WINDOW_SECONDS, RetryBudget
from workerpool.testing import Outcome, Simulation, simulate

FLOOR = PER_SECOND * WINDOW_SECONDS
ENV = {"MAX_WORKERS": "20", "MAX_ATTEMPTS": "4", "BACKOFF_SECONDS": "0.1", "BACKOFF_MAX_SECONDS": "120"}


@dataclass
class Play:
    firsts: int = 0
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.budget = RetryBudget(firsts=lambda: self.firsts, log=structlog.get_logger())

    def spend(self, times: int) -> int:
        return sum(self.budget.spend(self.now) for _ in range(times))


def test_few_failures_are_all_repeated() -> None:
    play = Play()
    for _ in range(100):
        play.now += 1
        assert play.spend(PER_SECOND) == PER_SECOND


def test_retries_are_a_share_of_first_attempts_and_a_floor() -> None:
    play = Play(firsts=10**6)
    assert play.spend(10_000) == FLOOR, "what began before the first failure says nothing of now"
    play.firsts += 1000
    assert play.spend(10_000) == SHARE * 1000


def test_over_time_the_share_holds_within_each_window() -> None:
    play, retries = Play(), []
    for _ in range(100):
        play.now += 1
        play.firsts += 500
        retries.append(play.spend(300))
    for start in range(20, 90):
        window = retries[start : start + WINDOW_SECONDS]
        assert sum(window) <= FLOOR + SHARE * 500 * WINDOW_SECONDS
    assert sum(retries[20:]) >= 0.9 * (PER_SECOND + SHARE * 500) * 80


def test_what_was_spent_comes_back() -> None:
    play = Play()
    assert play.spend(10_000) == FLOOR
    play.now += WINDOW_SECONDS - 1
    assert play.spend(1) == 0
    play.now += 2
    assert play.spend(10_000) == FLOOR


class Downstream:
    def __init__(self) -> None:
        self.down, self.calls, self.firsts = True, Counter[int](), Counter[int]()

    def worker(self) -> Worker:
        worker = Worker()

        @worker.job("call", timeout=10)
        async def call(job: Job) -> None:
            second = int(asyncio.get_running_loop().time())
            self.calls[second] += 1
            self.firsts[second] += job.attempt == 1
            await asyncio.sleep(0.01)
            if self.down:
                raise ConnectionError("down")

        return worker


def test_an_outage_does_not_multiply_the_load_and_kills_few() -> None:
    """Four attempts each: without a budget they were four times the load, and dead within seconds."""

    async def scenario(simulation: Simulation) -> None:
        downstream = Downstream()
        process = simulation.start(downstream.worker(), env=ENV)
        for _ in range(4):
            await simulation.queue.enqueue_many([JobSpec("call")] * 60)
            await simulation.advance(1)
        first, calls = sum(downstream.firsts.values()), sum(downstream.calls.values())
        assert first == 240
        assert calls - first <= SHARE * first + PER_SECOND * (4 + WINDOW_SECONDS)
        assert process.metrics.lanes["io"].put_off > 50
        downstream.down = False
        await simulation.finished()
        dead = sum(played.outcome is Outcome.DEAD for played in simulation.jobs.values())
        assert dead < 60
        assert max(attempt.number for played in simulation.jobs.values() for attempt in played.attempts) <= 4
        told = [line.event for line in simulation.log if line.event.startswith("too much fails")]
        assert len(told) == 1

    simulate(scenario)


def test_what_always_fails_comes_to_an_end_beyond_the_budget_as_well() -> None:
    async def scenario(simulation: Simulation) -> None:
        process = simulation.start(Downstream().worker(), env=ENV | {"MAX_ATTEMPTS": "3"})
        await simulation.queue.enqueue_many([JobSpec("call")] * 300)
        await simulation.finished()
        assert process.metrics.lanes["io"].put_off > 50
        assert {played.outcome for played in simulation.jobs.values()} == {Outcome.DEAD}
        assert {len(played.attempts) for played in simulation.jobs.values()} == {3}

    simulate(scenario)

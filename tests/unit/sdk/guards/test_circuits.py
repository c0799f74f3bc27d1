"""Workers whose handlers have breakers, through an outage of what they call. In played time."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from workerpool import Breaker, ConfigurationError, Job, JobSpec, RejectJob, Worker
from workerpool.telemetry.exposition import render
from workerpool.testing import Outcome, Process, Simulation, simulate

CALLS = 4
BREAKER = Breaker(name="shop", calls=CALLS, window=30, pause=5, longest_pause=20)
ENV = {"MAX_WORKERS": "10", "MAX_ATTEMPTS": "3", "BACKOFF_SECONDS": "1", "BACKOFF_MAX_SECONDS": "5"}


class Shop:
    """What is called, up or down."""

    def __init__(self) -> None:
        self.down = False
        self.calls: list[float] = []
        self.failed = 0

    async def call(self) -> None:
        await asyncio.sleep(0.2)
        self.calls.append(asyncio.get_running_loop().time())
        if self.down:
            self.failed += 1
            raise ConnectionError("down")


class Watched(Worker):
    """Lets its reports be read."""

    def assemble(self, *arguments: Any, **more: Any) -> Any:
        self.assembled = super().assemble(*arguments, **more)
        return self.assembled

    @property
    def paused(self) -> str:
        return self.assembled.engine._state().paused

    @property
    def problem(self) -> str:
        """What kubelet would be told."""
        return self.assembled.engine._evidence.problem()


def ordering(shop: Shop, breaker: Breaker | None = BREAKER) -> Watched:
    worker = Watched()

    @worker.job("order", timeout=10, breaker=breaker)
    async def order(job: Job) -> None:
        await shop.call()

    return worker


def lost(simulation: Simulation) -> int:
    """Attempts that counted, beyond one for each job."""
    return sum(played.attempts[-1].number - 1 for played in simulation.jobs.values())


def text(process: Process) -> str:
    return render(process.metrics).decode()


@pytest.mark.parametrize("workers", [1, 4])
def test_an_outage_costs_each_worker_the_attempts_of_one_window_and_no_job(workers: int) -> None:
    async def scenario(simulation: Simulation) -> None:
        shop = Shop()
        shop.down = True
        for _ in range(workers):
            simulation.start(ordering(shop), env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order")] * 200)
        await simulation.advance(120)
        assert shop.failed < workers * (CALLS + int(ENV["MAX_WORKERS"]) + 20), "but for those under way, and probes"
        assert len(simulation.jobs) <= 200
        shop.down = False
        await simulation.finished(within=120)
        assert Counter(played.outcome for played in simulation.jobs.values()) == {Outcome.DONE: 200}
        assert lost(simulation) <= workers * CALLS

    simulate(scenario)


def test_attempts_that_do_not_count_say_nothing_of_a_version() -> None:
    """A canary is judged by first attempts that failed: each job has one, however often it goes back."""

    async def scenario(simulation: Simulation) -> None:
        shop = Shop()
        shop.down = True
        figures = simulation.start(ordering(shop), env=ENV).metrics.lanes["io"]
        await simulation.queue.enqueue_many([JobSpec("order")] * 30)
        await simulation.advance(300)
        assert shop.failed > CALLS + int(ENV["MAX_WORKERS"]), "probes have failed"
        assert figures.first_failures < CALLS, "that which opened it goes back, too"
        shop.down = False
        await simulation.finished()
        assert figures.first_failures < CALLS, "that which opened it goes back, too"
        assert figures.first_attempts <= 30 + int(ENV["MAX_WORKERS"]), "those under way when it opened begin twice"

    simulate(scenario)


def test_without_a_breaker_the_same_outage_kills_jobs() -> None:
    """Else the test above would show nothing."""

    async def scenario(simulation: Simulation) -> None:
        shop = Shop()
        shop.down = True
        simulation.start(ordering(shop, None), env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order")] * 200)
        await simulation.advance(120)
        assert any(played.outcome is Outcome.DEAD for played in simulation.jobs.values())

    simulate(scenario)


def test_a_worker_all_of_whose_handlers_are_shut_takes_nothing_and_says_so() -> None:
    async def scenario(simulation: Simulation) -> None:
        shop = Shop()
        worker = ordering(shop)
        process = simulation.start(worker, env=ENV)
        await simulation.advance(1)
        assert 'circuit_open{circuit="shop"' in text(process).replace('pool="",', "").replace('version="",', "")
        shop.down = True
        await simulation.queue.enqueue_many([JobSpec("order")] * 200)
        await simulation.until(lambda: process.metrics.circuits["shop"])
        await simulation.advance(0.5)
        taken = sum(len(played.attempts) for played in simulation.jobs.values())
        assert worker.paused == "circuit open: shop"
        await simulation.advance(1.5)
        assert sum(len(played.attempts) for played in simulation.jobs.values()) == taken
        assert worker.problem == ""
        shop.down = False
        await simulation.finished()
        assert worker.paused == ""
        assert not process.metrics.circuits["shop"]
        events = [line.event for line in simulation.log]
        told = [event for event in events if event.startswith("circuit")]
        assert (told[0], told[-1]) == ("circuit open", "circuit closed")

    simulate(scenario)


def test_probes_of_several_workers_are_spread_and_few() -> None:
    async def scenario(simulation: Simulation) -> None:
        shop = Shop()
        shop.down = True
        for _ in range(8):
            simulation.start(ordering(shop), env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order")] * 400)
        await simulation.advance(30)
        shop.calls.clear()
        await simulation.advance(120)
        assert 8 * 120 / 30 <= len(shop.calls) <= 8 * 120 / 10
        assert max(Counter(round(moment, 1) for moment in shop.calls).values()) <= 4

    simulate(scenario)


def test_other_handlers_go_on() -> None:
    async def scenario(simulation: Simulation) -> None:
        shop, done = Shop(), []
        shop.down = True
        worker = ordering(shop)

        @worker.job("other", timeout=10)
        async def other(job: Job) -> None:
            await asyncio.sleep(0.1)
            done.append(job.id)

        process = simulation.start(worker, env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order"), JobSpec("other")] * 4 + [JobSpec("other")] * 96)
        await simulation.until(lambda: len(done) == 100, within=60)
        assert process.metrics.circuits["shop"]
        assert worker.paused == ""
        shop.down = False
        await simulation.finished()

    simulate(scenario)


def test_the_fallback_does_the_jobs_meanwhile() -> None:
    async def scenario(simulation: Simulation) -> None:
        shop, noted = Shop(), []
        shop.down = True
        worker = Watched()

        async def note(job: Job) -> None:
            noted.append(job.id)

        @worker.job("order", timeout=10, breaker=BREAKER, fallback=note)
        async def order(job: Job) -> None:
            await shop.call()

        process = simulation.start(worker, env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order")] * 200)
        await simulation.finished(within=60)
        assert {played.outcome for played in simulation.jobs.values()} == {Outcome.DONE}
        assert worker.paused == ""
        assert len(noted) == 200
        shop.down = False
        await simulation.advance(60)
        for _ in range(5):
            await simulation.queue.enqueue_many([JobSpec("order")] * 10)
            await simulation.finished()
        assert not process.metrics.circuits["shop"]
        assert len(shop.calls) > shop.failed

    simulate(scenario)


def test_a_fallback_that_fails_is_an_attempt_that_failed() -> None:
    async def scenario(simulation: Simulation) -> None:
        shop = Shop()
        shop.down = True
        worker = Worker()

        async def fail(job: Job) -> None:
            raise ValueError("neither")

        @worker.job("order", timeout=10, breaker=BREAKER, fallback=fail)
        async def order(job: Job) -> None:
            await shop.call()

        simulation.start(worker, env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order")] * 30)
        await simulation.finished()
        assert {played.outcome for played in simulation.jobs.values()} == {Outcome.DEAD}

    simulate(scenario)


def test_handlers_may_share_a_breaker() -> None:
    async def scenario(simulation: Simulation) -> None:
        shop = Shop()
        shop.down = True
        worker = ordering(shop)

        @worker.job("refund", timeout=10, breaker=BREAKER)
        async def refund(job: Job) -> None:
            await shop.call()

        process = simulation.start(worker, env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order")] * 20)
        await simulation.until(lambda: process.metrics.circuits["shop"])
        await simulation.queue.enqueue("refund", job_id="r")
        await simulation.advance(1)
        assert "r" not in simulation.jobs
        assert list(process.metrics.circuits) == ["shop"]

    simulate(scenario)


def test_jobs_that_reject_open_nothing() -> None:
    async def scenario(simulation: Simulation) -> None:
        worker = Worker()

        @worker.job("order", timeout=10, breaker=BREAKER)
        async def order(job: Job) -> None:
            raise RejectJob("bad")

        process = simulation.start(worker, env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order")] * 100)
        await simulation.finished()
        assert process.metrics.circuits == {"shop": False}

    simulate(scenario)


def test_a_worker_drains_while_its_circuit_is_open() -> None:
    async def scenario(simulation: Simulation) -> None:
        shop = Shop()
        shop.down = True
        process = simulation.start(ordering(shop), env=ENV)
        await simulation.queue.enqueue_many([JobSpec("order")] * 100)
        await simulation.until(lambda: process.metrics.circuits["shop"])
        began = simulation.now
        drained = await simulation.stop(process)
        assert simulation.now - began < 5
        assert not drained.unsettled

    simulate(scenario)


def test_what_cannot_work_is_refused() -> None:
    worker = Worker()

    def plain(job: Job) -> None: ...

    async def awaiting(job: Job) -> None: ...

    with pytest.raises(ConfigurationError, match="needs a breaker"):
        worker.job("a", fallback=plain)
    with pytest.raises(ConfigurationError, match="async def"):
        worker.job("a", breaker=BREAKER, fallback=plain)(awaiting)
    worker.job("b", breaker=Breaker(name="x"))(awaiting)
    worker.job("c", breaker=Breaker(name="x"))(awaiting)

    async def scenario(simulation: Simulation) -> None:
        with pytest.raises(ConfigurationError, match="two breakers"):
            simulation.start(worker)

    simulate(scenario)

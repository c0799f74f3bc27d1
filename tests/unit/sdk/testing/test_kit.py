"""The test kit: time that the test moves, an order that the seed chooses, deaths without a last word."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from workerpool import Job, JobSpec, RejectJob, Worker
from workerpool.testing import Outcome, Simulation, Stalled, point, run_job, simulate


class Books:
    """What handlers did, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []


def worker(books: Books) -> Worker:  # noqa: C901  a list of handlers
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[str]:
        books.lines.append("opened")
        yield "context"
        books.lines.append("closed")

    worker = Worker(lifespan=lifespan)

    @worker.job("third_time", timeout=10)
    async def third_time(job: Job) -> None:
        await job.checkpoint({"attempt": job.attempt, "before": job.checkpointed})
        if job.attempt < 3:
            raise ValueError(f"attempt {job.attempt}")

    @worker.job("slow", timeout=10)
    async def slow(job: Job) -> None:
        await asyncio.sleep(1000)

    @worker.job("reject", timeout=10)
    async def reject(job: Job) -> None:
        raise RejectJob("never")

    @worker.job("write", timeout=10)
    async def write(job: Job) -> None:
        books.lines.append(f"write {job.attempt}")
        try:
            await point("written")
        finally:
            books.lines.append(f"finally {job.attempt}")

    @worker.job("steps", timeout=10)
    async def steps(job: Job) -> None:
        for step in range(3):
            books.lines.append(f"{job.payload}{step}")
            await asyncio.sleep(0)

    @worker.job("blocking", timeout=10)
    def blocking(job: Job) -> None:
        threading.Event().wait(0.001)

    @worker.job("threads", timeout=10)
    async def threads(job: Job) -> None:
        await asyncio.to_thread(threading.Event().wait, 0.001)

    return worker


def test_a_job_is_seen_over_all_its_attempts() -> None:
    played = run_job(worker(Books()), "third_time", env={"BACKOFF_SECONDS": "30", "BACKOFF_MAX_SECONDS": "30"})
    assert [attempt.outcome for attempt in played.attempts] == [Outcome.RETRIED, Outcome.RETRIED, Outcome.DONE]
    assert [attempt.error for attempt in played.attempts] == ["ValueError: attempt 1", "ValueError: attempt 2", ""]
    assert played.checkpoints[1] == {"attempt": 2, "before": {"attempt": 1, "before": None}}
    first, second, _ = played.attempts
    assert first.delay is not None
    assert 0 < first.delay <= 30
    assert second.began == first.delay, "the backoff passed in played time"


def test_a_dead_job_shows_why() -> None:
    rejected = run_job(worker(Books()), "reject")
    late = run_job(worker(Books()), "slow", env={"MAX_ATTEMPTS": "1"})
    assert rejected.dead is not None
    assert (rejected.outcome, rejected.dead.reason, rejected.dead.error) == (
        Outcome.DEAD,
        "rejected",
        "RejectJob: never",
    )
    assert late.dead is not None
    assert (late.dead.reason, late.attempts[0].ended) == ("max_attempts", 10.0)


def test_a_killed_worker_says_no_last_word_and_the_lease_brings_its_job_back() -> None:
    books = Books()
    played = run_job(worker(books), "write", crash_at=["written"], env={"LEASE_SECONDS": "30"})
    # The first attempt's `finally` and the closing come when the world ends, after the job was looked at.
    assert books.lines[:4] == ["opened", "write 1", "opened", "write 2"]
    assert books.lines[4] == "finally 2"
    assert [(one.number, one.outcome, one.began) for one in played.attempts] == [
        (1, Outcome.KILLED, 0.0),
        (2, Outcome.DONE, 30.0),
    ]


@pytest.mark.parametrize(
    ("at", "attempts"), [("taken", 2), ("written", 2), ("handled", 2), ("settled", 1), ("never", 1)]
)
def test_a_job_runs_again_if_and_only_if_the_broker_had_not_heard_of_its_end(at: str, attempts: int) -> None:
    assert len(run_job(worker(Books()), "write", crash_at=[at], env={"LEASE_SECONDS": "5"}).attempts) == attempts


def test_who_is_killed_may_stay_away_and_another_takes_its_job_over() -> None:
    async def scenario(simulation: Simulation) -> None:
        books = Books()
        first = simulation.start(worker(books), env={"LEASE_SECONDS": "20"})
        await simulation.queue.enqueue("slow", job_id="slow")
        await simulation.until(lambda: "slow" in simulation.jobs)
        second = simulation.start(worker(books), env={"LEASE_SECONDS": "20"})
        await simulation.advance(1)
        simulation.kill(first, restart=False)
        assert simulation.processes == [second]
        await simulation.advance(15)
        assert len(simulation.jobs["slow"].attempts) == 1, "the lease has not run out"
        await simulation.advance(5)
        assert [one.worker for one in simulation.jobs["slow"].attempts] == [first.name, second.name]

    simulate(scenario)


def test_time_stands_still_until_it_is_moved() -> None:
    async def scenario(simulation: Simulation) -> None:
        simulation.start(worker(Books()))
        await simulation.queue.enqueue("write", job_id="later", delay=60)
        await simulation.advance(59.9)
        assert simulation.jobs == {}
        await simulation.advance(0.2)
        assert simulation.jobs["later"].attempts[0].began == 60.0
        assert simulation.now == pytest.approx(60.1)
        assert (await simulation.queue.depth()).delayed == 0

    simulate(scenario)


def test_a_drain_hands_back_what_cannot_end_and_logs_it() -> None:
    async def scenario(simulation: Simulation) -> None:
        books = Books()
        process = simulation.start(worker(books), env={"DRAIN_TIMEOUT": "4"})
        await simulation.queue.enqueue("slow", job_id="slow")
        await simulation.advance(1)
        drained = await simulation.stop(process)
        assert drained.interrupted == 1
        assert simulation.jobs["slow"].outcome is Outcome.HANDED_BACK
        assert books.lines == ["opened", "closed"]
        assert [line.event for line in simulation.log if line.worker == process.name][-1] == "drained"
        assert simulation.now == 5.0

    simulate(scenario)


def order(seed: int) -> list[str]:
    books = Books()

    async def scenario(simulation: Simulation) -> None:
        simulation.start(worker(books))
        for name in "abc":
            await simulation.queue.enqueue("steps", name)
        await simulation.finished()
        del books.lines[0]

    simulate(scenario, seed=seed)
    return books.lines[:9]


def test_a_seed_repeats_its_order_and_seeds_differ() -> None:
    orders = [order(seed) for seed in range(20)]
    assert orders == [order(seed) for seed in range(20)]
    assert len({tuple(one) for one in orders}) > 10
    for one in orders:
        assert [line for line in one if line.startswith("a")] == ["a0", "a1", "a2"], "each task in its own order"


def test_callbacks_keep_their_order_and_no_task_passes_one() -> None:
    async def scenario(simulation: Simulation) -> None:
        loop, seen = asyncio.get_running_loop(), list[int]()

        async def add(number: int) -> None:
            seen.append(number)

        tasks = []
        for number in range(0, 30, 3):
            loop.call_soon(seen.append, number)
            tasks += [asyncio.create_task(add(number + 1)), asyncio.create_task(add(number + 2))]
        cancelled = loop.call_later(0, seen.append, -1)
        loop.call_later(0, seen.append, -2)
        cancelled.cancel()
        await asyncio.gather(*tasks)
        await simulation.advance(0)
        assert [number // 3 for number in seen[:-1]] == [number // 3 for number in range(30)]
        assert seen[-1] == -2

    for seed in range(10):
        simulate(scenario, seed=seed)


def test_a_timer_that_is_cancelled_as_it_is_due_does_not_go_off() -> None:
    async def scenario(simulation: Simulation) -> None:
        loop, seen, timers = asyncio.get_running_loop(), list[int](), list[asyncio.TimerHandle]()

        def go_off(number: int) -> None:
            seen.append(number)
            timers[1 - number].cancel()

        timers += [loop.call_later(1, go_off, 0), loop.call_later(1, go_off, 1)]
        await simulation.advance(2)
        assert len(seen) == 1

    simulate(scenario)


def test_who_waits_for_nothing_is_told() -> None:
    async def for_ever(simulation: Simulation) -> None:
        await asyncio.Event().wait()

    async def for_time(simulation: Simulation) -> None:
        simulation.start(worker(Books()))
        await asyncio.sleep(5)

    with pytest.raises(Stalled, match="it moves no time"):
        simulate(for_ever)
    with pytest.raises(Stalled, match="the next timer is due in"):
        simulate(for_time)


def test_a_condition_that_does_not_come_true_is_named() -> None:
    async def scenario(simulation: Simulation) -> None:
        simulation.start(worker(Books()))
        await simulation.until(lambda: False, within=30)

    with pytest.raises(AssertionError, match=r"not within 30 s: the condition at line \d+ of .*test_kit.py"):
        simulate(scenario)


def test_a_worker_that_cannot_start_fails_the_test() -> None:
    async def scenario(simulation: Simulation) -> None:
        @asynccontextmanager
        async def broken() -> AsyncIterator[int]:
            yield int("no number")

        one = Worker(lifespan=broken)
        one.job("x")(lambda job: None)
        simulation.start(one)
        await simulation.advance(1)

    with pytest.raises(ValueError, match="no number"):
        simulate(scenario)


@pytest.mark.parametrize("type_", ["blocking", "threads"])
def test_what_runs_in_threads_is_waited_for_in_real_time(type_: str) -> None:
    played = run_job(worker(Books()), type_)
    assert [attempt.outcome for attempt in played.attempts] == [Outcome.DONE]


def test_a_point_is_nothing_outside() -> None:
    asyncio.run(point("written"))


def test_a_seed_repeats_a_worker_that_goes_by_the_time_of_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    def play(clock: float) -> list[tuple[str, float]]:
        monkeypatch.setattr(time, "time", lambda: clock)
        worker, begun = Worker(adaptive=True), []

        @worker.job("call", timeout=30)
        async def call(job: Job) -> None:
            begun.append((job.id, asyncio.get_running_loop().time()))
            await asyncio.sleep(0.3)

        async def scenario(simulation: Simulation) -> None:
            simulation.start(worker, env={"MAX_WORKERS": "40"})
            await simulation.queue.enqueue_many([JobSpec("call", job_id=str(number)) for number in range(2000)])
            await simulation.finished()

        simulate(scenario, seed=7)
        return begun

    assert play(1_000_000.0) == play(1_000_031.0)

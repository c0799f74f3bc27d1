"""Batches that fail, whole or in part: who pays for it. In played time."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.sdk.batches.bulk import ENV, Bulk, attempts, bulk_worker, enqueue, fail_with, outcomes, take_over
from workerpool import Batch, Breaker, Job, RejectJob, Worker
from workerpool.telemetry.metrics import FailureReason
from workerpool.testing import Outcome, Simulation, simulate


@pytest.mark.parametrize("culprit", range(0, 40, 13))
def test_the_culprit_is_found_at_once_and_costs_no_other_job_an_attempt(culprit: int) -> None:
    bulk = Bulk(fail_with(str(culprit)))

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(40))
        process = simulation.start(bulk_worker(bulk, Batch(size=40, wait=0.1)), env=ENV)
        await simulation.finished()
        assert attempts(simulation) == {str(culprit): 3}
        assert outcomes(simulation) == {Outcome.DONE: 39, Outcome.DEAD: 1}
        dead = simulation.jobs[str(culprit)].dead
        assert dead is not None
        assert (dead.reason, dead.error) == ("max_attempts", "ValueError: a bad one")
        totals = process.metrics.totals()
        assert (totals.processed, totals.failed, totals.first_attempts, totals.first_failures) == (39, 3, 40, 1)

    simulate(scenario)
    assert len(bulk.calls) <= 2 * 6 + 1 + 2


def test_where_everything_fails_not_everything_is_tried_apart() -> None:
    def fail(_ids: Sequence[str]) -> None:
        raise ConnectionError("down")

    bulk = Bulk(fail)

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(64))
        simulation.start(bulk_worker(bulk, Batch(size=64, wait=0.1)), env={**ENV, "BACKOFF_SECONDS": "1000"})
        await simulation.until(lambda: outcomes(simulation) == {Outcome.RETRIED: 64})
        assert all(len(played.attempts) == 1 for played in simulation.jobs.values())
        assert {played.attempts[0].error for played in simulation.jobs.values()} == {"ConnectionError: down"}

    simulate(scenario)
    assert len(bulk.calls) <= 3 * 6 + 3


def test_the_last_attempt_is_made_alone() -> None:
    """After an outage all come back together, and a bad one among them must cost no other its last chance."""

    def fail(ids: Sequence[str]) -> None:
        if len(ids) > 1:
            raise ConnectionError("down")

    bulk = Bulk(fail)

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(64))
        simulation.start(bulk_worker(bulk, Batch(size=64, wait=10)), env={**ENV, "MAX_ATTEMPTS": "2"})
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 64}

    simulate(scenario)


def test_single_jobs_fail_or_are_rejected_while_the_others_are_done() -> None:
    worker = Worker()

    @worker.job("index", batch=Batch(size=5), timeout=10)
    async def index(jobs: list[Job]) -> None:
        for job in jobs:
            if job.id == "0" and job.attempt == 1:
                job.fail("not now")
            if job.id == "1":
                job.fail(RejectJob("never"))
            if job.id == "2" and job.attempt == 1:
                job.fail(ValueError("not like this"))

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(5))
        process = simulation.start(worker, env=ENV)
        await simulation.finished()
        assert attempts(simulation) == {"0": 2, "2": 2}
        assert outcomes(simulation) == {Outcome.DONE: 4, Outcome.DEAD: 1}
        assert simulation.jobs["0"].attempts[0].error == "not now"
        assert simulation.jobs["2"].attempts[0].error == "ValueError: not like this"
        dead = simulation.jobs["1"].dead
        assert dead is not None
        assert dead.reason == "rejected"
        assert process.metrics.totals().first_failures == 3

    simulate(scenario)


def test_who_was_said_to_have_failed_is_not_called_again_when_the_handler_raises_then() -> None:
    calls: list[list[str]] = []
    worker = Worker()

    @worker.job("index", batch=Batch(size=4), timeout=10)
    async def index(jobs: list[Job]) -> None:
        calls.append([job.id for job in jobs])
        if len(calls) == 1:
            jobs[0].fail(RejectJob("never"))
            raise ValueError("and now?")

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(4))
        simulation.start(worker, env=ENV)
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 3, Outcome.DEAD: 1}

    simulate(scenario)
    assert calls == [["0", "1", "2", "3"], ["1", "2"], ["3"]]


def test_a_timeout_is_of_a_call_and_a_job_that_hangs_is_found_like_any_other() -> None:
    calls: list[float] = []
    worker = Worker()

    @worker.job("index", batch=Batch(size=8), timeout=5)
    async def index(jobs: list[Job]) -> None:
        calls.append(asyncio.get_running_loop().time())
        await asyncio.sleep(3600 if any(job.id == "6" for job in jobs) else 0)

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(8))
        process = simulation.start(worker, env={**ENV, "MAX_ATTEMPTS": "1"})
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 7, Outcome.DEAD: 1}
        assert process.metrics.lanes["io"].failed[FailureReason.TIMEOUT] == 1

    simulate(scenario)
    assert calls == [0, 5, 5, 10, 10, 15, 20]


def test_a_job_goes_on_from_its_checkpoint_when_its_half_is_tried() -> None:
    seen: list[tuple[str, Any]] = []
    worker = Worker()

    @worker.job("index", batch=Batch(size=2), timeout=5)
    async def index(jobs: list[Job]) -> None:
        seen.extend((job.id, job.checkpointed) for job in jobs)
        await jobs[0].checkpoint({"done": jobs[0].id})
        if len(jobs) > 1:
            raise ValueError("too many")

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(2))
        simulation.start(worker, env=ENV)
        await simulation.finished()
        assert not attempts(simulation)

    simulate(scenario)
    assert seen == [("0", None), ("1", None), ("0", {"done": "0"}), ("1", None)]


def test_jobs_of_a_killed_worker_are_done_alone() -> None:
    """The one that killed it kills nobody but itself then."""
    bulk = Bulk()

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(6))
        process = simulation.start(bulk_worker(bulk, Batch(size=6)), env={**ENV, "LEASE_SECONDS": "10"})
        await simulation.until(lambda: bulk.sizes == [6])
        simulation.kill(process)
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 6}
        assert bulk.sizes == [6] + 6 * [1]

    simulate(scenario)


@pytest.mark.parametrize("point", ["taken", "handled", "settled"])
def test_nothing_is_lost_wherever_the_worker_dies(point: str) -> None:
    bulk = Bulk(fail_with("3"))

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(12))
        simulation.start(bulk_worker(bulk, Batch(size=5, wait=0.2)), env={**ENV, "LEASE_SECONDS": "10"})
        simulation.crash_at(point)
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 11, Outcome.DEAD: 1}

    simulate(scenario)


def test_what_a_batch_calls_counts_as_one_call_for_its_breaker_and_an_outage_costs_no_attempts() -> None:
    down = True

    def fail(_ids: Sequence[str]) -> None:
        if down:
            raise ConnectionError("down")

    bulk = Bulk(fail)
    breaker = Breaker(calls=3, pause=5, longest_pause=10)

    async def scenario(simulation: Simulation) -> None:
        nonlocal down
        await enqueue(simulation, range(60))
        process = simulation.start(bulk_worker(bulk, Batch(size=20), breaker=breaker), env=ENV)
        await simulation.advance(30)
        assert bulk.sizes[:3] == [20, 20, 20]
        assert process.metrics.circuits == {"index": True}
        assert set(bulk.sizes[5:]) == {1}, "probes"
        down = False
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 60}
        assert max(played.attempts[-1].number for played in simulation.jobs.values()) == 1
        totals = process.metrics.totals()
        assert (totals.processed, totals.first_failures, totals.dead_lettered) == (60, 0, 0)

    simulate(scenario)


def test_a_fallback_does_batches_too() -> None:
    fell: list[int] = []

    async def note(jobs: list[Job]) -> None:
        fell.append(len(jobs))

    def fail(_ids: Sequence[str]) -> None:
        raise ConnectionError("down")

    worker = bulk_worker(
        Bulk(fail), Batch(size=10), breaker=Breaker(calls=1, pause=1000, longest_pause=2000), fallback=note
    )

    async def scenario(simulation: Simulation) -> None:
        simulation.start(worker, env=ENV)
        await enqueue(simulation, range(10))
        await simulation.finished()
        await enqueue(simulation, range(10, 30))
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 30}

    simulate(scenario)
    assert fell[-2:] == [10, 10]


def test_a_handler_of_single_jobs_raises_its_errors() -> None:
    worker = Worker()

    @worker.job("index")
    async def index(job: Job) -> None:
        job.fail("no")

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, [0])
        simulation.start(worker, env={**ENV, "MAX_ATTEMPTS": "1"})
        await simulation.finished()
        assert "raise the error" in simulation.jobs["0"].attempts[0].error

    simulate(scenario)


def test_a_call_that_ignores_its_cancellation_keeps_no_slots() -> None:
    """It is one call, whatever the number of its jobs: a worker with few slots does not give itself up for it."""
    deaf = True
    worker = Worker()

    @worker.job("index", batch=Batch(size=3), timeout=1)
    async def index(jobs: list[Job]) -> None:
        while deaf:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    async def scenario(simulation: Simulation) -> None:
        nonlocal deaf
        await enqueue(simulation, range(3))
        process = simulation.start(worker, env={**ENV, "MAX_ATTEMPTS": "1", "MAX_WORKERS": "3"})
        await simulation.until(lambda: outcomes(simulation) == {Outcome.DEAD: 3}, within=20)
        lane = process.metrics.lanes["io"]
        assert (lane.in_progress, lane.threads().wedged) == (0, 1)
        deaf = False

    simulate(scenario)


def test_who_lost_the_lease_of_one_job_goes_on_with_the_others_as_long_as_that_takes() -> None:
    told: list[list[bool]] = []
    worker = Worker()

    @worker.job("index", batch=Batch(size=3), timeout=100)
    async def index(jobs: list[Job]) -> None:
        await asyncio.sleep(30)
        told.append([job.cancelled for job in jobs])

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(3))
        process = simulation.start(worker, env={**ENV, "LEASE_SECONDS": "6"})
        await simulation.advance(1)
        take_over(simulation, "1")
        await simulation.until(lambda: told == [[False, True, False]])
        await simulation.advance(0)
        assert process.metrics.totals().processed == 2
        assert process.metrics.lanes["io"].failed[FailureReason.LEASE_LOST] == 1
        assert process.metrics.lanes["io"].in_progress == 0

    simulate(scenario)


def test_a_call_of_which_every_job_is_somebody_elses_is_cancelled() -> None:
    cancelled: list[float] = []
    worker = Worker()

    @worker.job("index", batch=Batch(size=3), timeout=100)
    async def index(jobs: list[Job]) -> None:
        try:
            await asyncio.sleep(90)
        except asyncio.CancelledError:
            cancelled.append(asyncio.get_running_loop().time())
            raise

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(3))
        process = simulation.start(worker, env={**ENV, "LEASE_SECONDS": "6"})
        await simulation.advance(1)
        for number in range(3):
            take_over(simulation, str(number))
        await simulation.until(lambda: process.metrics.lanes["io"].failed[FailureReason.LEASE_LOST] == 3)
        assert process.metrics.lanes["io"].in_progress == 0
        simulation.kill(process, restart=False)

    simulate(scenario)
    assert len(cancelled) == 1
    assert cancelled[0] < 4


def test_who_is_told_that_a_job_is_lost_may_leave_by_that() -> None:
    """The checkpoint of one raises: the others are tried without it."""
    calls: list[list[str]] = []
    worker = Worker()

    @worker.job("index", batch=Batch(size=3), timeout=100)
    async def index(jobs: list[Job]) -> None:
        calls.append([job.id for job in jobs])
        await asyncio.sleep(0.1)
        for job in jobs:
            await job.checkpoint(1)

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(3))
        process = simulation.start(worker, env={**ENV, "LEASE_SECONDS": "600"})
        await simulation.until(lambda: bool(calls))
        take_over(simulation, "1")
        await simulation.until(lambda: process.metrics.totals().processed == 2)
        await simulation.advance(1)
        assert process.metrics.lanes["io"].failed[FailureReason.LEASE_LOST] == 1
        assert process.metrics.totals().failed == 1

    simulate(scenario)
    assert calls == [["0", "1", "2"], ["0", "1"], ["0"], ["1"], ["2"]]


def test_the_retry_budget_counts_jobs() -> None:
    """What fails together does not come back together."""

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(300))
        worker = bulk_worker(Bulk(fail_with(*map(str, range(300)))), Batch(size=100))
        process = simulation.start(
            worker, env={**ENV, "MAX_WORKERS": "300", "BACKOFF_SECONDS": "900", "BACKOFF_MAX_SECONDS": "1000"}
        )
        await simulation.until(lambda: outcomes(simulation) == {Outcome.RETRIED: 300})
        lane = process.metrics.lanes["io"]
        assert (lane.retried, lane.put_off) == (300, 300 - 100)

    simulate(scenario)

"""Handlers that do several jobs in one call. In played time."""

import asyncio

import pytest

from tests.unit.sdk.batches.bulk import ENV, Bulk, bulk_worker, enqueue, fail_with, outcomes, text
from workerpool import Batch, ConfigurationError, Job, JobSpec, RejectJob, Worker
from workerpool.testing import Outcome, Simulation, simulate


def test_a_batch_begins_when_it_is_full_and_the_rest_when_it_has_waited() -> None:
    bulk = Bulk()

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(25))
        process = simulation.start(bulk_worker(bulk, Batch(size=10, wait=0.5)), env=ENV)
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 25}
        assert process.metrics.totals().processed == 25
        assert process.metrics.totals().first_attempts == 25
        assert 'job_batch_size_bucket{lane="io",le="10.0",pool="",version=""} 3.0' in text(process)
        assert 'job_processing_seconds_count{lane="io",pool="",version=""} 25.0' in text(process)

    simulate(scenario)
    assert bulk.sizes == [10, 10, 5]
    assert bulk.began == [0.0, 0.0, 0.5]


def test_who_is_late_joins_the_batch_that_waits_and_none_waits_longer_than_is_said() -> None:
    bulk = Bulk()

    async def scenario(simulation: Simulation) -> None:
        simulation.start(bulk_worker(bulk, Batch(size=10, wait=0.5)), env=ENV)
        for number in range(4):
            await enqueue(simulation, [number])
            await simulation.advance(0.2)
        await simulation.finished()

    simulate(scenario)
    assert bulk.calls == [["0", "1", "2"], ["3"]]
    assert bulk.began == pytest.approx([0.5, 1.1])


def test_a_batch_does_not_wait_when_the_worker_has_no_room_for_another_job() -> None:
    """Every job of it has a slot: none is taken beyond them."""
    bulk = Bulk()

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(8))
        process = simulation.start(bulk_worker(bulk, Batch(size=50, wait=5)), env={**ENV, "MAX_WORKERS": "4"})
        await simulation.advance(0.05)
        assert process.metrics.lanes["io"].in_progress == 4
        assert (await simulation.queue.depth()).waiting == 4
        await simulation.finished()

    simulate(scenario)
    assert bulk.sizes == [4, 4]
    assert bulk.began[1] < 0.2


def test_a_worker_that_leaves_does_not_wait_for_more_jobs() -> None:
    bulk = Bulk()

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(3))
        process = simulation.start(bulk_worker(bulk, Batch(size=10, wait=10)), env=ENV)
        await simulation.advance(1)
        assert not bulk.calls
        drained = await simulation.stop(process)
        assert (drained.interrupted, drained.unsettled) == (0, 0)
        assert simulation.now < 2
        assert outcomes(simulation) == {Outcome.DONE: 3}

    simulate(scenario)
    assert bulk.sizes == [3]


def test_a_drain_hands_back_each_job_of_a_batch_that_does_not_end_in_time() -> None:
    bulk = Bulk(seconds=3600)

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(3))
        worker = bulk_worker(bulk, Batch(size=3), timeout=7200)
        process = simulation.start(worker, env={**ENV, "DRAIN_TIMEOUT": "5"})
        await simulation.advance(1)
        drained = await simulation.stop(process)
        assert (drained.interrupted, drained.unsettled, drained.stubborn) == (3, 0, False)
        assert outcomes(simulation) == {Outcome.HANDED_BACK: 3}
        assert (await simulation.queue.depth()).waiting == 3

    simulate(scenario)


def test_jobs_of_one_key_never_meet_and_keep_their_order() -> None:
    bulk = Bulk(fail_with("a1"))

    async def scenario(simulation: Simulation) -> None:
        specs = [JobSpec("index", job_id=f"{key}{at}", ordering_key=key) for at in range(3) for key in "abc"]
        await simulation.queue.enqueue_many(specs)
        simulation.start(bulk_worker(bulk, Batch(size=10)), env=ENV)
        await simulation.finished()

    simulate(scenario)
    assert all(len({id_[0] for id_ in ids}) == len(ids) for ids in bulk.calls)
    flat = [id_ for ids in bulk.calls for id_ in ids]
    for key in "abc":
        mine = [id_ for id_ in flat if id_[0] == key]
        assert mine == sorted(mine)


def test_the_adaptive_limit_does_not_take_a_large_batch_for_load() -> None:
    """A call takes as long as its jobs together: what a job takes is its part."""
    worker = Worker(adaptive=True)

    @worker.job("index", batch=Batch(size=100), timeout=60)
    async def index(jobs: list[Job]) -> None:
        await asyncio.sleep(0.01 * len(jobs))

    async def scenario(simulation: Simulation) -> None:
        process = simulation.start(worker, env=ENV)
        for start in range(0, 4000, 1000):
            await enqueue(simulation, range(start, start + 1000))
            await simulation.advance(5)
        assert process.metrics.lanes["io"].slots > 50

    simulate(scenario)


def test_what_gathers_nothing_is_refused() -> None:
    for wrong in ({"size": 0}, {"wait": -1}, {"wait": 11}, {"wait": float("nan")}):
        with pytest.raises(ConfigurationError, match="a batch needs size >= 1"):
            Batch(**wrong)


@pytest.mark.parametrize("kind", ["thread", "io"])
def test_plain_functions_do_batches_too(kind: str) -> None:
    sizes: list[int] = []
    worker = Worker()

    @worker.job("index", batch=Batch(size=10, wait=1), timeout=60, kind=kind)
    def index(jobs: list[Job]) -> None:
        sizes.append(len(jobs))
        jobs[0].fail(RejectJob("never"))

    async def scenario(simulation: Simulation) -> None:
        await enqueue(simulation, range(13))
        simulation.start(worker, env=ENV)
        await simulation.finished()
        assert outcomes(simulation) == {Outcome.DONE: 11, Outcome.DEAD: 2}

    simulate(scenario)
    assert sizes == [10, 3]


def test_a_worker_says_that_its_batches_are_smaller_than_they_may_be() -> None:
    async def scenario(simulation: Simulation) -> None:
        simulation.start(bulk_worker(Bulk(), Batch(size=101)), env=ENV)
        await simulation.advance(1)
        [line] = [line for line in simulation.log if "raise MAX_WORKERS" in line.event]
        assert line.fields["most"] == 100

    simulate(scenario)

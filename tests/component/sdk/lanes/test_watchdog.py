"""What a worker notices about itself, and that it leaves when it has done enough: real processes."""

import asyncio

import pytest

from tests.component.sdk.lanes.conftest import Lanes, figure, logged
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import JobSpec

pytestmark = [pytest.mark.component, pytest.mark.redis]


async def test_who_blocks_the_event_loop_is_caught_in_the_act(lanes: Lanes) -> None:
    worker = lanes.start(HEARTBEAT_INTERVAL="1")
    await lanes.enqueue("io", "hold", 0.5, job_id="b")
    await until(lambda: "the event loop is blocked" in worker.output, what="the block told")
    [line] = [line for line in logged(worker) if line["event"].startswith("the event loop is blocked")]
    assert line["job_type"] == "io"
    assert "in hold\n    time.sleep(seconds)" in line["stack"]
    await until(lambda: figure(worker, "worker_loop_lag_seconds") > 0.35, what="the lag measured")
    await until(lambda: figure(worker, "worker_loop_lag_seconds") < 0.35, what="the lag over")
    assert figure(worker, "worker_context_switches_total") > 0
    assert sum("blocked:" in line["event"] for line in logged(worker)) == 1


@pytest.mark.parametrize("type_", ["io", "io-plain"])
async def test_a_handler_that_blocks_again_and_again_moves_to_the_thread_lane(lanes: Lanes, type_: str) -> None:
    worker = lanes.start()
    for number in range(3):
        await lanes.enqueue(type_, "hold", 0.3, job_id=f"b-{number}")
        await until(lambda number=number: f"b-{number}" in lanes.recorded("done"), what="a block")  # type: ignore[misc]
    await until(lambda: "runs in the thread lane from now on" in worker.output, what="the move")
    await lanes.enqueue(type_, "hold", 0.5, job_id="moved")
    await until(lambda: "moved" in lanes.recorded("done"), what="the job done")
    await until(lambda: figure(worker, "jobs_processed_total", lane="thread") == 1, what="it counted there")
    assert sum("loop is blocked" in line["event"] for line in logged(worker)) == 3


async def test_a_moved_handler_that_cannot_live_in_another_loop_comes_back_and_no_attempt_is_lost(lanes: Lanes) -> None:
    worker = lanes.start(MAX_ATTEMPTS="1")
    for number in range(4):
        await lanes.enqueue("io-bound", "hold", 0.3, job_id=f"b-{number}")
        await until(lambda number=number: f"b-{number}" in lanes.recorded("done"), what="a job done")  # type: ignore[misc]
    assert "back to the event loop" in worker.output
    assert lanes.dead() == []
    assert figure(worker, "jobs_failed_total") == 0


async def test_a_worker_leaves_after_so_many_jobs_and_loses_none(lanes: Lanes) -> None:
    specs = [JobSpec("io", ["sleep", 0.02], job_id=f"j-{number}") for number in range(100)]
    await lanes.queue.enqueue_many(specs)
    workers: list[WorkerProcess] = []
    while not await lanes.finished():
        workers.append(lanes.start(RECYCLE_AFTER_JOBS="30"))
        if not await ended_or_finished(lanes, workers[-1]):
            break
        assert await asyncio.to_thread(workers[-1].wait) == 0
    assert len(workers) >= 3
    assert lanes.recorded("begun") == lanes.recorded("done") == {f"j-{number}": 1 for number in range(100)}
    assert "it has run" in workers[0].output
    assert "recycles itself" in workers[0].output


async def ended_or_finished(lanes: Lanes, worker: WorkerProcess) -> bool:
    """Whether the worker began to leave before all jobs were done."""

    async def either() -> bool:
        return '"drained"' in worker.output or await lanes.finished()

    await until(either, what="the worker leaving, or nothing left to do")
    return not await lanes.finished() or '"draining"' in worker.output


async def test_a_worker_that_has_grown_leaves_by_itself(lanes: Lanes) -> None:
    worker = lanes.start(RECYCLE_RSS_BYTES=str(200 << 20))
    await lanes.enqueue("thread", "grow", 250, job_id="g")
    assert await asyncio.to_thread(worker.wait) == 0
    assert lanes.recorded("done") == {"g": 1}
    assert await lanes.finished()

"""What a worker notices about itself, and that it leaves when it has done enough: real processes."""

import asyncio
from typing import Any

import pytest

from tests.component.sdk.lanes.conftest import Lanes, figure, logged
from tests.support.waiting import until
from tests.support.workers import WorkerProcess
from workerpool import JobSpec

pytestmark = [pytest.mark.component, pytest.mark.redis]
BLOCKED, AGAIN = "the event loop is blocked", "the event loop turns again"


def told(worker: WorkerProcess, event: str, type_: str) -> list[dict[str, Any]]:
    """What it said of jobs of this type; it may say so of its own steps, in which this machine has stood still."""
    return [line for line in logged(worker) if line["event"].startswith(event) and line["job_type"] == type_]


async def hold(lanes: Lanes, type_: str, seconds: float) -> None:
    """Block, in a job of its own."""
    job_id = f"hold-{len(lanes.recorded('done'))}"
    await lanes.enqueue(type_, "hold", seconds, job_id=job_id)
    await until(lambda: job_id in lanes.recorded("done"), what="a block")


async def test_who_blocks_the_event_loop_is_caught_in_the_act(lanes: Lanes) -> None:
    worker = lanes.start(HEARTBEAT_INTERVAL="8")  # the lag is shown until the next one

    def caught() -> list[dict[str, Any]]:
        return [line for line in told(worker, BLOCKED, "io") if "in hold\n    time.sleep(seconds)" in line["stack"]]

    await lanes.enqueue("io", "say", "hello", job_id="first")  # from then on it is connected to what it records in
    await until(lambda: lanes.recorded("done"), what="a job done")
    await hold(lanes, "io", 6)  # longer than this machine stands still
    assert len(caught()) == 1
    await until(lambda: figure(worker, "worker_loop_lag_seconds") > 0.35, what="the lag measured")
    await until(lambda: figure(worker, "worker_loop_lag_seconds") < 0.35, what="the lag over")
    assert figure(worker, "worker_context_switches_total") > 0
    assert len(caught()) == 1, "told once"


@pytest.mark.parametrize("type_", ["io", "io-plain"])
async def test_a_handler_that_blocks_again_and_again_moves_to_the_thread_lane(lanes: Lanes, type_: str) -> None:
    worker = lanes.start()
    while len(told(worker, BLOCKED, type_)) < 3:  # on a busy machine a block may not be noticed
        await hold(lanes, type_, 0.3)
        await until(lambda: len(told(worker, AGAIN, type_)) == len(told(worker, BLOCKED, type_)), what="the block over")
    await until(lambda: "runs in the thread lane from now on" in worker.output, what="the move")
    await lanes.enqueue(type_, "hold", 0.5, job_id="moved")
    await until(lambda: "moved" in lanes.recorded("done"), what="the job done")
    await until(lambda: figure(worker, "jobs_processed_total", lane="thread") >= 1, what="it counted there")
    assert len(told(worker, BLOCKED, type_)) == 3


async def test_a_moved_handler_that_cannot_live_in_another_loop_comes_back_and_no_attempt_is_lost(lanes: Lanes) -> None:
    worker = lanes.start(MAX_ATTEMPTS="1")
    while "back to the event loop" not in worker.output:  # on a busy machine a block may not be noticed
        await hold(lanes, "io-bound", 0.3)
    assert len(lanes.recorded("done")) >= 4
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

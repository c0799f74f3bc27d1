"""Where handlers run, and that one lane does not hold up another: real workers on a real Redis."""

import asyncio
import signal

import pytest

from tests.component.sdk.lanes.conftest import Lanes, figure, logged
from tests.support.waiting import until
from workerpool import JobSpec

pytestmark = [pytest.mark.component, pytest.mark.redis]

EVERYWHERE = ["io", "thread", "thread-async", "cpu", "cpu-async"]


async def test_every_kind_of_handler_runs_in_its_lane(lanes: Lanes) -> None:
    worker = lanes.start()
    for type_ in EVERYWHERE:
        await lanes.enqueue(type_, "sleep", 0, job_id=type_)
    await until(lambda: lanes.recorded("done") == dict.fromkeys(EVERYWHERE, 1), what="a job in each lane")
    await until(lambda: figure(worker, "jobs_processed_total") == 5, what="all acknowledged")
    pids = lanes.recorded("pid")
    assert pids["thread"] == pids["thread-async"] != pids["cpu"]
    assert figure(worker, "jobs_processed_total", lane="io") == 1
    assert figure(worker, "jobs_processed_total", lane="thread") == 2
    assert figure(worker, "jobs_processed_total", lane="cpu") == 2
    assert figure(worker, "worker_slots") == 12
    worker.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0


@pytest.mark.parametrize("type_", EVERYWHERE)
async def test_what_a_handler_raises_reaches_the_dead_letter_from_any_lane(lanes: Lanes, type_: str) -> None:
    lanes.start(MAX_ATTEMPTS="2")
    await lanes.enqueue(type_, "fail", "größer", job_id="f")
    await lanes.enqueue(type_, "reject", "never", job_id="r")
    await until(lambda: len(lanes.dead()) == 2, what="two dead letters")
    rejected, failed = sorted(lanes.dead(), key=lambda letter: letter["id"], reverse=True)
    assert (failed["dead.reason"], failed["dead.attempts"]) == ("max_attempts", "2")
    assert failed["dead.error"] == "ValueError: größer"
    assert "in fail\n    raise ValueError(text)" in failed["dead.traceback"]
    assert (rejected["dead.reason"], rejected["dead.error"]) == ("rejected", "RejectJob: never")


@pytest.mark.parametrize("stalled", ["thread", "cpu"])
async def test_a_lane_that_stands_still_does_not_hold_up_the_others(lanes: Lanes, stalled: str) -> None:
    """More of its jobs than it has slots stand between those of the other one. `bench/lanes.py` has the seconds."""
    worker = lanes.start(MAX_WORKERS="12", SLOTS_IO="5", SLOTS_CPU="2")
    slots = 2 if stalled == "cpu" else 5
    await lanes.enqueue(stalled, "sleep", 3600, count=slots)
    await until(lambda: len(lanes.recorded("begun")) == slots, what="the lane at a standstill")
    specs = []
    for number in range(200):
        specs.append(JobSpec("io", ["sleep", 0.05], job_id=f"io-{number}"))
        if number % 10 == 0:
            specs.append(JobSpec(stalled, ["sleep", 3600], job_id=f"stalled-{number}"))
    await lanes.queue.enqueue_many(specs, timeout=30)
    await until(lambda: sum(job.startswith("io") for job in lanes.recorded("done")) == 200, what="the io jobs done")
    assert not any(job.startswith("stalled") for job in lanes.recorded("begun"))
    assert figure(worker, "backpressure_events_total", lane=stalled) > 0


async def test_a_job_handed_back_for_want_of_room_keeps_its_attempt(lanes: Lanes) -> None:
    lanes.start(SLOTS_THREAD="1", MAX_ATTEMPTS="1")
    await lanes.enqueue("thread", "sleep", 0.5, count=4)
    await until(lanes.finished, what="all done")
    assert len(lanes.recorded("done")) == 4
    assert lanes.dead() == []


@pytest.mark.parametrize("type_", EVERYWHERE)
async def test_what_a_handler_logs_tells_its_job_in_any_lane(lanes: Lanes, type_: str) -> None:
    worker = lanes.start()
    await lanes.enqueue(type_, "say", "hello", job_id="j-1")
    await until(lambda: lanes.recorded("done"), what="the job done")
    [line] = [line for line in logged(worker) if line["event"] == "hello"]
    named = {name: line[name] for name in ("job_id", "job_type", "attempt", "pool", "version", "worker")}
    assert named == {
        "job_id": "j-1",
        "job_type": type_,
        "attempt": 1,
        "pool": "pool",
        "version": "v1",
        "worker": "pod-0",
    }


@pytest.mark.parametrize("type_", ["thread", "cpu"])
async def test_a_plain_function_checkpoints_and_its_next_attempt_goes_on_there(lanes: Lanes, type_: str) -> None:
    lanes.start()
    await lanes.enqueue(type_, "resume", 7, job_id="r")
    await until(lambda: lanes.recorded("resumed") == {"r": 7}, what="the second attempt going on at the checkpoint")

"""Threads whose handlers do not end."""

import asyncio
import signal

import pytest

from tests.component.sdk.lanes.conftest import Lanes, figure, let_go
from tests.support.waiting import until

pytestmark = [pytest.mark.component, pytest.mark.redis]


async def test_a_handler_that_heeds_its_cancellation_gives_its_thread_back(lanes: Lanes) -> None:
    worker = lanes.start(MAX_ATTEMPTS="1", HEED_SECONDS="30")
    await lanes.enqueue("thread-brief", "heed", 3600, job_id="h")
    await until(lanes.dead, what="a dead letter")
    assert lanes.recorded("cleaned") == {"h": 1}
    assert figure(worker, "jobs_failed_total", reason="timeout") == 1
    assert figure(worker, "worker_pool_threads", lane="thread", state="wedged") == 0


async def test_a_wedged_thread_is_replaced_and_used_again_when_it_returns(lanes: Lanes) -> None:
    worker = lanes.start(SLOTS_THREAD="1", MAX_ATTEMPTS="1")
    await lanes.enqueue("thread-brief", "wait_for", f"{lanes.stream}:go", job_id="wedged")
    await until(lanes.dead, what="a dead letter")
    assert figure(worker, "worker_pool_threads", lane="thread", state="wedged") == 1
    await lanes.enqueue("thread", "sleep", 0, job_id="next")
    await until(lambda: "next" in lanes.recorded("done"), what="the next job done by another thread")
    assert "wedged" not in lanes.recorded("done")
    let_go(lanes)
    await until(lambda: figure(worker, "worker_pool_threads", state="wedged") == 0, what="the thread back")
    assert worker.get("health", "/healthz")[0] == 200


async def test_too_many_wedged_threads_are_told_and_end_when_they_return(lanes: Lanes) -> None:
    """With one slot one thread may be replaced. With two wedged none is left: the lane's jobs are for other workers."""
    worker = lanes.start(SLOTS_THREAD="1", MAX_ATTEMPTS="1", STUCK_AFTER="1")
    for job in ("a", "b"):
        await lanes.enqueue("thread-brief", "wait_for", f"{lanes.stream}:go", job_id=job)
    await until(lambda: len(lanes.dead()) == 2, what="both given up")
    await lanes.enqueue("thread", "sleep", 0, job_id="late")
    await lanes.enqueue("io", "sleep", 0, job_id="io")

    def is_told() -> bool:
        """And nothing else: it may have stood still for a second, too."""
        status, text = worker.get("health", "/healthz")
        return status == 503 and "2 threads are wedged in handlers that do not end" in text

    await until(is_told, what="the worker says what is wrong")
    await until(lambda: "io" in lanes.recorded("done"), what="the other lane at work")
    assert "late" not in lanes.recorded("begun")
    let_go(lanes)
    await until(lambda: worker.get("health", "/healthz")[0] == 200, what="the threads back")
    await until(lambda: "late" in lanes.recorded("done"), what="the lane at work again")


async def test_a_drain_leaves_without_wedged_threads(lanes: Lanes) -> None:
    worker = lanes.start(DRAIN_TIMEOUT="0.3", MAX_ATTEMPTS="1")
    await lanes.enqueue("thread", "sleep", 3600, job_id="deaf")
    await until(lambda: lanes.recorded("begun"), what="the job running")
    worker.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0
    assert (await lanes.queue.depth()).waiting == 1


@pytest.mark.parametrize("type_", ["io", "thread"])
async def test_a_handler_that_ends_the_worker_is_tried_elsewhere_and_dead_lettered_as_poison(
    lanes: Lanes, type_: str
) -> None:
    await lanes.enqueue(type_, "end_process", 1, job_id="poison")
    for _ in range(3):
        worker = lanes.start(MAX_ATTEMPTS="2", LEASE_SECONDS="0.5")
        await until(lambda worker=worker: lanes.dead() or not worker.alive, what="an end")  # type: ignore[misc]
        if lanes.dead():
            break
    assert lanes.recorded("begun") == {"poison": 2}
    [letter] = lanes.dead()
    assert letter["dead.reason"] == "max_attempts"
    assert "ended with its worker's death" in letter["dead.error"]

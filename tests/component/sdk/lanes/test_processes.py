"""Processes of the cpu lane that die, hang or are left behind: their job alone is concerned."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.component.sdk.lanes.conftest import Lanes, figure, let_go, logged
from tests.support.waiting import until
from tests.support.workers import WorkerProcess

pytestmark = [pytest.mark.component, pytest.mark.redis]


def gone(pid: int) -> bool:
    """Whether it has ended; one that waits to be reaped by init has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def group_of(pid: int) -> list[int]:
    """The processes of a process group that have not ended."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == pid and fields[0] != "Z":
                found.append(int(folder.name))
    return found


def holders(inode: int) -> set[int]:
    """The processes that have this memory, which has no name, among theirs."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended meanwhile, or is somebody else's
                maps = (folder / "maps").read_text().splitlines()
                if any("/memfd:workerpool" in line and line.split()[4] == str(inode) for line in maps):
                    found.add(int(folder.name))
    return found


async def busy_and_other(lanes: Lanes) -> tuple[WorkerProcess, int]:
    """A worker with two processes, of which one runs a job that is not concerned, and its pid."""
    worker = lanes.start(SLOTS_CPU="2", MAX_ATTEMPTS="2")
    await lanes.enqueue("cpu", "wait_for", f"{lanes.stream}:go", job_id="other")
    await until(lambda: "other" in lanes.recorded("pid"), what="the other job running")
    return worker, lanes.recorded("pid")["other"]


@pytest.mark.parametrize(
    ("action", "argument", "said"),
    [
        ("end_process", 3, "its process ended with status 3 under the handler"),
        ("kill_process", int(signal.SIGSEGV), "its process was killed by SIGSEGV"),
        ("kill_process", int(signal.SIGKILL), "its process was killed by SIGKILL, for example by the kernel because"),
    ],
)
async def test_a_process_that_dies_fails_its_own_job_and_no_other(
    lanes: Lanes, action: str, argument: int, said: str
) -> None:
    worker, other = await busy_and_other(lanes)
    await lanes.enqueue("cpu", action, argument, job_id="bad")
    await until(lanes.dead, what="a dead letter")
    [letter] = lanes.dead()
    assert (letter["id"], letter["dead.reason"], letter["dead.attempts"]) == ("bad", "max_attempts", "2")
    assert said in letter["dead.error"]
    assert figure(worker, "jobs_failed_total", reason="crashed") == 2
    let_go(lanes)
    await until(lambda: "other" in lanes.recorded("done"), what="the other job done")
    assert lanes.recorded("begun") == {"bad": 2, "other": 1}
    assert not gone(other)
    await lanes.enqueue("cpu", "sleep", 0, job_id="next")
    await until(lambda: "next" in lanes.recorded("done"), what="the lane at work again")


async def test_a_job_past_its_timeout_loses_its_process_and_all_it_started(lanes: Lanes) -> None:
    worker, other = await busy_and_other(lanes)
    await lanes.enqueue("cpu-patient", "spawn", 3600, job_id="slow")  # it has time to start one
    await until(lambda: "slow-child" in lanes.recorded("pid"), what="its own child running")
    pids = lanes.recorded("pid")
    await until(lanes.dead, what="a dead letter")
    assert figure(worker, "jobs_failed_total", lane="cpu", reason="timeout") == 2
    await until(lambda: gone(pids["slow"]) and gone(pids["slow-child"]), what="both processes gone")
    let_go(lanes)
    await until(lambda: "other" in lanes.recorded("done"), what="the other job done")
    assert lanes.recorded("begun")["other"] == 1
    assert not gone(other)


async def test_a_cancelled_handler_may_clean_up_before_its_process_is_killed(lanes: Lanes) -> None:
    lanes.start(MAX_ATTEMPTS="1", HEED_SECONDS="30")
    await lanes.enqueue("cpu-patient", "clean", 3600, job_id="c")
    await until(lanes.dead, what="a dead letter")
    assert lanes.recorded("cleaned") == {"c": 1}


async def test_nothing_outlives_a_worker_that_is_killed(lanes: Lanes) -> None:
    worker = lanes.start(SLOTS_CPU="2", LEASE_SECONDS="1")
    await lanes.enqueue("cpu", "spawn", 3600, job_id="a")
    await lanes.enqueue("cpu", "spin", 3600, job_id="b")
    await until(lambda: {"a-child", "b"} <= set(lanes.recorded("pid")), what="both jobs running")
    pids = lanes.recorded("pid")
    worker.kill()
    await until(lambda: all(gone(pid) for pid in pids.values()), what="all of its processes gone")
    await until(lambda: not group_of(pids["a"]) and not group_of(pids["b"]), what="their sentinels gone")
    lanes.start(SLOTS_CPU="2", LEASE_SECONDS="1")
    await until(lambda: set(lanes.recorded("begun").values()) == {2}, what="both jobs begun again")


@pytest.mark.parametrize("killed", ["the worker", "the process of the job"])
async def test_memory_that_a_job_shares_is_gone_with_whoever_is_killed(lanes: Lanes, killed: str) -> None:
    """Nobody comes to close it: neither the job nor the process that it had given it to."""
    worker = lanes.start(SLOTS_CPU="1", LEASE_SECONDS="1", MAX_ATTEMPTS="1")
    await lanes.enqueue("cpu", "share", 3600, job_id="a")
    await until(lambda: "a" in lanes.recorded("memory"), what="the memory in use")
    pids, inode = lanes.recorded("pid"), lanes.recorded("memory")["a"]
    assert holders(inode) == {pids["a"], pids["a-child"]}
    os.kill(worker.pid if killed == "the worker" else pids["a"], signal.SIGKILL)
    await until(lambda: not holders(inode), what="the memory free")


@pytest.mark.parametrize("signals", [1, 2])
async def test_a_drain_hands_back_what_cannot_end_and_leaves_no_process(lanes: Lanes, signals: int) -> None:
    patience = {"DRAIN_TIMEOUT": "0.5" if signals == 1 else "20", "HEED_SECONDS": "30"}
    worker = lanes.start(SLOTS_CPU="2", MAX_ATTEMPTS="1", **patience)
    await lanes.enqueue("cpu", "clean", 3600, job_id="a")
    await lanes.enqueue("cpu", "spin", 3600, job_id="b")
    await until(lambda: len(lanes.recorded("pid")) == 2 and lanes.recorded("cleans"), what="both jobs running")
    pids = lanes.recorded("pid")
    worker.signal(signal.SIGTERM)
    if signals == 2:
        await until(lambda: '"draining"' in worker.output, what="the drain")
        worker.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0
    assert all(gone(pid) and not group_of(pid) for pid in pids.values())
    depth = await lanes.queue.depth()
    assert (depth.waiting, depth.in_flight, depth.dead_letters) == (2, 0, 0)
    assert lanes.recorded("cleaned") == {"a": 1}


async def test_a_drain_lets_running_jobs_end(lanes: Lanes) -> None:
    worker = lanes.start(SLOTS_CPU="2")
    await lanes.enqueue("cpu", "spin", 0.5, job_id="a")
    await lanes.enqueue("thread", "sleep", 0.5, job_id="b")
    await until(lambda: len(lanes.recorded("begun")) == 2, what="both jobs running")
    worker.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0
    assert lanes.recorded("done") == {"a": 1, "b": 1}
    assert await lanes.finished()


@pytest.mark.parametrize("type_", ["cpu", "thread", "io"])
async def test_a_fork_that_comes_back_into_the_lane_ends_there(lanes: Lanes, type_: str) -> None:
    """It has a copy of the worker's connections: going on with them, it would take and settle jobs."""
    worker = lanes.start()
    await lanes.enqueue(type_, "fork", 0.1, job_id="f")
    await until(lambda: lanes.recorded("done") and gone(lanes.recorded("pid")["f-child"]), what="the fork gone")
    await lanes.enqueue(type_, "sleep", 0, job_id="next")
    await until(lambda: "next" in lanes.recorded("done"), what="the worker at work")
    await until(lanes.finished, what="all acknowledged")
    assert lanes.recorded("begun") == {"f": 1, "next": 1}
    worker.signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait) == 0


async def test_a_process_is_replaced_after_so_many_jobs(lanes: Lanes) -> None:
    worker = lanes.start(SLOTS_CPU="1", RECYCLE_CHILDREN_AFTER_JOBS="2")
    for number in range(6):
        await lanes.enqueue("cpu", "sleep", 0, job_id=f"j-{number}")
    await until(lambda: len(lanes.recorded("done")) == 6, what="all done")
    pids = lanes.recorded("pid")
    assert len(set(pids.values())) == 3
    assert all(count == 1 for count in lanes.recorded("begun").values())
    await until(lambda: all(gone(pid) for pid in pids.values()), what="all three gone")
    assert any("it has run 2 jobs" in line.get("why", "") for line in logged(worker))


async def test_a_process_that_has_grown_is_replaced_between_jobs(lanes: Lanes) -> None:
    worker = lanes.start(SLOTS_CPU="1", RECYCLE_CHILDREN_RSS_BYTES=str(150 << 20))
    for number in range(5):
        await lanes.enqueue("cpu", "grow", 60, job_id=f"j-{number}")
    await until(lambda: len(lanes.recorded("done")) == 5, what="all done")
    assert 2 <= len(set(lanes.recorded("pid").values())) <= 4
    assert any("its memory has grown" in line.get("why", "") for line in logged(worker))


async def test_an_idle_process_that_died_costs_no_job_its_attempt(lanes: Lanes) -> None:
    worker = lanes.start(SLOTS_CPU="1", MAX_ATTEMPTS="1")
    await lanes.enqueue("cpu", "sleep", 0, job_id="first")
    await until(lanes.finished, what="the first done")
    os.kill(lanes.recorded("pid")["first"], signal.SIGKILL)
    await lanes.enqueue("cpu", "sleep", 0, job_id="second")
    await until(lambda: "second" in lanes.recorded("done"), what="the second done")
    assert lanes.dead() == []
    assert figure(worker, "jobs_failed_total") == 0

"""A machine that has no thread and no process to give costs no job an attempt."""

import asyncio
import errno
import os
import subprocess
import threading
from typing import Any

import pytest
import structlog

from workerpool import Job, Worker
from workerpool.runtime.lanes import Handler, Kind, NotHere
from workerpool.runtime.lanes import thread as thread_lane
from workerpool.runtime.lanes.cpu import CpuLane
from workerpool.runtime.lanes.shortage import PAUSE_SECONDS
from workerpool.runtime.recycle import Recycle
from workerpool.telemetry.process import open_files
from workerpool.testing import Outcome, Simulation, simulate

TAKEN_UP = RuntimeError("can't start new thread")


class Scarce(thread_lane._Thread):
    """A thread, while there are some to be had."""

    to_be_had = False
    asked = 0

    def __init__(self) -> None:
        Scarce.asked += 1
        if not Scarce.to_be_had:
            raise TAKEN_UP
        super().__init__()


@pytest.fixture(autouse=True)
def _anew() -> None:
    Scarce.to_be_had, Scarce.asked = False, 0


def test_jobs_wait_for_a_thread_and_lose_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_lane, "_Thread", Scarce)
    worker = Worker()

    @worker.job("block", timeout=PAUSE_SECONDS / 2)
    def block(job: Job) -> None: ...

    async def scenario(simulation: Simulation) -> None:
        simulation.start(worker, env={"MAX_ATTEMPTS": "1", "MAX_WORKERS": "1"})
        await simulation.queue.enqueue("block", job_id="b")
        await simulation.advance(10 * PAUSE_SECONDS)
        assert 5 <= Scarce.asked <= 11, "its slot stays taken for a moment each time"
        Scarce.to_be_had = True
        await simulation.finished()  # this waits for threads, which `advance` does not
        *before, last = simulation.jobs["b"].attempts
        assert {attempt.outcome for attempt in before} == {Outcome.HANDED_BACK}
        assert (last.outcome, last.number) == (Outcome.DONE, 1)
        assert sum("no thread can be started" in line.event for line in simulation.log) == 1

    simulate(scenario)


def test_a_drain_does_not_wait_for_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_lane, "_Thread", Scarce)
    worker = Worker()

    @worker.job("block", timeout=5)
    def block(job: Job) -> None: ...

    async def scenario(simulation: Simulation) -> None:
        process = simulation.start(worker, env={"MAX_WORKERS": "1", "DRAIN_TIMEOUT": "0"})
        await simulation.queue.enqueue("block", job_id="b")
        await simulation.advance(PAUSE_SECONDS / 2)
        process.stop.ask()
        await simulation.advance(PAUSE_SECONDS / 4)
        assert simulation.jobs["b"].outcome is Outcome.HANDED_BACK

    simulate(scenario)


async def _nothing_to_do(_job: Job) -> None: ...


def cpu_lane() -> CpuLane:
    return CpuLane(1, recycle=Recycle(), log_fields={}, log=structlog.get_logger())


async def run(lane: CpuLane) -> NotHere:
    with pytest.raises(NotHere) as raised:
        await lane.bind(Handler(_nothing_to_do, 5.0, Kind.CPU))(Job("j", "t", None, 1, "main"))
    return raised.value


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE], ids=errno.errorcode.get)
async def test_a_process_that_is_not_to_be_had_is_no_attempt_and_leaves_nothing_behind(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_more: Any) -> None:
        raise OSError(number, os.strerror(number))

    lane, before = cpu_lane(), open_files()[0]
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert (await run(lane)).pause == PAUSE_SECONDS
    assert open_files()[0] == before
    assert "no process can be started" in lane.problem()


async def test_a_process_without_a_thread_to_reap_it_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(*arguments: Any, **more: Any) -> subprocess.Popen[bytes]:
        started.append(real(*arguments, **more))
        return started[-1]

    def refuse(_thread: threading.Thread) -> None:
        raise TAKEN_UP

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    await run(cpu_lane())
    assert [one.returncode for one in started] == [-9]


async def test_a_lane_that_is_in_want_has_a_problem_only_while_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_lane, "_Thread", Scarce)
    lane = thread_lane.ThreadLane(1, resized=lambda: None, log=structlog.get_logger())
    handler = lane.bind(Handler(lambda _job: None, None, Kind.THREAD))
    assert lane.problem() == ""
    with pytest.raises(NotHere):
        await handler(Job("j", "t", None, 1, "main"))
    assert "no thread can be started" in lane.problem()
    Scarce.to_be_had = True
    await handler(Job("j", "t", None, 1, "main"))
    assert lane.problem() == ""
    await lane.close()
    await asyncio.sleep(0)

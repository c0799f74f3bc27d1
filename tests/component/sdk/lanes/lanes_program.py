"""A worker with handlers in every lane, for tests with real processes; it has no `if __name__ == "__main__"`.

A job's payload is what to do and with what: `["sleep", 0.5]`. `{KEY}:begun`, `:done` and `:cleaned` count per job.
"""

import asyncio
import contextlib
import logging
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from workerpool import Job, RejectJob, Worker
from workerpool.runtime import drain
from workerpool.runtime.lanes import process, thread
from workerpool.shared import Shared

KEY = os.environ["RECORD_KEY"]
record: Any = redis.Redis.from_url(os.environ["RECORD_URL"])
leaked: list[bytearray] = []
held: list[Any] = []
if "OPEN_FILES" in os.environ:
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(os.environ["OPEN_FILES"]), int(os.environ["OPEN_FILES"])))
if "HEED_SECONDS" in os.environ:  # more than this machine may stand still
    for module, constant in ((process, "HEED_SECONDS"), (thread, "HEED_SECONDS"), (drain, "CANCEL_SECONDS")):
        setattr(module, constant, float(os.environ["HEED_SECONDS"]))


def numbers(prefix: str) -> dict[str, Any]:
    """The arguments of the worker that the test names."""
    return {name.lower(): int(value) for name, value in os.environ.items() if name.startswith(prefix)}


slots = {name.removeprefix("slots_"): count for name, count in numbers("SLOTS_").items()}
worker = Worker(health_port=0, metrics_port=0, slots=slots, **numbers("RECYCLE_"))


def sleep(job: Job, seconds: float) -> None:
    time.sleep(seconds)


def hold(job: Job, seconds: float) -> None:
    """Block; a name of its own, to be found in a stack."""
    time.sleep(seconds)


def wait_for(job: Job, key: str) -> None:
    """Until the test says so."""
    while not record.exists(key):
        time.sleep(0.01)


def spin(job: Job, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def heed(job: Job, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if job.cancelled:
            record.hincrby(f"{KEY}:cleaned", job.id, 1)
            raise RuntimeError("told to stop")
        time.sleep(0.01)


def fail(job: Job, text: str) -> None:
    raise ValueError(text)


def reject(job: Job, text: str) -> None:
    raise RejectJob(text)


def end_process(job: Job, status: int) -> None:
    os._exit(status)


def kill_process(job: Job, number: int) -> None:
    os.kill(os.getpid(), number)


def fork(job: Job, seconds: float) -> None:
    """Fork a process that comes back into the lane's own code, after a while."""
    child = os.fork()
    if child:
        record.hset(f"{KEY}:pid", f"{job.id}-child", child)
    else:
        time.sleep(seconds)
        record.connection_pool.reset()


def spawn(job: Job, seconds: float) -> None:
    child = subprocess.Popen(["sleep", str(seconds)])
    record.hset(f"{KEY}:pid", f"{job.id}-child", child.pid)
    child.wait()


def share(job: Job, seconds: float) -> None:
    """Have memory together with a process of its own, which has written into it; its inode is noted."""
    code = (
        "import pickle, sys, time; block = pickle.loads(bytes.fromhex(sys.argv[1])); "
        "block.view[:4] = b'seen'; time.sleep(float(sys.argv[2]))"
    )
    with Shared(1 << 20) as block:
        child = subprocess.Popen([sys.executable, "-c", code, pickle.dumps(block).hex(), str(seconds)])
        while bytes(block.view[:4]) != b"seen":
            time.sleep(0.01)
        maps = Path("/proc/self/maps").read_text().splitlines()
        [inode] = {line.split()[4] for line in maps if "/memfd:workerpool" in line}
        record.hset(f"{KEY}:pid", f"{job.id}-child", child.pid)
        record.hset(f"{KEY}:memory", job.id, inode)
        child.wait()


def clean(job: Job, seconds: float) -> None:
    try:
        record.hset(f"{KEY}:cleans", job.id, 1)
        time.sleep(seconds)
    finally:
        record.hincrby(f"{KEY}:cleaned", job.id, 1)


def resume(job: Job, state: int) -> None:
    """Checkpoint and fail at first; go on from there then."""
    if job.attempt == 1:
        job.checkpoint_sync(state)
        raise ValueError("half way")
    record.hset(f"{KEY}:resumed", job.id, job.checkpointed)


def kill_group(job: Job, _nothing: int) -> None:
    os.killpg(0, signal.SIGKILL)


def open_files(job: Job, count: int) -> None:
    held.extend(Path(os.devnull).open() for _ in range(count))  # noqa: SIM115  a leak


def use_up_files(job: Job, _nothing: object) -> None:
    """Open files until no more can be had; the first one it needs."""
    held.append(Path(os.devnull).open())  # noqa: SIM115  a leak
    with contextlib.suppress(OSError):
        while True:
            held.append(Path(os.devnull).open())  # noqa: SIM115


def fill_disk(job: Job, path: str) -> None:
    Path(path).write_bytes(b"x")


def jump(job: Job, seconds: float) -> None:
    """Set the clock of this process."""
    real = time.time
    time.time = lambda: real() + seconds


def say(job: Job, text: str) -> None:
    logging.getLogger(__name__).warning(text)


def grow(job: Job, megabytes: int) -> None:
    leaked.append(bytearray(b"x") * (megabytes << 20))


ACTIONS: dict[str, Callable[[Job, Any], None]] = {
    action.__name__: action
    for action in (
        sleep,
        hold,
        wait_for,
        spin,
        heed,
        fail,
        reject,
        end_process,
        kill_process,
        fork,
        spawn,
        share,
        clean,
        say,
        grow,
        resume,
        kill_group,
        open_files,
        use_up_files,
        fill_disk,
        jump,
    )
}


def act(job: Job) -> None:
    record.hincrby(f"{KEY}:begun", job.id, 1)
    record.hset(f"{KEY}:pid", job.id, os.getpid())
    name, argument = job.payload
    ACTIONS[name](job, argument)
    record.hincrby(f"{KEY}:done", job.id, 1)


@worker.job("thread", timeout=60)
def in_thread(job: Job) -> None:
    act(job)


@worker.job("thread-brief", timeout=0.3)
def in_thread_brief(job: Job) -> None:
    act(job)


@worker.job("thread-async", kind="thread", timeout=60)
async def in_thread_async(job: Job) -> None:
    await job.checkpoint("from its own loop")
    act(job)
    await asyncio.sleep(0)


@worker.job("cpu", kind="cpu", timeout=60)
def in_cpu(job: Job) -> None:
    act(job)


@worker.job("cpu-brief", kind="cpu", timeout=0.5)
def in_cpu_brief(job: Job) -> None:
    act(job)


@worker.job("cpu-patient", kind="cpu", timeout=6)
def in_cpu_patient(job: Job) -> None:
    act(job)


@worker.job("cpu-async", kind="cpu", timeout=60)
async def in_cpu_async(job: Job) -> None:
    await asyncio.sleep(0)
    await job.checkpoint("from its own loop")
    act(job)


@worker.job("io", timeout=60)
async def in_io(job: Job) -> None:
    match job.payload:
        case ["sleep", seconds]:
            record.hincrby(f"{KEY}:begun", job.id, 1)
            await asyncio.sleep(seconds)
            record.hincrby(f"{KEY}:done", job.id, 1)
        case ["exit_in_a_task", status]:
            record.hincrby(f"{KEY}:begun", job.id, 1)
            await asyncio.gather(leave(status))
        case _:
            act(job)


async def leave(status: int) -> None:
    sys.exit(status)


@worker.job("io-brief", timeout=0.3)
async def in_io_brief(job: Job) -> None:
    record.hincrby(f"{KEY}:begun", job.id, 1)
    name, seconds = job.payload
    while True:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if name != "deaf":
                raise


@worker.job("io-unrecorded", timeout=60)
async def in_io_unrecorded(job: Job) -> None:
    await asyncio.sleep(job.payload[1])


@worker.job("io-plain", timeout=60, kind="io")
def in_loop(job: Job) -> None:
    act(job)


of_the_loop: list[asyncio.Lock] = []


@worker.job("io-bound", timeout=60)
async def in_this_loop_only(job: Job) -> None:
    """Uses something that belongs to the loop in which it was used first."""
    if not of_the_loop:
        of_the_loop.append(asyncio.Lock())
    lock = of_the_loop[0]
    async with lock:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lock.acquire(), 0.001)
    act(job)


worker.run()

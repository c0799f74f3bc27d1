"""A worker with three jobs that are none of its good days, and one that is."""

import asyncio
import os
import signal
import time

from e2e.faults.storm.leash import end_with_the_driver
from e2e.faults.storm.store import Store
from workerpool import Job, Worker

worker = Worker(health_port=int(os.environ["PLIGHT_HEALTH_PORT"]), metrics_port=0)
store = Store(os.environ["STORM_STORE"])
NAME = os.environ["WORKERPOOL_POD"]


@worker.job("work", timeout=60)
async def work(job: Job) -> None:
    """Take a moment."""
    with store.run(job.id, worker=NAME):
        await asyncio.sleep(job.payload["seconds"])


@worker.job("poison", timeout=60)
async def poison(job: Job) -> None:
    """End the process, as the kernel does with one that takes all memory."""
    with store.run(job.id, worker=NAME):
        os.kill(os.getpid(), signal.SIGKILL)


@worker.job("hang", timeout=60)
async def hang(job: Job) -> None:
    """Block the event loop for good at the first attempt; the next one has better luck."""
    with store.run(job.id, worker=NAME):
        if job.attempt == 1:
            time.sleep(3600)  # noqa: ASYNC251  that is the fault


@worker.job("slow", timeout=600)
async def slow(job: Job) -> None:
    """Take longer than a worker may make no progress, and let others run meanwhile."""
    with store.run(job.id, worker=NAME):
        await asyncio.sleep(job.payload["seconds"])


if __name__ == "__main__":
    end_with_the_driver()
    worker.run()

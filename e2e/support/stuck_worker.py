"""A worker that lives and takes nothing more once it has run a job of type `stick`.

From then on its intake waits for a slot for ever. Its loop turns, its health is good, it hears its collector and obeys
a fence. A program of its own that knows nothing but the SDK; in a pod it is mounted into the reference worker's image.
"""

import asyncio
import os

from workerpool import Job, Worker
from workerpool.runtime.slots import Slots

IN_A_POD = "WORKERPOOL_NODE" in os.environ
worker = Worker() if IN_A_POD else Worker(health_port=0, metrics_port=0)
stuck = asyncio.Event()
_reserve = Slots.reserve


async def _reserve_or_wait(slots: Slots) -> int:
    if stuck.is_set():
        await asyncio.Event().wait()
    return await _reserve(slots)


@worker.job("work", timeout=60)
async def work(job: Job) -> None:
    """Take so many seconds."""
    await asyncio.sleep(job.payload["seconds"])


@worker.job("stick", timeout=60)
async def stick(job: Job) -> None:
    """Take nothing more from now on."""
    del job
    stuck.set()
    print('{"event": "stuck"}', flush=True)


if __name__ == "__main__":
    Slots.reserve = _reserve_or_wait  # type: ignore[assignment, method-assign]
    worker.run()

"""A worker that leaves something behind, as its environment says."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from workerpool import Job, Worker
from workerpool.runtime import leaving

WHAT = os.environ["LEAVES"]
FOR_LONG = 600
pool = ThreadPoolExecutor(1)
# Who leaves nothing behind is not to be taken for one who does because this machine stands still.
LEAVE = 6.0 if WHAT == "nothing" else 0.5
setattr(leaving, "LEAVE_SECONDS", LEAVE)  # noqa: B010  a constant


def say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def hang(when: str) -> None:
    while WHAT.startswith(f"lifespan {when}"):
        say("hangs")
        try:
            await asyncio.sleep(FOR_LONG)
        except asyncio.CancelledError:
            if not WHAT.endswith("ignores"):
                raise


@asynccontextmanager
async def lifespan() -> AsyncIterator[None]:
    await hang("start")
    yield
    await hang("end")


worker = Worker(os.environ["QUEUE"], health_port=0, metrics_port=0, lifespan=lifespan)


@worker.job("work", timeout=60)
async def work(job: Job) -> None:
    say("works")
    if WHAT == "thread":
        await asyncio.to_thread(time.sleep, FOR_LONG)
    if WHAT == "pool":
        await asyncio.get_running_loop().run_in_executor(pool, time.sleep, FOR_LONG)


worker.run()
if WHAT == "nothing":
    time.sleep(LEAVE + 1)
    say("goes on")

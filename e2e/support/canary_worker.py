"""A worker whose versions are as bad as the variable CONDUCT says; in a pod it is mounted into the reference image.

| CONDUCT | Does |
|---|---|
| `good` | fails so many percent of its first attempts as the variable FAILING says, as each of them but `half` does |
| `failing` | five times as many |
| `half` | fails half of them |
| `slow` | takes three times as long, which is longer than SLOW_JOB_SECONDS |
| `crashing` | ends its process with each twentieth job, without a word |
| `deaf` | is ready, and takes no job |

It fails each n-th job and not by chance, so that a verdict takes the same time in each run.
"""

import asyncio
import itertools
import os
import zlib

from workerpool import Job, Queue, Worker
from workerpool.redis import Redis
from workerpool.runtime.slots import Slots

CONDUCT = os.environ.get("CONDUCT", "good")
FAILING = float(os.environ.get("FAILING", "1")) / 100
RATE = {"failing": 5 * FAILING, "half": 0.5}.get(CONDUCT, FAILING)
CRASHING = 20
worker = Worker()
began = itertools.count(zlib.crc32(os.environ["WORKERPOOL_POD"].encode()) % 100)
"""First attempts of this process, from anywhere: else all workers would fail their first jobs at the same time."""
records = Redis(Queue.from_env("main"))


class ToldToFailError(Exception):
    """This version is as bad as that."""


@worker.job("work", timeout=30)
async def work(job: Job) -> None:
    """Take so many seconds, and tell of it beside the queue. Only first attempts fail."""
    await asyncio.sleep(job.payload["seconds"] * (3 if CONDUCT == "slow" else 1))
    if job.attempt == 1:
        number = next(began)
        if CONDUCT == "crashing" and number % CRASHING == 0:
            os._exit(1)
        if number % round(1 / RATE) == 0:
            raise ToldToFailError
    await records.call("XADD", records.key("results"), "*", "job", job.id, "version", os.environ["WORKERPOOL_VERSION"])


async def _never(slots: Slots) -> int:
    del slots
    await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    if CONDUCT == "deaf":
        Slots.reserve = _never  # type: ignore[assignment, method-assign]
    worker.run()

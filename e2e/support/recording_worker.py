"""A worker of any broker that tells in a Redis when each job starts and ends: what a test counts by.

A program of its own that knows nothing but the SDK; in a pod it is mounted into the reference worker's image.
"""

import asyncio
import os

from workerpool import Job, Queue, Worker
from workerpool.redis import Redis

worker = Worker()
records = Redis(Queue.connect(os.environ["RECORDS_URL"], stream=os.environ["RECORDS"]))


@worker.job("sleep", timeout=60)
async def sleep(job: Job) -> None:
    """Take so many seconds."""
    await tell("start", job)
    await asyncio.sleep(job.payload["seconds"])
    await tell("finish", job)


async def tell(event: str, job: Job) -> None:
    """An error fails the job: a record that is missing in silence would look like a lost job."""
    pod = os.environ["WORKERPOOL_POD"]
    await records.call("XADD", os.environ["RECORDS"], "*", "event", event, "job", job.id, "pod", pod)


if __name__ == "__main__":
    worker.run()

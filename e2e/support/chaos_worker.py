"""A worker whose jobs call, write and wait as their payload says, and that tells of each in a Redis of its own.

`url` is fetched, into `scratch` a file is written, then `seconds` pass. Where the environment has DOWNSTREAM or
LAST_CALL, the one is fetched before these seconds by every job, the other after them. What is told has the form of the
reference worker's records, on the stream beside the queue RECORDS of the Redis at RECORDS_URL, and its type `sleep` is
known here too, so that commands which feed that worker feed this one. A program of its own that knows nothing but the
SDK; in a pod it is mounted into the reference worker's image.
"""

import asyncio
import os
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from workerpool import Job, Queue, Worker
from workerpool.redis import Redis

FILE_BYTES = 256 * 1024
FETCH_SECONDS = 10.0
worker = Worker()
records = Redis(Queue.connect(os.environ["RECORDS_URL"], stream=os.environ["RECORDS"]))


@worker.job("sleep", timeout=30)
@worker.job("work", timeout=30)
async def work(job: Job) -> None:
    """Do what the payload says."""
    await tell("start", job)
    try:
        await asyncio.to_thread(call_and_write, job.id, job.payload)
        await asyncio.sleep(job.payload["seconds"])
        await asyncio.to_thread(call, os.environ.get("LAST_CALL", ""))
    except OSError:
        await tell("fail", job)
        raise
    await tell("finish", job)


def call_and_write(name: str, payload: dict[str, Any]) -> None:
    """Raises OSError: nobody answers, or there is no space."""
    call(payload.get("url") or os.environ.get("DOWNSTREAM", ""))
    if folder := payload.get("scratch"):
        file = Path(folder) / name
        try:
            file.write_bytes(b"\0" * FILE_BYTES)
        finally:
            file.unlink(missing_ok=True)


def call(url: str) -> None:
    """Fetch it, if there is one. Raises OSError: nobody answers."""
    if url:
        with urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310  the address is the harness' own
            answer.read()


async def tell(event: str, job: Job) -> None:
    """An error fails the job: a record that is missing in silence would look like a lost job."""
    who = ("pod", os.environ["WORKERPOOL_POD"], "node", os.environ.get("WORKERPOOL_NODE", ""))
    await records.call("XADD", records.key("results"), "*", "event", event, "job", job.id, *who)


if __name__ == "__main__":
    worker.run()

"""SAQ on Redis; a job that is killed with its worker is repeated when its timeout is over."""

from typing import Any

import jobs
from saq import Queue

from workerpool.adapters.saq import install

queue = Queue.from_url(jobs.URL)


async def work(_context: Any, *, job: str, seconds: float) -> None:
    """A job that takes a while."""
    await jobs.work_async(job, seconds)


async def flaky(_context: Any, *, job: str) -> None:
    """Fails at its first attempt."""
    jobs.flaky(job)


settings = {"queue": queue, "functions": [work, flaky], "concurrency": jobs.SLOTS}
install(settings, **jobs.PORTS)


async def enqueue(kind: str, job: str, seconds: float) -> None:
    """Put one: tried five times, each as long as a worker may be silent."""
    if kind == "work":
        await queue.enqueue("work", job=job, seconds=seconds, retries=5, timeout=jobs.ABANDONED_SECONDS)
    else:
        await queue.enqueue("flaky", job=job, retries=5, timeout=jobs.ABANDONED_SECONDS)


if __name__ == "__main__":
    jobs.produce(enqueue)

"""SAQ: a job is in the list of active ones until it is done; a sweep retries those past their timeout."""

import asyncio
from typing import Any

import jobs
from produce import produce
from saq import Queue

queue = Queue.from_url(jobs.URL)


async def noop(ctx: Any, *, due: float | None) -> None:  # noqa: ARG001
    """Nothing."""
    jobs.started(due)


async def io10ms(ctx: Any, *, due: float | None) -> None:  # noqa: ARG001
    """Wait as for a fast service."""
    jobs.started(due)
    await asyncio.sleep(jobs.IO_SECONDS)


async def probe(ctx: Any, *, due: float | None) -> None:  # noqa: ARG001
    """Be killed."""
    await asyncio.sleep(jobs.probe_seconds())


settings = {
    "queue": queue,
    "functions": [noop, io10ms, probe],
    "concurrency": jobs.SLOTS,
    "timers": {"sweep": 1},
}


async def enqueue(name: str, due: float | None) -> None:
    """Retries, so that it is redelivered; no result is kept."""
    await queue.enqueue(name, due=due, timeout=jobs.REDELIVERY_SECONDS, retries=5, ttl=-1)


async def main() -> None:
    """Produce."""
    await queue.connect()
    await produce(enqueue)
    await queue.disconnect()


if __name__ == "__main__":
    asyncio.run(main())

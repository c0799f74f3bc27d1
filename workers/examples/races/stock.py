"""A race inside a worker: read, wait, write. Two deliveries for one article, and one of them is not counted."""

import asyncio
from collections import defaultdict

from workerpool import Job, Worker


class Shelf:
    """Stands for a store that answers over a network: between a call and its answer others run."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = defaultdict(int)

    async def read(self, article: str) -> int:
        """How many there are."""
        await asyncio.sleep(0)
        return self._counts[article]

    async def write(self, article: str, count: int) -> None:
        """Let there be so many."""
        await asyncio.sleep(0)
        self._counts[article] = count


def racing(shelf: Shelf) -> Worker:
    """The handler as one writes it first."""
    worker = Worker()

    @worker.job("delivery", timeout=10)
    async def delivery(job: Job) -> None:
        article = job.payload["article"]
        count = await shelf.read(article)
        await shelf.write(article, count + 1)  # another delivery may have been written since

    return worker


def locked(shelf: Shelf) -> Worker:
    """Mended for one worker: who counts an article has it for itself.

    Several workers share no lock. For them give each job `ordering_key=article`, or let the store count.
    """
    worker = Worker()
    locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @worker.job("delivery", timeout=10)
    async def delivery(job: Job) -> None:
        article = job.payload["article"]
        async with locks[article]:
            count = await shelf.read(article)
            await shelf.write(article, count + 1)

    return worker
